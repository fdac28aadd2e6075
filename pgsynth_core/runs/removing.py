"""Delete runs. Floor 1, no torch.

A run is moved aside first, under a name that no command takes for a run, and then deleted: a kill in between leaves no
half of it under its name. What is left of it goes with the next run that is deleted there. Links are deleted, never
what they lead to.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import stat
from pathlib import Path
from typing import Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import refusing, remove, sync
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.sessions import alone_with, refuse_held
from pgsynth_core.runs.states import STATES
from pgsynth_core.runs.status import base_state

__all__ = ["refuse_needed", "remove_run", "size_of"]

_ASIDE: Final = re.compile(r"\..+\.[0-9a-f]{8}\.removed")


def size_of(path: Path) -> int:
    """Bytes that are freed with a folder, or a file: those of files that have no other name; links count nothing."""
    try:
        facts = path.lstat()
        if stat.S_ISDIR(facts.st_mode):
            with os.scandir(path) as entries:
                return sum(size_of(Path(entry.path)) for entry in entries)
    except OSError:
        return 0
    return facts.st_size if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1 else 0


def refuse_needed(folder: RunFolder, root: Path | None = None) -> None:
    """Refuse a run that is being trained, or is to be; and a folder that no run was made in, or that holds more.

    Args:
        folder: The run.
        root: Where runs are; None for where this one is.

    Raises:
        UserError: If it is.
    """
    missing = [made.name for made in (folder.control, folder.samples, folder.checkpoints) if not made.is_dir()]
    if missing:  # a spec.yaml may stand in any folder
        message = f"this may be no run: it holds no folder {missing[0]}, which every run has."
        raise UserError(message, where=str(folder.path), cure="Delete it yourself, if it is to go.")
    inside = {"you are in it": Path.cwd(), "your runs are in it": root or folder.path.parent}
    for why, path in inside.items():
        if path.resolve().is_relative_to(folder.path.resolve()):
            raise UserError(f"it is not deleted: {why}.", where=str(folder.path), cure="Give the folder of one run.")
    state = base_state(folder)
    if STATES[state].live or state == "queued":
        how = "waits in the queue" if state == "queued" else "is being trained"
        cure = f"Stop it first: pgsynth runs stop {shlex.quote(str(folder.path))}."
        raise UserError(f"the run {how}.", where=folder.id, cure=cure)


def remove_run(folder: RunFolder) -> int:
    """Delete a run with everything in it.

    Returns:
        Bytes that were freed.

    Raises:
        UserError: If it is needed, or the system refuses; then it stands, or what is left of it is named.
    """
    root = folder.path.parent
    aside = root / f".{folder.id}.{secrets.token_hex(4)}.removed"
    with refusing("the run cannot be deleted", folder.path):
        with alone_with(folder):  # nobody begins it at this moment
            refuse_needed(folder)
            refuse_held(folder)
            os.rename(folder.path, aside)
        sync(root)
        freed = size_of(aside)
        for path in [aside, *(path for path in root.iterdir() if _ASIDE.fullmatch(path.name))]:
            remove(path)
    if os.path.lexists(aside):
        message = "not everything of it could be deleted; it is no run any more."
        raise UserError(message, where=str(aside), cure="Delete the rest, as its owner.")
    return freed
