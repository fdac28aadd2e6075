"""Where results of frozen networks and fetched shards are kept on disk, and what lies there. No torch.

One entry is one file, ``<root>/<kind>/<first two digits>/<key>.safetensors``, of a shard ``<key>.tar``. Its key says
everything that it is a function of, so no entry is ever out of date: one that nothing asks for any more is only in the
way. Runs share the folder: an entry is written beside its place and renamed into it, and whoever finds none makes it.

A shard, which takes long to fetch, is written by one process at a time: who holds the lock of its place (`locked`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Final

from pgsynth_core.errors import UserError

__all__ = [
    "CACHE_VARIABLE",
    "SHARD_KIND",
    "SHARD_SUFFIX",
    "UNFINISHED",
    "Held",
    "cache_files",
    "cache_root",
    "clear_cache",
    "held_in",
    "is_fetched",
    "locked",
    "place_of",
    "room_at",
]

CACHE_VARIABLE: Final = "PGSYNTH_CACHE"
"""Moves the folder."""

SUFFIX: Final = ".safetensors"
SHARD_SUFFIX: Final = ".tar"
UNFINISHED: Final = ".tmp"
"""Of a file that is being written, or was when its writer died."""

_LOCK: Final = ".lock"

_RACES: Final = 100
"""So often a folder may be removed between two calls; after that, something else is wrong with it."""

SHARD_KIND: Final = "shards"

_OURS: Final = re.compile(
    rf"[0-9a-f]{{32}}(\{SUFFIX}(\.[0-9a-f]{{8}}\{UNFINISHED})?|\{SHARD_SUFFIX}(\{UNFINISHED}|\{_LOCK})?)"
)
_PREFIX: Final = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True)
class Held:
    """What there is of one kind.

    Attributes:
        kind: ``latents``, the name of an encoder, or ``shards``.
        entries: How many.
        bytes: Of all its files together, unfinished ones too.
    """

    kind: str
    entries: int
    bytes: int


def cache_root() -> Path:
    """``$PGSYNTH_CACHE``, else ``pgsynth`` among the user's caches. Need not exist.

    Raises:
        UserError: If it begins with ``~`` and a user that nobody knows.
    """
    written = os.environ.get(CACHE_VARIABLE)
    try:
        if written:
            return Path(written).expanduser().absolute()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "pgsynth"
    except RuntimeError as error:
        raise UserError(f"{error}.", where=CACHE_VARIABLE, cure="Write the folder without '~'.") from error


def place_of(root: Path, kind: str, key: str, suffix: str = SUFFIX) -> Path:
    """The file of an entry, whose key is 32 hexadecimal digits."""
    return root / kind / key[:2] / f"{key}{suffix}"


def cache_files(root: Path, kind: str) -> Iterator[os.DirEntry[str]]:
    """The files of one kind: entries, unfinished ones and locks; never a file of a name that is none of ours."""
    for folder in _folders(root / kind):
        if _PREFIX.fullmatch(folder.name):
            yield from [entry for entry in _listed(Path(folder.path)) if _OURS.fullmatch(entry.name)]


def held_in(root: Path) -> tuple[Held, ...]:
    """What there is, by kind; files that are none of ours are left out."""
    return _told({kind.name: cache_files(root, kind.name) for kind in _folders(root)})


def _told(files: Mapping[str, Iterable[os.DirEntry[str]]]) -> tuple[Held, ...]:
    found = []
    for kind, of_kind in files.items():
        entries, size = 0, 0
        for file in of_kind:
            try:
                size += file.stat(follow_symlinks=False).st_size
            except OSError:  # gone since: another process wrote or removed it
                continue
            entries += file.name.endswith((SUFFIX, SHARD_SUFFIX))
        if size:
            found.append(Held(kind, entries, size))
    return tuple(sorted(found, key=lambda held: held.kind))


@contextmanager
def locked(place: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of an entry's place inside; it goes with its process, however that ends.

    Args:
        place: The entry's file, which need not exist; its folder is made.
        wait: Until whoever has the lock lets go.

    Yields:
        Whether it is held: False if somebody else has it and this is not to wait.

    Raises:
        OSError: If the system refuses, or the file system has no locks.
    """
    path = place.with_name(f"{place.name}{_LOCK}")
    while True:
        with _made(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError:
                held = False
            if not held or _names(path, file):  # else it was removed by whoever had it, and says nothing any more
                yield held
                return


def _made(path: Path) -> BufferedWriter:
    for _ in range(_RACES):
        with suppress(FileNotFoundError, FileExistsError):  # somebody clears the cache
            path.parent.mkdir(parents=True, exist_ok=True)
            return open(path, "ab")
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "ab")


def _names(path: Path, file: BufferedWriter) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def is_fetched(root: Path, *, since: float) -> bool:
    """Whether something has come of a shard that is being fetched, since a time in seconds since 1970."""
    for file in cache_files(root, SHARD_KIND):
        with suppress(OSError):  # it is there by now
            if file.name.endswith(UNFINISHED) and file.stat(follow_symlinks=False).st_mtime >= since:
                return True
    return False


def clear_cache(root: Path) -> tuple[Held, ...]:
    """Remove every entry, and the folders that this leaves empty; never a file of another name.

    Runs that use the cache go on: they make anew what they need. What they are fetching stays, with its lock.

    Returns:
        What is removed.

    Raises:
        UserError: If the system refuses.
    """
    try:
        cleared = _told({kind.name: _removed(root, kind.name) for kind in _folders(root)})
        for kind in _folders(root):
            for folder in (*_folders(Path(kind.path)), kind):
                _remove_empty(Path(folder.path))
        _remove_empty(root)
    except OSError as error:
        cure = "Remove the folder yourself, as somebody who may."
        raise UserError(
            f"the cache cannot be cleared: {error.strerror or error}.", where=str(root), cure=cure
        ) from error
    return cleared


def _removed(root: Path, kind: str) -> Iterator[os.DirEntry[str]]:
    """Every file of a kind, removed; what it was can be asked still."""
    for file in cache_files(root, kind):
        with suppress(FileNotFoundError):
            file.stat(follow_symlinks=False)  # an entry remembers the answer
            path = Path(file.path)
            if not file.name.endswith((f"{SHARD_SUFFIX}{UNFINISHED}", _LOCK)):
                path.unlink()
                yield file
                continue
            with locked(path.with_suffix(""), wait=False) as ours:
                if ours:
                    path.unlink()
                    path.with_suffix(_LOCK).unlink(missing_ok=True)
                    yield file


def room_at(root: Path) -> int:
    """Bytes that are free on the disk of a folder that need not exist yet."""
    there = next(place for place in (root, *root.absolute().parents) if os.path.exists(place))
    return shutil.disk_usage(there).free


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing, where somebody has just removed it or a file stands there."""
    try:
        with os.scandir(folder) as entries:
            return [*entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _folders(root: Path) -> list[os.DirEntry[str]]:
    return [entry for entry in _listed(root) if entry.is_dir(follow_symlinks=False)]


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # not empty, or a run just wrote to it
        return
