"""Room for fetched shards: those not read for longest go, and never anything that is not a fetched shard.

A file that is being fetched is told from one whose process died by the lock of its shard, which goes with its process.
"""

from __future__ import annotations

import errno
import os
from contextlib import AbstractContextManager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import Final

from pgsynth_core.data import (
    SHARD_KIND,
    SHARD_SUFFIX,
    UNFINISHED,
    cache_files,
    cache_root,
    locked,
    place_of,
    room_at,
)
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards.clients import Failure

__all__ = ["MOVE", "RESERVE", "finish", "reserve", "shard_place"]

RESERVE: Final = 2**30
"""Bytes of the disk that shards leave free: runs write there too."""

MOVE: Final = "Free some of that disk, or move the caches to another: PGSYNTH_CACHE=FOLDER."

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def shard_place(key: str) -> Path:
    """Where the shard of that key is kept: 32 hexadecimal digits."""
    return place_of(cache_root(), SHARD_KIND, key, SHARD_SUFFIX)


def reserve(file: BufferedWriter, size: int, keep: int, *, shown: str) -> None:
    """Give a shard that is being fetched so many bytes of the disk, for which others go.

    Args:
        file: Where it is written, which has its lock; it is made so large.
        size: Its bytes, or those that are known to come.
        keep: Bytes that all fetched shards may take.
        shown: How messages call it.

    Raises:
        Failure: If others that are being fetched take the room.
        UserError: If it is larger than what they may take, or than the disk.
        OSError: If the disk refuses.
    """
    with _counting():  # what is reserved by one is seen by the next
        has = os.fstat(file.fileno()).st_size
        _make_room(size, size - has, keep, shown)
        try:
            _grow(file.fileno(), has, size)
        except OSError as error:  # a quota, of which the room of the disk says nothing
            if error.errno not in _FULL or not _remove_oldest(size - has):
                raise
            _grow(file.fileno(), has, size)


def finish(half: Path, place: Path) -> None:
    """Give a shard that is fetched its name; not while somebody counts, who might see neither name.

    Raises:
        OSError: If the disk refuses.
    """
    with _counting():
        os.replace(half, place)


def _counting() -> AbstractContextManager[bool]:
    """The lock of everybody who counts the shards or changes what they are called."""
    return locked(shard_place("0" * 32))


def _grow(descriptor: int, has: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, has, size - has)
    else:  # macOS: others see the size all the same, by which `keep` holds
        os.ftruncate(descriptor, size)


def _make_room(size: int, more: int, keep: int, shown: str) -> None:
    root = cache_root()
    held = sum(bytes_of for _, bytes_of, _ in _shards())
    room = held + room_at(root) - RESERVE
    if size > keep:
        message = f"it has {size:,} bytes at least, and data.shards.keep_gb leaves room for {keep:,}."
        raise UserError(message, where=shown, cure="Set data.shards.keep_gb higher.")
    if size > room:
        message = f"it has {size:,} bytes at least, and {root} has room for {max(0, room):,}: {RESERVE:,} stay free."
        raise UserError(message, where=shown, cure=MOVE)
    excess = held + more - min(keep, room)
    if _remove_oldest(excess) < excess:
        raise Failure(f"others that are being fetched, or are somebody else's, take the room of {root}", "room")


def _remove_oldest(excess: int) -> int:
    """Remove the shards that were not read for longest, until so many bytes are freed; how many are."""
    freed = 0
    for _, size, path in sorted(_shards()):
        if freed >= excess:
            break
        with suppress(OSError):  # gone since, or somebody else's
            if path.suffix == UNFINISHED:
                with locked(path.with_suffix(""), wait=False) as ours:
                    if not ours:  # a process is at it
                        continue
                    path.unlink()
            else:
                path.unlink()
            freed += size
    return freed


def _shards() -> list[tuple[float, int, Path]]:
    """When it was last read, bytes and path of every shard, whole or not."""
    found = []
    for file in cache_files(cache_root(), SHARD_KIND):
        if file.name.endswith((SHARD_SUFFIX, f"{SHARD_SUFFIX}{UNFINISHED}")):
            with suppress(OSError):  # gone since
                status = file.stat(follow_symlinks=False)
                found.append((status.st_mtime, status.st_size, Path(file.path)))
    return found
