"""Shards: pairs in tar files after WebDataset's convention, on this disk or fetched as they are needed.

``KEY.source.jpg``, ``KEY.target.jpg`` (or png, webp), ``KEY.source.pose.json``, ``KEY.target.pose.json`` and, with the
option ``parsing``, ``KEY.source.parsing.png``: the forms of the part ``folder``, in a tar instead of a directory.
Files of other endings are passed over. ``pgsynth data pack`` writes such shards of any dataset.

How many pairs a shard holds stands in the index beside it, in the form of the library wids. Without one, headers of
shards on this disk are read when the dataset is opened, and a sample without all its files is found there and then;
with one, nothing is read before it is needed, and remote shards need one. A pair is called as the index says, else
after its shard and its place in it.

A shard is a block (`Dataset.blocks`): training reads its pairs soon after one another, and every process its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from pgsynth_core.data import (
    BadRecord,
    DataContext,
    DataError,
    Dataset,
    Pair,
    Person,
    read_image,
    read_labels,
    read_pose,
)
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.shards import Config
from pgsynth_plugins.datasets.shards.archives import Archives
from pgsynth_plugins.datasets.shards.headers import FIELDS, Table
from pgsynth_plugins.datasets.shards.places import Shard, named_shards

__all__ = ["Shards"]

_ROLES: Final = ("source", "target")
_SKIP: Final = "Mend it, or set data.shards.bad=skip to leave out every pair that cannot be used."


class Shards(Dataset):
    """The reader.

    Args:
        config: Where and how.
        build: Which split.

    Raises:
        UserError: If the option names no shards, or holds something unusable while `bad` is ``fail``.
    """

    def __init__(self, config: Config, build: DataContext) -> None:
        super().__init__(config, build)
        self.bad = config.bad
        self.label_set = config.label_set if config.parsing else ""
        self._archives = Archives(keep=config.keep_gb * 10**9)
        named, problems = named_shards(getattr(config, build.split), option=f"data.shards.{build.split}")
        self._shards: list[Shard] = []
        self._numbers: list[Sequence[int]] = []
        for shard in named:
            numbers: Sequence[int] = range(shard.entry.pairs) if shard.entry else self._counted(shard, problems)
            if numbers:
                self._shards.append(shard)
                self._numbers.append(numbers)
        if problems and (self.bad == "fail" or not self._shards):
            raise DataError.of(problems, cure=_SKIP if self._shards else "No pair is left without them: mend them.")
        if not self._shards:
            message = f"there is not one pair in the {len(named)} shards: their index says 0 of each."
            cure = "Look at the index; pgsynth data pack writes one."
            raise UserError(message, where=f"data.shards.{build.split}", cure=cure)
        self.report(problems)
        self._ends = list(accumulate(map(len, self._numbers)))
        self._called = _calls(self._shards)

    def _counted(self, shard: Shard, problems: list[BadRecord]) -> Sequence[int]:
        """The numbers of the samples of a shard that have all their files; what is wrong with it is added."""
        try:
            table = self._archives.table(shard)
        except DataError as failure:
            problems.extend(failure.records)
            return ()
        if table.damage:
            problems.append(BadRecord(shard.shown, 0, table.damage, "unreadable"))
        elif not table.keys:
            problems.append(BadRecord(shard.shown, 0, "there is not one sample in it.", "missing"))
        faults = {number: list(self._faults(shard, table, number)) for number in range(len(table.keys))}
        problems.extend(record for records in faults.values() for record in records)
        return tuple(number for number, records in faults.items() if not records)

    def _faults(self, shard: Shard, table: Table, number: int) -> Iterator[BadRecord]:
        """What is wrong with a sample, as far as headers say."""
        sample = f"{shard.shown}/{table.keys[number]}"
        if number in table.faults:
            yield BadRecord(sample, 0, table.faults[number], "unreadable")
            return
        for name, (_, length) in zip(FIELDS, table.spans[number].tolist(), strict=True):
            needless = name == "target.parsing" or (name == "source.parsing" and not self.label_set)
            if length < 0 and not needless:
                ending = {"": ".jpg, .png or .webp", "parsing": ".png; without label maps: parsing=false"}
                more = ending.get(name.partition(".")[2], ".json")
                yield BadRecord(sample, 0, f"it has no {name}{more}.", "missing")

    # ------------------------------------------------------------------ pairs
    def __len__(self) -> int:
        return self._ends[-1]

    def blocks(self) -> Sequence[int]:
        """How many pairs each shard holds."""
        return tuple(map(len, self._numbers))

    def prefetch(self, indices: Sequence[int], *, wait: bool = False) -> None:
        """Fetch the shards of these pairs, several at a time."""
        self._archives.prefetch([self._shards[self._place(index)[0]] for index in indices], wait=wait)

    def facts(self) -> Mapping[str, int]:
        """How many shards there are, and how many of them have to be fetched."""
        return {"shards": len(self._shards), "of them to be fetched": sum(shard.remote for shard in self._shards)}

    def name(self, index: int) -> str:
        """`Pair.name` of the pair at `index`, without reading a file."""
        at, number = self._place(index)
        named, called = self._shards[at].entry, self._called[at]
        return f"{called}-{number:06d}" if called or named is None else named.names[number]

    def pair(self, index: int) -> Pair:
        """The pair at `index`; reads its files.

        Raises:
            DataError: If its shard or one of its files cannot be used.
            IndexError: If there is no such pair.
        """
        source, target = self._persons(index, _ROLES)
        return Pair(self.name(index), source, target)

    def people(self) -> Sequence[str]:
        """Names of all photos; each pair has its own two."""
        return tuple(f"{self.name(index)}.{role}" for index in range(len(self)) for role in _ROLES)

    def targets(self) -> Collection[str]:
        """Names of the photos that are targets."""
        return frozenset(f"{self.name(index)}.target" for index in range(len(self)))

    def person(self, name: str) -> Person:
        """The photo of that name.

        Raises:
            DataError: If its shard or one of its files cannot be used.
            KeyError: If there is no such photo.
        """
        pair, _, role = name.rpartition(".")
        if role not in _ROLES:
            raise KeyError(f"there is no photo {name!r}: it ends in .source or .target")
        return next(self._persons(self._index_of[pair], (role,)))

    @cached_property
    def _index_of(self) -> Mapping[str, int]:
        return {self.name(index): index for index in range(len(self))}

    def _place(self, index: int) -> tuple[int, int]:
        """Which shard, and which sample of it."""
        if not 0 <= index < len(self):
            raise IndexError(f"there is no pair {index}; there are 0 to {len(self) - 1}")
        at = bisect_right(self._ends, index)
        return at, self._numbers[at][index - (self._ends[at - 1] if at else 0)]

    def _persons(self, index: int, roles: Sequence[str]) -> Iterator[Person]:
        at, number = self._place(index)
        shard, table = self._shards[at], self._archives.table(self._shards[at])
        if number >= len(table.keys):
            short = f"it holds {len(table.keys)} samples, and its index says {len(self._numbers[at])}."
            raise DataError.of(BadRecord(shard.shown, 0, table.damage or short, "unreadable"))
        if faults := list(self._faults(shard, table, number)):
            raise DataError.of(faults)
        wanted = [name for name in FIELDS if name.split(".")[0] in roles and (self.label_set or "parsing" not in name)]
        files = self._archives.read(shard, number, wanted)
        for role in roles:
            yield self._person(f"{self.name(index)}.{role}", role, files, f"{shard.shown}/{table.keys[number]}")

    def _person(self, name: str, role: str, files: Mapping[str, bytes], sample: str) -> Person:
        image = read_image(files[role], shown=f"{sample}.{role}")
        size = (image.shape[0], image.shape[1])
        pose = read_pose(files[f"{role}.pose"], size=size, shown=f"{sample}.{role}.pose.json")
        if (labels := files.get(f"{role}.parsing")) is None:
            return Person(name, image, pose)
        shown = f"{sample}.{role}.parsing.png"
        parsing, said = read_labels(labels, label_set=self.label_set, size=size, shown=shown)
        return Person(name, image, pose, parsing, said)


def _calls(shards: Sequence[Shard]) -> list[str]:
    """What the pairs of each shard are called after; empty where its index names them and no other shard's does."""
    taken: set[str] = set()
    calls: list[str] = []
    for shard in shards:
        names = shard.entry.names if shard.entry else ()
        if names and taken.isdisjoint(names):
            taken.update(names)
            calls.append("")
            continue
        called = plain = PurePosixPath(urlsplit(shard.url).path if shard.remote else shard.url).stem
        count = 1
        while called in taken:
            count += 1
            called = f"{plain}.{count}"
        taken.add(called)
        calls.append(called)
    return calls
