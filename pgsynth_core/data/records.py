"""What a dataset gives: persons in pairs, and the interface behind every part of kind ``dataset``. No torch.

Axes: H W pixels of the image as it is stored; the 18 joints are OpenPose's, see `keypoints`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Float32, UInt8

from pgsynth_core.errors import Problem, UserError, suggestion
from pgsynth_core.options import PartConfig

__all__ = [
    "BadRecord",
    "DataContext",
    "DataError",
    "Dataset",
    "Image",
    "Keypoints",
    "LabelMap",
    "Pair",
    "Person",
    "Split",
]

Image = UInt8[np.ndarray, "H W 3"]
"""RGB, 0 to 255."""

Keypoints = Float32[np.ndarray, "18 3"]
"""One row per OpenPose-18 joint: x, y, confidence.

x runs to the right and y down, in pixels of the image they belong to: the first pixel covers 0 to 1 and its centre is
0.5. A joint may lie outside the image. Confidence is in [0, 1]; a missing joint is 0, 0, 0.
"""

LabelMap = UInt8[np.ndarray, "H W"]
"""Indices into one label set, see `labels`; 0 is the background."""

Split = Literal["train", "test"]

LONGEST_NAME: Final = 200
"""Bytes of `Pair.name` where files name the pairs: file names may have 255, and endings are put behind it."""


@dataclass(frozen=True, eq=False)
class Person:
    """One photo of a person and what is known about it.

    Attributes:
        name: Which photo this is; the same photo has the same name in every pair.
        image: The photo at its stored size.
        keypoints: The joints, in pixels of `image`.
        parsing: Label map of the same size as `image`; None if the dataset has none.
        label_set: The set that the label map's own file says its labels are of; empty if it does not say, and then
            they are of the dataset's.

    Raises:
        ValueError: If shapes or dtypes are not those above, or a coordinate is not finite.
    """

    name: str
    image: Image
    keypoints: Keypoints
    parsing: LabelMap | None = None
    label_set: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8 or 0 in self.image.shape:
            raise ValueError(f"{self.name}: an image is uint8 [H, W, 3]; given: {_form(self.image)}")
        if self.keypoints.shape != (18, 3) or self.keypoints.dtype != np.float32:
            raise ValueError(f"{self.name}: keypoints are float32 [18, 3]; given: {_form(self.keypoints)}")
        if not np.isfinite(self.keypoints).all():
            raise ValueError(f"{self.name}: keypoints are finite numbers; given: {self.keypoints.tolist()}")
        parsing = self.parsing
        if parsing is not None and (parsing.dtype != np.uint8 or parsing.shape != self.image.shape[:2]):
            size = "x".join(map(str, self.image.shape[:2]))
            raise ValueError(f"{self.name}: a label map is uint8 of the image's size {size}; given: {_form(parsing)}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the photo in pixels."""
        return self.image.shape[0], self.image.shape[1]


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"


@dataclass(frozen=True, eq=False)
class Pair:
    """The same person twice: what is shown, and the pose to be shown in.

    Attributes:
        name: Unique in its dataset and the same every time: seeds, file names and results go by it. Without ``/``.
        source: Appearance comes from here.
        target: The pose comes from here, and the photo is the truth of training and scoring.
    """

    name: str
    source: Person
    target: Person


@dataclass(frozen=True)
class DataContext:
    """What a dataset may know while it is built.

    Attributes:
        split: Which part of the data.
        image_size: (height, width) in pixels that the method works at. A dataset that draws may draw at this size;
            one that reads gives its files as they are, core fits them.

    Raises:
        UserError: If there is no such split.
    """

    split: Split
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.split not in (splits := get_args(Split)):
            cure = suggestion(str(self.split), splits, what="splits")
            raise UserError(f"there is no split {self.split!r}.", where="split", cure=cure)


@dataclass(frozen=True)
class BadRecord:
    """One thing of a dataset that cannot be used.

    Attributes:
        file: The file it was found in or that it names, relative to the dataset's root.
        row: Line of that file, the header being line 1; 0 if the whole file is meant.
        reason: What is wrong, and what would be right.
        kind: ``row`` (a line of a table), ``missing`` (a file, or all joints of a photo, that are not there),
            ``unreadable`` (a file that is).
    """

    file: str
    row: int
    reason: str
    kind: Literal["row", "missing", "unreadable"] = "row"

    def __str__(self) -> str:
        return f"{self.file}:{self.row}: {self.reason}" if self.row else f"{self.file}: {self.reason}"


