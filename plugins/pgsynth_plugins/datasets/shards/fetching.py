"""Remote shards: each is fetched whole into a folder among the caches, once for all processes of the machine.

A shard is written beside its place, held against what its index or its server says of it, and renamed into its place,
so what stands there was whole; a lock keeps processes that want the same shard from fetching it twice. A disk may
damage it since, so each process asks once more of what it finds there.

What a server says of a shard, that there is none or that it is another than the index lists, is a fault of the data
and may be passed over. An outage is none: it is waited for, and then ends the run, which goes on later with the same
pairs in the same order. So does a refusal, of a signature that has expired for one, at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from time import monotonic, sleep
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pgsynth_core.data import SHARD_DIGEST, UNFINISHED, BadRecord, DataError, locked
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards.clients import Answer, Failure, Means, opened, shown_url, without_secrets
from pgsynth_plugins.datasets.shards.headers import read_table
from pgsynth_plugins.datasets.shards.room import MOVE, finish, reserve, shard_place

__all__ = ["Remote", "download", "fetch", "is_here"]

_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 32.0, 32.0, 32.0)
"""Seconds between tries to have a shard. With the silence of the last, they stay below the time after which training
gives up on a worker that reads."""

_PATIENCE_SECONDS: Final = 180.0
"""Tries that hang take time as well: so long after the first one, no other begins."""

_PAUSES_AT_START: Final = _PAUSES[:2]
"""Of an index, which is read while somebody looks on."""

_INDEX_BYTES: Final = 2**30
_CHUNK: Final = 2**20

_CURE: Final = "Look at the address and the network; a run goes on from its last checkpoint: --resume."
_CURES: Final[Mapping[Means, str]] = {
    "refused": "Renew the signature or the token; some servers answer so of a file that is not there, too. A run goes "
    "on with the same pairs: --resume RUN data.shards.train=URL.",
    "room": f"Set data.shards.keep_gb higher. {MOVE}",
}

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Remote:
    """A shard to be fetched.

    Attributes:
        url: Where it is.
        size: Its bytes; 0 if its index does not say.
        digest: Of its bytes, as `SHARD_DIGEST` gives it; empty if its index does not say.
        pairs: How many it holds at least.
    """

    url: str
    size: int = 0
    digest: str = ""
    pairs: int = 0

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
        DataError: If its server has none.
        UserError: If it cannot be had for another reason, or may not be asked for.
    """

    def read() -> bytes:
        with opened(url) as answer:
            content = answer.read(_INDEX_BYTES + 1)
        if len(content) > _INDEX_BYTES:
            raise Failure(f"it is larger than {_INDEX_BYTES >> 20} MiB", "final")
        _check_whole(len(content), answer.size)
        return content

    return _tried(url, read, pauses=_PAUSES_AT_START, begun=monotonic())


def fetch(remote: Remote, *, keep: int, patient: bool = True, trusted: bool = False) -> Path:
    """A remote shard as a file on this disk.

    Args:
        remote: Which.
        keep: Bytes that all fetched shards may take.
        patient: Wait for a server that fails, some minutes; else ask once.
        trusted: What is on this disk need not be read again, for this process has had it from here before. Else it is
            held against its digest, or its headers are, and what is damaged is fetched anew.

    Returns:
        The file. It may be removed at any time by a process that needs the room; then ask again.

    Raises:
        DataError: If its server has none, or has another than the index lists.
        UserError: If it cannot be had for another reason, or cannot be kept.
    """
    place, begun = remote.place, monotonic()
    if _is_kept(remote, place, trusted):
        return place

    def get() -> None:
        if not _is_kept(remote, place, trusted):  # else another process has fetched it meanwhile
            _fetch(remote, place, keep)

    try:
        with locked(place):
            _tried(remote.url, get, pauses=_PAUSES if patient else (), begun=begun)
    except OSError as error:  # of this disk: what the network raises is a Failure
        message = f"it cannot be kept in {place.parent}: {error.strerror or error}."
        raise UserError(message, where=shown_url(remote.url), cure=MOVE) from error
    return place


def is_here(remote: Remote) -> bool:
    """Whether a remote shard is on this disk, sound or not."""
    return _is_sized(remote, remote.place)


