"""Find what is installed by reading metadata and manifests only: nobody's code is imported.

Floor 1, no torch. A package announces itself by an entry point of the group ``pgsynth.manifest``: its name is the
distribution, its value ``top_level_package:pgsynth.toml``. Whatever is wrong with it, it becomes `Broken` and
everything else goes on: a user must be able to list, repair and uninstall with a broken package in the house.

``PGSYNTH_PLUGINS`` limits what is considered: unset, every installed package; a comma list, only those distributions;
empty, none but pgsynth itself (safe mode). What the user's list switches off is left out in any case.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata, resources
from pathlib import Path
from typing import Final

from pgsynth_core.errors import PartError, Problem, UserError, nearest
from pgsynth_core.manifest import Manifest, read_manifest
from pgsynth_core.registry.entries import OWN_NAME, Broken, DisabledPackage, Origin, removal
from pgsynth_core.registry.locate import FOREIGN_FAULTS, file_in_package, normalised, reason_of
from pgsynth_core.registry.registry import Registry, registry_of
from pgsynth_core.registry.user_list import UserList, read_user_list

__all__ = [
    "ALLOWED_VARIABLE",
    "GROUP",
    "allowed_packages",
    "announcement",
    "checkout_manifest",
    "discover",
    "first_party_manifest",
    "own_version",
]

GROUP: Final = "pgsynth.manifest"
ALLOWED_VARIABLE: Final = "PGSYNTH_PLUGINS"
_UNINSTALLED_VERSION: Final = "0+unknown"
_LARGEST_MANIFEST: Final = 4 * 2**20
"""Bytes; far above any real manifest, so that a wrong file cannot stall every command."""

Read = tuple[Manifest, Origin]


def discover() -> Registry:
    """Everything that is installed now; packages installed since the last call are seen.

    Never raises: what cannot be read, pgsynth's own manifest included, stands in `Registry.broken`; what is wrong with
    the user's own list, in `Registry.faults`.
    """
    importlib.invalidate_caches()
    read: list[Read] = []
    broken: list[Broken] = []
    disabled: list[DisabledPackage] = []
    faults: tuple[Problem, ...] = ()
    try:
        listed = read_user_list()
    except UserError as error:
        listed, faults = UserList(), error.problems
    for each in (_guarded(OWN_NAME), *_third_party()):
        if each and (off := _switched_off(each, listed)):
            disabled.append(off)
        elif isinstance(each, Broken):
            broken.append(each)
        elif each:
            read.append(each)
    found = registry_of(*read, broken=broken)
    return replace(found, disabled=tuple(disabled), faults=faults, limited=allowed_packages() is not None)


def _switched_off(found: Read | Broken, listed: UserList) -> DisabledPackage | None:
    """The package as one that is switched off, if the user's list says so; pgsynth itself never is."""
    if isinstance(found, Broken):
        named = found.package in listed.disabled and found.package != OWN_NAME
        return DisabledPackage(found.package, found.version, ()) if named else None
    manifest, origin = found
    if origin.first_party or origin.package not in listed.disabled:
        return None
    return DisabledPackage(origin.package, origin.version, manifest.adds)


def announcement(name: str, top: str) -> str:
    """What a package has in its pyproject.toml to be found, in words.

    Args:
        name: The distribution.
        top: Its top-level package, which holds the manifest.
    """
    return f'a table [project.entry-points."{GROUP}"] with the line {name} = "{top}:pgsynth.toml"'


def allowed_packages() -> frozenset[str] | None:
    """The distributions that ``PGSYNTH_PLUGINS`` allows, normalised; None if it is not set."""
    listed = os.environ.get(ALLOWED_VARIABLE)
    if listed is None:
        return None
    return frozenset(normalised(name.strip()) for name in listed.split(",") if name.strip())


def checkout_manifest() -> Path:
    """Where `registry.toml` is when pgsynth runs from a checkout: beside the package `pgsynth_core`."""
    return Path(str(resources.files("pgsynth_core"))).parent / "registry.toml"


def first_party_manifest() -> Path:
    """pgsynth's own manifest: inside the installed package, else in the checkout.

    Raises:
        PartError: If it is in neither place; names both.
    """
    packaged = Path(str(resources.files("pgsynth_core").joinpath("registry.toml")))
    for path in (packaged, checkout_manifest()):
        if path.is_file():
            return path
    raise PartError(f"pgsynth's own manifest is neither at {packaged} nor at {checkout_manifest()}.")


