"""Which shards the options name, and what their indexes say of them: folders, patterns, URLs. Opens no shard."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from pgsynth_core.data import SHARD_INDEX, BadRecord, DataError, ShardEntry, read_shard_index
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards.clients import HTTP, checked_url, shown_url, without_secrets
from pgsynth_plugins.datasets.shards.fetching import download

__all__ = ["Shard", "expanded", "named_shards"]

_MOST: Final = 100_000
"""Shards that one pattern may name."""

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_RANGE: Final = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_MAKE_INDEX: Final = (
    f"Put {SHARD_INDEX} beside the shards: `pgsynth data pack` writes it, and so does "
    f"`widsindex create -o {SHARD_INDEX} *.tar` of the library webdataset before its version 1."
)


@dataclass(frozen=True)
class Shard:
    """A shard before it is opened.

    Attributes:
        url: The tar file, a path or a URL.
        shown: How messages call it: without what a URL says after its path, which may be a secret.
        entry: What an index says of it; None if there is none.
    """

    url: str
    shown: str
    entry: ShardEntry | None = None

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return _remote(self.url)

    @property
    def pairs(self) -> int:
        """How many pairs it holds, as an index says; 0 if there is none."""
        return self.entry.pairs if self.entry else 0


def _remote(text: str) -> bool:
    return "://" in text


def expanded(pattern: str) -> list[str]:
    """Every text that braces stand for: ``{000..011}`` counts, with leading zeros as written, ``{a,b}`` is either.

    Raises:
        ValueError: If braces hold neither, or stand for more than `_MOST` texts.
    """
    texts, done = [pattern], False
    while not done:
        done = True
        grown: list[str] = []
        for text in texts:
            found = _BRACES.search(text)
            if found is None:
                grown.append(text)
                continue
            done = False
            grown += [text[: found.start()] + each + text[found.end() :] for each in _alternatives(found[1])]
            if len(grown) > _MOST:
                raise ValueError(f"these braces name more than {_MOST:,} shards")
        texts = list(dict.fromkeys(grown))
    return texts


def _alternatives(inside: str) -> Iterable[str]:
    if counted := _RANGE.fullmatch(inside):
        first, last = int(counted[1]), int(counted[2])
        if last < first or last - first >= _MOST:
            raise ValueError(f"{{{inside}}} counts upwards, at most {_MOST:,} far")
        width = len(counted[1])
        return (f"{number:0{width}d}" for number in range(first, last + 1))
    if "," not in inside:
        raise ValueError(f"{{{inside}}} is neither a range {{000..011}} nor a choice {{a,b}}")
    return inside.split(",")


def named_shards(given: str, *, option: str) -> tuple[list[Shard], list[BadRecord]]:
    """The shards that an option names, each once and in order, and what it names that is not there.

    Args:
        given: Its value.
        option: Its path in a spec, for messages.

    Raises:
        UserError: If it is empty, malformed, or names nothing that is there; or if a remote index cannot be had.
        DataError: If an index cannot be used.
    """
    if not given.strip():
        message = "shards was given none to read."
        raise UserError(
            message, where=option, cure=f"Set {option}=FOLDER, or files with braces: shards-{{000..011}}.tar."
        )
    listing = _Listing(option)
    texts: list[str] = []
    for pattern in given.split("::"):
        try:
            texts += expanded(pattern.strip())
        except ValueError as failure:
            cure = "Write e.g. shards-{000..011}.tar, with as many digits as the names have."
            raise UserError(f"{without_secrets(str(failure), pattern)}.", where=option, cure=cure) from None
    several = len(texts) > 1
    for text in texts:
        listing.add(text, among_others=several)
    return list(listing.shards.values()), listing.problems


@dataclass
class _Listing:
    """What is found while an option is read; each index is read once."""

    option: str
    shards: dict[str, Shard] = field(default_factory=dict)
    problems: list[BadRecord] = field(default_factory=list)
    indexes: dict[str, tuple[ShardEntry, ...]] = field(default_factory=dict)

    def add(self, text: str, *, among_others: bool) -> None:
        """Take what one text names; one of several files that is missing is a bad record, and else an error."""
        if _remote(text):
            self._add_remote(text)
            return
        path = Path(text).expanduser()
        if path.is_dir():
            self._add_folder(path)
        elif path.suffix == ".json" and path.is_file():
            self._add_listed(path)
        elif path.is_file():
            self._add_file(path, self._beside(path).get(path.name))
        elif glob.has_magic(text):
            found = sorted(glob.glob(str(path)))
            if not found:
                raise self._refused(f"no file matches {text!r}.", "Look at the folder and the pattern.")
            for each in found:
                self._add_file(Path(each), self._beside(Path(each)).get(Path(each).name))
        elif among_others:
            self.problems.append(BadRecord(text, 0, f"there is no such shard, and {self.option} names it.", "missing"))
        else:
            raise self._refused(
                f"there is no file or folder {text!r}.", "Give the folder of the shards, or their files."
            )

    def _refused(self, message: str, cure: str) -> UserError:
        return UserError(message, where=self.option, cure=cure)

    # -------------------------------------------------------------- on this disk
    def _add_folder(self, folder: Path) -> None:
        index, files = folder / SHARD_INDEX, sorted(folder.glob("*.tar"))
        if index.is_file():
            self._add_listed(index)
        elif not files:
            raise self._refused(f"there is no .tar file in {folder}.", "Give the folder of the shards.")
        for file in files:  # those that the index does not list are read too
            if str(file) not in self.shards:
                self._add_file(file, None)

    def _add_listed(self, index: Path) -> None:
        for entry in self._index(str(index)):
            if _remote(entry.url):
                self._add_url(_address(str(index), entry.url), entry)
                continue
            places = [index.parent / _name(entry.url)]  # indexes are made in any folder
            if ".." not in PurePosixPath(entry.url).parts:
                places.insert(0, index.parent / entry.url)
            self._add_file(next((place for place in places if place.is_file()), places[0]), entry)

    def _beside(self, path: Path) -> dict[str, ShardEntry]:
        """The index in the folder of a file, by the shards' names; empty if there is none."""
        index = path.parent / SHARD_INDEX
        return {_name(entry.url): entry for entry in self._index(str(index))} if index.is_file() else {}

    def _add_file(self, path: Path, entry: ShardEntry | None) -> None:
        if not path.is_file():
            self.problems.append(BadRecord(str(path), 0, "there is no such shard, and the index lists it.", "missing"))
        elif entry and entry.bytes and entry.bytes != (size := path.stat().st_size):
            reason = f"it has {size:,} bytes, and {SHARD_INDEX} says {entry.bytes:,}: it was cut off, or changed since."
            self.problems.append(BadRecord(str(path), 0, reason, "unreadable"))
            self.shards[str(path)] = Shard(str(path), str(path))  # what it does hold is counted
        else:
            self.shards[str(path)] = Shard(str(path), str(path), entry)

    # -------------------------------------------------------------- elsewhere
    def _add_remote(self, url: str) -> None:
        address = urlsplit(checked_url(url))
        if glob.has_magic(address.path):
            cure = f"Write braces, shards-{{000..011}}.tar, or name the index, …/{SHARD_INDEX}."
            raise self._refused(f"a URL cannot have wildcards; given: {shown_url(url)!r}.", cure)
        name = PurePosixPath(address.path).name
        if not name.endswith(".tar"):
            index = url if name.endswith(".json") else _sibling(f"{url.rstrip('/')}/x", SHARD_INDEX)
            for listed in self._index(index):
                self._add_url(_address(index, listed.url), listed)
            return
        entry = {_name(entry.url): entry for entry in self._index(_sibling(url, SHARD_INDEX))}.get(name)
        if entry is None:
            reason = f"the index beside it does not list it, and {self.option} names it."
            self.problems.append(BadRecord(shown_url(url), 0, reason, "missing"))
        else:
            self._add_url(url, entry)

    def _add_url(self, url: str, entry: ShardEntry) -> None:
        self.shards[url] = Shard(url, shown_url(url), entry)

    def _index(self, place: str) -> tuple[ShardEntry, ...]:
        if place not in self.indexes:
            self.indexes[place] = self._read(place)
        return self.indexes[place]

    @staticmethod
    def _read(place: str) -> tuple[ShardEntry, ...]:
        if not _remote(place):
            return read_shard_index(Path(place).read_bytes(), shown=place)
        try:
            content = download(place)
        except DataError as failure:
            message = f"the index of remote shards cannot be had: {failure.records[0].reason}"
            raise UserError(message, where=shown_url(place), cure=_MAKE_INDEX) from failure
        return read_shard_index(content, shown=shown_url(place))


def _name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path if _remote(url) else url).name


def _address(index: str, given: str) -> str:
    """Where an index says that a shard is: beside it, or at a URL by which it has nothing else read or run.

    Raises:
        UserError: If it is anywhere else.
    """
    if not _remote(given):
        absolute = PurePosixPath(given).is_absolute()  # on the disk where widsindex was run
        return checked_url(_sibling(index, _name(given) if absolute else given))
    own = urlsplit(index).scheme if _remote(index) else ""
    schemes = {"": (*HTTP, "hf", "s3"), "https": ("https",)}.get(own, tuple(dict.fromkeys((*HTTP, own))))
    if (scheme := urlsplit(checked_url(given)).scheme) not in schemes:
        message = f"the index names a shard of {scheme}://, and it may be of {'://, '.join(schemes)}://."
        where = shown_url(index) if own else index
        raise UserError(message, where=where, cure="Mend the index: shards lie beside it, or at such a URL.")
    return given


def _sibling(url: str, name: str) -> str:
    """The URL of another file in the same folder; what stands after ``?`` may give the right to read, and is kept."""
    address = urlsplit(url)
    folder = address.path.rpartition("/")[0]
    return address._replace(path=f"{folder}/{name.removeprefix('./')}").geturl()
