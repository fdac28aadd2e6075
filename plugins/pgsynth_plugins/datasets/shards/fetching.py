"""Remote shards: each is fetched whole into a folder among the caches, once for all processes of the machine.

A shard is written beside its place, held against what its index or its server says of it, and renamed into its place,
so what stands there is whole; a lock keeps processes that want the same shard from fetching it twice.

What a server says of a shard, that there is none or that it is another than the index lists, is a fault of the data
and may be passed over. An outage is none: it is waited for, and then ends the run, which goes on later with the same
pairs in the same order.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from ssl import SSLError
from time import monotonic, sleep
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pgsynth_core.data import SHARD_DIGEST, BadRecord, DataError, room_at
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards.clients import Readable, is_fact, is_final, opened, reason, shown_url
from pgsynth_plugins.datasets.shards.headers import read_table
from pgsynth_plugins.datasets.shards.room import (
    MOVE,
    RESERVE,
    UNFINISHED,
    alone,
    check_kept,
    make_room,
    remove_oldest,
    shard_place,
)

__all__ = ["Remote", "discard", "download", "fetch", "is_here"]

_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0, 32.0)
"""Seconds between tries to have a shard. With the silence of the last, they stay below the time after which training
gives up on a worker that reads."""

_PATIENCE_SECONDS: Final = 180.0
"""Tries that hang take time as well: so long after the first one, no other begins."""

_PAUSES_AT_START: Final = _PAUSES[:2]
"""Of an index, which is read while somebody looks on."""

_INDEX_BYTES: Final = 2**30
_CHUNK: Final = 2**20

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK: Final = _FULL | {errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""What a disk refuses with, and no network does."""

_CURE: Final = "Look at the address and the network; a run goes on from its last checkpoint: --resume."

_Result = TypeVar("_Result")


class _OtherError(Exception):
    """What came is another file than the index lists."""


@dataclass(frozen=True)
class Remote:
    """A shard to be fetched.

    Attributes:
        url: Where it is.
        size: Its bytes; 0 if its index does not say.
        digest: Of its bytes, as `SHARD_DIGEST` gives it; empty if its index does not say.
    """

    url: str
    size: int = 0
    digest: str = ""

    @property
    def place(self) -> Path:
        """Where it is kept.

        What stands after ``?`` may be a signature of today, and is no part of what the shard is; without a digest it
        may also be all that tells one shard from another, and counts.
        """
        address = urlsplit(self.url)
        bare = address._replace(netloc=address.netloc.rpartition("@")[2], query="", fragment="").geturl()
        what = f"{bare if self.digest else self.url} {self.size} {self.digest}"
        return shard_place(hashlib.blake2b(what.encode(), digest_size=16).hexdigest())


def download(url: str) -> bytes:
    """A small remote file.

    Raises:
        DataError: If its server does not give it.
        UserError: If it cannot be had for another reason, or may not be asked for.
    """

    def read() -> bytes:
        with opened(url) as (file, _):
            content = file.read(_INDEX_BYTES + 1)
        if len(content) > _INDEX_BYTES:
            raise ValueError(f"it is larger than {_INDEX_BYTES >> 20} MiB")
        return content

    return _tried(url, read, pauses=_PAUSES_AT_START, begun=monotonic())


def fetch(remote: Remote, *, keep: int, patient: bool = True) -> Path:
    """A remote shard as a file on this disk.

    Args:
        remote: Which.
        keep: Bytes that all fetched shards may take.
        patient: Wait for a server that fails, some minutes; else ask once.

    Returns:
        The file. It may be removed at any time by a process that needs the room; then ask again.

    Raises:
        DataError: If its server does not give it, or gives another than the index lists.
        UserError: If it cannot be had for another reason, or cannot be kept.
    """
    place, begun = remote.place, monotonic()
    if _used(remote, place):
        return place
    try:
        with alone(place):
            if not _used(remote, place):  # another process has fetched it meanwhile
                _fetch(remote, place, keep, pauses=_PAUSES if patient else (), begun=begun)
    except OSError as error:  # of this disk: what the network raises is a UserError by now
        message = f"it cannot be kept in {place.parent}: {error.strerror or error}."
        raise UserError(message, where=shown_url(remote.url), cure=MOVE) from error
    return place


def is_here(remote: Remote) -> bool:
    """Whether a remote shard is on this disk."""
    return _has(remote, remote.place)