def _third_party() -> Iterator[Read | Broken]:
    allowed = allowed_packages()
    if allowed is not None and not allowed:
        return
    announced, unreadable = _announced()
    for name in sorted(announced if allowed is None else announced & allowed):
        if found := _guarded(name):
            yield found
    yield from (broken for broken in unreadable if allowed is None or broken.package in allowed)
    for name in sorted((allowed or frozenset()) - announced):
        close = nearest(name, announced)
        hint = f"Did you mean {close!r}?" if close else f"Correct {ALLOWED_VARIABLE}: it names packages, not parts."
        yield Broken(name, "", (Problem(f"{ALLOWED_VARIABLE} names it, but no such package is installed.", cure=hint),))


def _announced() -> tuple[set[str], list[Broken]]:
    """Normalised names of the distributions that say they have a manifest; left-over duplicates count once."""
    names: set[str] = set()
    unreadable: list[Broken] = []
    for distribution in metadata.distributions():
        try:
            # Far cheaper than parsing every distribution's entry points, and one broken file stops nothing.
            if GROUP in (distribution.read_text("entry_points.txt") or ""):
                names |= {normalised(_name(distribution, entry.name)) for entry in _entry_points(distribution)}
        except FOREIGN_FAULTS as error:
            name = normalised(_name(distribution, "(unnamed)"))
            place = str(distribution.locate_file(""))
            problem = Problem(f"its entry_points.txt cannot be read: {reason_of(error)}.", place, removal(name))
            unreadable.append(Broken(name, "", (problem,)))
    return names - {OWN_NAME}, unreadable  # pgsynth's own parts come from registry.toml, read live


def _entry_points(distribution: metadata.Distribution) -> list[metadata.EntryPoint]:
    return [entry for entry in distribution.entry_points if entry.group == GROUP]


def _field(distribution: metadata.Distribution, key: str) -> str:
    return str((distribution.metadata.get_all(key) or [""])[0])


def _name(distribution: metadata.Distribution, otherwise: str) -> str:
    try:
        return _field(distribution, "Name") or otherwise
    except FOREIGN_FAULTS:  # unreadable METADATA: the next best name will do
        return otherwise


def _guarded(name: str) -> Read | Broken | None:
    """The package's manifest, what is wrong with it, or None if it has none. No fault of a package passes this line."""
    version = ""
    try:
        if name == OWN_NAME:
            return _read(first_party_manifest(), name, own_version())
        installed = _installed(name)
        if installed is None:
            return None
        distribution, version = installed
        path = _announced_file(distribution, name)
        return _read(path, name, version) if path else None
    except PartError as error:
        return Broken(name, version, tuple(_with_removal(problem, name) for problem in error.problems))
    except FOREIGN_FAULTS as error:
        problem = Problem(f"its manifest cannot be read: {reason_of(error)}.", cure=removal(name))
        return Broken(name, version, (problem,))


def _read(path: Path, name: str, version: str) -> Read:
    if path.stat().st_size > _LARGEST_MANIFEST:
        raise PartError(f"the manifest has {path.stat().st_size} bytes; at most {_LARGEST_MANIFEST}.", where=str(path))
    manifest, digest = read_manifest(path)
    if manifest.package.name != name:
        message = f"[package] name = {manifest.package.name!r}, but the distribution is {name!r}; they must be equal."
        raise PartError(message, where=str(path))
    return manifest, Origin(name, version, path, digest, first_party=name == OWN_NAME)


def own_version() -> str:
    """pgsynth's version; one that says so where it runs from a checkout that is not installed."""
    try:
        return metadata.version(OWN_NAME)
    except metadata.PackageNotFoundError:
        return _UNINSTALLED_VERSION


def _installed(name: str) -> tuple[metadata.Distribution, str] | None:
    """The distribution that Python itself would name so, and its version; a left-over folder without one comes last.

    None if only the remains of an uninstall go by that name.
    """
    found = False
    for distribution in metadata.Distribution.discover(name=name):
        found = True
        if version := _field(distribution, "Version"):  # `distribution.version` would parse its metadata once more
            return distribution, version
    if found:
        raise PartError("its metadata names no version: it is left over from an interrupted installation.")
    return None


def _announced_file(distribution: metadata.Distribution, name: str) -> Path | None:
    """The manifest that the entry point names; None if this version has none (an older, left-over one had)."""
    entries = _entry_points(distribution)
    if not entries:
        return None
    if len(entries) > 1:
        raise PartError(f"it has {len(entries)} entry points in the group {GROUP}; a distribution has one manifest.")
    if normalised(entries[0].name) != name:
        message = f"its entry point is called {entries[0].name!r}; it must be called {name!r}, as it is itself."
        raise PartError(message, cure="Its author writes that in pyproject.toml, and installs it again.")
    return file_in_package(entries[0].value)


def _with_removal(problem: Problem, name: str) -> Problem:
    cure = removal(name)
    return replace(problem, cure=f"{problem.cure} {cure}" if problem.cure else cure)
