"""Write checkpoints so that at every instant there is one that can be loaded. Floor 1, no torch.

Everything is written beside, flushed, hashed; then one rename makes it the checkpoint; only then do older ones go.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import Any, Final

from pgsynth_core.runs.beside import beside
from pgsynth_core.runs.checkpoints import OLD, STEP_NAME, SUMS, best_checkpoint, hash_of, list_checkpoints
from pgsynth_core.runs.durable import passed_on, refused, refusing, remove, require_room, sync, temporary
from pgsynth_core.runs.folder import RunFolder

__all__ = [
    "Writer",
    "clear_unfinished",
    "copy_of",
    "frozen",
    "is_file_name",
    "text_of",
    "write_checkpoint",
    "write_folder",
]

Writer = Callable[[Path], None]
"""Writes one file at the path it is given."""

_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_GOING: Final = ".gone"
_TEMPORARY: Final = re.compile(r"step-\d{8,}.*\.(?:tmp|gone)")
"""Being written, or deleted."""
_SUPERSEDED: Final = ".superseded"


def write_checkpoint(
    folder: RunFolder, step: int, files: Mapping[str, Writer], *, bytes_needed: int, keep: int
) -> Path:
    """Write a checkpoint; a kill at any instant leaves the one before or this one, whole.

    Only one process may write a run's checkpoints at a time (`sessions.start_session`).

    Args:
        folder: The run.
        step: Steps taken.
        files: File name to what writes that file at the path it is given. ``spec.yaml`` and ``lock.json`` are copied
            from the run if they are not among them.
        bytes_needed: Size of all files together.
        keep: How many of the last checkpoints stay, this one included; at least 1. So does the best. Others go only
            after this one stands. Those of later steps are set aside: the run went on from before them.

    Returns:
        The checkpoint's folder.

    Raises:
        UserError: If the disk has too little room, or the system refuses; nothing is left behind.
        ValueError: If step, keep or a file name is out of range.
    """
    if step < 0 or keep < 1:
        raise ValueError(f"step is {step}, at least 0 is allowed; keep is {keep}, at least 1 is allowed")
    final = folder.checkpoints / f"step-{step:08}"
    with refusing("the checkpoint cannot be written", final):
        folder.checkpoints.mkdir(exist_ok=True)
        _sweep(folder)
    own = {source.name: copy_of(source) for source in (folder.spec_file, folder.lock_file)}
    write_folder(final, own | dict(files), bytes_needed=bytes_needed, what="checkpoint")
    _retire(folder, step, keep)
    return final


def write_folder(
    final: Path, files: Mapping[str, Writer], *, bytes_needed: int, what: str, elsewhere: str = ""
) -> None:
    """Write a folder of files and their hashes, whole or not at all; one that is there is replaced by it.

    Args:
        final: The folder; the one it is in exists.
        files: Path in it, with ``/``, to what writes that file at the path it is given.
        bytes_needed: Size of all files together.
        what: What it is, for messages.
        elsewhere: As of `durable.refusing`.

    Raises:
        UserError: If the disk has too little room, or the system refuses; nothing is left behind.
        ValueError: If a path is no plain one.
    """
    if wrong := [name for name in files if not is_file_name(name)]:
        raise ValueError(f"{wrong} cannot be names of files in it; letters, digits, dots, dashes can")
    with refusing(f"the {what} cannot be written", final, elsewhere=elsewhere):
        require_room(final.parent, bytes_needed, f"a {what}", elsewhere=elsewhere)
        built = temporary(final)
        try:
            _fill(built, files)
            _put(built, final)
        except BaseException as error:
            remove(built)
            if isinstance(error, Exception) and passed_on(error):
                raise refused(error, f"the {what} cannot be written", final, elsewhere=elsewhere) from error
            raise


def is_file_name(name: str) -> bool:
    """Whether a checkpoint, or a folder that is written whole, may hold a file of this name, a path with ``/``."""
    return _FILE.fullmatch(name) is not None and name != SUMS


def copy_of(source: Path) -> Writer:
    """What writes a file as it is."""

    def write(path: Path) -> None:
        shutil.copyfile(source, path)

    return write


def frozen(source: Path) -> Writer:
    """What writes a file as it is now, whatever becomes of it."""
    content = source.read_bytes()

    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def text_of(text: str) -> Writer:
    """What writes a text."""

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    return write


def _fill(built: Path, files: Mapping[str, Writer]) -> None:
    """Every file, flushed and hashed while the next is written; then the hashes, then the folders."""
    built.mkdir()
    sums, flushed, hashes = built / SUMS, list[Future[None]](), dict[str, Future[str]]()
    sums.touch()
    mode = sums.stat().st_mode & 0o777
    try:
        for name, write in sorted(files.items()):
            (built / name).parent.mkdir(parents=True, exist_ok=True)
            write(built / name)
            # safetensors makes files that only their owner can read; a run is shared as its folder is
            (built / name).chmod(mode)
            flushed.append(beside(partial(sync, built / name), f"flush {name}"))
            hashes[name] = beside(partial(hash_of, built / name), f"hash {name}")
    except Exception:  # not an interrupt, which waits for nothing
        begun: list[Future[Any]] = [*flushed, *hashes.values()]
        wait(begun)
        raise
    for done in flushed:
        done.result()
    sums.write_text("".join(f"{made.result()}  {name}\n" for name, made in hashes.items()), encoding="utf-8")
    sync(sums)
    for folder in {built, *((built / name).parent for name in files)}:
        sync(folder)


def _put(built: Path, final: Path) -> None:
    aside = final.with_name(final.name + OLD)
    if final.exists():
        os.replace(final, aside)
    os.replace(built, final)
    sync(final.parent)
    remove(aside)


def clear_unfinished(folder: RunFolder) -> None:
    """Remove what a killed writer left half written or half deleted; only for who knows that nobody writes there.

    Raises:
        UserError: If the system refuses to list it.
    """
    with refusing("the checkpoints cannot be listed", folder.checkpoints):
        for path in [*folder.checkpoints.iterdir()]:
            if _TEMPORARY.fullmatch(path.name):
                remove(path)


def _sweep(folder: RunFolder) -> None:
    """Finish what a killed writer began: what is half written or half deleted goes, what was replaced comes back."""
    clear_unfinished(folder)
    for path in folder.checkpoints.iterdir():
        if STEP_NAME.fullmatch(path.name) and path.name.endswith(OLD):
            plain = path.with_suffix("")
            if plain.exists():
                _delete(path)
            else:
                os.replace(path, plain)


def _retire(folder: RunFolder, step: int, keep: int) -> None:
    """Set later ones aside and delete the oldest but the best; what will not go is tried again with the next one."""
    standing = list_checkpoints(folder)
    for checkpoint in standing:
        if checkpoint.step > step:
            _move(checkpoint.path, checkpoint.path.with_name(checkpoint.path.name + _SUPERSEDED))
    best = best_checkpoint(folder)
    for checkpoint in [one for one in standing if one.step <= step][:-keep]:
        if checkpoint != best:
            _delete(checkpoint.path)


def _delete(path: Path) -> None:
    """Renamed first: under its own name a checkpoint is whole."""
    going = temporary(path, _GOING)
    if _move(path, going):
        remove(going)


def _move(path: Path, to: Path) -> bool:
    if to.exists():
        remove(to)
    try:
        os.replace(path, to)
    except OSError:
        return False
    return True
