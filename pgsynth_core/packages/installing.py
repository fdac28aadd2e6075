"""Install plugins: look, plan, carry out, verify, or put back what was there. Floor 2, no torch in this process.

    with planned(wanted, ...) as plan:      fetched, read and resolved; nothing has changed
        carry_out(plan, ...)                installed and verified, or everything as it was

Everything that will be installed lies in a folder of ours before the environment is touched: what fails for want of a
network fails before that, and exactly what was shown is installed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from pgsynth_core.errors import PgsynthError, Problem, UserError
from pgsynth_core.packages.calling_pip import PipFailed, call_pip, last_words
from pgsynth_core.packages.environment import Environment
from pgsynth_core.packages.obtaining import ONLY_WHEELS, Offer, along, fetch_exactly, obtain
from pgsynth_core.packages.present import plain_version, present, versions
from pgsynth_core.packages.resolving import Change, Plan, clashes, everything_considered, resolve
from pgsynth_core.packages.undoing import Snapshot, undisturbed
from pgsynth_core.packages.verifying import verify
from pgsynth_core.packages.wanted import Wanted
from pgsynth_core.packages.wheels import Wheel, destinations
from pgsynth_core.registry import KeptPackage, UserList, changed_user_list, read_user_list
from pgsynth_core.runs.locks import hold, state_folder

__all__ = ["Planned", "RollbackFailed", "alone_here", "carry_out", "in_place", "planned", "remember", "undo"]

_PUT_BACK: Final = "Nothing is changed: everything is as it was."
_MOST_TOLD: Final = 20


class RollbackFailed(PgsynthError):
    """What failed could not be undone: exit code 1. Says what differs, and which commands mend it."""


@dataclass(frozen=True)
class Planned:
    """What would be done, ready to be carried out.

    Attributes:
        plan: What pip would change; None if there is nothing to do.
        unchanged: What was asked for and is here as it was asked for.
        clashes: Names that other packages use already, a sentence each.
        folder: Where the wheels lie, for as long as the plan is open.
        wheels: Of everything that would change.
        along: The plugins that come because others require them.
        here: Every package that was here when the plan was made, with its version.
    """

    plan: Plan | None
    unchanged: tuple[KeptPackage, ...]
    clashes: tuple[str, ...]
    folder: Path
    wheels: tuple[Wheel, ...] = ()
    along: tuple[Offer, ...] = ()
    here: Mapping[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every package that would change."""
        return self.plan.changes if self.plan else ()

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The plugins that would be installed: those asked for, then those that they require."""
        return (*self.plan.offers, *self.along) if self.plan else ()


@dataclass
class _Workspace:
    """A temporary folder that stays if what it holds is needed to mend something."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="pgsynth-")))
    keep: bool = False


# ------------------------------------------------------------------------------------------- before anything changes
@contextmanager
def planned(wanted: Sequence[Wanted], *, source: bool = False, upgrade: bool = False) -> Iterator[Planned]:
    """Find out what installing these would change. Nothing does; what was fetched goes when the plan is closed.

    Args:
        wanted: What is asked for.
        source: What the index has only as source may be built, which runs its code.
        upgrade: Of a name that is here, take the newest.

    Raises:
        UserError: If one cannot be had, is no plugin that this pgsynth can use, or cannot be installed beside what is
            here.
    """
    space = _Workspace()
    try:
        with everything_considered() as registry:
            here = versions()
            done = [one for one in wanted if not upgrade and _is_here(one, here)]
            asked = [one for one in wanted if one not in done]
            same = tuple(KeptPackage(name=one.name, version=here[one.name], extras=one.extras) for one in done)
            offers = obtain(asked, space.folder / "wheels", known=registry.known, source=source)
            plan = resolve(offers, space.folder, source=source) if offers else None
            others = _others(plan, space.folder, source=source) if plan else ()
            required = along(others, known=registry.known)
            told = clashes((*offers, *required), registry)
        wheels = (*(offer.wheel for offer in offers), *others)
        yield Planned(plan, same, told, space.folder, wheels, required, here)
    except RollbackFailed:
        space.keep = True
        raise
    finally:
        if not space.keep:
            shutil.rmtree(space.folder, ignore_errors=True)


def in_place(kept: KeptPackage) -> bool:
    """Whether a package of the user's list is here in that version, and is not broken."""
    return versions().get(kept.name) == plain_version(kept.version) and _is_well(kept.name)


def _is_here(wanted: Wanted, here: dict[str, str]) -> bool:
    """Whether a name that is asked for is here in a version that was asked for, and is not broken."""
    if not wanted.name or wanted.extras or wanted.name not in here:
        return False
    fits = Requirement(wanted.requirement).specifier
    return fits.contains(here[wanted.name], prereleases=True) and _is_well(wanted.name)


def _is_well(name: str) -> bool:
    with everything_considered() as registry:
        return name in registry.packages - {broken.package for broken in registry.broken}


