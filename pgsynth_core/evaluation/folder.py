"""A folder of results, whoever made them and however they are named: which file is which pair's.

Methods name their pictures after both photos, with ``_2_``, ``_to_`` or ``___`` between and perhaps ``_vis`` after, and
spell the photos' names in three ways. A naming is taken as a whole, the one that finds most pairs, and so is a
spelling: another than the list's counts only where no name is there as the list has it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pgsynth_core.data import read_image, unread
from pgsynth_core.errors import Problem, UserError, nearest
from pgsynth_core.evaluation.digests import file_digests
from pgsynth_core.evaluation.material import Bad, Looked, Material, Pictures, Shown
from pgsynth_core.evaluation.naming import NAMINGS, checked, key_by, keys_in, name_by
from pgsynth_core.evaluation.pairs import Listed, key_of, path_of
from pgsynth_core.evaluation.prepare import WHOLE, Cut
from pgsynth_core.metrics import Picture

__all__ = ["FolderPairs", "FolderPictures", "Matched", "find_photos", "looked", "margins", "match"]

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_TOLD: Final = 3


@dataclass(frozen=True)
class Matched:
    """Which files are which pairs'.

    Attributes:
        naming: How the predictions are named.
        pairs: Those that have a prediction and a truth.
        predicted: The file of each.
        truths: That of the truth of each.
        bad: The others.
        extra: Files in the folder of predictions that no pair asks for.
        twice: Pairs among them that have a second picture, by another naming or spelling; and which was taken.
    """

    naming: str
    pairs: tuple[Listed, ...]
    predicted: tuple[Path, ...]
    truths: tuple[Path, ...]
    bad: tuple[Bad, ...]
    extra: tuple[Path, ...]
    twice: tuple[Bad, ...] = ()


class _Index:
    """Pictures below a folder, by their names."""

    @classmethod
    def of(cls, folder: Path, *, what: str, flag: str) -> _Index:
        """All of them; UserError if there is none."""
        if not folder.is_dir():
            near = nearest(folder.name, (one.name for one in folder.absolute().parent.glob("*") if one.is_dir()))
            cure = f"{f'Did you mean {near!r}? ' if near else ''}Give the folder of the {what}."
            raise UserError(f"there is no folder {str(folder)!r}.", where=flag, cure=cure)
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        if not files:
            kinds = ", ".join(sorted(_SUFFIXES))
            raise UserError(f"there is no picture in {str(folder)!r} ({kinds}).", where=flag)
        return cls(folder, files)

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self.folder, self.files = folder, files
        self._paths: dict[str, list[Path]] = {}
        self._names: dict[str, list[tuple[str, Path]]] = {}
        for file in files:
            inside = file.relative_to(folder).as_posix()
            for path in (inside, path_of(inside)):
                self._paths.setdefault(path, []).append(file)
                self._names.setdefault(path.rpartition("/")[2], []).append((path, file))

    def exactly(self, naming: str, pairs: Sequence[Listed]) -> list[list[Path]]:
        """The files of each pair, named as the list writes its photos: with their folders, or within them."""
        return [self._of(naming, pair, number) for number, pair in enumerate(pairs)]

    def _of(self, naming: str, pair: Listed, number: int) -> list[Path]:
        if files := self._paths.get(name_by(naming, pair, number, folders=True)):
            return files
        name = name_by(naming, pair, number)
        folders = {path_of(photo).rpartition("/")[0] for photo in (pair.source, pair.target)}
        near = self._names.get(name.rpartition("/")[2], ())
        return [file for path, file in near if any(_lies_in(path, name, folder) for folder in folders)]

    def loosely(self, naming: str, pairs: Sequence[Listed]) -> list[list[Path]]:
        """The files of each pair by the keys of its photos; none where two photos of the list have one key."""
        photos = {path_of(photo) for pair in pairs for photo in (pair.source, pair.target)}
        shared = {key for key, count in Counter(map(key_of, photos)).items() if count > 1}
        files: dict[tuple[str, ...], dict[Path, None]] = {}
        for file in self.files:
            inside = path_of(file.relative_to(self.folder).as_posix())
            for name in {inside, inside.rpartition("/")[2]}:  # by folders, and flat
                for keys in keys_in(naming, name):
                    files.setdefault(keys, {})[file] = None
        wanted = [key_by(naming, pair) for pair in pairs]
        return [[] if shared & {*keys} else [*files.get(keys, ())] for keys in wanted]


def _lies_in(path: str, name: str, folder: str) -> bool:
    """Whether a path ends so, in a folder that may be the one of a list: each may know more of the way than the other.

    ``people/1/a`` is ``1/a`` and ``a`` in ``all/people/1``, and never ``a`` in ``people/2``.
    """
    if not f"/{path}".endswith(f"/{name}"):
        return False
    there, listed = path[: -len(name)].rstrip("/").split("/"), folder.split("/")
    least = min(len(there), len(listed))
    return there == [""] or listed == [""] or there[-least:] == listed[-least:]


def match(
    pairs: Sequence[Listed], predictions: Path, truths: Path, *, naming: str = "", either: bool = False
) -> Matched:
    """Find each pair's files.

    Args:
        pairs: At least one.
        predictions: Folder of a method's results.
        truths: Folder of the photos that the pairs name.
        naming: Pattern of a prediction's name, with ``{source}``, ``{target}``, ``{index}`` (place in the list, from 0)
            or ``{line}``; empty: whichever of `NAMINGS`, or the target's name alone where no target comes twice, finds
            most.
        either: Of a pair that has a second picture, by another naming, take the one that is named as most are; else
            the pair is bad. Where `naming` says which is meant, there is no second.

    Raises:
        UserError: If a folder or a picture in it is not there, the naming is none, or nothing matches; with what would
            match, and when source and target look exchanged.
    """
    made = _Index.of(predictions, what="pictures that a method made", flag="--pred")
    photos = _Index.of(truths, what="photos that the pairs name", flag="--gt")
    chosen, found = _found(pairs, made, (checked(naming),) if naming else _tried(pairs))
    _refuse_swapped(pairs, made, chosen, _hits(found))
    truth_of = _photos([pair.target for pair in pairs], photos)
    askers: dict[Path, list[Listed]] = {}
    for pair, files in zip(pairs, found, strict=True):
        for file in files:
            askers.setdefault(file, []).append(pair)
    extra = tuple(file for file in made.files if file not in askers)
    others = {} if naming else _named_otherwise(pairs, _Index(predictions, extra))
    good: list[tuple[Listed, Path, Path]] = []
    bad, twice = list[Bad](), list[Bad]()
    for number, (pair, files) in enumerate(zip(pairs, found, strict=True)):
        truth, besides = truth_of[pair.target], others.get(pair.name, ())
        wanted = name_by(chosen, pair, number)
        if problem := _problem(pair, files, truth, wanted, besides) or _others(pair, files[0], askers):
            bad.append(Bad(pair.name, problem))
            continue
        if besides:
            twice.append(Bad(pair.name, _second(files[0], besides, chosen)))
            if not either:
                bad.append(twice.pop())
                continue
        good.append((pair, files[0], truth[0]))
    if not good:
        raise _nothing(pairs, made, chosen, bad)
    kept, predicted, truth_files = zip(*good, strict=True)
    asked = {file for files in others.values() for file in files}
    extra = tuple(file for file in extra if file not in asked)
    return Matched(chosen, kept, predicted, truth_files, tuple(bad), extra, tuple(twice))


def _named_otherwise(pairs: Sequence[Listed], extra: _Index) -> dict[str, list[Path]]:
    """Of files that nobody asks for, those that are a pair's by any known naming and spelling."""
    found: dict[str, dict[Path, None]] = {}
    for naming in NAMINGS if extra.files else ():
        for way in (extra.exactly, extra.loosely):
            for pair, files in zip(pairs, way(naming, pairs), strict=True):
                if files:
                    found.setdefault(pair.name, {}).update(dict.fromkeys(files))
    return {name: [*files] for name, files in found.items()}


