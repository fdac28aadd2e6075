"""Is everything well here? Every examination runs behind a guard and names a cure. Floor 2, no torch, imports no part.

What doctor is for is the moment in which something is broken, so nothing broken may stop it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final, get_args

from pgsynth_core.errors import UserError
from pgsynth_core.hooks import Lifecycle
from pgsynth_core.manifest import CONTRACT_CURRENT, CONTRACT_FLOOR, MANIFEST_VERSION, Kind
from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.libraries import library_checks, python_check
from pgsynth_core.registry import (
    ALLOWED_VARIABLE,
    FOREIGN_FAULTS,
    NOUNS,
    OWN_NAME,
    Registry,
    allowed_packages,
    discover,
    first_party_manifest,
    read_user_list,
    reason_of,
)
from pgsynth_core.runs import RUNS_VARIABLE, list_runs, runs_root
from pgsynth_core.runs.durable import amount
from pgsynth_core.runs.removing import size_of

__all__ = ["doctor"]

_GIB: Final = 2**30
_LITTLE_GIB: Final = 10
_TOO_LITTLE_GIB: Final = 1
_CACHE: Final = "cache"
"""What training keeps of frozen networks, with `train.cache`."""


def doctor(registry: Registry | None = None) -> tuple[Check, ...]:
    """Examine Python, libraries, packages, caches and disks, by metadata alone; `devices` and `imports` go deeper.

    Args:
        registry: What is installed; None to look now.

    Returns:
        The checks, in the order to show. Never raises.
    """
    found = discover() if registry is None else registry
    examinations: dict[str, Callable[[], Iterable[Check]]] = {
        "python": lambda: (python_check(),),
        OWN_NAME: _own,
        "libraries": library_checks,
        "packages": partial(_packages, found),
        "hooks": partial(_hooks, found),
        "names": partial(_names, found),
        "caches": _caches,
        "disks": _disks,
    }
    return tuple(check for name, examine in examinations.items() for check in _guarded(name, examine))


def _guarded(name: str, examine: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from examine()
    except FOREIGN_FAULTS as error:
        yield Check(
            name, "fail", f"could not be examined: {reason_of(error)}", "Mend what it names, then run it again."
        )


def _own() -> Iterator[Check]:
    try:
        version = metadata.version(OWN_NAME)
    except metadata.PackageNotFoundError:
        cure = "In the checkout: pip install -e ."
        yield Check(
            OWN_NAME, "warn", "runs from a checkout that is not installed: its extras are unknown to pip.", cure
        )
    else:
        yield Check(OWN_NAME, "ok", f"{version}, manifest {first_party_manifest()}")
    accepted = f"contracts {CONTRACT_FLOOR} to {CONTRACT_CURRENT}, manifests of version {MANIFEST_VERSION}"
    yield Check("contract", "ok", f"accepts {accepted}")


# ------------------------------------------------------------------------------------------- packages
def _packages(registry: Registry) -> Iterator[Check]:
    allowed = allowed_packages()
    if allowed is not None:
        seen = f"only {', '.join(sorted(allowed))}" if allowed else f"none but {OWN_NAME} (safe mode)"
        yield Check(
            "packages", "warn", f"{ALLOWED_VARIABLE} is set: {seen}.", f"For all of them: unset {ALLOWED_VARIABLE}."
        )
    for fault in registry.faults:
        yield Check("your list of packages", "warn", f"{fault.where}: {fault.message}", fault.cure)
    if missing := _missing(registry):
        cure = "To install them again: pgsynth plugins restore; to forget one: pgsynth plugins uninstall NAME."
        yield Check("your list of packages", "warn", f"not here any more: {', '.join(missing)}.", cure)
    for off in registry.disabled:
        adds = ", ".join(added.replace(":", " ") for added in off.adds) or "no parts that can be read"
        message = f"{off.version} is switched off by you; it has {adds}"
        yield Check(f"package {off.package}", "ok", f"{message}. On: pgsynth plugins enable {off.package}")
    for origin in registry.origins:
        parts = [f"{entry.kind} {entry.name}" for entry in registry.entries if entry.origin == origin]
        brings = f"brings {', '.join(parts)}" if parts else "brings no parts"
        shown = f"brings {len(parts)} parts" if origin.first_party else brings
        yield Check(f"package {origin.package}", "ok", f"{origin.version}, {shown}")
    for broken in registry.broken:
        for problem in broken.problems:
            message = f"{problem.where}: {problem.message}" if problem.where else problem.message
            yield Check(f"package {broken.package}", "fail", f"{broken.version} {message}".strip(), problem.cure)


def _missing(registry: Registry) -> list[str]:
    """What the user's list has and this environment has not; one that cannot be read is told elsewhere."""
    try:
        listed = () if registry.limited else read_user_list().plugin
    except UserError:
        return []
    return [f"{kept.name} {kept.version}" for kept in listed if kept.name not in registry.packages]


