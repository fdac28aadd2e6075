"""What the stamp of a picture says: which run drew it, of what, from which seed, by which settings.

Pictures are given away, so it names no place: of the data nothing that is free text, and of every path or address
anywhere only the last part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from pgsynth_core.registry import OWN_NAME

if TYPE_CHECKING:
    from pgsynth_core.api.assembly import Assembly
    from pgsynth_core.api.model import Model

__all__ = ["about_picture"]

_PLAIN: Final = ("bool", "int", "float", "choice", "list[bool]", "list[int]", "list[float]")
"""Types of options that hold no name of a place."""
_HUB_ID: Final = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w.-]+)?")
"""``owner/name``, and so are weights in a folder of a network: ``unet/model.safetensors``."""
_HEADED: Final = re.compile(r"([\w .-]{2,}:\s*)(.*)", re.DOTALL)
"""``dance.csv: frame``, ``MODEL:FILE``; a single letter is a drive."""

Keep = Callable[[str], bool]


def about_picture(model: Model, *, made_with: str, seed: int, **more: Any) -> dict[str, Any]:
    """What `data.stamp` writes into a picture.

    Args:
        model: That drew it, with the settings it did so by.
        made_with: The command: ``sample``, ``edit``, ``interpolate``; or ``sheet``, which is no result itself.
        seed: From which.
        more: What it is of, as JSON: ``source``, ``pose``, ``pair``, ``reference``, names of files.
    """
    spec, lock = model.assembly.spec.to_mapping(), model.lock
    spec["data"] = _of_data(model.assembly, spec["data"])
    local = {name for name, one in lock.get("weights", {}).items() if "folder" in one}

    def keep(word: str) -> bool:
        return bool(_HUB_ID.fullmatch(word)) and word not in local

    about = {"pgsynth": version(OWN_NAME), "run": model.name, "step": model.checkpoint.step, "ema": model.ema}
    about |= {"made_with": made_with, **_placeless(more), "seed": seed}
    return about | {"sample": _placeless(spec["sample"], keep), **_placeless({"spec": spec, "lock": lock}, keep)}


def _of_data(assembly: Assembly, data: Any) -> Any:
    """The spec's section ``data`` without the options that are free text: folders, files, signed addresses."""
    if not isinstance(data, dict):
        return data
    parts = {}
    for label, given in data.items():
        options = assembly.registry.find("dataset", given["part"]).component.options
        parts[label] = {
            name: value
            for name, value in given.items()
            if name == "part" or (name in options and options[name].type in _PLAIN)
        }
    return parts


def _placeless(value: Any, keep: Keep = lambda word: False) -> Any:
    if isinstance(value, Mapping):
        return {_placeless(key, keep): _placeless(item, keep) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_placeless(item, keep) for item in value]
    return _name(value, keep) if isinstance(value, str) else value


def _name(word: str, keep: Keep) -> str:
    """Of a path or an address the last part, without what was asked there, and by whom."""
    if "://" in word:
        address = re.split(r"[?#]", word, maxsplit=1)[0].rstrip("/")
        return address.rpartition("/")[2].rpartition("@")[2]
    if keep(word):
        return word
    if headed := _HEADED.fullmatch(word):
        return headed[1] + _name(headed[2], keep)
    if word.startswith("~") or "/" in word or "\\" in word:
        return re.split(r"[\\/]", word.rstrip("\\/"))[-1].lstrip("~")
    return word
