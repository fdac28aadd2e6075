"""A folder of results, whoever made them and however they are named: which file is which pair's.

Methods name their pictures after both photos, with ``_2_``, ``_to_`` or ``___`` between and perhaps ``_vis`` after, and
spell the photos' names in three ways. A naming is taken as a whole: the one that finds most pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pgsynth_core.data import read_image
from pgsynth_core.errors import Problem, UserError, nearest
from pgsynth_core.evaluation.material import Bad, Looked, Material, Pictures, Shown
from pgsynth_core.evaluation.pairs import Listed, key_of, stem_of
from pgsynth_core.evaluation.prepare import WHOLE, Cut
from pgsynth_core.metrics import Picture

__all__ = ["NAMINGS", "FolderPairs", "FolderPictures", "Matched", "find_photos", "looked", "margins", "match"]

NAMINGS: Final = (
    "{source}_2_{target}",
    "{source}_2_{target}_vis",
    "{source}_to_{target}",
    "{source}_to_{target}_vis",
    "{source}___{target}",
    "{source}___{target}_vis",
    "{source}__{target}",
    "{source}-{target}",
)
"""What is tried, the first of those that find equally many."""

_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_TOLD: Final = 3
_WORDS: Final = ("source", "target", "index", "line")


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
    """

    naming: str
    pairs: tuple[Listed, ...]
    predicted: tuple[Path, ...]
    truths: tuple[Path, ...]
    bad: tuple[Bad, ...]
    extra: tuple[Path, ...]


class _Index:
    """The pictures below a folder, by their names in two spellings: as they are, and by `key_of`."""

    def __init__(self, folder: Path, *, what: str, flag: str) -> None:
        if not folder.is_dir():
            raise UserError(f"there is no folder {str(folder)!r}.", where=flag, cure=f"Give the folder of the {what}.")
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        if not files:
            kinds = ", ".join(sorted(_SUFFIXES))
            raise UserError(f"there is no picture in {str(folder)!r} ({kinds}).", where=flag)
        self.folder, self.files = folder, files
        self._exact: dict[str, list[Path]] = {}
        self._keys: dict[str, list[Path]] = {}
        for file in files:
            inside = file.relative_to(folder).as_posix()
            self._exact.setdefault(stem_of(inside), []).append(file)
            for spelling in dict.fromkeys((key_of(stem_of(inside)), key_of(inside))):  # flat, and by folders
                self._keys.setdefault(spelling, []).append(file)

    def find(self, stem: str) -> list[Path]:
        """The files of a name; several are one too many."""
        return self._exact.get(stem) or self._keys.get(key_of(stem)) or []


def match(pairs: Sequence[Listed], predictions: Path, truths: Path, *, naming: str = "") -> Matched:
    """Find each pair's files.

    Args:
        pairs: At least one.
        predictions: Folder of a method's results.
        truths: Folder of the photos that the pairs name.
        naming: Pattern of a prediction's name, with ``{source}``, ``{target}``, ``{index}`` (place in the list, from 0)
            or ``{line}``; empty: whichever of `NAMINGS`, or the target's name alone where no target comes twice, finds
            most.

    Raises:
        UserError: If a folder or a picture in it is not there, the naming is none, or nothing matches; with what would
            match, and when source and target look exchanged.
    """
    made = _Index(predictions, what="pictures that a method made", flag="--pred")
    photos = _Index(truths, what="photos that the pairs name", flag="--gt")
    chosen = _checked(naming) if naming else _best(pairs, made)
    good: list[tuple[Listed, Path, Path]] = []
    bad: list[Bad] = []
    used: dict[Path, Listed] = {}
    for number, pair in enumerate(pairs):
        found, truth = made.find(_name(chosen, pair, number)), photos.find(_photo(pair.target, photos))
        problem = _problem(pair, found, truth, _name(chosen, pair, number))
        if not problem and found[0] in used:
            problem = Problem(f"its prediction {found[0].name} is that of {used[found[0]].name}, too.")
        if problem:
            bad.append(Bad(pair.name, problem))
            continue
        used[found[0]] = pair
        good.append((pair, found[0], truth[0]))
    _refuse_swapped(pairs, made, chosen, len(good))
    extra = tuple(file for file in made.files if file not in used)
    if not good:
        raise _nothing(pairs, made, chosen, bad)
    kept, predicted, truth_files = zip(*good, strict=True)
    return Matched(chosen, kept, predicted, truth_files, tuple(bad), extra)


def _checked(naming: str) -> str:
    try:
        naming.format(**dict.fromkeys(_WORDS, ""))
    except (KeyError, ValueError, IndexError) as error:
        cure = "Its words are {source}, {target}, {index} and {line}, e.g. '{source}_2_{target}'."
        raise UserError(f"{naming!r} is no naming: {error}.", where="--naming", cure=cure) from error
    if not any(f"{{{word}" in naming for word in _WORDS):
        raise UserError(f"{naming!r} names one file for all pairs.", where="--naming", cure="Put {source} in it.")
    return naming


