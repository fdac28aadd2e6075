"""The layout in which the field passes datasets on: photos in folders, keypoints and pairs in two CSV files per split.

DeepFashion (PATN, GFLA, DPTN, CFLD) and Market-1501 come in it, differing in names, folders and the size that the
keypoints are counted in. See `tables` for what is in the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.data.files import PARSING_SUFFIX, Listing, beside, inside, read_image, read_labels
from pgsynth_core.data.records import BadRecord, DataError, Person, Split
from pgsynth_core.data.stored import PhotoFolders, known_photos, no_label_map
from pgsynth_core.data.tables import Annotations, read_annotations, read_table
from pgsynth_core.errors import UserError, suggestion

__all__ = ["CommunityFiles", "CommunityLayout", "CommunityTables", "PairRule", "read_community"]

PairRule = Callable[[Annotations], Iterable[tuple[str, str]]]
"""Makes (source, target) pairs where there is no file of pairs."""


@dataclass(frozen=True, kw_only=True)
class CommunityLayout:
    """What differs between the datasets of this layout. Names may hold ``{split}``.

    Attributes:
        part: The dataset's name, for messages.
        space: (height, width) in pixels that the keypoints are counted in, whatever size the photos have.
        annotations: Names of the file of keypoints; the first that exists is read.
        pairs: Names of the file of pairs; the first that exists is read.
        folders: Where photos may lie, relative to the root; looked through in order.
        rule: Makes the pairs where there is no file of them; None if there must be one.
        listed: Name of the file that lists all photos of a split, one a line; empty if there is none.
    """

    part: str
    space: tuple[int, int]
    annotations: tuple[str, ...]
    pairs: tuple[str, ...]
    folders: tuple[str, ...]
    rule: PairRule | None = None
    listed: str = ""

    def recognises(self, root: Path) -> bool:
        """Whether a file of keypoints lies in the folder, of either split."""
        splits: tuple[Split, ...] = ("train", "test")
        return any((root / name).is_file() for split in splits for name in _for(self.annotations, split))


@dataclass(frozen=True, kw_only=True)
class CommunityFiles:
    """What the user says about the files.

    Attributes:
        annotation: File of keypoints relative to the root, instead of the layout's.
        pairs: File of pairs relative to the root, instead of the layout's.
        label_set: Of the label maps beside the photos; empty: none are read.
    """

    annotation: str = ""
    pairs: str = ""
    label_set: str = ""


@dataclass(frozen=True, eq=False)
class CommunityTables:
    """One split of a dataset in this layout.

    Attributes:
        root: The dataset's folder.
        layout: Which dataset.
        split: Which split.
        annotations: The keypoints.
        photos: Name of a photo -> its path relative to the root.
        pairs: (source, target) names; all have keypoints and a photo, and the source a label map if any are read.
        problems: What could not be used, in the order of the files.
        listed: How many pairs there were before those that could not be used were left out.
        label_set: Of the label maps beside the photos; empty if none are to be read.
    """

    root: Path
    layout: CommunityLayout
    split: Split
    annotations: Annotations
    photos: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]
    problems: tuple[BadRecord, ...]
    listed: int
    label_set: str = ""

    def photo_file(self, name: str) -> Path:
        """The file of a photo."""
        return self.root / self.photos[name]

    def all_photos(self) -> tuple[Path, ...]:
        """Files of all photos of the split, by the layout's list; empty where that is not there.

        Raises:
            DataError: If a photo of the list is not there.
        """
        file = self.layout.listed.format(split=self.split)
        if not file or not (self.root / file).is_file():
            return ()
        lines = (self.root / file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        wanted = {name: (file, line) for line, text in enumerate(lines, 1) if (name := text.strip())}
        found, lost = known_photos(wanted, PhotoFolders(self.root, _for(self.layout.folders, self.split)))
        if lost:
            raise DataError.of(lost, shown=3)
        return tuple(self.root / path for path in found.values())

    def person(self, name: str) -> Person:
        """Read a photo and the label map beside it, if there is one; its keypoints are scaled to its size.

        Raises:
            DataError: If the photo or the label map cannot be used.
            KeyError: If no pair has it.
        """
        path = self.photos[name]
        image = read_image(self.root / path, shown=path)
        size = image.shape[0], image.shape[1]
        scale = size[0] / self.layout.space[0], size[1] / self.layout.space[1]
        keypoints = self.annotations.keypoints(name, scale=scale)
        if not (self.label_set and (self.root / (file := beside(path, PARSING_SUFFIX))).is_file()):
            return Person(name, image, keypoints)
        parsing, said = read_labels(self.root / file, label_set=self.label_set, size=size, shown=file)
        return Person(name, image, keypoints, parsing, said)

    def facts(self) -> dict[str, int]:
        """What the tables say, in numbers."""
        return {
            "photos with a row of keypoints": len(self.annotations.lines),
            "of these, without a single joint": len(self.annotations.empty()),
            "pairs listed": self.listed,
        }


def read_community(
    root: Path, layout: CommunityLayout, split: Split, files: CommunityFiles | None = None
) -> CommunityTables:
    """Read one split's tables and look which photos are there; opens no photo.

    Args:
        root: The dataset's folder.
        layout: Which dataset.
        split: Which split.
        files: What is to be read instead of or beside the layout's files.

    Raises:
        UserError: If a file is missing that must be there, or a header lacks a column (`DataError`).
    """
    files = files or CommunityFiles()
    keypoints_file = _choose(root, layout, _for(layout.annotations, split), files.annotation, option="annotation")
    if keypoints_file is None:
        raise _no_file(root, layout, "keypoints", layout.annotations, split)
    table = read_annotations(root / keypoints_file, shown=keypoints_file)
    pairs_file = _choose(root, layout, _for(layout.pairs, split), files.pairs, option="pairs")
    if pairs_file is not None:
        listed, problems = _listed_pairs(root, pairs_file, table)
    elif layout.rule is not None:
        listed, problems = {pair: (table.file, table.lines[pair[0]]) for pair in layout.rule(table)}, []
    else:
        raise _no_file(root, layout, "pairs", layout.pairs, split)
    wanted: dict[str, tuple[str, int]] = {}
    for pair, place in listed.items():
        for name in pair:
            wanted.setdefault(name, place)
    photos, lost = known_photos(wanted, PhotoFolders(root, _for(layout.folders, split)))
    usable = tuple(pair for pair in listed if pair[0] in photos and pair[1] in photos)
    if files.label_set:
        bare = _without_label_map(Listing(root), {pair: listed[pair] for pair in usable}, photos)
        usable = tuple(pair for pair in usable if pair[0] not in bare)
        lost += bare.values()
    found = (*table.problems, *problems, *lost)
    return CommunityTables(
        root, layout, split, table, photos, usable, found, len(listed) + len(problems), files.label_set
    )


def _without_label_map(files: Listing, listed: Listed, photos: Mapping[str, str]) -> dict[str, BadRecord]:
    """The sources beside whose photo lies no label map, and what is said of each."""
    sources: dict[str, tuple[str, int]] = {}
    for (source, _), place in listed.items():
        sources.setdefault(source, place)
    maps = {name: beside(photos[name], PARSING_SUFFIX) for name in sources}
    return {
        name: no_label_map(file, photos[name], f"{sources[name][0]}:{sources[name][1]}")
        for name, file in maps.items()
        if not files.has(file)
    }


def _for(names: Sequence[str], split: Split) -> tuple[str, ...]:
    return tuple(name.format(split=split) for name in names)


def _choose(root: Path, layout: CommunityLayout, names: Sequence[str], given: str, *, option: str) -> str | None:
    if not given:
        return next((name for name in names if (root / name).is_file()), None)
    try:
        path = inside(root, given)
    except ValueError as failure:
        raise UserError(str(failure), where=f"data.{layout.part}.{option}") from failure
    if not path.is_file():
        there = sorted(file.name for file in root.glob("*.csv"))
        raise UserError(
            f"there is no file {given!r} in {root}.",
            where=f"data.{layout.part}.{option}",
            cure=suggestion(given, there, what="files"),
        )
    return given


def _no_file(root: Path, layout: CommunityLayout, what: str, names: Sequence[str], split: Split) -> UserError:
    there = ", ".join(sorted(file.name for file in root.glob("*.csv"))) or "none"
    wanted = " or ".join(_for(names, split))
    option = "annotation" if what == "keypoints" else what
    return UserError(
        f"{layout.part} has no file of {what} for {split} in {root}: {wanted}. CSV files there: {there}.",
        cure=f"Set data.{layout.part}.root to the folder that holds it, or name it: data.{layout.part}.{option}=FILE.",
    )


Listed = dict[tuple[str, str], tuple[str, int]]


def _listed_pairs(root: Path, file: str, keypoints: Annotations) -> tuple[Listed, list[BadRecord]]:
    """Pairs with the line that names them, and the rows that cannot be used."""
    table = read_table(root / file, columns=("from", "to"), shown=file)
    listed: Listed = {}
    problems = list(table.problems)
    for row in table.rows:
        pair = row.cells["from"], row.cells["to"]
        unknown = [name for name in dict.fromkeys(pair) if name not in keypoints.lines]
        if pair in listed:
            problems.append(BadRecord(file, row.line, f"this pair has a row already, line {listed[pair][1]}."))
        elif unknown:
            names = " and ".join(name or "an empty name" for name in unknown)
            reason = f"{names} without a usable row in {keypoints.file}."
            problems.append(BadRecord(file, row.line, reason))
        else:
            listed[pair] = file, row.line
    return listed, problems
