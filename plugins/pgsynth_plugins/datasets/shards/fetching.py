"""Remote shards: each is fetched whole into a folder among the caches, once for all processes of the machine.

``http://`` and ``https://`` go through the standard library, every other scheme (``hf://``, ``s3://``) through fsspec,
whose own reader of https would bring an asynchronous client along. A shard is written beside its place and renamed
into it, so what stands there is whole; a lock keeps processes that want the same shard from fetching it twice. When
there is no room left, the shards that were not read for longest go; whoever wants one of them again fetches it again.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pgsynth_core.data import BadRecord, DataError, cache_root, place_of

__all__ = ["SILENCE_SECONDS", "TRIES", "download", "fetch", "is_here", "shown_url"]

SILENCE_SECONDS: Final = 60.0
"""So long a server may say nothing; less than the time after which training gives up on a worker that reads."""

TRIES: Final = 3
"""How often something is asked for, where the server does not say that it will never give it."""

_PAUSE_SECONDS: Final = 1.0
_INDEX_BYTES: Final = 2**30

_AGAIN: Final = frozenset({408, 425, 429})
"""Answers below 500 after which asking again may help."""

_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM})
"""What a disk refuses with, and no network does."""

_Result = TypeVar("_Result")

KIND: Final = "shards"


def shown_url(url: str) -> str:
    """A URL for messages: without name, password and query, in which there may be secrets."""
    address = urlsplit(url)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def download(url: str) -> bytes:
    """A small remote file.

    Raises:
        DataError: If it cannot be had.
    """

    def read() -> bytes:
        with _opened(url) as (file, _):
            content: bytes = file.read(_INDEX_BYTES + 1)
        if len(content) > _INDEX_BYTES:
            raise ValueError(f"it is larger than {_INDEX_BYTES >> 20} MiB")
        return content

    return _tried(url, read)


def fetch(url: str, size: int, *, room: int) -> Path:
    """A remote shard as a file on this disk.

    Args:
        url: Where it is.
        size: Its bytes; 0 if nobody has said.
        room: Bytes that all fetched shards may take.

    Returns:
        The file. It may be removed at any time by a process that needs the room; then ask again.

    Raises:
        DataError: If it cannot be had whole, or cannot be kept.
    """
    place = _place(url, size)
    if _used(place):
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place.with_name(f"{place.name}.lock")):
            if not _used(place):  # another process has fetched it meanwhile
                _tried(url, lambda: _fetch(url, size, place, room))
    except OSError as error:  # of this disk: what the network raises is a DataError by now
        reason = f"it cannot be kept in {place.parent}: {error.strerror or error}."
        cure = "Move the caches to a disk with room: PGSYNTH_CACHE=FOLDER; or set data.shards.keep_gb lower."
        raise DataError.of(BadRecord(shown_url(url), 0, reason, "unreadable"), cure=cure) from error
    return place


def is_here(url: str, size: int) -> bool:
    """Whether a remote shard is on this disk."""
    return _place(url, size).is_file()


def _place(url: str, size: int) -> Path:
    key = hashlib.blake2b(f"{url} {size}".encode(), digest_size=16).hexdigest()
    return place_of(cache_root(), KIND, key, ".tar")


def _used(place: Path) -> bool:
    """Whether the file is there; it is marked as just read."""
    try:
        os.utime(place)
    except OSError:
        return place.is_file()
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock inside; it goes with its process, however that ends."""
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(url: str, size: int, place: Path, room: int) -> None:
    beside = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _opened(url) as (file, said):
            expected = size or said
            _make_room(place.parent.parent, expected, room)
            with open(beside, "xb") as written:
                while chunk := file.read(2**20):
                    written.write(chunk)
                got = written.tell()
        if expected and got != expected:
            raise ConnectionError(f"{got:,} of its {expected:,} bytes came")
        os.replace(beside, place)
    finally:
        with suppress(OSError):
            beside.unlink()


def _make_room(folder: Path, more: int, room: int) -> None:
    """Remove the shards that were not read for longest, until there is room for so many bytes more."""
    if more > room:
        raise ValueError(f"it has {more:,} bytes, and data.shards.keep_gb leaves room for {room:,}: set it higher")
    files: list[tuple[float, int, Path]] = []
    for file in folder.glob("??/*"):
        with suppress(OSError):  # gone since
            files.append((file.stat().st_mtime, file.stat().st_size, file))
    held = sum(size for _, size, _ in files)
    for _, size, file in sorted(files):
        if held + more <= room:
            return
        if file.suffix != ".lock":
            file.unlink(missing_ok=True)
            held -= size


# ------------------------------------------------------------------------------------------- clients
@contextmanager
def _opened(url: str) -> Iterator[tuple[IO[bytes], int]]:
    """The remote file, and its size as its server says it: 0 if it does not."""
    if url.startswith(("http://", "https://")):
        try:
            answer = urlopen(Request(url, headers={"User-Agent": "pgsynth"}), timeout=SILENCE_SECONDS)
        except HTTPError as refusal:
            refusal.close()  # it is an answer too
            raise
        with answer:
            yield answer, int(answer.headers.get("Content-Length") or 0)
        return
    import fsspec

    with fsspec.open(url, "rb") as file:
        yield file, int(getattr(file, "size", 0) or 0)


def _tried(url: str, read: Callable[[], _Result]) -> _Result:
    for tried in range(1, TRIES + 1):
        try:
            return read()
        except Exception as error:  # whatever a client of some scheme raises
            if isinstance(error, OSError) and error.errno in _DISK:
                raise
            if tried == TRIES or _final(error):
                said = _reason(error).replace(url, shown_url(url)).rstrip(".")
                record = BadRecord(shown_url(url), 0, f"it cannot be fetched: {said}.", "unreadable")
                raise DataError.of(record, cure=_CURE) from error
            time.sleep(_PAUSE_SECONDS * tried)
    raise AssertionError("the last try returns or raises")


_CURE: Final = "Look at the address and the network; a run goes on from its last checkpoint: --resume."


def _final(error: Exception) -> bool:
    """Whether asking again is of no use."""
    if isinstance(error, HTTPError):
        return error.code < 500 and error.code not in _AGAIN
    return isinstance(error, FileNotFoundError | ImportError | ValueError)


def _reason(error: Exception) -> str:
    inner: Any = error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else error
    if isinstance(inner, TimeoutError):
        return f"nothing came for {SILENCE_SECONDS:.0f} seconds"
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(inner) or type(inner).__name__