def _name(naming: str, pair: Listed, number: int) -> str:
    return naming.format(source=stem_of(pair.source), target=stem_of(pair.target), index=number, line=pair.line)


def _photo(name: str, photos: _Index) -> str:
    """How the photo is to be looked up: by its last name, or, where that alone is not found, by its whole path."""
    return stem_of(name) if photos.find(stem_of(name)) else name


def _best(pairs: Sequence[Listed], made: _Index) -> str:
    tried = [*NAMINGS]
    if len({pair.target for pair in pairs}) == len(pairs):
        tried.append("{target}")
    found = {naming: _hits(pairs, made, naming) for naming in tried}
    return max(found, key=lambda naming: found[naming])


def _hits(pairs: Sequence[Listed], made: _Index, naming: str) -> int:
    return sum(bool(made.find(_name(naming, pair, number))) for number, pair in enumerate(pairs))


def _refuse_swapped(pairs: Sequence[Listed], made: _Index, naming: str, good: int) -> None:
    """The columns of the list look exchanged if more predictions are named so.

    Raises:
        UserError: If they do.
    """
    swapped = [Listed(pair.target, pair.source, pair.line) for pair in pairs]
    namings = (naming, _best(swapped, made)) if not good else (naming,)
    best = max(_hits(swapped, made, one) for one in namings)
    if best > good:
        message = (
            f"source and target look exchanged: {good:,} of {len(pairs):,} predictions are named as the list says, "
            f"and {best:,} with source and target the other way round."
        )
        cure = "Exchange the names of the two columns in the header of the list; or say how files are named: --naming."
        raise UserError(message, where="--pairs", cure=cure)


def _problem(pair: Listed, found: Sequence[Path], truth: Sequence[Path], wanted: str) -> Problem | None:
    if not found:
        return Problem(f"there is no prediction {wanted!r}.")
    if len(found) > 1:
        return Problem(f"several predictions are its: {', '.join(file.name for file in found[:_TOLD])}.")
    if not truth:
        return Problem(f"there is no photo {pair.target!r} among the truths.")
    if len(truth) > 1:
        return Problem(f"several photos are its truth: {', '.join(map(str, truth[:_TOLD]))}.")
    return None


def _nothing(pairs: Sequence[Listed], made: _Index, naming: str, bad: Sequence[Bad]) -> UserError:
    if any("no prediction" not in one.problem.message for one in bad):
        return UserError([Problem(one.problem.message, one.name) for one in bad[:_TOLD]])
    there = ", ".join(file.name for file in made.files[:_TOLD])
    wanted = ", ".join(_name(naming, pair, number) for number, pair in enumerate(pairs[:_TOLD]))
    near = nearest(_name(naming, pairs[0], 0), (file.stem for file in made.files[:10_000]))
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
    photos = _Index(folder, what="photos that the pairs name", flag=flag)
    found = {name: photos.find(_photo(name, photos)) for name in names}
    return {name: files[0] for name, files in found.items() if len(files) == 1}


# ------------------------------------------------------------------------------------------- as pictures
@dataclass(frozen=True)
class FolderPairs(Material):
    """Matched files as what can be scored; see `scoring.Material`.

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

    def photos(self, index: int) -> tuple[str, ...]:
        """As the list names them."""
        return self.found.pairs[index].source, self.found.pairs[index].target

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
    """All pictures below a folder; see `scoring.Pictures`."""

    files: tuple[Path, ...]

    @staticmethod
    def of(folder: Path, *, flag: str) -> FolderPictures:
        """Find them.

        Raises:
            UserError: If there is no such folder, or no picture in it.
        """
        return FolderPictures(tuple(_Index(folder, what="pictures to compare with", flag=flag).files))

    def __len__(self) -> int:
        return len(self.files)

    def digest(self, index: int) -> str:
        """Of the file's content."""
        return looked(self.files[index], WHOLE)[0]

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
        reason = str(getattr(failure, "strerror", None) or failure).rstrip(".") or type(failure).__name__
        raise UserError(f"it cannot be read: {reason}.", where=str(file)) from failure
    return hashlib.sha256(content).hexdigest(), (height, cut.width(width))


def margins(files: Sequence[Path], aspect: float) -> str:
    """The cut that takes off what look like margins left and right of pictures; empty if nothing does.

    Older methods write the 176 columns of a picture into the middle of a square; squeezed into 176 columns, it scores
    as badly as if the method were bad.

    Args:
        files: Pictures of one size; the first are looked at.
        aspect: Width over height that a picture should have.
    """
    pictures = []
    with suppress(UserError):  # which is told elsewhere
        pictures += [_read(file, WHOLE) for file in files[:_SAMPLED]]
    if not pictures:
        return ""
    height, width = pictures[0].shape[:2]
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
