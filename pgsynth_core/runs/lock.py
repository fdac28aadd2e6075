"""What a run was made with: the form of `lock.json`, and how it is made and read. Floor 1, no torch; imports no part.

Versions come from metadata. `differences` compares a lock with what is here.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from pgsynth_core.contract import Verdict
from pgsynth_core.errors import UserError
from pgsynth_core.manifest import CONTRACT_CURRENT
from pgsynth_core.registry import FOREIGN_FAULTS, Registry
from pgsynth_core.spec import KIND_OF_SLOT, Spec
from pgsynth_core.spec.locked import Distribution, LockedPackage, Version, locked_packages

__all__ = ["LOCK_VERSION", "RESTORE", "Lock", "LockedPackage", "LockedPart", "build_lock", "installed", "read_lock"]

LOCK_VERSION: Final = 1
RESTORE: Final = "Copy lock.json from the run's folder, or from another checkpoint of it."
_LIBRARIES: Final = [
    "torch",
    "diffusers",
    "accelerate",
    "safetensors",
    "timm",
    "transformers",
    "open_clip_torch",
    "numpy",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class LockedPart(_Frozen):
    """One part of the run."""

    slot: str = Field(description="Slot of the spec.")
    label: str = Field(description="Its name in the run; begins its keys in a checkpoint.")
    part: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*:[^:]+$", description="Qualified name, package:name.")


class Lock(_Frozen):
    """The content of `lock.json`. Later versions may add keys; unknown ones are passed over."""

    lock: int = Field(description="Version of this form.")
    contract: int = Field(description="Version of ports and interfaces.")
    packages: dict[Distribution, LockedPackage] = Field(description="By name: pgsynth, and whoever brings a part.")
    parts: tuple[LockedPart, ...] = Field(description="In the order of the spec.")
    axes: dict[str, int] = Field(description="What the base binds, e.g. D.")
    adapters: dict[str, dict[str, tuple[int, int]]] = Field(description="Label -> port -> (given, wanted).")
    python: str = Field(description="Version of Python.")
    libraries: dict[Distribution, Version] = Field(description="Distribution to version, of those installed.")
    weights: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Id of pretrained weights -> its revision on the hub or its folder, and the SHA-256 of each file.",
    )


def build_lock(spec: Spec, verdict: Verdict, registry: Registry) -> dict[str, Any]:
    """What this composition is made with, as plain data of the form of `Lock`.

    Raises:
        SpecError: If a part of the spec is not in the registry.
    """
    chosen = [(slot, choice, registry.find(KIND_OF_SLOT[slot], choice.part)) for slot, choice in spec.choices()]
    lock = Lock(
        lock=LOCK_VERSION,
        contract=CONTRACT_CURRENT,
        packages=locked_packages(spec, registry),
        parts=tuple(LockedPart(slot=slot, label=choice.label, part=entry.qualified) for slot, choice, entry in chosen),
        axes=dict(verdict.axes),
        adapters=spec.adapters,
        python=platform.python_version(),
        libraries=installed(_LIBRARIES),
    )
    return lock.model_dump(mode="json")


def installed(names: Iterable[str]) -> dict[str, str]:
    """Versions of those of the distributions that are here."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except FOREIGN_FAULTS:  # not here, or its metadata is broken, which doctor tells
            continue
    return versions


def read_lock(path: Path) -> dict[str, Any]:
    """The lock of a run or a checkpoint, for `differences.check_lock`.

    Raises:
        UserError: If the file is missing or is no JSON object.
    """
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"the lock cannot be read: {error}.", where=str(path), cure=RESTORE) from error
    if not isinstance(lock, dict):
        raise UserError("the lock is no JSON object.", where=str(path), cure=RESTORE)
    return lock
