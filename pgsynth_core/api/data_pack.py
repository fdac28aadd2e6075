"""`pack_data`: the pairs of any dataset as shards that stream; the folder stands whole or not at all. No torch."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any, Final, get_args

from pgsynth_core.api.datasets import build_dataset
from pgsynth_core.data import SHARD_FIELDS, BadRecord, DataContext, DataError, Dataset, Pair, ShardEntry, Split
from pgsynth_core.data.order import Order
from pgsynth_core.data.shards import ShardSize, write_shards
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.runs import refusing, require_room
from pgsynth_core.runs.durable import OUTPUT, remove
from pgsynth_core.runs.locks import Held, hold
from pgsynth_core.spec import Spec, resolve

__all__ = ["PAIRS_OF_A_SHARD", "DataPack", "Packed", "pack_data"]

PAIRS_OF_A_SHARD: Final = 1000
"""By default: enough that a shard is read in one go, few enough that every process finds shards of its own."""

_SEED: Final = 20_000
"""Of the order that pairs are packed in. Any number will do, but it stays: the same pairs give the same shards."""

_SAMPLED: Final = 1000
"""Photos of which the size is looked up: their median is that of all to a few per cent, and takes no minutes."""

_BESIDE: Final = 3 * 512
"""Bytes that a photo of a pair takes besides its file, at least: two headers of tar, and a block for the joints."""

_LOCK: Final = "lock"
_SHARDS: Final = "shards"

OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Packed:
    """What was written of one split.

    Attributes:
        folder: Where its shards and their index are.
        shards: They, in order.
        left_out: What could not be used.
        shuffled: Whether the pairs lie in a drawn order, and not in the dataset's.
    """

    folder: Path
    shards: tuple[ShardEntry, ...]
    left_out: tuple[BadRecord, ...]
    shuffled: bool

    @property
    def pairs(self) -> int:
        """How many pairs are in them."""
        return sum(shard.pairs for shard in self.shards)

    @property
    def bytes(self) -> int:
        """What they take on the disk."""
        return sum(shard.bytes for shard in self.shards)


@dataclass(frozen=True)
class DataPack:
    """What was written.

    Attributes:
        dataset: The part that the pairs are of, e.g. ``pgsynth:folder``.
        folder: Where.
        splits: Split -> its shards, for those that the dataset has.
        absent: Split -> why it has none.
        label_set: What the label maps' indices mean; empty if there are none.
    """

    dataset: str
    folder: Path
    splits: Mapping[Split, Packed]
    absent: Mapping[Split, str]
    label_set: str

    @property
    def words(self) -> tuple[str, ...]:
        """What to write in a spec, or behind ``pgsynth train``, to train on it."""
        parsing = ("data.shards.parsing=true", f"data.shards.label_set={self.label_set}") if self.label_set else ()
        return ("data=shards", *(f"data.shards.{name}={one.folder}" for name, one in self.splits.items()), *parsing)

    def facts(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "dataset": self.dataset,
            "folder": str(self.folder),
            "splits": {
                split: {
                    "folder": str(one.folder),
                    "shards": len(one.shards),
                    "pairs": one.pairs,
                    "bytes": one.bytes,
                    "shuffled": one.shuffled,
                    "left_out": [vars(record) for record in one.left_out],
                }
                for split, one in self.splits.items()
            },
            "absent": dict(self.absent),
            "words": list(self.words),
        }


def pack_data(  # noqa: PLR0913 - one question, each word of it optional
    source: str | Path | Mapping[str, Any] | None,
    *overrides: str,
    output: str | Path,
    splits: Sequence[Split] = (),
    size: ShardSize | None = None,
    registry: Registry | None = None,
    on_event: OnEvent | None = None,
) -> DataPack:
    """Write the pairs of a spec's dataset as shards: ``OUTPUT/train`` and ``OUTPUT/test``, each with its index.

    Photos are pixel for pixel those of the dataset: its own files as they are where it has them (`Dataset.photo_file`),
    else PNG. Pairs keep their names and with them, in sampling and scoring, their seeds.

    Pairs to train on are shuffled, for training shuffles those of a few shards only and neighbours in a dataset are
    alike; the order is a function of how many there are. Those of the test split stay in the dataset's, by which
    sheets and scores are taken.

    While it lasts everything is in ``.OUTPUT.part`` beside the folder, which goes with it however it ends; what a
    killed one left there, the next removes.

    Args:
        source: A spec or a preset, as `compose` takes it; None for the defaults.
        overrides: ``data=folder``, ``data.folder.root=PATH`` and so on; ``size=HxW`` for a dataset that draws.
        output: A folder that does not exist, or is empty and neither a mount point nor the one we are in, or a link to
            one; its own folder exists.
        splits: Those that must be there; empty: whichever are.
        size: How large a shard is; None: `PAIRS_OF_A_SHARD`.
        registry: What exists; found anew if None.
        on_event: Takes events of kind ``count``.

    Raises:
        UserError: If there is something in the folder, another process packs into it, the disk has no room or the
            system refuses to write; or with every reason why there is no split. Nothing is left behind.
        DataError: If a pair cannot be used and the dataset does not pass over it.
        SpecError: If there is no such dataset or option.
    """
    registry = registry or discover()
    folder = _free(output)
    spec = resolve(source, overrides, registry).spec
    built, absent = _datasets(spec, splits, registry)
    written: dict[Split, Packed] = {}
    with refusing("the shards cannot be written", folder, elsewhere=OUTPUT), _unfinished(folder) as beside:
        _free(folder)  # still: another may just have packed into it
        if needed := sum(map(_estimated_bytes, built.values())):
            pairs = sum(map(len, built.values()))
            require_room(folder, needed, f"packing {pairs:,} pairs, by their photos' sizes,", elsewhere=OUTPUT)
        for split, dataset in built.items():
            (beside / split).mkdir()
            shuffled = split == "train"
            ordered = _Shuffled(dataset) if shuffled else dataset
            shards = _written(ordered, beside / split, split, size or ShardSize(PAIRS_OF_A_SHARD), on_event)
            written[split] = Packed(folder / split, shards, dataset.problems, shuffled)
        _as_it_was(folder, beside)
        os.replace(beside, folder)
    labelled = {dataset.label_set for dataset in built.values()}
    return DataPack(spec.data[0].part, folder, written, absent, label_set=next(iter(labelled)))


def _written(
    dataset: Dataset, folder: Path, split: Split, size: ShardSize, on_event: OnEvent | None
) -> tuple[ShardEntry, ...]:
    def counted(done: int, of: int) -> None:
        if on_event:
            on_event({"kind": "count", "doing": f"packing {split}", "done": done, "of": of})

    return write_shards(dataset, folder, prefix=split, size=size, progress=counted)


def _datasets(spec: Spec, splits: Sequence[Split], registry: Registry) -> tuple[dict[Split, Dataset], dict[Split, str]]:
    """The splits that are there, and why the others are not."""
    if not spec.data:
        names = " | ".join(registry.names("dataset"))
        raise UserError("the spec has no dataset.", cure=f"Write data=NAME: {names}.")
    built: dict[Split, Dataset] = {}
    failures: dict[Split, UserError] = {}
    for split in splits or get_args(Split):
        try:
            dataset = build_dataset(spec.data[0], DataContext(split=split, image_size=spec.size), registry)
        except (PartError, DataError):
            raise
        except UserError as failure:
            failures[split] = failure
            continue
        if len(dataset):
            built[split] = dataset
        else:
            failures[split] = UserError(f"{spec.data[0].label} has no pair in its {split} split.")
    if failures and (splits or not built):
        raise UserError(dict.fromkeys(problem for failure in failures.values() for problem in failure.problems))
    return built, {split: str(failure) for split, failure in failures.items()}


class _Shuffled(Dataset):
    """The pairs of a dataset in a drawn order; where they lie in shards already, each is still read in one go."""

    def __init__(self, dataset: Dataset) -> None:  # what is found wrong, the dataset itself keeps
        self._dataset = dataset
        self._order = Order(len(dataset), _SEED, blocks=tuple(dataset.blocks()))
        self.label_set, self.bad = dataset.label_set, dataset.bad

    def __len__(self) -> int:
        return len(self._dataset)

    def name(self, index: int) -> str:
        return self._dataset.name(self._order.at(index)[1])

    def pair(self, index: int) -> Pair:
        return self._dataset.pair(self._order.at(index)[1])

    def photo_file(self, name: str) -> Path | None:
        return self._dataset.photo_file(name)

    @property
    def problems(self) -> tuple[BadRecord, ...]:
        return self._dataset.problems

    def report(self, records: Iterable[BadRecord]) -> None:
        self._dataset.report(records)


# ------------------------------------------------------------------------------------------- where it is written
def _free(output: str | Path) -> Path:
    """The folder that is meant, if shards may be written there; of a link, what it leads to.

    Raises:
        UserError: If not.
    """
    folder = Path(os.path.realpath(os.path.expanduser(output)))
    if not folder.parent.is_dir():
        raise UserError(f"there is no folder {str(folder.parent)!r}.", where=str(folder), cure="Make it, mkdir -p.")
    if os.path.ismount(folder):
        message = "a disk is mounted here, and so the folder cannot be replaced by one that is packed."
        raise UserError(message, where=str(folder), cure=_inside(folder))
    if folder == Path.cwd():
        message = "this is the folder you are in, and it would be replaced by the one that is packed."
        raise UserError(message, where=str(folder), cure=_inside(folder))
    with refusing("nothing can be packed here", folder, elsewhere=OUTPUT):
        if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
            cure = "Give a folder that is new or empty."
            raise UserError("there is something already.", where=str(folder), cure=cure)
    return folder


def _inside(folder: Path) -> str:
    return f"Give a folder in it: -o {shlex.quote(str(folder / _SHARDS))}."


def _as_it_was(folder: Path, made: Path) -> None:
    """A folder that was prepared keeps its mode, and where the system lets us its group."""
    if folder.exists():
        made.chmod(stat.S_IMODE(folder.stat().st_mode))
        with suppress(OSError):
            os.chown(made, -1, folder.stat().st_gid)
            made.chmod(stat.S_IMODE(folder.stat().st_mode))  # a new group costs the bit that hands it down


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """An empty folder on the same disk to write in, for this process alone; it is gone afterwards, moved or not.

    What a killed process left there goes too: its lock went with it.

    Raises:
        UserError: If another process writes there, something of somebody else's stands there, or the system refuses.
    """
    place = folder.with_name(f".{folder.name}.part")
    lock, shards = place / _LOCK, place / _SHARDS
    with refusing("the shards cannot be written here before they are whole", place, elsewhere=OUTPUT):
        place.mkdir(exist_ok=True)
        if place.is_symlink() or {path.name for path in place.iterdir()} not in (set(), {_LOCK}, {_LOCK, _SHARDS}):
            message = "shards would be written here before they are whole, and there is something else."
            raise UserError(message, where=str(place), cure=f"Move it, or choose another folder: {OUTPUT}.")
    held = hold(lock, elsewhere=OUTPUT)
    if held is None or not _stands(held):
        cure = f"Wait until it has ended, or choose another folder: {OUTPUT}."
        raise UserError("another process packs into this folder.", where=str(folder), cure=cure)
    try:
        remove(shards)
        shards.mkdir()
        yield shards
    finally:
        try:
            remove(shards)
            if not shards.exists():  # while there is something, the lock says whose it is
                remove(lock)
        finally:
            held.release()
        with suppress(OSError):  # another process is there by now
            place.rmdir()


def _stands(held: Held) -> bool:
    """Whether the lock's file is still there: who held it before may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(held.descriptor), held.path.stat())
    except FileNotFoundError:
        return False


def _estimated_bytes(dataset: Dataset) -> int:
    """What the pairs will take on the disk, by the sizes of photos' files that are packed as they are; else 0.

    By the median, as a few large photos may be in few pairs: what does not fit all the same, the disk says.
    """
    people = dataset.people()
    sizes = [_file_bytes(dataset.photo_file(name)) for name in people[:: len(people) // _SAMPLED + 1]]
    return 2 * len(dataset) * median_low(sizes or [0])


def _file_bytes(file: Path | None) -> int:
    if file is None or SHARD_FIELDS.get(f"source{file.suffix.lower()}") != "source":
        return 0
    try:
        return file.stat().st_size + _BESIDE
    except OSError:  # reading it will say so
        return 0