@contextmanager
def alone_here(environment: Environment) -> Iterator[None]:
    """Two commands that change one environment would undo each other's work.

    Raises:
        UserError: If another one is at it.
    """
    import hashlib

    name = hashlib.sha256(str(environment.prefix).encode()).hexdigest()[:16]
    held = hold(state_folder() / f"packages-{name}.lock")
    if held is None:
        message = "another pgsynth is changing what is installed here."
        raise UserError(message, where=str(environment.prefix), cure="Wait until it is done, then run this again.")
    try:
        yield
    finally:
        held.release()


# ------------------------------------------------------------------------------------------- the change itself
def carry_out(
    found: Planned, environment: Environment, *, tell: Callable[[str], None] = print
) -> tuple[KeptPackage, ...]:
    """Install what was planned, verify it, and put it on the user's list; whatever fails, everything is as it was.

    Args:
        found: The plan.
        environment: Where.
        tell: Where to say that something is undone.

    Returns:
        What is now on the user's list.

    Raises:
        UserError: If it cannot be installed, does not work, or the plan is out of date; everything is as it was.
        PipFailed: If pip fails; everything is as it was.
        RollbackFailed: If it is not.
    """
    assert found.plan is not None, "there is something to do"
    plan, wheels = found.plan, found.wheels
    with alone_here(environment):
        _refuse_out_of_date(found)
        read_user_list()  # one that cannot be read is told before anything changes
        coming = [path for wheel in wheels for path in destinations(wheel, environment.paths)]
        _refuse_overwriting(wheels, environment)
        names = [change.package for change in plan.changes]
        snapshot = Snapshot.take(environment, names, coming, found.folder / "before")
        try:
            _install(plan, wheels, found.folder)
            _compare(plan, snapshot)
            verify((offer.wheel.name, offer.wheel.version) for offer in found.offers)
            kept = tuple(offer.kept() for offer in plan.offers)
            changed_user_list(lambda listed: _with(listed, found.unchanged, kept))
        except BaseException as error:
            undo(snapshot, error, tell)
            raise
    return kept


def undo(snapshot: Snapshot, error: BaseException, tell: Callable[[str], None]) -> None:
    """Put everything back, then have the error say so, or say it where it has no words: not before, words may fail.

    Raises:
        UserError: In place of one: with its problems, and that nothing is changed.
        PipFailed: In place of one, likewise.
        RollbackFailed: If something differs all the same.
    """
    with undisturbed():
        differences = snapshot.put_back()
    if differences:
        raise RollbackFailed(_unmended(snapshot, differences, error)) from error
    if not isinstance(error, PgsynthError):
        with suppress(OSError, ValueError):  # the terminal may be closed, the disk of a log full
            tell(_PUT_BACK)
    if isinstance(error, UserError):
        problems = [Problem(one.message, one.where, f"{one.cure} {_PUT_BACK}".strip()) for one in error.problems]
        raise UserError(problems) from error
    if isinstance(error, PgsynthError):
        raise PipFailed(f"{error}\n{_PUT_BACK}") from error


def _unmended(snapshot: Snapshot, differences: Sequence[str], error: BaseException) -> str:
    python = snapshot.environment.python
    reason = str(error) or type(error).__name__
    lines = [f"{reason}", "What was there could not be put back whole. What differs:"]
    lines += [f"  {line}" for line in differences[:_MOST_TOLD]]
    if len(differences) > _MOST_TOLD:
        lines.append(f"  and {len(differences) - _MOST_TOLD} more")
    lines.append("To mend it:")
    for name in sorted(snapshot.names):
        if version := snapshot.before.get(name):
            lines.append(f"  {python} -m pip install --force-reinstall --no-deps {name}=={version}")
        else:
            lines.append(f"  {python} -m pip uninstall {name}")
    return "\n".join(lines)


def _others(plan: Plan, folder: Path, *, source: bool) -> tuple[Wheel, ...]:
    """The wheels of what changes beside the plugins that were asked for, the very files that pip named.

    Raises:
        UserError: If pip cannot get one of them, gets another than the index named before, or the index named none.
    """
    own = {offer.wheel.name for offer in plan.offers}
    others = [change for change in plan.changes if change.package not in own]
    if unknown := [change for change in others if not change.sha256]:
        raise UserError(
            Problem(
                f"the index says no SHA-256 of {one.package} {one.after}, so that nothing tells it from another file.",
                one.package,
                f"If you trust it, install it first: pip install {one.package}=={one.after}.",
            )
            for one in unknown
        )
    if not others:
        return ()
    fetched = fetch_exactly(
        {f"{one.package}=={one.after}": one.sha256 for one in others}, folder / "others", source=source
    )
    for change in others:
        wheel = fetched.get(change.package)
        if wheel is None or plain_version(wheel.version) != change.after:
            message = f"pip got another {change.package} {change.after} than it named before."
            raise UserError(message, where=change.package, cure="Run it again.")
    return tuple(fetched.values())


