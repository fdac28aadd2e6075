"""What installing would change, found out before anything does. Floor 2, no torch.

pip is asked twice at most. First with everything that pgsynth stands on held where it is: what comes of that can be
installed. If it has no answer, without: then it is known which of them would move, from where to where, and who asks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.packages.calling_pip import Said, call_pip, last_words
from pgsynth_core.packages.libraries import core_requirements
from pgsynth_core.packages.obtaining import ONLY_WHEELS, Offer
from pgsynth_core.packages.older_forms import refuse_older_forms
from pgsynth_core.packages.pip_alone import NOTHING_STARTED
from pgsynth_core.packages.present import Present, plain_version, present, versions
from pgsynth_core.packages.requirements import applying, required_by
from pgsynth_core.registry import ALLOWED_VARIABLE, OWN_NAME, Registry, discover

__all__ = ["Change", "Plan", "clashes", "everything_considered", "resolve"]

_FIRST_WITH_REPORTS: Final = "23.0"
_BY_REQUEST: Final = "you"


@dataclass(frozen=True)
class Change:
    """A package that would be another one than it is.

    Attributes:
        package: The distribution, normalised.
        before: Its version; empty if it is not here.
        after: The version that it would have.
        required_by: Who asks for it: ``you``, or packages with what they ask for.
        sha256: Of its wheel, or of its source archive where the index has no wheel; empty if the index says none.
    """

    package: str
    before: str
    after: str
    required_by: tuple[str, ...]
    sha256: str = ""


@dataclass(frozen=True)
class Plan:
    """What would be done.

    Attributes:
        offers: The plugins, in the order asked for.
        changes: Everything that would change, plugins first.
        constraints: The file that holds what pgsynth stands on where it is.
    """

    offers: tuple[Offer, ...]
    changes: tuple[Change, ...]
    constraints: Path


def resolve(offers: Sequence[Offer], folder: Path, *, source: bool) -> Plan:
    """Ask pip what installing these plugins would change.

    Nothing is built for that unless source is allowed. If it is, what a library further down requires by an address is
    refused, too, but only after pip has got it and run its build; `read_plugin` finds it before in the plugins alone.

    Args:
        offers: Their wheels.
        folder: A folder of ours.
        source: What the index has only as source may be built.

    Raises:
        UserError: If they cannot be installed beside what is here: a package that pgsynth stands on would move, or
            one that others need in another version. If something would come from an address.
    """
    here = versions()
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{line}\n" for line in _held(here)), encoding="utf-8")
    said, report = _ask(offers, folder / "held.json", source=source, constraints=constraints)
    if report is None:
        _, free = _ask(offers, folder / "free.json", source=source)
        if free is not None:
            _refuse_moves(_changes(free, offers, here))
        message = f"pip finds no way to install this beside what is here:\n{last_words(said)}"
        cure = "Try another version of it."
        if not source:
            cure += " If what it needs is there only as source, add --source: to build it runs its code."
        raise UserError(message, where=_texts(offers), cure=cure)
    _refuse_addresses(report, offers)
    changes = _changes(report, offers, here)
    _refuse_moves(changes)
    lying = tuple(present())
    refuse_older_forms({change.package: change.after for change in changes}, lying)
    _refuse_remains(changes, lying)
    _refuse_what_conda_has(changes, lying)
    _refuse_breaks(changes, lying)
    return Plan(tuple(offers), changes, constraints)


def _held(here: Mapping[str, str]) -> Iterator[str]:
    """Lines of a constraints file: what is here as it is, and what is not in the range that pgsynth works with."""
    if OWN_NAME in here:
        yield f"{OWN_NAME}=={here[OWN_NAME]}"
    ranges = core_requirements(developers=False)
    for name, requirement in core_requirements().items():
        if name in here:
            yield f"{name}=={here[name]}"
        elif name in ranges and requirement.specifier:
            yield f"{name}{requirement.specifier}"


def _texts(offers: Sequence[Offer]) -> str:
    return ", ".join(offer.wanted.text for offer in offers)


def _ask(
    offers: Sequence[Offer], report: Path, *, source: bool, constraints: Path | None = None
) -> tuple[Said, dict[str, Any] | None]:
    """What pip would install; None if it finds no way, or says something else.

    Raises:
        UserError: If pip is too old, or would have to run somebody's code to find out.
    """
    flags = ["--dry-run", f"--report={report}", *([] if source else [ONLY_WHEELS])]
    flags += [f"--constraint={constraints}"] if constraints else []
    said = call_pip("install", *flags, "--", *(offer.requirement for offer in offers), alone=not source)
    if "no such option" in said.err:
        cure = "Upgrade it: python -m pip install --upgrade pip."
        raise UserError(f"pip {_FIRST_WITH_REPORTS} or newer is needed, to look before anything changes.", cure=cure)
    if NOTHING_STARTED in said.err:
        lines = [line for line in said.out.splitlines() if line.startswith(("Collecting ", "Processing "))]
        reason = lines[-1] if lines else last_words(said)
        message = f"something that this requires is there from an address only, which would run its code: {reason}."
        cure = "Tell the author of what asks for it to name a version in place of the address."
        raise UserError(message, where=_texts(offers), cure=cure)
    try:
        read: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return said, None
    return said, read if not said.code else None


# ------------------------------------------------------------------------------------------- what would change
def _changes(report: Mapping[str, Any], offers: Sequence[Offer], here: Mapping[str, str]) -> tuple[Change, ...]:
    items = {canonicalize_name(item["metadata"]["name"]): item for item in report["install"]}
    asked = _asked({name: item["metadata"].get("requires_dist") or () for name, item in items.items()}, offers)
    wanted = {offer.wheel.name: offer for offer in offers}
    found = [
        Change(name, here.get(name, ""), offer.wheel.version, (_BY_REQUEST,), offer.wheel.sha256)
        for name, offer in wanted.items()
    ]
    for name, item in sorted(items.items()):
        if name not in wanted:
            version = plain_version(str(item["metadata"]["version"]))
            found.append(Change(name, here.get(name, ""), version, asked.get(name, ()), _hash(item)))
    return tuple(found)


def _hash(item: Mapping[str, Any]) -> str:
    hashes = item.get("download_info", {}).get("archive_info", {}).get("hashes") or {}
    return str(hashes.get("sha256", ""))


def _asked(requires: Mapping[str, Sequence[str]], offers: Sequence[Offer]) -> dict[str, tuple[str, ...]]:
    """Who asks for whom among these, each as ``plugin-x (torch==2.9)``; what is here may stand between."""
    extras = {offer.wheel.name: ("", *offer.wanted.extras) for offer in offers}
    lines = {one.name: one for one in present()}
    asked: dict[str, list[str]] = {}
    seen = set(requires)
    queue = sorted(requires, key=lambda name: name not in extras)  # what was asked for is the reason of the rest
    while queue:
        name = queue.pop(0)
        texts = requires.get(name) or (required_by(lines[name]) if name in lines else ())
        for requirement in applying(texts, extras.get(name, ("",))):
            target = canonicalize_name(requirement.name)
            asked.setdefault(target, []).append(f"{name} ({requirement.name}{requirement.specifier})")
            if target not in seen:
                seen.add(target)
                queue.append(target)
    return {name: tuple(dict.fromkeys(who)) for name, who in asked.items()}


# ------------------------------------------------------------------------------------------- what may not
def _refuse_addresses(report: Mapping[str, Any], offers: Sequence[Offer]) -> None:
    """By name and version there may be another package than what lies at the address.

    Raises:
        UserError: With everything that would come from an address.
    """
    ours = {offer.wheel.name for offer in offers}
    direct = [item for item in report["install"] if item.get("is_direct")]
    named = [(canonicalize_name(item["metadata"]["name"]), item["download_info"]["url"]) for item in direct]
    problems = [
        Problem(
            f"{name} would come from {address}: nothing is installed from an address.",
            name,
            "Tell the author of what asks for it to name a version in place of the address.",
        )
        for name, address in named
        if name not in ours
    ]
    if problems:
        raise UserError(problems)


def _refuse_moves(changes: Sequence[Change]) -> None:
    """pgsynth and what it stands on stay as they are; what only an extra needs may come, in the tested range.

    Raises:
        UserError: With everything that would move, from where to where, and who asks for it.
    """
    core = core_requirements()
    moved = []
    for change in changes:
        requirement = core.get(change.package)
        if change.package != OWN_NAME and requirement is None:
            continue
        if requirement is None and not change.before:
            message = f"pip does not know that pgsynth is here, and {_asker(change)} asks for it."
            moved.append(Problem(message, OWN_NAME, "In pgsynth's checkout: pip install -e ."))
            continue
        comes = not change.before and requirement is not None
        if comes and requirement is not None and requirement.specifier.contains(change.after, prereleases=True):
            continue
        asking = " and ".join(change.required_by) or "what it needs"
        way = f"{change.before or 'not installed'} -> {change.after}"
        message = f"{change.package} would move ({way}), asked for by {asking}. pgsynth stands on it as it is."
        cure = f"Take another version of {_asker(change)}, one that works with {_range(change, requirement)}"
        moved.append(Problem(message, change.package, f"{cure}; or give it an environment of its own."))
    if moved:
        raise UserError(moved)


def _asker(change: Change) -> str:
    return change.required_by[0].partition(" ")[0] if change.required_by else "the package"


def _range(change: Change, requirement: Requirement | None) -> str:
    if change.before:
        return f"{change.package} {change.before}"
    return f"{change.package}{requirement.specifier if requirement else ''}"


def _refuse_remains(changes: Sequence[Change], here: Sequence[Present]) -> None:
    """pip cannot replace what does not list its files.

    Raises:
        UserError: With everything that was left over from something interrupted, and is in the way.
    """
    names = {change.package for change in changes}
    remains = [one for one in here if one.name in names and not one.listed]
    if remains:
        raise UserError(
            Problem(
                f"{one.name} is half there, left over from something that was interrupted: {one.info}.",
                one.name,
                f"Take it out first: pgsynth plugins uninstall {one.name}."
                if one.announces()
                else f"Take it out first: delete {one.info}.",
            )
            for one in remains
        )


def _refuse_what_conda_has(changes: Sequence[Change], here: Sequence[Present]) -> None:
    """What conda installed, conda alone may change: it would not notice, and write over it again.

    Raises:
        UserError: With every such package.
    """
    after = {change.package: change for change in changes}
    by_conda = [one for one in here if one.name in after and one.text("INSTALLER").strip() == "conda"]
    if by_conda:
        raise UserError(
            Problem(
                f"conda installed {one.name} {one.version}, and {after[one.name].after} is asked for.",
                one.name,
                f"Run: conda install {one.name}={after[one.name].after}, then this again.",
            )
            for one in by_conda
        )


def _refuse_breaks(changes: Sequence[Change], here: Sequence[Present]) -> None:
    """pip minds what the new needs, not what those already here need of it.

    Raises:
        UserError: With every package here that what it needs would be taken from.
    """
    after = {change.package: change for change in changes}
    moved = {name for name, change in after.items() if change.before and change.before != change.after}
    problems = []
    for one in here if moved else ():
        if one.name in after:  # it comes anew, with what it needs
            continue
        for requirement in applying(required_by(one)):
            change = after.get(canonicalize_name(requirement.name))
            if change is None or change.package not in moved:
                continue
            fits = requirement.specifier
            if fits.contains(change.before, prereleases=True) and not fits.contains(change.after, prereleases=True):
                asking = " and ".join(change.required_by)
                message = f"{change.package} would move ({change.before} -> {change.after}), asked for by {asking}; "
                message += f"{one.name} {one.version}, which is here, needs {change.package}{fits}."
                cure = f"Take another version of {_asker(change)}, or uninstall {one.name}."
                problems.append(Problem(message, change.package, cure))
    if problems:
        raise UserError(problems)


# ------------------------------------------------------------------------------------------- names in use
@contextmanager
def everything_considered() -> Iterator[Registry]:
    """What is installed, whatever ``PGSYNTH_PLUGINS`` leaves out: what is not looked at is there all the same."""
    limited = os.environ.pop(ALLOWED_VARIABLE, None)
    try:
        yield discover()
    finally:
        if limited is not None:
            os.environ[ALLOWED_VARIABLE] = limited


def clashes(offers: Sequence[Offer], registry: Registry) -> tuple[str, ...]:
    """One sentence for each name that another package uses already, and what to write then."""
    used = [*registry.adds, *((added, offer.wheel.name) for offer in offers for added in offer.manifest.adds)]
    used = [(added, package) for added, package in used if not added.startswith("hook:")]  # those run side by side
    said = []
    for offer in offers:
        for added in offer.manifest.adds:
            others = dict.fromkeys(package for name, package in used if name == added and package != offer.wheel.name)
            kind, _, name = added.partition(":")
            for other in others:
                said.append(
                    f"the {kind} {name!r} is in {other} too, and its plain name will do for neither any more: "
                    f"write {offer.wheel.name}:{name} or {other}:{name}."
                )
    return tuple(dict.fromkeys(said))
