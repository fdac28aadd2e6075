"""Tar files read in place: headers once, then the bytes of single members. Nothing is ever unpacked to a disk.

A process keeps what the headers say of the shards it has read from, and no file open: opening one costs less than
decoding a picture, and so neither a fork nor the removal of a fetched shard can meet a file in use.
"""

from __future__ import annotations

import tarfile
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from threading import Thread
from typing import Final

import numpy as np
from jaxtyping import Int64

from pgsynth_core.data import SHARD_FIELDS, BadRecord, DataError, shard_key
from pgsynth_plugins.datasets.shards.fetching import TRIES, fetch, is_here
from pgsynth_plugins.datasets.shards.places import Shard

__all__ = ["FIELDS", "MOST_BYTES", "Archives", "Table", "read_table"]

FIELDS: Final = tuple(dict.fromkeys(SHARD_FIELDS.values()))
"""What a sample may have, in the order of `Table.spans`."""

MOST_BYTES: Final = 2**28
"""Of one file of a sample: a photo, a label map or joints that are larger are something else."""

_TABLES: Final = 512
"""Shards whose headers are remembered; those of a thousand pairs take 0.2 MB each."""

_FETCHES: Final = 8
"""Shards that one process fetches in advance at the same time."""

_PACKED: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True, eq=False)
class Table:
    """What the headers of a shard say.

    Attributes:
        size: Bytes of the file they were read from.
        keys: Of each sample, in order.
        spans: Where each of `FIELDS` of each sample lies: offset and length in bytes; length -1: it has none.
        faults: Number of a sample -> why it cannot be used.
        damage: What is wrong with the archive behind its last sample; empty if nothing.
    """

    size: int
    keys: tuple[str, ...]
    spans: Int64[np.ndarray, "samples fields 2"]
    faults: dict[int, str]
    damage: str


@dataclass
class _Reading:
    """A table that is being read."""

    keys: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    spans: list[list[tuple[int, int]]] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)

    def take(self, member: tarfile.TarInfo) -> None:
        """Count one file in."""
        key, ending = shard_key(member.name)
        if not key or member.isdir():
            return
        if not self.keys or self.keys[-1] != key:
            self.keys.append(key)
            self.spans.append([(0, -1)] * len(FIELDS))
            if key in self.seen:
                self._fault(f"the key {key!r} is there before; the files of a sample lie together, and keys differ")
            self.seen.add(key)
        if ending not in SHARD_FIELDS:
            return
        place = FIELDS.index(SHARD_FIELDS[ending])
        if not member.isreg() or member.issparse():
            self._fault(f"its {ending} is no plain file but a link, a device or a file with holes")
        elif member.size > MOST_BYTES:
            self._fault(f"its {ending} has {member.size:,} bytes; at most {MOST_BYTES:,} are read")
        elif self.spans[-1][place][1] >= 0:
            self._fault(f"it has two files for {SHARD_FIELDS[ending]}")
        else:
            self.spans[-1][place] = member.offset_data, member.size

    def _fault(self, reason: str) -> None:
        self.faults.setdefault(len(self.keys) - 1, f"{reason}.")


def read_table(file: BufferedReader) -> Table:
    """Read the headers of a tar file, seeking over what is between them.

    Raises:
        OSError: If the file cannot be read.
    """
    reading = _Reading()
    size = file.seek(0, 2)
    try:
        damage = _read_headers(file, size, reading)
    except (tarfile.TarError, ValueError, OverflowError) as failure:  # of numbers in a header that is none
        file.seek(0)
        begins = file.read(8)
        packed = next((name for magic, name in _PACKED.items() if begins.startswith(magic)), "")
        damage = f"it is no tar file, or cut off: {failure}"
        if packed:
            damage = f"it is packed with {packed}, and shards are read in place: unpack it"
    spans = np.array(reading.spans, np.int64).reshape(-1, len(FIELDS), 2)
    return Table(size, tuple(reading.keys), spans, reading.faults, f"{damage}." if damage else "")