def _refuse_out_of_date(found: Planned) -> None:
    """While somebody was asked, another command may have changed what was looked at.

    Raises:
        UserError: If what is here is not what was here when the plan was made.
    """
    import importlib

    importlib.invalidate_caches()
    now = versions()
    changed = [
        f"{name} ({found.here.get(name, 'not there')} -> {now.get(name, 'not there')})"
        for name in sorted(found.here.keys() | now.keys())
        if found.here.get(name) != now.get(name)
    ]
    if changed:
        more = f" and {len(changed) - _MOST_TOLD} more" if len(changed) > _MOST_TOLD else ""
        message = f"the environment changed meanwhile: {', '.join(changed[:_MOST_TOLD])}{more}. Nothing was done."
        raise UserError(message, cure="Run it again, and look at what it shows then.")


def _refuse_overwriting(wheels: Sequence[Wheel], environment: Environment) -> None:
    """A wheel may write over what it replaces, and over what nobody owns among the packages; over nothing else.

    Raises:
        UserError: With every package that would, and whose file it is.
    """
    replaced = {wheel.name for wheel in wheels}
    writers: dict[Path, str] = {}
    problems = []
    for wheel in wheels:
        for path in destinations(wheel, environment.paths):
            if (other := writers.setdefault(path, wheel.name)) != wheel.name:
                message = f"{other} and {wheel.name} both bring {path}."
                problems.append(Problem(message, wheel.name, "Install one of them only, and tell their authors."))
    there = [path for path in writers if path.suffix != ".pyc" and path.exists()]
    here = tuple(present()) if there else ()
    own = {path for one in here if one.name in replaced for path in one.files()}
    for path in (path for path in there if path not in own):
        owner, name = next((one.name for one in here if one.lists(path)), ""), writers[path]
        if owner or not any(site in path.parents for site in environment.sites):
            whose = f"that {owner} brought" if owner else "that belongs to the environment itself"
            cure = f"Tell its author; to have it in place of {owner}: pip uninstall {owner}."
            message = f"{name} would write over a file {whose}: {path}."
            problems.append(Problem(message, name, cure if owner else "Do not use it."))
    if problems:
        raise UserError(problems[:_MOST_TOLD])


def _install(plan: Plan, wheels: Sequence[Wheel], folder: Path) -> None:
    """One call of pip for wheels, one for folders that stay where they are.

    Wheels are asked for by name and hash: of a path pip would note for good that the package came from there.

    Raises:
        PipFailed: If pip fails.
    """
    editable = {offer.wheel.name: offer for offer in plan.offers if offer.wanted.editable}
    ours = [wheel for wheel in wheels if wheel.name not in editable]
    asked = folder / "asked.txt"
    lines = (f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in ours)
    asked.write_text("".join(lines), encoding="utf-8")
    links = dict.fromkeys(f"--find-links={wheel.path.parent}" for wheel in ours)
    by_name = ["--no-index", ONLY_WHEELS, *links, f"--requirement={asked}"] if ours else []
    flags = ("--quiet", "--no-deps", "--force-reinstall", f"--constraint={plan.constraints}")
    for words in (by_name, [word for offer in editable.values() for word in ("-e", str(offer.wanted.path))]):
        if words:
            said = call_pip("install", *flags, *words)
            if said.code:
                raise PipFailed(f"pip cannot install it:\n{last_words(said)}")


def _compare(plan: Plan, snapshot: Snapshot) -> None:
    """What was shown was done, and nothing else.

    Raises:
        PipFailed: If pip did something else, or put it elsewhere.
    """
    import importlib

    importlib.invalidate_caches()
    expected = {**snapshot.before, **{change.package: change.after for change in plan.changes}}
    after = versions()
    for name in sorted(expected.keys() | after.keys()):
        if expected.get(name) != after.get(name):
            is_now = f"{name} {after[name]}" if name in after else f"no {name}"
            message = f"pip did something else than it said: {is_now} is here. Look at its settings: pip config list."
            raise PipFailed(message)


def remember(kept: Sequence[KeptPackage]) -> None:
    """Put packages that are here as asked for on the user's list, where they are not on it yet.

    Raises:
        UserError: If the list cannot be read or written.
    """
    changed_user_list(lambda listed: _with(listed, kept, ()))


def _with(listed: UserList, unchanged: Sequence[KeptPackage], kept: Sequence[KeptPackage]) -> UserList:
    """The list with these; of what is unchanged the version is that which is here, the rest is as it is noted there."""
    here = {one.name: one.version for one in unchanged}
    noted = [_of_version(one, here.get(one.name, one.version)) for one in listed.plugin]
    new = {one.name: one for one in (*unchanged, *noted, *kept)}
    return listed.model_copy(update={"plugin": tuple(new.values())})


def _of_version(kept: KeptPackage, version: str) -> KeptPackage:
    """The row with that version; a wheel that holds another one is not where it came from."""
    if plain_version(kept.version) == version:
        return kept
    source = "" if kept.source.endswith(".whl") else kept.source
    return kept.model_copy(update={"version": version, "source": source})
