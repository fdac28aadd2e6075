"""The lock of a spec: which packages it was written with, beside the spec in its file, and what of that is here.

``compose -o`` and every run write it under the key ``lock``. It decides nothing: what is missing is told with the
command that installs it, what is here in another version with what that changed of the spec's own parts.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from typing import Annotated, Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from pgsynth_core.errors import Problem, UserError, suggestion
from pgsynth_core.manifest import CONTRACT_CURRENT
from pgsynth_core.registry import (
    ALLOWED_VARIABLE,
    FOREIGN_FAULTS,
    NOUNS,
    OWN_NAME,
    Entry,
    Origin,
    Registry,
    allowed_packages,
    read_user_list,
)
from pgsynth_core.spec.grammar import KIND_OF_SLOT
from pgsynth_core.spec.model import Spec
from pgsynth_core.spec.nodes import Mark, Node, Problems

__all__ = [
    "Difference",
    "Distribution",
    "Locked",
    "LockedPackage",
    "SpecLock",
    "Version",
    "absence",
    "differences",
    "install_command",
    "lock_of",
    "locked_packages",
    "missing_part",
    "other_axes",
    "read_lock",
    "reinstall_command",
    "version_told",
]

# Both end up in commands to copy, and a lock may come from anybody: nothing a shell would read into them.
_DISTRIBUTION: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_VERSION: Final = r"^[A-Za-z0-9.+!_-]*$"
Distribution = Annotated[str, Field(pattern=_DISTRIBUTION)]
Version = Annotated[str, Field(pattern=_VERSION)]

_FORMS: Final[Mapping[str, str]] = {"version": _VERSION, "manifest_sha256": r"^[0-9a-f]{64}$"}
_AXIS: Final = re.compile(r"[A-Za-z]\w*")
_KEYS: Final = ("contract", "packages", "axes")
_ANEW: Final = "Write it anew, pgsynth compose FILE -o FILE --force, or take the lock out."


class LockedPackage(BaseModel):
    """One package that brings a part."""

    model_config = ConfigDict(frozen=True)

    version: Version = Field(description="Its version.")
    manifest_sha256: str = Field(description="Hash of its manifest.")


@dataclass(frozen=True)
class Locked:
    """One package of a lock that was read.

    Attributes:
        version: Its version then.
        manifest_sha256: Of its manifest then.
        mark: Where the lock says so.
        quiet: Whether nothing is said about another version: the lock came with a preset, which is somebody else's.
    """

    version: str
    manifest_sha256: str
    mark: Mark
    quiet: bool = False

    def is_other(self, origin: Origin) -> bool:
        """Whether something else is here than was then."""
        return (origin.version, origin.manifest_sha256) != (self.version, self.manifest_sha256)


@dataclass
class SpecLock:
    """The locks of a spec and of what it extends, the nearest first; empty where there is none.

    Attributes:
        packages: By name.
        axes: What the base bound then.
        contract: Version of ports and interfaces then, and where it says so; None if it does not say.
    """

    packages: dict[str, Locked] = field(default_factory=dict)
    axes: dict[str, int] = field(default_factory=dict)
    contract: tuple[int, Mark] | None = None

    def other(self, origin: Origin) -> Locked | None:
        """What a package was then, if it is something else now."""
        locked = self.packages.get(origin.package)
        return locked if locked is not None and locked.is_other(origin) else None


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was when the spec was written.

    Attributes:
        package: The package it is about; empty if it is about none.
        message: What was, and what is.
        options: Which options of the spec's parts the spec does not know; empty if there are none.
        cure: How to have it as it was, and how to keep it as it is.
    """

    package: str
    message: str
    options: str = ""
    cure: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.message, self.options, self.cure)))


# ------------------------------------------------------------------------------------------- written
def locked_packages(spec: Spec, registry: Registry) -> dict[str, LockedPackage]:
    """pgsynth, and every package that brings a part of the spec.

    Raises:
        SpecError: If a part of the spec is not in the registry.
    """
    own = next((entry.origin for entry in registry.entries if entry.origin.first_party), None)
    origins = [own] if own else []
    origins += [registry.find(KIND_OF_SLOT[slot], choice.part).origin for slot, choice in spec.choices()]
    return {
        origin.package: LockedPackage(version=origin.version, manifest_sha256=origin.manifest_sha256)
        for origin in origins
    }


def lock_of(spec: Spec, registry: Registry, axes: Mapping[str, int]) -> dict[str, Any]:
    """The lock of a spec as plain data, for its file.

    Args:
        spec: Resolved; its parts and adapters stand in it, so that the lock needs not repeat them.
        registry: Where its parts come from.
        axes: What the base binds, as the contract check found.

    Raises:
        SpecError: If a part of the spec is not in the registry.
    """
    packages = {name: package.model_dump() for name, package in locked_packages(spec, registry).items()}
    return {"contract": CONTRACT_CURRENT, "packages": packages, "axes": dict(axes)}