def _hooks(registry: Registry) -> Iterator[Check]:
    """Only what can be known without importing a hook."""
    for disabled in Lifecycle(registry).disabled:
        yield Check(f"package {disabled.package}", "warn", disabled.problem.message, disabled.problem.cure)


def _names(registry: Registry) -> Iterator[Check]:
    kinds: dict[str, tuple[str, ...]] = {NOUNS[kind][1]: registry.names(kind) for kind in get_args(Kind)}
    for noun, names in (kinds | {"presets": registry.preset_names()}).items():
        if twice := [name for name in names if ":" in name]:
            cure = f"Write the qualified names: {', '.join(twice)}."
            yield Check("names", "warn", f"some {noun} of one name are in several packages.", cure)


# ------------------------------------------------------------------------------------------- folders and disks
def _folders() -> dict[str, tuple[Path, str]]:
    """What is kept where: purpose -> (folder, variable that moves it).

    As huggingface_hub, torch and `data.cache` decide it, none of which is instant to import.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hub_home = Path(os.environ.get("HF_HOME") or caches / "huggingface")
    return {
        "weights from the hub": (Path(os.environ.get("HF_HUB_CACHE") or hub_home / "hub").expanduser(), "HF_HOME"),
        "weights from torch": (Path(os.environ.get("TORCH_HOME") or caches / "torch").expanduser(), "TORCH_HOME"),
        _CACHE: (Path(os.environ.get("PGSYNTH_CACHE") or caches / "pgsynth").expanduser(), "PGSYNTH_CACHE"),
        "runs": (runs_root(), RUNS_VARIABLE),
    }


def _caches() -> Iterator[Check]:
    for purpose, (given, variable) in _folders().items():
        folder = given.absolute()
        cure = f"Choose a folder you may write to: export {variable}=FOLDER."
        place = _existing(folder)
        if not place.is_dir():
            yield Check(purpose, "fail", f"{folder}: {place} is not a folder.", cure)
        elif not os.access(place, os.W_OK):
            yield Check(purpose, "warn", f"{folder} cannot be written.", cure)
        else:
            yield Check(
                purpose, "ok", _standing(purpose, folder) if place == folder else f"{folder}, to be made when needed"
            )
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        cure = "To fetch weights: unset HF_HUB_OFFLINE."
        yield Check("hub", "warn", "HF_HUB_OFFLINE is set: only weights already here can be used.", cure)


def _standing(purpose: str, folder: Path) -> str:
    """A folder that exists; that of runs with how many it holds, the cache with its size."""
    if purpose == "runs":
        count = len(list_runs(folder))
        return f"{folder}, {count or 'no'} {'run' if count == 1 else 'runs'}"
    if purpose == _CACHE:
        held, free = size_of(folder), shutil.disk_usage(folder).free / _GIB
        return f"{folder}, {amount(held)}, {free:.1f} GiB free; to clear it: pgsynth cache clear --yes"
    return str(folder)


def _disks() -> Iterator[Check]:
    by_device: dict[int, list[str]] = {}
    places = {purpose: _existing(folder) for purpose, (folder, _) in _folders().items()}
    for purpose, place in places.items():
        by_device.setdefault(place.stat().st_dev, []).append(purpose)
    for purposes in by_device.values():
        free = shutil.disk_usage(places[purposes[0]]).free / _GIB
        name, message = f"disk for {', '.join(purposes)}", f"{free:.1f} GiB free"
        cure = "Make room, or move these folders to another disk."
        if free < _LITTLE_GIB:
            yield Check(name, "fail" if free < _TOO_LITTLE_GIB else "warn", f"only {message}.", cure)
        else:
            yield Check(name, "ok", message)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())
