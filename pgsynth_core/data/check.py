"""`pgsynth data check`: what a dataset holds and what is wrong with it, as plain data, and a sheet to look at.

Build the dataset with ``bad=skip``: then everything wrong is in its `problems`, and here, instead of the first error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from PIL import Image as Pillow

from pgsynth_core.data.draw import pose_mask, skeleton
from pgsynth_core.data.keypoints import present
from pgsynth_core.data.labels import label_set_of, voc_palette
from pgsynth_core.data.records import BadRecord, DataError, Dataset, Image, Pair, Person
from pgsynth_core.data.sheet import Sheet, label_legend
from pgsynth_core.data.taking import MAKE_POSE, jointless

__all__ = ["DataReport", "LabelsFrom", "check_dataset", "contact_sheet"]

_OUTSIDE: Final = 0.02
"""Share of the photo's height: a joint further outside than this is no rounding."""

DRAWN_PHOTOS: Final = 200
"""So many are looked at of a dataset that draws its photos: it may have no end of them."""

LabelsFrom = Literal["file", "option", "default", "dataset"]
"""By what the label set of a label map is known: its own file, the dataset's option `label_set` as the user set it or
as it is by default, which is a guess, or the dataset that draws it."""

Progress = Callable[[int, int], None]
"""Called with how many photos are read, of how many."""


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What was found. Everything is counted; names and records are complete.

    Attributes:
        pairs: Pairs that the tables leave.
        photos: Photos that the pairs are made of.
        read: Photos that were opened for this report; fewer than `photos` if a limit was given.
        facts: The dataset's own numbers.
        sizes: (height, width) of the photos that were read -> how many, most frequent first.
        joints: Mean number of the 18 joints that are known, over the photos that could be read.
        without_keypoints: Names of photos without a single joint.
        joints_outside: Names of photos with a joint well outside. A few are usual (8 of the 4,038 test photos of
            DeepFashion); many mean that the keypoints are of another size or of other photos.
        label_maps: How many photos have one.
        labels: Name of a label -> in how many label maps it occurs; in the label set's order.
        label_set: The set they were read as; empty if there are none.
        labels_from: By what their set is known -> of how many.
        problems: Everything that cannot be used: from the tables, and from reading. A target without a joint is among
            them; or, once, that not one photo has a joint.
    """

    pairs: int
    photos: int
    read: int
    facts: Mapping[str, int]
    sizes: Mapping[tuple[int, int], int]
    joints: float
    without_keypoints: tuple[str, ...]
    joints_outside: tuple[str, ...]
    label_maps: int
    labels: Mapping[str, int]
    label_set: str
    labels_from: Mapping[LabelsFrom, int]
    problems: tuple[BadRecord, ...]

    def of_kind(self, kind: str) -> tuple[BadRecord, ...]:
        """The problems of kind ``row``, ``missing`` or ``unreadable``."""
        return tuple(record for record in self.problems if record.kind == kind)

    @property
    def readable(self) -> int:
        """How many of the photos that were opened could be read."""
        return sum(self.sizes.values())

    @property
    def ok(self) -> bool:
        """Whether everything can be used as it is."""
        return not self.problems

    def to_mapping(self) -> dict[str, Any]:
        """The report in plain numbers, strings, lists and mappings, for ``--json``."""
        return {
            "ok": self.ok,
            "pairs": self.pairs,
            "photos": self.photos,
            "read": self.read,
            "facts": dict(self.facts),
            "sizes": {f"{height}x{width}": count for (height, width), count in self.sizes.items()},
            "joints": round(self.joints, 2),
            "without_keypoints": list(self.without_keypoints),
            "joints_outside": list(self.joints_outside),
            "label_maps": self.label_maps,
            "labels": dict(self.labels),
            "label_set": self.label_set,
            "labels_from": dict(self.labels_from),
            "problems": [vars(record) for record in self.problems],
        }


def check_dataset(
    dataset: Dataset,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
    labels_from: LabelsFrom = "dataset",
) -> DataReport:
    """Read every photo of a dataset once and say what was found.

    Args:
        dataset: Built with its option ``bad`` at ``skip``.
        limit: Read at most so many photos, spread evenly; None: all, but no more than `DRAWN_PHOTOS` of a dataset that
            cannot list them.
        progress: Told after every photo.
        labels_from: Where the dataset has its label set from, for label maps whose files do not say theirs.
    """
    found = _Found(labels_from)
    listed = len(dataset.people())
    photos = listed or 2 * len(dataset)
    chosen = _spread(photos, (photos if listed else DRAWN_PHOTOS) if limit is None else limit)
    for count, (person, aimed_at) in enumerate(_persons(dataset, chosen, found), start=1):
        if person is not None:
            found.take(person, aimed_at)
        if progress is not None:
            progress(count, len(chosen))
    names = label_set_of(dataset.label_set).names if found.label_maps else ()
    return DataReport(
        pairs=len(dataset),
        photos=photos,
        read=len(chosen),
        facts=dict(dataset.facts()),
        sizes=dict(found.sizes.most_common()),
        joints=found.joints / max(1, found.sizes.total()),
        without_keypoints=tuple(found.without_keypoints),
        joints_outside=tuple(found.joints_outside),
        label_maps=found.label_maps,
        labels={name: found.labels[label] for label, name in enumerate(names) if found.labels[label]},
        label_set=dataset.label_set if found.label_maps else "",
        labels_from=dict(found.labels_from),
        problems=tuple(dict.fromkeys((*dataset.problems, *found.problems, *found.no_joints()))),
    )


class _Found:
    """What the photos that were read so far have shown."""

    def __init__(self, labels_from: LabelsFrom) -> None:
        self.unsaid: LabelsFrom = labels_from
        self.labels_from: Counter[LabelsFrom] = Counter()
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.labels: Counter[int] = Counter()
        self.label_maps = 0
        self.joints = 0
        self.without_keypoints: dict[str, None] = {}
        self.joints_outside: dict[str, None] = {}
        self.problems: list[BadRecord] = []
        self.blind_targets: list[BadRecord] = []

    def take(self, person: Person, aimed_at: bool) -> None:
        """Count one photo, which may be the target of a pair."""
        self.sizes[person.size] += 1
        known = person.keypoints[present(person.keypoints), :2]
        self.joints += len(known)
        if not len(known):
            self.without_keypoints[person.name] = None
            if aimed_at:
                self.blind_targets.append(jointless(person, "target_keypoints"))
        margin = _OUTSIDE * person.size[0]
        if ((known < -margin) | (known > np.array(person.size[::-1]) + margin)).any():
            self.joints_outside[person.name] = None
        if person.parsing is not None:
            self.label_maps += 1
            self.labels_from["file" if person.label_set else self.unsaid] += 1
            self.labels.update(np.unique(person.parsing).tolist())

    def no_joints(self) -> Iterator[BadRecord]:
        """The targets without a joint; or, said once, that not one of the photos that could be read has one."""
        if self.sizes and not self.joints:
            reason = f"not one joint is known, in this photo and in all that could be read ({self.sizes.total():,})."
            yield BadRecord(next(iter(self.without_keypoints)), 0, f"{reason} {MAKE_POSE}", "missing")
        else:
            yield from self.blind_targets


def _spread(length: int, count: int) -> list[int]:
    """`count` of the numbers below `length`, evenly spread, the first among them."""
    count = max(0, min(length, count))
    return [place * length // count for place in range(count)]


def _persons(dataset: Dataset, chosen: Iterable[int], found: _Found) -> Iterator[tuple[Person | None, bool]]:
    """The chosen photos, and whether each is a target; None for one that cannot be used, whose record is kept."""
    names, targets = dataset.people(), frozenset(dataset.targets())
    for number in chosen:
        try:
            if names:
                yield dataset.person(names[number]), names[number] in targets
            else:
                pair = dataset.pair(number // 2)
                yield (pair.target, True) if number % 2 else (pair.source, False)
        except DataError as failure:
            found.problems.extend(failure.records)
            yield None, False


# ------------------------------------------------------------------------------------------- a sheet to look at
def contact_sheet(dataset: Dataset, *, rows: int = 6, title: str = "") -> Pillow.Image:
    """Pairs to look at: each photo, and the photo with its skeleton, dark where the pose mask is closed.

    A skeleton that does not sit on its person is seen here at once. Label maps, where there are any, in their colours,
    with the names of these.

    Args:
        dataset: Whose pairs; those that cannot be used are passed over.
        rows: How many pairs, spread evenly.
        title: Written above them.

    Returns:
        RGB.

    Raises:
        DataError: If not one of the pairs tried can be used.
    """
    pairs: list[Pair] = []
    records: list[BadRecord] = []
    for index in _spread(len(dataset), 2 * rows):
        try:
            pairs.append(dataset.pair(index))
        except DataError as failure:
            records.extend(failure.records)
    if not pairs:
        raise DataError.of(dict.fromkeys(records), shown=5)
    shown = [pairs[place] for place in _spread(len(pairs), rows)]
    parsed = any(pair.source.parsing is not None for pair in shown)
    columns = ["its label map", dataset.label_set] if parsed else []
    headings = ["source", "its pose", *columns, "target", "its pose"]
    tiles = [_tiles(pair, dataset.label_set if parsed else "") for pair in shown]
    return Sheet(headings, tiles, [pair.name for pair in shown], title).picture()


def _tiles(pair: Pair, label_set: str) -> list[Image]:
    """The pictures of a row; with the source's label map and what its colours mean, if a label set is given."""
    source, target, labels = pair.source, pair.target, list[Image]()
    if label_set and source.parsing is not None:
        labels = [voc_palette()[source.parsing], label_legend(source.parsing, label_set)]
    elif label_set:
        labels = [np.full_like(source.image, 255)] * 2
    return [source.image, _posed(source), *labels, target.image, _posed(target)]


def _posed(person: Person) -> Image:
    """The photo with the skeleton over it, darker outside the pose mask."""
    drawn = skeleton(person.keypoints, person.size)
    dark = np.where(pose_mask(person.keypoints, person.size)[..., None], person.image, person.image // 2)
    cover = drawn.max(axis=2, keepdims=True).astype(np.float32) / 255
    return np.asarray(np.rint(dark * (1 - cover) + drawn * cover), np.uint8)
