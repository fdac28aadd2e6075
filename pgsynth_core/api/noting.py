"""Notes that the contract check cannot make: it knows neither where a value was written nor the disk. No torch.

They refuse nothing: a method may be composed on another machine than the one that trains it. Paths are asked by
`os.path`, which answers no where `pathlib` raises: of a folder that may not be read, of a name that is too long.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from pgsynth_core.manifest import Option
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, Resolved, Spec

__all__ = ["absent_files", "foreign_size"]

_ROOT: Final = "root"
"""The option of a dataset that says which folder it reads; see `pgsynth_core.data.existing_root`."""

_LAID: Final = {"default": 0, "preset": 1, "file": 2, "argument": 3}

_PATH: Final = re.compile(r"(~|\.{0,2}/)")
"""How a text begins that can only be a path: without such a beginning it may be an id of the hub."""


def foreign_size(resolved: Resolved, registry: Registry) -> Iterator[str]:
    """The size, where it was written for another base than the one put in its place later."""
    spec, origins = resolved.spec, resolved.origins
    own = registry.find("base", spec.base.part).component.size
    size = f"{spec.size[0]}x{spec.size[1]}"
    written = origins["size"]
    if own and own != size and 0 < _rank(written) < _rank(origins[f"base.{spec.base.label}"]):
        place = re.sub(r":\d+$", "", written)
        yield f"size {size} comes from {place}; {spec.base.label}'s own is {own}: size={own}"


def _rank(origin: str) -> int:
    """What is laid on what: defaults, presets, files and mappings, arguments."""
    return _LAID.get(origin.split(" ")[0], _LAID["file"])


def absent_files(spec: Spec, registry: Registry) -> Iterator[str]:
    """Folders and files that options name and that are not here; the folder that a dataset was not given."""
    for slot, choice in spec.choices():
        for name, option in registry.find(KIND_OF_SLOT[slot], choice.part).component.options.items():
            value, where = choice.options.get(name), f"{slot}.{choice.label}.{name}"
            if (slot, name, option.type) == ("data", _ROOT, "path"):
                if not value:
                    yield f"{where} is empty; training needs the folder: {where}=FOLDER"
                elif not os.path.isdir(os.path.expanduser(str(value))):
                    yield f"{where}: there is no folder {value!r} here."
            elif isinstance(value, str) and (path := _path(slot, option, value)) and not os.path.exists(path):
                yield f"{where}: there is no file or folder {value!r} here."


def _path(slot: str, option: Option, value: str) -> str:
    """The path that an option's value is, else empty; a dataset's plain texts name files in its own folder."""
    if option.type == "path":
        return os.path.expanduser(value)
    return value if option.type == "str" and slot != "data" and _PATH.match(value) else ""
