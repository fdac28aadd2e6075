"""Shards: pairs in tar files after WebDataset's convention, the index beside them, and the writer of both. No torch.

The files of one pair lie together in the tar and have one key, which is their path up to the first dot of the name
(https://github.com/webdataset/webdataset, "The WebDataset Format"): ``KEY.source.png``, ``KEY.target.png``, their
joints ``KEY.source.pose.json``, ``KEY.target.pose.json`` (OpenPose JSON) and label maps ``KEY.source.parsing.png``,
``KEY.target.parsing.png``. Photos may be JPEG, PNG or WebP; endings of other names are other people's.

The index is the one of the library `wids` (``widsindex create``), a JSON file that says how many pairs each shard
holds, and its size and digest. Ours names the pairs besides, so that they are called as in the dataset they come from.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from pgsynth_core.data.files import read_image, write_label_map
from pgsynth_core.data.formats import to_openpose
from pgsynth_core.data.records import LONGEST_NAME, BadRecord, DataError, Dataset, Pair, Person
from pgsynth_core.data.taking import cured

__all__ = [
    "SHARD_DIGEST",
    "SHARD_FIELDS",
    "SHARD_INDEX",
    "ShardEntry",
    "ShardSize",
    "read_shard_index",
    "shard_key",
    "write_shards",
]

SHARD_INDEX: Final = "index.json"
"""Name of the index in the folder of the shards."""

_KIND: Final = "wids-shard-index-v1"

SHARD_FIELDS: Final[Mapping[str, str]] = {
    f"{role}{ending}": f"{role}{what}"
    for role in ("source", "target")
    for what, endings in (
        ("", (".jpg", ".jpeg", ".png", ".webp")),
        (".pose", (".pose.json",)),
        (".parsing", (".parsing.png",)),
    )
    for ending in endings
}
"""What stands behind the key, in small letters -> what the file is: ``source``, ``source.pose``, ``source.parsing``
and the same of ``target``."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_URL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{32}")
_MEMBER: Final = re.compile(r"((?:.*/)?[^./]+)\.([^/]+)", re.DOTALL)

Progress = Callable[[int, int], None]
"""Called with how many pairs are written, of how many."""


def shard_key(member: str) -> tuple[str, str]:
    """(key, ending in small letters) of a file in a shard: ``a/b.source.PNG`` gives ``a/b`` and ``source.png``.

    Both are empty for a file that belongs to no sample: its name has no dot, or begins with one.
    """
    found = _MEMBER.fullmatch(member)
    return (found[1], found[2].lower()) if found else ("", "")


# ------------------------------------------------------------------------------------------- the index
SHARD_DIGEST: Final = partial(hashlib.md5, usedforsecurity=False)
"""Makes the digest of a shard: MD5, for `wids` says it so in its index. It tells a shard that was cut off, mixed up or
packed anew; of one that somebody forged it tells nothing."""


@dataclass(frozen=True)
class ShardEntry:
    """What an index says of a shard.

    Attributes:
        url: The tar file: a URL, or a path relative to the index.
        pairs: How many pairs it holds.
        bytes: Its size; 0 if the index does not say.
        names: `Pair.name` of each, in order; empty if the index does not say.
        digest: Of its bytes, as `SHARD_DIGEST` gives it in hexadecimal digits; empty if the index does not say.
    """

    url: str
    pairs: int
    bytes: int = 0
    names: tuple[str, ...] = ()
    digest: str = ""


def read_shard_index(content: bytes, *, shown: str) -> tuple[ShardEntry, ...]:
    """The shards that an index lists.

    Args:
        content: What is in its file.
        shown: How messages call it.

    Raises:
        DataError: If it is no index of kind ``wids-shard-index-v1``, or holds an entry that cannot be used.
    """
    try:
        index = json.loads(content.decode())
        if not isinstance(index, dict) or index.get("__kind__") != _KIND:
            raise ValueError(f'it is no index of shards: "__kind__" is "{_KIND}"')
        listed = index.get("shardlist")
        if not isinstance(listed, list) or not listed:
            raise ValueError("`shardlist` is a list of shards; it is empty or not there")
        return tuple(_entry(number, entry) for number, entry in enumerate(listed))
    except (ValueError, RecursionError) as failure:  # no text and no JSON are ValueErrors
        raise DataError.of(BadRecord(shown, 0, f"{failure}.", "unreadable")) from failure


