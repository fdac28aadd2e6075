"""Anyone's photos: a folder with ``pairs.csv``, and keypoints and label maps beside the photos.

``pairs.csv`` is UTF-8 with commas and the header
``source,target[,split,source_pose,target_pose,source_parsing,target_parsing]``; paths are relative to the folder.
Beside ``NAME.jpg`` lie ``NAME.pose.json`` (OpenPose JSON) and ``NAME.parsing.png`` (label map), unless the row names
others. Without a column ``split`` every row is for training and for testing.

Label maps are read with the option ``parsing``: whether a dataset gives them must be known before a file is opened.
Every photo needs its pose file, every source its label map if they are read, and a file that a row names must be there
in any case; what is not there is found when the folder is opened, by listing it. Nobody needs a target's label map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pgsynth_core.data import (
    PARSING_SUFFIX,
    POSE_SUFFIX,
    BadRecord,
    DataContext,
    FileDataset,
    Person,
    Row,
    beside,
    existing_root,
    inside,
    no_label_map,
    read_image,
    read_labels,
    read_pose,
    read_table,
)
from pgsynth_core.errors import UserError, suggestion
from pgsynth_plugins.datasets.folder import Config

__all__ = ["Folder", "Photo"]

_SPLITS: Final = ("train", "test")


@dataclass(frozen=True)
class Photo:
    """Files of one person, relative to the root; without a label map, `parsing` is empty."""

    image: str
    pose: str
    parsing: str = ""

    @property
    def name(self) -> str:
        """The photo's path; with the other files where they are not those beside it."""
        usual = ("", beside(self.image, POSE_SUFFIX), beside(self.image, PARSING_SUFFIX))
        return " with ".join((self.image, *(file for file in (self.pose, self.parsing) if file not in usual)))


class _NotThere(ValueError):
    """A row names a file that does not exist."""


class Folder(FileDataset):
    """The reader.

    Args:
        config: Where and how.
        build: Which split.

    Raises:
        UserError: If the folder or ``pairs.csv`` is missing, or holds something unusable while `bad` is ``fail``.
    """

    def __init__(self, config: Config, build: DataContext) -> None:
        root = existing_root(config.root, part="folder")
        super().__init__(config, build, root=root, bad=config.bad)
        self.label_set = config.label_set if config.parsing else ""
        self._photos: dict[str, Photo] = {}
        if not self._pairs_file(root, config.pairs).is_file():
            cure = "Write it: a line source,target and then a line for each pair, paths relative to the folder."
            raise UserError(f"there is no {config.pairs} in {root}.", where="data.folder.root", cure=cure)
        table = read_table(root / config.pairs, columns=("source", "target"), shown=config.pairs)
        pairs, problems, lost = [], list(table.problems), dict[str, BadRecord]()
        for row in table.rows:
            try:
                if not self._is_in(row, build):
                    continue
                source, target = self._photo(row, "source"), self._photo(row, "target")
            except _NotThere as failure:
                problems.append(BadRecord(table.file, row.line, str(failure), "missing"))
            except ValueError as failure:
                problems.append(BadRecord(table.file, row.line, str(failure)))
            else:
                absent = tuple(self._absent(source, target, f"{table.file}:{row.line}"))
                for record in absent:
                    lost.setdefault(record.file, record)  # with the first row that wants it
                if not absent:
                    self._photos |= {source.name: source, target.name: target}
                    pairs.append((source.name, target.name))
        self.use(pairs, [*problems, *lost.values()])

    @staticmethod
    def _pairs_file(root: Path, given: str) -> Path:
        try:
            return inside(root, given)
        except ValueError as failure:
            cure = "Put it into the folder, and write its path from there: data.folder.pairs=pairs.csv."
            raise UserError(str(failure), where="data.folder.pairs", cure=cure) from None

    @staticmethod
    def _is_in(row: Row, build: DataContext) -> bool:
        split = row.cells.get("split", "")
        if split and split not in _SPLITS:
            raise ValueError(f"the split {split!r} is none. {suggestion(split, _SPLITS, what='splits')}")
        return split in ("", build.split)

    def _photo(self, row: Row, role: str) -> Photo:
        """The files of a row's source or target."""
        given = row.cells[role]
        if not self._is_there(given):
            raise _NotThere(f"there is no photo {given!r}.")
        image = str(PurePosixPath(given))
        pose, parsing = (row.cells.get(f"{role}_{what}", "") for what in ("pose", "parsing"))
        for file in filter(None, (pose, parsing)):
            if not self._is_there(file):
                raise _NotThere(f"there is no file {file!r}.")
        beside_it = beside(image, PARSING_SUFFIX)
        parsing = parsing or (beside_it if self.label_set and self.files.has(beside_it) else "")
        return Photo(image, pose or beside(image, POSE_SUFFIX), parsing if self.label_set else "")

    def _is_there(self, given: str) -> bool:
        inside(self.root, given)
        return self.files.has(given)

    def _absent(self, source: Photo, target: Photo, named: str) -> Iterator[BadRecord]:
        """What should lie beside the photos of a pair, and does not."""
        for photo in (source, target):
            if not self.files.has(photo.pose):
                reason = f"there is no such file, so not one joint is known of {photo.image} ({named})."
                yield BadRecord(photo.pose, 0, reason, "missing")
        if self.label_set and not source.parsing:
            yield no_label_map(beside(source.image, PARSING_SUFFIX), source.image, named)

    def person(self, name: str) -> Person:
        """Read a photo, its keypoints and, if it has one, its label map.

        Raises:
            DataError: If one of the files cannot be used, or the label map is not of the photo's size.
            KeyError: If no pair has it.
        """
        photo = self._photos[name]
        image = read_image(self.root / photo.image, shown=photo.image)
        size = (image.shape[0], image.shape[1])
        pose = read_pose(self.root / photo.pose, size=size, shown=photo.pose)
        if not photo.parsing:
            return Person(name, image, pose)
        labels = self.root / photo.parsing
        parsing, said = read_labels(labels, label_set=self.label_set, size=size, shown=photo.parsing)
        return Person(name, image, pose, parsing, said)

    def photo_file(self, name: str) -> Path:
        """The file of the photo of that name."""
        return self.root / self._photos[name].image

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether ``pairs.csv`` lies in the folder."""
        return (root / "pairs.csv").is_file()