def install_command(package: str, version: str) -> str:
    """The command that installs a package as it was; without a version, as it is.

    One that came from a file or folder of the user's own comes from there again: the index may have none of that name,
    or a stranger's.
    """
    with suppress(UserError):
        if any(kept.source and (kept.name, kept.version) == (package, version) for kept in read_user_list().plugin):
            return "pgsynth plugins restore"
    wanted = shlex.quote(f"{package}=={version}" if version else package)
    return f"pip install {wanted}" if package == OWN_NAME else f"pgsynth plugins install {wanted}"


def reinstall_command(package: str, version: str) -> str:
    """What brings back a package that is here in that version and is not as it was: words that follow a colon.

    `install_command` would find nothing to do. Only the package itself is brought back, and from where it came from:
    what it needs, torch among it, stays, and the index may have a stranger's of that name.
    """
    source, editable = _source(package)
    by = "pip install --force-reinstall --no-deps" if package == OWN_NAME or not source else "pgsynth plugins install"
    if editable:
        return f"set right its folder, which is used as it lies, then run {by} -e {shlex.quote(source)}"
    return f"{by} {shlex.quote(source or (f'{package}=={version}' if version else package))}"


def _source(package: str) -> tuple[str, bool]:
    """The file or folder that a package here came from, and whether it is used as it lies; empty: the package index."""
    with suppress(UserError):
        for kept in read_user_list().plugin:
            if kept.name == package and kept.source:
                return kept.source, kept.editable
    with suppress(*FOREIGN_FAULTS):  # pip noted nothing, or nothing that can be read
        noted = json.loads(metadata.distribution(package).read_text("direct_url.json") or "{}")
        url = urlsplit(noted["url"])
        if url.scheme == "file":
            return unquote(url.path), bool(noted.get("dir_info", {}).get("editable"))
    return "", False


# ------------------------------------------------------------------------------------------- read
def read_lock(node: Node, problems: Problems, *, quiet: bool = False) -> SpecLock:
    """The lock in a file.

    Args:
        node: The value of its key ``lock``.
        problems: Gets what is damaged, each at its line.
        quiet: As in `Locked`.
    """
    lock = SpecLock()
    parts = _mapping("lock", node, problems)
    for key, value in parts.items():
        if key not in _KEYS:
            problems.add(f"lock has no key {key!r}.", value.mark, suggestion(key, _KEYS, what="keys of lock"))
    contract = parts.get("contract")
    if contract is not None and _is_count(contract.value):
        lock.contract = None if quiet else (contract.value, contract.mark)
    elif contract is not None:
        problems.add(f"the lock is damaged: contract is {contract.said()}, and is a number.", contract.mark, _ANEW)
    for name, value in _mapping("packages", parts.get("packages"), problems).items():
        if found := _locked(name, value, problems, quiet):
            lock.packages[name] = found
    for name, value in _mapping("axes", parts.get("axes"), problems).items():
        if not (_AXIS.fullmatch(name) and _is_count(value.value)):
            problems.add(f"the lock is damaged: axes.{name} is {value.said()}, and is a number.", value.mark, _ANEW)
        elif not quiet:
            lock.axes[name] = value.value
    return lock


def _mapping(key: str, node: Node | None, problems: Problems) -> dict[str, Node]:
    if node is None:
        return {}
    if isinstance(node.value, dict):
        return node.value
    problems.add(f"the lock is damaged: {key} is {node.said()}; it takes a mapping.", node.mark, _ANEW)
    return {}


def _locked(name: str, node: Node, problems: Problems, quiet: bool) -> Locked | None:
    before = len(problems)
    if not re.fullmatch(_DISTRIBUTION, name):
        problems.add(f"the lock is damaged: {name[:80]!r} is no name of a package.", node.mark, _ANEW)
    parts = _mapping(f"packages.{name}", node, problems)
    for key, value in parts.items():
        if key not in _FORMS:
            cure = suggestion(key, tuple(_FORMS), what=f"keys of lock.packages.{name}")
            problems.add(f"lock.packages.{name} has no key {key!r}.", value.mark, cure)
        elif not (isinstance(value.value, str) and re.fullmatch(_FORMS[key], value.value)):
            kind = "a version, in quotes" if key == "version" else "the hash of a manifest, 64 digits"
            problems.add(f"the lock is damaged: {key} of {name} is {value.said()}, and is {kind}.", value.mark, _ANEW)
    if lost := [key for key in _FORMS if key not in parts and len(problems) == before]:
        problems.add(f"the lock is damaged: {name} has no {' and no '.join(lost)}.", node.mark, _ANEW)
    if len(problems) > before:
        return None
    return Locked(parts["version"].value, parts["manifest_sha256"].value, node.mark, quiet)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# ------------------------------------------------------------------------------------------- compared