def _entry(number: int, entry: Any) -> ShardEntry:
    given: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    url, names, digest = given.get("url"), given.get("names", []), given.get("md5sum", "")
    counts = {name: given.get(name, 0) for name in ("nsamples", "filesize")}
    shown = f"shard {number} of `shardlist`"  # its URL may hold a secret
    if not isinstance(url, str) or not url or "nsamples" not in given:
        raise ValueError(f"{shown} lacks its `url` or `nsamples`")
    if _NO_URL.search(url):
        raise ValueError(f"`url` of {shown} has control characters, or halves of characters")
    for name, count in counts.items():
        if type(count) is not int or not 0 <= count < 2**62:
            raise ValueError(f"`{name}` of {shown} is a whole number from 0 on; given: {count!r:.40}")
    named = isinstance(names, list) and all(isinstance(name, str) and name and "/" not in name for name in names)
    if not named or (names and len({*names}) != counts["nsamples"]) or len({*names}) != len(names):
        raise ValueError(f"`names` of {shown} are {counts['nsamples']} different names without '/'")
    if wrong := next(filter(None, map(_misnamed, names)), ""):
        raise ValueError(f"`names` of {shown}: {wrong}")
    if not isinstance(digest, str) or (digest and not _DIGEST.fullmatch(digest)):
        raise ValueError(f"`md5sum` of {shown} is 32 hexadecimal digits; given: {digest!r:.40}")
    return ShardEntry(url, counts["nsamples"], counts["filesize"], tuple(names), digest.lower())


def _misnamed(name: str) -> str:
    """Why a pair cannot be called so in an index, for files are named after pairs; empty if it can."""
    if _CONTROL.search(name) or name in (".", ".."):
        return f"the name {name!r:.80} cannot be that of a file: it has control characters, or is only dots"
    if len(name.encode(errors="surrogateescape")) > LONGEST_NAME:
        return f"the name {name!r:.80} has more than {LONGEST_NAME} bytes"
    return ""


def _index_text(entries: list[ShardEntry]) -> str:
    listed = [
        {
            "url": entry.url,
            "md5sum": entry.digest,
            "nsamples": entry.pairs,
            "filesize": entry.bytes,
            "names": list(entry.names),
        }
        for entry in entries
    ]
    return json.dumps({"__kind__": _KIND, "wids_version": 1, "shardlist": listed}) + "\n"


# ------------------------------------------------------------------------------------------- writing
@dataclass(frozen=True)
class ShardSize:
    """When a shard is full: whichever comes first.

    Attributes:
        pairs: Pairs it holds at most; 0: any number.
        bytes: What their files have together at most, but for a pair that is larger; 0: any number.
    """

    pairs: int = 0
    bytes: int = 0

    def full(self, pairs: int, size: int, more: int) -> bool:
        """Whether a shard of so many pairs and bytes has no room for a pair of `more` bytes."""
        over = self.bytes and size + more > self.bytes
        return pairs > 0 and bool((self.pairs and pairs >= self.pairs) or over)


