"""What the stamp of a picture says: which run drew it, of what, from which seed, by which settings."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from pgsynth_core.registry import OWN_NAME
from pgsynth_core.runs import read_lock

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["about_picture"]


def about_picture(model: Model, *, made_with: str, seed: int, **more: Any) -> dict[str, Any]:
    """What `data.stamp` writes into a picture. Of absolute paths only the last part: pictures are given away.

    Args:
        model: That drew it, with the settings it did so by.
        made_with: The command: ``sample``, ``edit``, ``interpolate``; or ``sheet``, which is no result itself.
        seed: From which.
        more: What it is of, as JSON: ``source``, ``pose``, ``pair``, ``reference``, names of files without folders.

    Raises:
        UserError: If the checkpoint's lock cannot be read.
    """
    spec = model.assembly.spec.to_mapping()
    about = {"pgsynth": version(OWN_NAME), "run": model.name, "step": model.checkpoint.step, "ema": model.ema}
    about |= {"made_with": made_with, **more, "seed": seed, "sample": spec["sample"], "spec": spec}
    placeless: dict[str, Any] = _placeless({**about, "lock": read_lock(model.checkpoint.path / "lock.json")})
    return placeless


def _placeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {_placeless(key): _placeless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_placeless(item) for item in value]
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute():
                return kind(value).name or value
    return value