def _is_sized(remote: Remote, place: Path) -> bool:
    try:
        held = place.stat().st_size
    except OSError:
        return False
    return remote.size in (0, held)


def _is_kept(remote: Remote, place: Path, trusted: bool) -> bool:
    """Whether the shard is there as it should be; it is marked as just read."""
    try:
        if not _is_sized(remote, place) or not (trusted or _is_sound(remote, place)):
            return False
    except OSError:  # removed since, or the disk cannot read it: another may take its place
        return False
    with suppress(OSError):  # removed since, or somebody else's
        os.utime(place)
    return True


def _is_sound(remote: Remote, path: Path) -> bool:
    with open(path, "rb") as file:
        if remote.digest:
            return hashlib.file_digest(file, SHARD_DIGEST).hexdigest() == remote.digest
        table = read_table(file)
    return not table.damage and len(table.keys) >= remote.pairs


def _fetch(remote: Remote, place: Path, keep: int) -> None:
    half = place.with_name(f"{place.name}{UNFINISHED}")
    place.parent.mkdir(parents=True, exist_ok=True)  # somebody may have removed the cache since the last try
    try:
        with opened(remote.url) as answer:
            if remote.size and answer.size not in (0, remote.size):
                raise Failure(f"it has {answer.size:,} bytes there, and its index says {remote.size:,}", "other")
            with open(half, "wb") as written:
                _write(remote, answer, written, keep)
                os.fsync(written.fileno())
                _check_form(remote, answer, half)
                if not os.path.samestat(os.fstat(written.fileno()), half.stat()):
                    raise FileNotFoundError("another process writes there now, for somebody removed the cache")
                finish(half, place)
    except FileNotFoundError as error:
        raise Failure("somebody removed the cache while it was fetched", "outage") from error
    finally:
        with suppress(OSError):
            half.unlink()


def _write(remote: Remote, answer: Answer, written: BufferedWriter, keep: int) -> None:
    """Write what comes, until it is more than may come, into room that is its own."""
    expected, shown = remote.size or answer.size, shown_url(remote.url)
    got, digest = 0, SHARD_DIGEST()
    if expected:
        reserve(written, expected, keep, shown=shown)
    while chunk := answer.read(_CHUNK):
        got += len(chunk)
        if expected and got > expected:
            raise Failure(f"it has more bytes there than the {expected:,} that its index says", "other")
        if not expected:
            reserve(written, got, keep, shown=shown)
        written.write(chunk)
        digest.update(chunk)
    written.flush()
    _check_whole(got, expected)
    if remote.digest and digest.hexdigest() != remote.digest:
        raise Failure(f"its MD5 is {digest.hexdigest()}, and its index says {remote.digest}", "other")


def _check_whole(got: int, expected: int) -> None:
    if expected and got != expected:
        raise Failure(f"{got:,} of its {expected:,} bytes came", "outage")


def _check_form(remote: Remote, answer: Answer, half: Path) -> None:
    """Where nobody says what is whole, headers do."""
    if not remote.size and not remote.digest and not answer.size:
        with open(half, "rb") as file:
            damage = read_table(file).damage
        if damage:
            raise Failure(f"nobody says how large it is, and as it came {damage.rstrip('.')}", "outage")


def _tried(url: str, read: Callable[[], _Result], *, pauses: Sequence[float], begun: float) -> _Result:
    """What is read, asked for again after each pause while that may help; what the disk refuses is passed on."""
    others = 0
    for tries, pause in enumerate((*pauses, None), start=1):
        try:
            return read()
        except Failure as failure:
            said = f"it cannot be fetched: {without_secrets(failure.reason, url)}"
            others += failure.means == "other"
            if failure.means == "missing" or others > 1:
                raise DataError.of(BadRecord(shown_url(url), 0, f"{said}.", "unreadable")) from failure
            again = failure.means in ("other", "outage", "room")
            if not again or pause is None or monotonic() + pause - begun > _PATIENCE_SECONDS:
                asked = f"; it was asked for {tries} times" if tries > 1 else ""
                cure = _CURES.get(failure.means, _CURE)
                raise UserError(f"{said}{asked}.", where=shown_url(url), cure=cure) from failure
        sleep(pause)
    raise AssertionError("the last try returns or raises")