def _second(taken: Path, others: Sequence[Path], naming: str) -> Problem:
    listed = ", ".join(file.name for file in others[:_TOLD])
    cure = f"Take the others away; or say which is meant, e.g. --naming '{naming}'."
    return Problem(f"it has a second picture: {listed} beside {taken.name}.", cure=cure)


def _tried(pairs: Sequence[Listed]) -> tuple[str, ...]:
    each_once = len({pair.target for pair in pairs}) == len(pairs)
    return (*NAMINGS, "{target}") if each_once else NAMINGS


def _found(pairs: Sequence[Listed], made: _Index, namings: Sequence[str]) -> tuple[str, list[list[Path]]]:
    """The naming by which most pairs are found, and the files of each pair; loosely, only where none is by any."""
    for way in (made.exactly, made.loosely):
        found = {naming: way(naming, pairs) for naming in namings}
        best = max(found, key=lambda naming: _hits(found[naming]))
        if any(found[best]):
            break
    return best, found[best]


def _hits(found: Sequence[Sequence[Path]]) -> int:
    return sum(map(bool, found))


def _photos(names: Sequence[str], photos: _Index) -> dict[str, list[Path]]:
    """The files of each photo."""
    once = [*dict.fromkeys(names)]
    return dict(zip(once, _found([Listed(name, name, 0) for name in once], photos, ("{target}",))[1], strict=True))


