"""Are the libraries there, in versions that were tested? Read from metadata: none is imported. Floor 2.

The tested ranges are pgsynth's own requirements, so there is no second list to keep in step.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pgsynth_core.packages.checks import Check
from pgsynth_core.registry import FOREIGN_FAULTS, OWN_NAME, checkout_manifest, normalised, reason_of

__all__ = ["core_requirements", "library_checks", "python_check"]

_FOR_DEVELOPERS: Final = "dev"


@dataclass(frozen=True)
class _Declared:
    """What pgsynth says it needs: a range of Python, and requirements, each with its extra (empty: always)."""

    python: str
    requirements: tuple[tuple[str, Requirement], ...]


def python_check() -> Check:
    """Is this Python in the range that pgsynth says it needs?"""
    version, allowed = platform.python_version(), _declared().python
    message = f"{platform.python_implementation()} {version} on {platform.platform()}"
    if allowed and not SpecifierSet(allowed).contains(version, prereleases=True):
        return Check("python", "fail", f"{message}: outside {allowed}.", f"Use a Python {allowed}.")
    return Check("python", "ok", message)


def library_checks() -> Iterator[Check]:
    """One check per library that pgsynth requires, then per library of its extras."""
    seen = {OWN_NAME}  # an extra may be made of other extras
    for extra, requirement in sorted(_declared().requirements, key=lambda pair: bool(pair[0])):
        name = normalised(requirement.name)
        if extra != _FOR_DEVELOPERS and name not in seen:
            seen.add(name)
            yield _library(requirement, extra)


def core_requirements(*, developers: bool = True) -> dict[str, Requirement]:
    """Everything that pgsynth requires, its extras included: normalised name to requirement.

    Args:
        developers: Also what only its own developers need.
    """
    pairs = _declared().requirements
    asked = [one for extra, one in pairs if developers or extra != _FOR_DEVELOPERS]
    return {normalised(one.name): one for one in reversed(asked) if normalised(one.name) != OWN_NAME}


def _declared() -> _Declared:
    """From the installed metadata, else from the checkout's pyproject.toml."""
    try:
        own = metadata.metadata(OWN_NAME)
    except metadata.PackageNotFoundError:
        return _declared_in_checkout()
    extras = ("", *(own.get_all("Provides-Extra") or ()))
    requirements = [Requirement(text) for text in metadata.requires(OWN_NAME) or ()]
    asked = [(extra, requirement) for requirement in requirements for extra in extras if _applies(requirement, extra)]
    first = {str(requirement): (extra, requirement) for extra, requirement in reversed(asked)}
    return _Declared(own["Requires-Python"], tuple(reversed(first.values())))


def _declared_in_checkout() -> _Declared:
    path = checkout_manifest().with_name("pyproject.toml")
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"] if path.is_file() else {}
    groups = {"": project.get("dependencies", []), **project.get("optional-dependencies", {})}
    asked = [(extra, Requirement(text)) for extra, texts in groups.items() for text in texts]
    return _Declared(project.get("requires-python", ""), tuple(pair for pair in asked if _applies(pair[1], pair[0])))


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _library(requirement: Requirement, extra: str) -> Check:
    name, allowed = requirement.name, ",".join(sorted(map(str, requirement.specifier), reverse=True))
    wanted = f'pip install "{OWN_NAME}[{extra}]"' if extra else f'pip install "{name}{allowed}"'
    try:
        version = metadata.version(name)
        tested = requirement.specifier.contains(Version(version), prereleases=True)
    except metadata.PackageNotFoundError:
        if extra:
            return Check(name, "ok", f"not installed; only the extra {extra} needs it: {wanted}")
        return Check(name, "fail", f"not installed; tested with {allowed}.", f"Install it: {wanted}.")
    except FOREIGN_FAULTS as error:
        return Check(name, "warn", f"its version cannot be read: {reason_of(error)}", f"Reinstall it: {wanted}.")
    if tested:
        return Check(name, "ok", f"{version} (tested: {allowed or 'any'})")
    return Check(name, "warn", f"{version} is outside the tested range {allowed}.", f"If it fails: {wanted}.")