def _read_headers(file: BufferedReader, size: int, reading: _Reading) -> str:
    """What is wrong behind the last file taken; tarfile itself takes a header that is none for the end."""
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            whole = not member.isreg() or member.issparse() or member.offset_data + member.size <= size
            if member.size < 0 or not whole:
                return f"it is cut off or damaged in {member.name}"
            reading.take(member)
        file.seek(archive.offset)
        ended = file.read(tarfile.BLOCKSIZE)
    return f"it is cut off or damaged at byte {archive.offset:,}" if not ended or ended.strip(b"\0") else ""


class Archives:
    """The shards as one process reads them.

    Args:
        room: Bytes that fetched shards may take on the disk.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._failed: dict[str, DataError] = {}
        self._expected: dict[str, Thread] = {}

    def table(self, shard: Shard) -> Table:
        """What its headers say; read when it is first asked for.

        Raises:
            DataError: If the shard cannot be had or read. It is said again at once when it is asked for again: of a
                shard with a thousand pairs nobody wants to wait for the network a thousand times.
        """
        if shard.url in self._failed:
            raise self._failed[shard.url]
        if shard.url in self._tables:
            self._tables.move_to_end(shard.url)
            return self._tables[shard.url]
        try:
            table = self._tables[shard.url] = self._read_table(shard)
        except DataError as failure:
            self._failed[shard.url] = failure
            raise
        if len(self._tables) > _TABLES:
            self._tables.popitem(last=False)
        return table

    def read(self, shard: Shard, number: int, fields: Iterable[str]) -> dict[str, bytes]:
        """The bytes of some of `FIELDS` of a sample; those that it does not have are left out.

        Raises:
            DataError: If the shard cannot be had or read, or is another than it was.
        """
        lying = dict(zip(FIELDS, self.table(shard).spans[number].tolist(), strict=True))
        spans = {name: lying[name] for name in fields}
        found: dict[str, bytes] = {}
        try:
            with self._opened(shard) as file:
                if file.seek(0, 2) != self.table(shard).size:
                    raise OSError("it was replaced while it was in use")
                for name, (offset, length) in spans.items():
                    if length >= 0:
                        file.seek(offset)
                        found[name] = file.read(length)
        except OSError as error:
            raise _unreadable(shard, error) from error
        return found

    def prefetch(self, shards: Sequence[Shard], *, wait: bool) -> None:
        """Fetch shards that will soon be read, in threads; what goes wrong shows when they are read.

        Without `wait`, more than `_FETCHES` at a time are left for the next call.
        """
        far = [shard for shard in dict.fromkeys(shards) if shard.remote and shard.url not in self._failed]
        far = [shard for shard in far if not is_here(*_address(shard))]
        if wait:
            with ThreadPoolExecutor(_FETCHES) as pool:
                list(pool.map(self._fetch, far))
            return
        self._expected = {url: thread for url, thread in self._expected.items() if thread.is_alive()}
        for shard in far:
            if shard.url not in self._expected and len(self._expected) < _FETCHES:
                thread = Thread(target=self._fetch, args=(shard,), daemon=True)  # of a worker, whose end waits for none
                self._expected[shard.url] = thread
                thread.start()

    def _fetch(self, shard: Shard) -> None:
        try:
            fetch(*_address(shard), room=self._room)
        except DataError as failure:
            self._failed[shard.url] = failure

    def _read_table(self, shard: Shard) -> Table:
        try:
            with self._opened(shard) as file:
                return read_table(file)
        except OSError as error:
            raise _unreadable(shard, error) from error

    def _opened(self, shard: Shard) -> BufferedReader:
        if not shard.remote:
            return open(shard.url, "rb")
        for _ in range(TRIES):
            path = fetch(*_address(shard), room=self._room)
            with suppress(FileNotFoundError):  # removed by a process that needs the room
                return open(path, "rb")
        raise OSError("other processes remove it before it is read; set data.shards.keep_gb higher")


def _address(shard: Shard) -> tuple[str, int]:
    return shard.url, shard.entry.bytes if shard.entry else 0


def _unreadable(shard: Shard, error: OSError) -> DataError:
    reason = f"it cannot be read: {error.strerror or error}."
    return DataError.of(BadRecord(shard.shown, 0, reason, "unreadable"))