def _refuse_swapped(pairs: Sequence[Listed], made: _Index, naming: str, hits: int) -> None:
    """The columns of the list look exchanged if more predictions are named so.

    Raises:
        UserError: If they do.
    """
    swapped = [Listed(pair.target, pair.source, pair.line) for pair in pairs]
    best = _hits(_found(swapped, made, (naming,) if hits else (naming, *_tried(swapped)))[1])
    if best > hits:
        message = (
            f"source and target look exchanged: {hits:,} of {len(pairs):,} predictions are named as the list says, "
            f"and {best:,} with source and target the other way round."
        )
        cure = "Exchange the names of the two columns in the header of the list; or say how files are named: --naming."
        raise UserError(message, where="--pairs", cure=cure)


def _others(pair: Listed, file: Path, askers: Mapping[Path, Sequence[Listed]]) -> Problem | None:
    """A file that several pairs ask for is nobody's: names can be read in two ways."""
    others = [one.name for one in askers[file] if one != pair]
    return Problem(f"its prediction {file.name} is that of {others[0]}, too.") if others else None


def _problem(
    pair: Listed, found: Sequence[Path], truth: Sequence[Path], wanted: str, besides: Sequence[Path]
) -> Problem | None:
    if not found:
        other = f"; {besides[0].name} is named otherwise" if besides else ""
        return Problem(f"there is no prediction {wanted!r}{other}.")
    if len(found) > 1:
        return Problem(f"several predictions are its: {', '.join(map(str, found[:_TOLD]))}.")
    if not truth:
        return Problem(f"there is no photo {pair.target!r} among the truths.")
    if len(truth) > 1:
        return Problem(f"several photos are its truth: {', '.join(map(str, truth[:_TOLD]))}.")
    return None


def _nothing(pairs: Sequence[Listed], made: _Index, naming: str, bad: Sequence[Bad]) -> UserError:
    if any("no prediction" not in one.problem.message for one in bad):
        return UserError([Problem(one.problem.message, one.name, one.problem.cure) for one in bad[:_TOLD]])
    there = ", ".join(file.name for file in made.files[:_TOLD])
    wanted = ", ".join(name_by(naming, pair, number) for number, pair in enumerate(pairs[:_TOLD]))
    near = nearest(name_by(naming, pairs[0], 0), (file.stem for file in made.files[:10_000]))
    hint = f" Nearest: {near!r}." if near else ""
    message = f"no file in {str(made.folder)!r} is named after a pair. There: {there}. Wanted, e.g.: {wanted}.{hint}"
    return UserError(message, where="--pred", cure=f"Say how they are named, e.g. --naming '{NAMINGS[0]}'.")


def find_photos(folder: Path, names: Sequence[str], *, flag: str) -> dict[str, Path]:
    """The file of each photo below a folder, in any spelling; without those that have none, or several.

    Args:
        folder: Where they are.
        names: As a list of pairs names them.
        flag: What gave the folder, for messages.

    Raises:
        UserError: If there is no such folder, or no picture in it.
    """
    photos = _Index.of(folder, what="photos that the pairs name", flag=flag)
    return {name: files[0] for name, files in _photos(names, photos).items() if len(files) == 1}


