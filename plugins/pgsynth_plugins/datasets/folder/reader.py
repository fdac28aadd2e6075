"""Anyone's photos: a folder with ``pairs.csv``, and keypoints and label maps beside the photos.

``pairs.csv`` is UTF-8 with commas and the header
``source,target[,split,source_pose,target_pose,source_parsing,target_parsing]``; paths are relative to the folder.
Beside ``NAME.jpg`` lie ``NAME.pose.json`` (OpenPose JSON) and ``NAME.parsing.png`` (label map), unless the row names
others. Without a column ``split`` every row is for training and for testing.

Label maps are read with the option ``parsing``: whether a dataset gives them must be known before a file is opened. A
file that a row names must be there in any case.
"""

from __future__ import annotations

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
    no_keypoints,
    read_image,
    read_label_map,
    read_pose,
    read_table,
)
from pgsynth_core.errors import UserError, suggestion
from pgsynth_plugins.datasets.folder import Config

__all__ = ["Folder", "Photo"]

_SPLITS: Final = ("train", "test")


@dataclass(frozen=True)
class Photo:
    """Files of one person, relative to the root; empty: there is none."""

    image: str
    pose: str = ""
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
        pairs, problems = [], list(table.problems)
        for row in table.rows:
            try:
                if self._is_in(row, build):
                    pairs.append((self._photo(row, "source"), self._photo(row, "target")))
            except _NotThere as failure:
                problems.append(BadRecord(table.file, row.line, str(failure), "missing"))
            except ValueError as failure:
                problems.append(BadRecord(table.file, row.line, str(failure)))
        self.use(pairs, problems)

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

    def _photo(self, row: Row, role: str) -> str:
        """Note the files of a row's source or target; its name."""
        given = row.cells[role]
        if not inside(self.root, given).is_file():
            raise _NotThere(f"there is no photo {given!r}.")
        image = str(PurePosixPath(given))
        pose = self._file(row.cells.get(f"{role}_pose", ""), beside(image, POSE_SUFFIX))
        parsing = self._file(row.cells.get(f"{role}_parsing", ""), beside(image, PARSING_SUFFIX))
        photo = Photo(image, pose, parsing if self.label_set else "")
        self._photos.setdefault(photo.name, photo)
        return photo.name

    def _file(self, given: str, usual: str) -> str:
        """The file that a row names, which must be there; or the one beside the photo, which may be."""
        if not given:
            return usual if (self.root / usual).is_file() else ""
        if not inside(self.root, given).is_file():
            raise _NotThere(f"there is no file {given!r}.")
        return given

    def person(self, name: str) -> Person:
        """Read a photo, its keypoints and its label map; without a file of keypoints all joints are missing.

        Raises:
            DataError: If one of the files cannot be used, or the label map is not of the photo's size.
            KeyError: If no pair has it.
        """
        photo = self._photos[name]
        image = read_image(self.root / photo.image, shown=photo.image)
        size = (image.shape[0], image.shape[1])
        pose = read_pose(self.root / photo.pose, size=size, shown=photo.pose) if photo.pose else no_keypoints()
        if not photo.parsing:
            return Person(name, image, pose)
        parsing = read_label_map(self.root / photo.parsing, label_set=self.label_set, size=size, shown=photo.parsing)
        return Person(name, image, pose, parsing)

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether ``pairs.csv`` lies in the folder."""
        return (root / "pairs.csv").is_file()
