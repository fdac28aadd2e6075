"""Files and folders that a command made, written under names that are free: nothing that is there is written over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import Content, shortened, write_free

__all__ = ["filled_folder", "make_folder", "new_folder", "write_new"]

_LONGEST: Final = 200
"""Bytes of a name without number and ending; file systems allow 255 with them."""


def write_new(content: Content, folder: Path, name: str, suffix: str) -> Path:
    """Write a file whole, in a folder that is made if it is not there; a name that is taken gets a number.

    Of several processes that write at the same time, each gets a name of its own.

    Args:
        content: What is in it, or what writes that into a file.
        folder: Where it goes.
        name: Without ending; where it is longer than file names can be, its middle is left out.
        suffix: The ending.

    Raises:
        UserError: If the system refuses.
    """
    make_folder(folder)
    with _refusing(folder / f"{name}{suffix}"):
        return write_free(_names(folder, name, suffix), content)


def new_folder(folder: Path, name: str) -> Path:
    """Make a folder in another, which is made, too, if it is not there; a name that is taken gets a number.

    Args:
        folder: Where it goes.
        name: As for `write_new`.

    Raises:
        UserError: If the system refuses.
    """
    make_folder(folder)
    with _refusing(folder / name):
        return next(path for path in _names(folder, name, "") if _made(path))


@contextmanager
def filled_folder(folder: Path, name: str) -> Iterator[Path]:
    """As `new_folder`; but if nothing comes into it, it goes again, with the folders above that were made for it.

    Raises:
        UserError: If the system refuses.
    """
    absent = [path for path in (folder, *folder.parents) if not path.exists()]
    made = new_folder(folder, name)
    try:
        yield made
    finally:
        with suppress(OSError):  # the first that something is in
            for path in (made, *absent):
                path.rmdir()


def make_folder(folder: Path) -> None:
    """Make a folder with all above it, if it is not there.

    Raises:
        UserError: If the system refuses.
    """
    with _refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _refusing(path: Path) -> AbstractContextManager[None]:
    return refusing("this cannot be written", path, elsewhere="-o DIR")


def _names(folder: Path, name: str, suffix: str) -> Iterator[Path]:
    """NAME, NAME.2, NAME.3 …"""
    name = shortened(name, _LONGEST)
    return (folder / (f"{name}{suffix}" if number == 1 else f"{name}.{number}{suffix}") for number in count(1))


def _made(path: Path) -> bool:
    """Make a folder; False if something has its name."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
