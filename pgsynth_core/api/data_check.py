"""`check_data`: what a dataset holds, before anything is trained on it. Opens every photo; imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from pgsynth_core.api.datasets import build_dataset
from pgsynth_core.data import (
    BadRecord,
    DataContext,
    DataError,
    Dataset,
    Image,
    Pair,
    Person,
    Split,
    fit_person,
    present,
    skeleton,
)
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.errors import PartError, UserError, nearest
from pgsynth_core.registry import Registry, discover, load_part
from pgsynth_core.spec import PartChoice, resolve

__all__ = ["DataCheck", "SplitCheck", "check_data"]

SPLITS: Final[tuple[Split, ...]] = ("train", "test")
SHEET_PAIRS: Final = 4
"""Of each split."""
SHEET_HEIGHT: Final = 256
NAMELESS_PAIRS: Final = 100
"""How many pairs are looked at of a dataset that cannot list its photos: it draws them, without end."""

OnEvent = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class SplitCheck:
    """One split.

    Attributes:
        split: Which.
        pairs: How many can be used as far as the tables say.
        photos: How many different photos they are made of; 0 if the dataset does not list them.
        opened: How many photos were looked at.
        sizes: (height, width) -> how many of those.
        joints: Mean number of the 18 joints that are known, over those.
        without_pose: Names of those of which not one joint is known.
        with_parsing: How many of those have a label map.
        problems: What is missing, unreadable, or wrong in a table.
        facts: What the dataset itself says, in numbers.
    """

    split: Split
    pairs: int
    photos: int
    opened: int
    sizes: Mapping[tuple[int, int], int]
    joints: float
    without_pose: tuple[str, ...]
    with_parsing: int
    problems: tuple[BadRecord, ...]
    facts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DataCheck:
    """What was found.

    Attributes:
        dataset: The part that reads it, e.g. ``pgsynth:folder``.
        root: The folder; empty for a dataset that has none.
        splits: Those that are there.
        absent: Split -> why there is none.
        shared: Names of photos that are in more than one split; scores on them say nothing.
        shown: The first pairs of each split that can be used, for the sheet.
    """

    dataset: str
    root: str
    splits: tuple[SplitCheck, ...]
    absent: Mapping[Split, str]
    shared: tuple[str, ...]
    shown: tuple[Pair, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, unreadable or wrong; a photo without a pose is no fault."""
        return not any(split.problems for split in self.splits)

    def sheet(self) -> Pillow.Image | None:
        """The first pairs with their poses drawn over them, as a picture; None if there is no pair to show."""
        if not self.shown:
            return None
        rows = [_row(pair) for pair in self.shown]
        headings = ("source", "its pose", "target", "its pose")
        return Sheet(headings, rows, captions=[pair.name for pair in self.shown]).picture()

    def facts(self) -> dict[str, Any]:
        """Everything as plain data, but the pictures."""
        return {
            "dataset": self.dataset,
            "root": self.root,
            "splits": {split.split: _split_facts(split) for split in self.splits},
            "absent": dict(self.absent),
            "shared": list(self.shared),
        }


def check_data(  # noqa: PLR0913 - one question, each word of it optional
    root: str | Path | None,
    *overrides: str,
    dataset: str = "",
    splits: Sequence[Split] = (),
    limit: int | None = None,
    registry: Registry | None = None,
    on_event: OnEvent | None = None,
) -> DataCheck:
    """Read a dataset's tables and open its photos.

    Args:
        root: Its folder; None for a dataset that has none.
        overrides: Options of the dataset, in the words of a spec: ``data.folder.parsing=true``.
        dataset: The part that reads it; empty: the one that recognises the folder.
        splits: Those that must be there; empty: whichever are.
        limit: Open so many photos of each split, evenly spread; None: all.
        registry: What exists; found anew if None.
        on_event: Takes events of kind ``count``.

    Raises:
        UserError: If the folder is missing or nothing recognises it, or with every reason why no split can be read.
        SpecError: If there is no such dataset or option.
    """
    registry = registry or discover()
    folder = None if root is None else _folder(root)
    name = dataset or _recognised(folder, registry)
    choice, size = _choice(name, folder, overrides, registry)
    found: list[SplitCheck] = []
    failures: dict[Split, UserError] = {}
    names: list[set[str]] = []
    shown: list[Pair] = []
    for split in splits or SPLITS:
        try:
            made = build_dataset(choice, DataContext(split=split, image_size=size), registry)
        except PartError:
            raise
        except UserError as failure:
            failures[split] = failure
            continue
        found.append(_check_split(made, split, limit, on_event))
        names.append(set(made.people()))
        shown += _first_pairs(made)
    if failures and (splits or not found):
        raise UserError(dict.fromkeys(problem for failure in failures.values() for problem in failure.problems))
    return DataCheck(
        dataset=choice.part,
        root="" if folder is None else str(folder),
        splits=tuple(found),
        absent={split: str(failure) for split, failure in failures.items()},
        shared=tuple(sorted(set.intersection(*names))) if len(names) > 1 else (),
        shown=tuple(shown),
    )


# ------------------------------------------------------------------------------------------- which dataset
def _folder(root: str | Path) -> Path:
    path = Path(root).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UserError("this is a file, and a dataset is a folder.", where=str(root), cure="Give the folder it is in.")
    above = next(parent for parent in path.absolute().parents if parent.is_dir())
    beside = [entry.name for entry in above.iterdir() if entry.is_dir()]
    hit = nearest(path.absolute().relative_to(above).parts[0], beside)
    cure = f"Did you mean {str(above / hit)!r}?" if hit else f"{above} is there; give a folder in it."
    raise UserError("there is no such folder.", where=str(root), cure=cure)


