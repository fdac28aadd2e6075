"""Room for fetched shards: those not read for longest go, and never anything that is not a fetched shard.

A file that is being fetched is told from one whose process died by the lock of its shard, which goes with its process.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pgsynth_core.data import cache_files, cache_root, place_of, room_at
from pgsynth_core.errors import UserError

__all__ = ["MOVE", "RESERVE", "UNFINISHED", "alone", "check_kept", "make_room", "remove_oldest", "shard_place"]

SUFFIX: Final = ".tar"
UNFINISHED: Final = ".tmp"

RESERVE: Final = 2**30
"""Bytes of the disk that shards leave free where they can: runs write there too."""

MOVE: Final = "Free some of that disk, or move the caches to another: PGSYNTH_CACHE=FOLDER."

_KIND: Final = "shards"
_DIGITS: Final = 32


def shard_place(key: str) -> Path:
    """Where the shard of that key is kept: 32 hexadecimal digits."""
    return place_of(cache_root(), _KIND, key, SUFFIX)


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Hold the lock of a shard's place inside.

    Raises:
        OSError: If the disk refuses.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(_lock(place), "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_room(more: int, keep: int, *, shown: str) -> None:
    """Make room for a shard of so many bytes.

    Args:
        more: Its bytes; 0 if nobody has said.
        keep: Bytes that all fetched shards may take.
        shown: How messages call it.

    Raises:
        UserError: If it is larger than what they may take, or than the disk.
    """
    root = cache_root()
    held, free = sum(size for _, size, _ in _shards()), room_at(root)
    check_kept(more, keep, shown=shown)
    if more > held + free:
        raise UserError(f"it has {more:,} bytes, and {root} has room for {held + free:,}.", where=shown, cure=MOVE)
    remove_oldest(held + more - min(keep, held + free - RESERVE))


def check_kept(size: int, keep: int, *, shown: str) -> None:
    """Refuse a shard of so many bytes, or of more, where all of them may take fewer.

    Raises:
        UserError: If so.
    """
    if size > keep:
        message = f"it has {size:,} bytes at least, and data.shards.keep_gb leaves room for {keep:,}."
        raise UserError(message, where=shown, cure="Set data.shards.keep_gb higher.")


def remove_oldest(excess: int) -> int:
    """Remove the shards that were not read for longest, until so many bytes are freed.

    Returns:
        How many are.
    """
    freed = 0
    for _, size, path in sorted(_shards()):
        if freed >= excess:
            break
        with suppress(OSError):  # gone since, or somebody else's
            if path.suffix == UNFINISHED and _is_fetched(path):
                continue
            path.unlink()
            freed += size
    return freed


def _shards() -> list[tuple[float, int, Path]]:
    """When it was last read, bytes and path of every shard, whole or not."""
    found = []
    for file in cache_files(cache_root(), _KIND):
        if file.name[_DIGITS:].startswith(SUFFIX) and file.name.endswith((SUFFIX, UNFINISHED)):
            with suppress(OSError):  # gone since
                status = file.stat(follow_symlinks=False)
                found.append((status.st_mtime, status.st_size, Path(file.path)))
    return found


def _is_fetched(unfinished: Path) -> bool:
    """Whether a process is at it: it holds the lock of the shard's place."""
    with open(_lock(unfinished.with_name(f"{unfinished.name[:_DIGITS]}{SUFFIX}")), "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")
