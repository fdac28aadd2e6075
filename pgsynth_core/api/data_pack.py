"""`pack_data`: the pairs of any dataset as shards that stream; the folder stands whole or not at all. No torch."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from pgsynth_core.api.datasets import build_dataset
from pgsynth_core.data import BadRecord, DataContext, DataError, Dataset, ShardEntry, Split
from pgsynth_core.data.shards import ShardSize, write_shards
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import Spec, resolve

__all__ = ["PAIRS_OF_A_SHARD", "DataPack", "Packed", "pack_data"]

PAIRS_OF_A_SHARD: Final = 1000
"""By default: enough that a shard is read in one go, few enough that every process finds shards of its own."""

OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Packed:
    """What was written of one split.

    Attributes:
        folder: Where its shards and their index are.
        shards: They, in order.
        left_out: What could not be used.
    """

    folder: Path
    shards: tuple[ShardEntry, ...]
    left_out: tuple[BadRecord, ...]

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

    Args:
        source: A spec or a preset, as `compose` takes it; None for the defaults.
        overrides: ``data=folder``, ``data.folder.root=PATH`` and so on; ``size=HxW`` for a dataset that draws.
        output: A folder that does not exist or is empty; its own folder exists.
        splits: Those that must be there; empty: whichever are.
        size: How large a shard is; None: `PAIRS_OF_A_SHARD`.
        registry: What exists; found anew if None.
        on_event: Takes events of kind ``count``.

    Raises:
        UserError: If there is something in the folder, or the system refuses to write; or with every reason why there
            is no split. Nothing is left behind.
        DataError: If a pair cannot be used and the dataset does not pass over it.
        SpecError: If there is no such dataset or option.
    """
    registry = registry or discover()
    folder = _free(Path(output).expanduser())
    spec = resolve(source, overrides, registry).spec
    built, absent = _datasets(spec, splits, registry)
    beside = folder.with_name(f".{folder.name[:100]}.{secrets.token_hex(4)}.part")
    written: dict[Split, Packed] = {}
    try:
        beside.mkdir()
        for split, dataset in built.items():
            (beside / split).mkdir()
            shards = _written(dataset, beside / split, split, size or ShardSize(PAIRS_OF_A_SHARD), on_event)
            written[split] = Packed(folder / split, shards, dataset.problems)
        os.replace(beside, folder)
    except OSError as error:
        message = f"the shards cannot be written: {error.strerror or error}."
        raise UserError(message, where=str(folder), cure="Mend that, or give another folder.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
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


def _free(folder: Path) -> Path:
    """The folder, if shards may be written there.

    Raises:
        UserError: If not.
    """
    folder = folder.absolute()
    try:
        if not folder.parent.is_dir():
            raise UserError(f"there is no folder {str(folder.parent)!r}.", where=str(folder), cure="Make it, mkdir -p.")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(
                "there is something already.", where=str(folder), cure="Give a folder that is new or empty."
            )
    except OSError as error:
        message = f"this cannot be a folder: {error.strerror or error}."
        raise UserError(message, where=str(folder)[:100], cure="Give another path.") from error
    return folder