# ------------------------------------------------------------------------------------------- as pictures
@dataclass(frozen=True)
class FolderPairs(Material):
    """Matched files as what can be scored; see `material.Material`.

    Attributes:
        found: The files.
        cut: Of a prediction.
        truth_cut: Of a truth.
    """

    found: Matched
    cut: Cut = WHOLE
    truth_cut: Cut = WHOLE

    def __len__(self) -> int:
        return len(self.found.pairs)

    def name(self, index: int) -> str:
        """The pair's name."""
        return self.found.pairs[index].name

    def photos_of(self, index: int) -> tuple[str, ...]:
        """As the list names them."""
        return self.found.pairs[index].source, self.found.pairs[index].target

    def margins(self, indices: Sequence[int], aspect: float) -> str:
        """See `margins`; none where something is cut already."""
        return "" if self.cut.rule else margins([self.found.predicted[index] for index in indices[:_SAMPLED]], aspect)

    def look(self, index: int) -> Looked:
        """Hashes of the files, and sizes as their headers say."""
        predicted = looked(self.found.predicted[index], self.cut)
        truth = looked(self.found.truths[index], self.truth_cut)
        return Looked((predicted[0], truth[0]), (predicted[1], truth[1]))

    def read(self, index: int) -> Shown:
        """Both pictures of a pair, cut."""
        return Shown(_read(self.found.predicted[index], self.cut), _read(self.found.truths[index], self.truth_cut))


@dataclass(frozen=True)
class FolderPictures(Pictures):
    """All pictures below a folder; see `material.Pictures`."""

    files: tuple[Path, ...]

    @staticmethod
    def of(folder: Path, *, flag: str) -> FolderPictures:
        """Find them.

        Raises:
            UserError: If there is no such folder, or no picture in it.
        """
        return FolderPictures(tuple(_Index.of(folder, what="pictures to compare with", flag=flag).files))

    def __len__(self) -> int:
        return len(self.files)

    def digests(self, told: Callable[[int, int], None]) -> list[str]:
        """Of the files' content."""
        return file_digests(self.files, told)

    def read(self, index: int) -> Picture:
        """One of the pictures."""
        return _read(self.files[index], WHOLE)


def looked(file: Path, cut: Cut) -> tuple[str, tuple[int, int]]:
    """The hash of a picture's file, and (height, width) of what is cut out of it; decodes nothing.

    Raises:
        UserError: If it cannot be read.
        ValueError: If it is too small for the cut.
    """
    try:
        content = file.read_bytes()
        with Image.open(BytesIO(content)) as opened:
            width, height = opened.size
            if _orientation(opened) in _LYING:
                width, height = height, width
    except Exception as failure:  # a damaged file makes decoders raise anything
        raise UserError(f"it cannot be read: {unread(failure, file)}.", where=str(file)) from failure
    return hashlib.sha256(content).hexdigest(), (height, cut.width(width))


def margins(files: Sequence[Path], aspect: float) -> str:
    """The cut that takes off what look like margins left and right of pictures; empty if nothing does.

    Older methods write the 176 columns of a picture into the middle of a square; squeezed into 176 columns, it scores
    as badly as if the method were bad.

    Args:
        files: Pictures of one size; the first are looked at.
        aspect: Width over height that a picture should have.
    """
    pictures = list[Picture]()
    for file in files[:_SAMPLED]:
        with suppress(UserError):  # which is told elsewhere
            pictures.append(_read(file, WHOLE))
    if not pictures:
        return ""
    height, width = pictures[0].shape[:2]
    pictures = [one for one in pictures if one.shape[:2] == (height, width)]
    margin = (width - round(height * aspect)) // 2
    if margin < 1 or not all(_plain(one[:, :margin]) and _plain(one[:, width - margin :]) for one in pictures):
        return ""
    return f"{margin}:{width - margin}"


def _plain(part: Picture) -> bool:
    """Whether a part is of one colour, as a network paints it."""
    return int(np.ptp(part.reshape(-1, 3), axis=0).max()) <= _ONE_COLOUR


_SAMPLED: Final = 32
_ONE_COLOUR: Final = 32
"""Grey levels within which a colour is one."""


def _orientation(opened: Image.Image) -> int:
    """As EXIF says it. Pillow decodes a whole PNG to look behind its pixels for what is almost never there."""
    if opened.format == "PNG" and "exif" not in opened.info:
        return 1
    return int(opened.getexif().get(_ORIENTATION, 1))


_ORIENTATION: Final = 274
_LYING: Final = (5, 6, 7, 8)
"""EXIF orientations that turn a picture by a right angle."""


def _read(file: Path, cut: Cut) -> Picture:
    try:
        return cut.of(read_image(file, shown=str(file)))
    except ValueError as error:
        raise UserError(f"{error}.", where=str(file)) from error
