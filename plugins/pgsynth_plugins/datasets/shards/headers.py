"""What the headers of a tar file say: where each sample's files lie, and what is wrong. Nothing is ever unpacked."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Final

import numpy as np
from jaxtyping import Int64

from pgsynth_core.data import SHARD_FIELDS, shard_key

__all__ = ["FIELDS", "MOST_BYTES", "Table", "read_table"]

FIELDS: Final = tuple(dict.fromkeys(SHARD_FIELDS.values()))
"""What a sample may have, in the order of `Table.spans`."""

MOST_BYTES: Final = 2**28
"""Of one file of a sample: a photo, a label map or joints that are larger are something else."""

_PACKED: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

_DAMAGE: Final = (tarfile.TarError, ValueError, OverflowError, RecursionError, MemoryError)
"""What tarfile raises of headers that are none: of their numbers, their length, and headers of headers without end."""


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
    except _DAMAGE as failure:
        file.seek(0)
        begins = file.read(8)
        packed = next((name for magic, name in _PACKED.items() if begins.startswith(magic)), "")
        damage = f"it is no tar file, or cut off: {str(failure) or type(failure).__name__}"
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