def discard(remote: Remote, file: BufferedReader) -> None:
    """Remove a shard that was found damaged on this disk, unless another process has fetched it anew by now.

    Args:
        remote: Which.
        file: It, open.

    Raises:
        OSError: If the disk refuses.
    """
    place = remote.place
    with alone(place), suppress(FileNotFoundError):
        if os.path.samestat(place.stat(), os.fstat(file.fileno())):
            place.unlink()


def _has(remote: Remote, place: Path) -> bool:
    try:
        held = place.stat().st_size
    except OSError:
        return False
    return remote.size in (0, held)


def _used(remote: Remote, place: Path) -> bool:
    """Whether the file is there; it is marked as just read."""
    if not _has(remote, place):
        return False
    with suppress(OSError):  # removed since, or somebody else's
        os.utime(place)
    return True


def _fetch(remote: Remote, place: Path, keep: int, *, pauses: Sequence[float], begun: float) -> None:
    """Fetch it, and once more where the disk turns out to be full but holds shards that may go."""
    for last in (False, True):
        try:
            return _tried(remote.url, lambda: _fetch_once(remote, place, keep), pauses=pauses, begun=begun)
        except OSError as error:
            if last or error.errno not in _FULL or not remove_oldest(remote.size or keep):
                raise


def _fetch_once(remote: Remote, place: Path, keep: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)  # somebody may have cleared the cache since the last try
    for half in place.parent.glob(f"{place.name}.*{UNFINISHED}"):  # of processes that ended: the lock is ours
        half.unlink(missing_ok=True)
    beside = place.with_name(f"{place.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with opened(remote.url) as (file, said):
            if remote.size and said not in (0, remote.size):
                raise _OtherError(f"it has {said:,} bytes there, and its index says {remote.size:,}")
            expected = remote.size or said
            make_room(expected, keep, shown=shown_url(remote.url))
            got, digest = _written(remote, file, beside, expected, keep)
        if expected and got != expected:
            raise ConnectionError(f"{got:,} of its {expected:,} bytes came")
        if remote.digest and digest != remote.digest:
            raise _OtherError(f"its MD5 is {digest}, and its index says {remote.digest}")
        if not expected and not remote.digest and (damage := _damage(beside)):
            raise ConnectionError(f"nobody says how large it is, and as it came {damage.rstrip('.')}")
        os.replace(beside, place)
    except FileNotFoundError as error:
        if error.filename is None or Path(error.filename).parent != place.parent:
            raise
        raise ConnectionError("somebody cleared the cache while it was fetched") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def _written(remote: Remote, file: Readable, beside: Path, expected: int, keep: int) -> tuple[int, str]:
    """Write what comes, until it is more than may come; how many bytes came, and their digest."""
    most = expected or room_at(beside.parent) - RESERVE
    got, digest = 0, SHARD_DIGEST()
    with open(beside, "xb") as written:
        while chunk := file.read(_CHUNK):
            got += len(chunk)
            if got > most and expected:
                raise _OtherError(f"it has more bytes there than the {expected:,} that its index says")
            check_kept(got, keep, shown=shown_url(remote.url))
            if got > most:
                raise OSError(errno.ENOSPC, f"nobody says how large it is, and there is room for {most:,} bytes")
            written.write(chunk)
            digest.update(chunk)
        written.flush()
        os.fsync(written.fileno())
    return got, digest.hexdigest()


def _damage(path: Path) -> str:
    with open(path, "rb") as file:
        return read_table(file).damage


def _tried(url: str, read: Callable[[], _Result], *, pauses: Sequence[float], begun: float) -> _Result:
    """What is read, asked for again after each pause while that may help; what the disk refuses is passed on."""
    other = False
    for tries, pause in enumerate((*pauses, None), start=1):
        try:
            return read()
        except UserError:
            raise
        except Exception as error:  # whatever a client of some scheme raises
            if isinstance(error, OSError) and error.errno in _DISK and not isinstance(error, SSLError):
                raise  # an SSLError counts its errors otherwise
            said = f"it cannot be fetched: {reason(error).replace(url, shown_url(url))}"
            if is_fact(error) or (other and isinstance(error, _OtherError)):
                raise DataError.of(BadRecord(shown_url(url), 0, f"{said}.", "unreadable")) from error
            if is_final(error) or pause is None or monotonic() + pause - begun > _PATIENCE_SECONDS:
                asked = f"; it was asked for {tries} times" if tries > 1 else ""
                raise UserError(f"{said}{asked}.", where=shown_url(url), cure=_CURE) from error
            other = isinstance(error, _OtherError)
        sleep(pause)
    raise AssertionError("the last try returns or raises")