def _recognised(folder: Path | None, registry: Registry) -> str:
    """The dataset that recognises a folder."""
    known = registry.names("dataset")
    if folder is None:
        raise UserError("there is nothing to check.", cure=f"Give a folder, or --dataset: {', '.join(known)}.")
    hits = [
        name
        for name, entry in zip(known, registry.of_kind("dataset"), strict=True)
        if "root" in entry.component.options and load_part(entry).recognises(folder)
    ]
    if len(hits) == 1:
        return hits[0]
    if hits:
        message = f"several datasets recognise this folder: {', '.join(hits)}."
        raise UserError(message, where=str(folder), cure=f"Say which: --dataset {hits[0]}.")
    cure = f"Say what it is, and what it lacks will be named: --dataset {' | '.join(known)}."
    raise UserError("no dataset recognises this folder.", where=str(folder), cure=cure)


def _choice(
    name: str, folder: Path | None, overrides: Sequence[str], registry: Registry
) -> tuple[PartChoice, tuple[int, int]]:
    """The dataset with all its options, and the size that pictures are drawn at."""
    entry = registry.find("dataset", name, where="--dataset")
    options = entry.component.options
    given = {} if folder is None else {"root": str(folder)}
    if folder is not None and "root" not in options:
        raise UserError(
            f"{name} reads no folder.", where=str(folder), cure=f"Write: pgsynth data check --dataset {name}."
        )
    if "bad" in options:
        given["bad"] = "skip"  # everything wrong is to be named, not only what is found first
    resolved = resolve({"data": {name: given}}, overrides, registry)
    return resolved.spec.data[0], resolved.spec.size


# ------------------------------------------------------------------------------------------- one split
def _check_split(dataset: Dataset, split: Split, limit: int | None, on_event: OnEvent | None) -> SplitCheck:
    names = dataset.people()
    people: Iterable[Person | DataError]
    if names:
        chosen = _spread(names, limit)
        people, total = (_person(dataset, name) for name in chosen), len(chosen)
    else:
        indices = range(min(len(dataset), limit or NAMELESS_PAIRS))
        people, total = _of_pairs(dataset, indices), 2 * len(indices)
    sizes: Counter[tuple[int, int]] = Counter()
    joints, with_parsing = 0, 0
    without_pose: list[str] = []
    for number, person in enumerate(people, start=1):
        if on_event:
            on_event({"kind": "count", "doing": f"opening photos of {split}", "done": number, "of": total})
        if isinstance(person, DataError):
            dataset.report(person.records)
            continue
        sizes[person.size] += 1
        with_parsing += person.parsing is not None
        joints += (known := int(present(person.keypoints).sum()))
        if not known:
            without_pose.append(person.name)
    opened = sum(sizes.values())
    return SplitCheck(
        split=split,
        pairs=len(dataset),
        photos=len(names),
        opened=opened,
        sizes=dict(sizes.most_common()),
        joints=joints / opened if opened else 0.0,
        without_pose=tuple(without_pose),
        with_parsing=with_parsing,
        problems=dataset.problems,
        facts=dict(dataset.facts()),
    )


def _spread(names: Sequence[str], limit: int | None) -> Sequence[str]:
    if limit is None or limit >= len(names):
        return names
    return [names[index * len(names) // limit] for index in range(limit)]


def _person(dataset: Dataset, name: str) -> Person | DataError:
    try:
        return dataset.person(name)
    except DataError as failure:
        return failure


def _of_pairs(dataset: Dataset, indices: Iterable[int]) -> Iterator[Person | DataError]:
    for index in indices:
        try:
            pair = dataset.pair(index)
        except DataError as failure:
            yield failure
            continue
        yield from (pair.source, pair.target)


def _first_pairs(dataset: Dataset) -> list[Pair]:
    """The first that can be used, not looking far."""
    found: list[Pair] = []
    for index in range(min(len(dataset), 4 * SHEET_PAIRS)):
        if len(found) == SHEET_PAIRS:
            break
        try:
            found.append(dataset.pair(index))
        except DataError:
            continue
    return found


# ------------------------------------------------------------------------------------------- shown
def _row(pair: Pair) -> tuple[Image, ...]:
    tiles = []
    for person in (pair.source, pair.target):
        width = max(1, round(SHEET_HEIGHT * person.size[1] / person.size[0]))
        fitted = fit_person(person, (SHEET_HEIGHT, width), "squash")
        drawn = skeleton(fitted.keypoints, fitted.size)
        tiles += [fitted.image, np.where(drawn.any(axis=2, keepdims=True), drawn, fitted.image // 2)]
    return tuple(tiles)


def _split_facts(split: SplitCheck) -> dict[str, Any]:
    return {
        "pairs": split.pairs,
        "photos": split.photos,
        "opened": split.opened,
        "sizes": [{"size": list(size), "photos": count} for size, count in split.sizes.items()],
        "joints": round(split.joints, 2),
        "without_pose": list(split.without_pose),
        "with_parsing": split.with_parsing,
        "problems": [
            {"kind": record.kind, "file": record.file, "row": record.row, "reason": record.reason}
            for record in split.problems
        ],
        "facts": dict(split.facts),
    }
