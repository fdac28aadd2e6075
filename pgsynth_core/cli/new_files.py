"""Pictures that a command made, written under names that are free: nothing that is there is written over."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from pgsynth_core.cli.write import Target
from pgsynth_core.runs import refusing

__all__ = ["free_path", "make_folder", "write_new"]

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
    make_folder(folder)
    path = free_path(folder, name, suffix)
    Target(str(path)).write(content)
    return path


def free_path(folder: Path, name: str, suffix: str = "") -> Path:
    """The first of NAME, NAME.2, NAME.3 … that is not there; the name is cut off where it is too long for a file."""
    name = name[:_LONGEST]
    numbered = (f"{name}{suffix}" if number == 1 else f"{name}.{number}{suffix}" for number in count(1))
    return next(path for one in numbered if not (path := folder / one).exists())


def make_folder(folder: Path) -> None:
    """Make a folder with all above it, if it is not there.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("nothing can be written here", folder, elsewhere="-o DIR"):
        folder.mkdir(parents=True, exist_ok=True)
