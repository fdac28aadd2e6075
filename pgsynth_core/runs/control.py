"""Wishes to the process that trains a run: empty files in its folder ``control``. Floor 1, no torch.

    stop      finish the step, save, end
    save      write a checkpoint at the end of the step
    sample    draw a sheet at the end of the step

Whoever wants something makes the file; the process that trains sees it at its next step, acts and deletes it, so a file
that stands is a wish still to be granted. ``killed`` is no wish: who kills a run on request leaves it, so that the end
is told as what it was.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Literal, get_args

from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.folder import RunFolder

__all__ = [
    "KILLED",
    "WISHES",
    "Wish",
    "clear",
    "grant",
    "is_wished",
    "mark_killed",
    "unmark_killed",
    "was_killed",
    "wish",
    "wishes",
]

Wish = Literal["stop", "save", "sample"]
WISHES: Final[tuple[Wish, ...]] = get_args(Wish)
KILLED: Final = "killed"


def wish(folder: RunFolder, name: Wish) -> None:
    """Ask the process that trains the run; a second time changes nothing.

    Raises:
        UserError: If the system refuses.
    """
    _touch(folder, name)


def wishes(folder: RunFolder) -> frozenset[Wish]:
    """What is wished and not granted yet, by one look at the folder; other files there are passed over."""
    try:
        found = set(os.listdir(folder.control))
    except OSError:
        return frozenset()
    return frozenset(name for name in WISHES if name in found)


def is_wished(folder: RunFolder, name: Wish) -> bool:
    """Whether this is wished and not granted yet."""
    return name in wishes(folder)


def grant(folder: RunFolder, names: Iterable[Wish]) -> None:
    """Take back wishes that were acted upon; what will not go is granted again at the next step."""
    for name in names:
        with suppress(OSError):
            (folder.control / name).unlink()


def clear(folder: RunFolder) -> None:
    """Where a session begins or ends: what was wished of one is not wished of the next."""
    for name in (*WISHES, KILLED):
        with suppress(OSError):
            (folder.control / name).unlink()


def mark_killed(folder: RunFolder) -> None:
    """The run is about to be killed on request.

    Raises:
        UserError: If the system refuses.
    """
    _touch(folder, KILLED)


def unmark_killed(folder: RunFolder) -> None:
    """It was not killed after all."""
    with suppress(OSError):
        (folder.control / KILLED).unlink()


def was_killed(folder: RunFolder) -> bool:
    """Whether this session was killed on request."""
    return (folder.control / KILLED).exists()


def _touch(folder: RunFolder, name: str) -> None:
    with refusing("the wish cannot be left", folder.control):
        folder.control.mkdir(exist_ok=True)
        (folder.control / name).touch()
