"""Pictures that a command made, written under names that are free: nothing that is there is written over."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from pgsynth_core.cli.write import Target
from pgsynth_core.runs import refusing

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["as_png", "write_new"]

_LONGEST = 120


def write_new(content: bytes, folder: Path, name: str, suffix: str) -> Path:
    """Write a file whole, in a folder that is made if it is not there; a name that is taken gets a number.

    Args:
        content: What is in it.
        folder: Where it goes.
        name: Without ending; cut off where it is longer than file names can be.
        suffix: The ending.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("nothing can be written here", folder):
        folder.mkdir(parents=True, exist_ok=True)
    name, number = name[:_LONGEST], 1
    path = folder / f"{name}{suffix}"
    while path.exists():
        number += 1
        path = folder / f"{name}.{number}{suffix}"
    Target(str(path)).write(content)
    return path


def as_png(picture: Image) -> bytes:
    """What is in a PNG of the picture."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