def absence(package: str, version: str, registry: Registry) -> tuple[str, str]:
    """Why a part does not come from its package, as the end of a sentence, and what mends it.

    Args:
        package: Normalised name of the distribution.
        version: That is wanted; empty if nobody knows.
        registry: What is here.
    """
    command = install_command(package, version)
    allowed = allowed_packages()
    if any(off.package == package for off in registry.disabled):
        return "is switched off.", f"Switch it on: pgsynth plugins enable {package}."
    if origin := next((entry.origin for entry in registry.entries if entry.origin.package == package), None):
        return f"is installed as {origin.version} and has no such part.", f"Install the version that has it: {command}."
    if broken := next((broken for broken in registry.broken if broken.package == package), None):
        return f"is broken: {broken.problems[0].message}", f"To mend it: {reinstall_command(package, version)}."
    if allowed is not None and package not in allowed:
        return f"{ALLOWED_VARIABLE} does not allow.", f"Name it there, or unset {ALLOWED_VARIABLE}."
    return "is not installed.", f"Install it: {command}."


def missing_part(slot: str, name: str, lock: SpecLock, registry: Registry, where: Mark) -> Problem | None:
    """What to say of a part that is not here, if the lock knows its package.

    Args:
        slot: Where it is chosen.
        name: As written; the canonical form names its package.
        lock: Of the spec.
        registry: What is here.
        where: The place in the spec.
    """
    package, _, plain = name.rpartition(":")
    if package not in lock.packages:
        return None
    version = lock.packages[package].version
    reason, cure = absence(package, version, registry)
    noun = NOUNS[KIND_OF_SLOT[slot]][0]
    return Problem(f"the {noun} {plain!r} comes from {package} {version}, which {reason}", str(where), cure)


def version_told(locked: Locked, origin: Origin) -> str:
    """What was another, as the end of a sentence about the package that is here."""
    then = f"with {locked.version}" if locked.version != origin.version else "with another manifest of that version"
    return f"this was written {then}"


def differences(
    lock: SpecLock, entries: Mapping[str, tuple[str, Entry]], unwritten: Mapping[str, Mapping[str, str]]
) -> Iterator[Difference]:
    """What of a lock's packages is here otherwise, of those that bring a part.

    Args:
        lock: Of the spec.
        entries: Label -> slot and entry, of every part.
        unwritten: Label -> option -> its default, of those that the spec does not give.
    """
    if lock.contract and lock.contract[0] != CONTRACT_CURRENT:
        version, mark = lock.contract
        message = f"{mark}: written under contract {version}; this pgsynth has contract {CONTRACT_CURRENT}."
        yield Difference(OWN_NAME, message)
    by_package: dict[str, dict[str, tuple[str, Entry]]] = {}
    for label, (slot, entry) in entries.items():
        by_package.setdefault(entry.origin.package, {})[label] = (slot, entry)
    for package, parts in by_package.items():
        origin = next(iter(parts.values()))[1].origin
        locked = lock.other(origin)
        if locked is None or locked.quiet:
            continue
        brings = f"{package} {locked.version}, which brings {', '.join(parts)}"
        if locked.version != origin.version:
            message = f"{locked.mark}: written with {brings}; {origin.version} is installed."
            command = install_command(package, locked.version)
        else:
            command = reinstall_command(package, locked.version)
            message = f"{locked.mark}: {brings}, has another manifest than when this was written."
        cure = f"For the same: {command}. To keep it as it is, write the spec anew."
        yield Difference(package, message, _told(parts, unwritten), cure)


def _told(parts: Mapping[str, tuple[str, Entry]], unwritten: Mapping[str, Mapping[str, str]]) -> str:
    new = [
        f"{slot}.{label}.{name}={default}"
        for label, (slot, _) in parts.items()
        for name, default in unwritten.get(label, {}).items()
    ]
    return f"Not known then, and at their defaults now: {', '.join(new)}." if new else ""


def other_axes(lock: SpecLock, axes: Mapping[str, int], origins: Iterable[str]) -> tuple[Difference, ...]:
    """What the base binds otherwise than when the spec was written.

    Args:
        lock: Of the spec.
        axes: As the contract check found.
        origins: Where the base and its options come from; if one is an argument, it was meant to be another.
    """
    others = [name for name, number in lock.axes.items() if axes.get(name) != number]
    if not others or any(origin.startswith("argument") for origin in origins):
        return ()
    told = ", ".join(f"{name} was {lock.axes[name]} and is {axes.get(name, 'nothing')}" for name in others)
    return (Difference("", f"the base binds other sizes than when the spec was written: {told}."),)