class DataError(UserError):
    """Data that cannot be used: `records` says what, the message says it with the cure."""

    records: tuple[BadRecord, ...] = ()

    @classmethod
    def of(cls, records: BadRecord | Iterable[BadRecord], *, cure: str = "", shown: int = 20) -> DataError:
        """The error about these records; its text shows the first `shown` of them and counts the rest."""
        found = (records,) if isinstance(records, BadRecord) else tuple(records)
        problems = [
            Problem(record.reason, where=f"{record.file}:{record.row}" if record.row else record.file)
            for record in found[:shown]
        ]
        if len(found) > shown:
            problems.append(Problem(f"and {len(found) - shown} more of {len(found)}."))
        if cure and problems:
            problems[-1] = Problem(problems[-1].message, where=problems[-1].where, cure=cure)
        error = cls(problems)
        error.records = found
        return error


class Dataset(ABC):
    """Pairs of photos of the same person; what a part of kind ``dataset`` implements.

    Built once per split. Building reads tables, never pictures; `pair` reads the files of one pair.

    Attributes:
        label_set: What the label maps' indices mean, e.g. ``atr18``; empty if there are no label maps.
        bad: What core does with a pair that cannot be used: ``fail`` ends the run with the record named, ``skip``
            counts it and takes the next pair. Datasets of files take it from their option ``bad``.
    """

    label_set: str = ""
    bad: Literal["fail", "skip"] = "fail"

    def __init__(self, config: PartConfig, build: DataContext) -> None:
        self._problems: dict[BadRecord, None] = {}

    @abstractmethod
    def __len__(self) -> int:
        """How many pairs there are."""

    @abstractmethod
    def name(self, index: int) -> str:
        """`Pair.name` of the pair at `index`, without reading a file."""

    @abstractmethod
    def pair(self, index: int) -> Pair:
        """The pair at `index`, from 0 to ``len(self) - 1``; the same arrays every time.

        Raises:
            DataError: If a file of the pair cannot be used; `records` names it.
            UserError: If something else fails, such as the network: no fault of the pair, and never passed over.
            IndexError: If there is no such pair.
        """

    # ------------------------------------------------------------------ optional
    def people(self) -> Sequence[str]:
        """Names of all photos that the pairs are made of, each once; empty if the dataset cannot say cheaply."""
        return ()

    def targets(self) -> Collection[str]:
        """Names of those of `people` that are the target of a pair; empty if the dataset cannot say cheaply."""
        return ()

    def person(self, name: str) -> Person:
        """The photo of that name; for datasets whose `people` is not empty.

        Raises:
            DataError: If one of its files cannot be used.
            KeyError: If there is no such photo.
        """
        raise KeyError(f"{type(self).__name__} has no photo {name!r} that can be read by itself")

    def photo_file(self, name: str) -> Path | None:
        """The picture's file of the photo of that name, where `read_image` of it gives the photo; else None."""
        return None

    def photos_of(self, index: int) -> tuple[str, str] | None:
        """Names of source and target of the pair at `index`, without reading a file; None if that cannot be said."""
        return None

    def photos(self) -> Sequence[Path]:
        """Files of all photos of the split, those that no pair has among them; empty if the dataset cannot say.

        For each of them `read_image` gives the photo. What a protocol calls the training images is these.

        Raises:
            DataError: If it knows of photos that are not there.
        """
        return ()

    def blocks(self) -> Sequence[int]:
        """Sizes of consecutive runs of indices that are read together, such as the pairs of one shard.

        Training takes such pairs soon after one another, and each process those of blocks of its own; see `order`.

        Returns:
            Each at least 1, together ``len(self)``; empty if no order costs more than another.
        """
        return ()

    def prefetch(self, indices: Sequence[int], *, wait: bool = False) -> None:
        """Told of pairs that will soon be asked for, so that what is far away may be fetched now.

        Only datasets that have `blocks` are told: of the first pairs before there are data workers, of later ones in
        these. It raises nothing: reading such a pair will.

        Args:
            indices: Which.
            wait: Return when everything is there, and leave no thread behind; else return at once.
        """
        return

    def facts(self) -> Mapping[str, int]:
        """What the dataset's tables say, in numbers for people: what is counted -> how many."""
        return {}

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether the folder looks like this dataset's layout; looks at names only."""
        return False

    # ------------------------------------------------------------------ what was found wrong
    @property
    def problems(self) -> tuple[BadRecord, ...]:
        """Everything found so far that could not be used and was skipped, in the order found, each once."""
        return tuple(self._problems)

    def report(self, records: Iterable[BadRecord]) -> None:
        """Add to `problems`; a record that is there already is not counted twice."""
        self._problems |= dict.fromkeys(records)