def write_shards(
    dataset: Dataset, folder: Path, *, prefix: str, size: ShardSize, progress: Progress | None = None
) -> tuple[ShardEntry, ...]:
    """Write the pairs of a dataset as ``PREFIX-000000.tar`` and so on, and the index when all of them stand.

    Photos are pixel for pixel as the dataset gives them: as the file they come from, if that is a JPEG, PNG or WebP and
    gives these pixels (`Dataset.photo_file`), else as PNG. The same pairs give the same bytes. Pairs that cannot be
    used are left out if the dataset's `bad` is ``skip``; they are then among its `problems`.

    Args:
        dataset: The pairs.
        folder: Exists and is empty.
        prefix: How the shards' names begin.
        size: How large each is.
        progress: Told after every pair.

    Raises:
        DataError: If a pair cannot be used and `bad` is ``fail``, or none is left.
        OSError: If the system refuses.
    """
    entries: list[ShardEntry] = []
    shard: _Shard | None = None
    try:
        for number, pair in _usable(dataset, progress):
            members = dict(_members(pair, dataset))
            more = sum(map(len, members.values()))
            if shard is not None and size.full(len(shard.names), shard.bytes, more):
                entries.append(shard.finished())
                shard = None
            if shard is None:
                shard = _Shard(folder / f"{prefix}-{len(entries):06d}.tar")
            shard.add(f"{number:08d}", pair.name, members)
        if shard is not None:
            entries.append(shard.finished())
    finally:
        if shard is not None:
            shard.tar.close()
    if not entries:
        raise DataError.of(dataset.problems, cure="No pair is left without them: mend them.")
    with open(folder / SHARD_INDEX, "x", encoding="utf-8") as index:
        index.write(_index_text(entries))
        index.flush()
        os.fsync(index.fileno())
    return tuple(entries)


class _Shard:
    """A shard that is being written.

    Attributes:
        names: Of the pairs in it.
        bytes: What their files have together.
        tar: The archive.
    """

    def __init__(self, path: Path) -> None:
        self.names: list[str] = []
        self.bytes = 0
        self._path = path
        self.tar = tarfile.TarFile(path, "x", format=tarfile.USTAR_FORMAT)

    def add(self, key: str, name: str, members: Mapping[str, bytes]) -> None:
        """Write the files of a pair; whose they are and when they were made is left out."""
        for ending, content in members.items():
            member = tarfile.TarInfo(f"{key}.{ending}")
            member.size, member.mode = len(content), 0o644
            self.tar.addfile(member, io.BytesIO(content))
            self.bytes += len(content)
        self.names.append(name)

    def finished(self) -> ShardEntry:
        """Close it and see it onto the disk."""
        self.tar.close()
        with open(self._path, "rb+") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, SHARD_DIGEST).hexdigest()
            size = os.fstat(file.fileno()).st_size
        return ShardEntry(self._path.name, len(self.names), size, tuple(self.names), digest)


def _usable(dataset: Dataset, progress: Progress | None) -> Iterator[tuple[int, Pair]]:
    """The pairs with their indices; those that cannot be used are reported where the dataset passes over them."""
    for index in range(len(dataset)):
        try:
            if wrong := _misnamed(dataset.name(index)):
                raise DataError.of(BadRecord(f"pair {index}", 0, f"{wrong}.", "unreadable"))
            yield index, dataset.pair(index)
        except DataError as failure:
            if dataset.bad == "fail":
                raise cured(failure) from failure
            dataset.report(failure.records or [BadRecord(dataset.name(index), 0, str(failure), "unreadable")])
        if progress is not None:
            progress(index + 1, len(dataset))


def _members(pair: Pair, dataset: Dataset) -> Iterator[tuple[str, bytes]]:
    """Ending and content of each file of a pair."""
    for role, person in (("source", pair.source), ("target", pair.target)):
        ending, content = _stored(person, dataset.photo_file(person.name)) or (".png", _png(person))
        yield f"{role}{ending}", content
        yield f"{role}.pose.json", json.dumps(to_openpose(person.keypoints)).encode()
        if person.parsing is not None:
            buffer = io.BytesIO()
            write_label_map(buffer, person.parsing, label_set=person.label_set or dataset.label_set)
            yield f"{role}.parsing.png", buffer.getvalue()


def _stored(person: Person, file: Path | None) -> tuple[str, bytes] | None:
    """Ending and content of a photo's file; None unless a reader of shards sees in it what is in the photo."""
    ending = file.suffix.lower() if file is not None else ""
    if file is None or SHARD_FIELDS.get(f"source{ending}") != "source":
        return None
    try:
        content = file.read_bytes()
        return (ending, content) if np.array_equal(read_image(content), person.image) else None
    except (OSError, DataError):
        return None


def _png(person: Person) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(person.image).save(buffer, format="PNG")
    return buffer.getvalue()
