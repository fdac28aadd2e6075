"""A contact sheet of annotations: the skeleton and the labels over the photo, and what each colour means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pgsynth_core.api.annotations import place_of, read_parsing
from pgsynth_core.api.photo_files import PhotoFile
from pgsynth_core.data import DataError, Keypoints, present, read_image, read_pose, skeleton, voc_palette
from pgsynth_core.data.sheet import PAPER, Sheet, label_legend

__all__ = ["Shown", "annotation_sheet"]

_HEADINGS: Final = ("photo", "pose", "label map", "labels")
_HEIGHT: Final = 288
_WIDEST: Final = 512
_NAME: Final = 60
_VEIL: Final = 0.45
"""How much of the photo is left below what is drawn over it."""
_OTHER: Final = (250, 250, 250)


@dataclass(frozen=True)
class Shown:
    """A photo of the sheet.

    Attributes:
        file: Where it and its annotations are.
        said: What is odd about it, for the caption.
        people: Everybody who was seen, the most certain first; none where that is not known.
    """

    file: PhotoFile
    said: str
    people: tuple[Keypoints, ...] = ()


def annotation_sheet(shown: Sequence[Shown]) -> Image.Image:
    """The sheet, of what stands in the files; a photo that cannot be read any more has an empty tile and the reason."""
    rows, captions = [], []
    for number, one in enumerate(shown, start=1):
        said = one.said
        try:
            rows.append(_row(one))
        except DataError as failure:  # known, and damaged since
            rows.append([np.full((_HEIGHT, _HEIGHT, 3), PAPER, np.uint8), None, None, None])
            said = failure.records[0].reason
        name = one.file.path.name if len(one.file.path.name) <= _NAME else f"{one.file.path.name[:_NAME]}..."
        captions.append(f"{number}  {name}" + (f": {said}" if said else ""))
    columns = [place for place in range(len(_HEADINGS)) if any(row[place] is not None for row in rows)]
    tiles = [[_none(row[0]) if row[place] is None else row[place] for place in columns] for row in rows]
    return Sheet([_HEADINGS[place] for place in columns], tiles, captions).picture()


def _row(one: Shown) -> list[Any]:
    """The photo, then what is known of it; None for what is not.

    Raises:
        DataError: If the photo cannot be read.
    """
    photo = read_image(one.file.path)
    small = _small(photo)
    scale = np.array([small.shape[1] / photo.shape[1], small.shape[0] / photo.shape[0], 1], np.float32)
    veiled = (small * _VEIL).astype(np.uint8)
    try:
        joints = read_pose(place_of(one.file.stem, "pose"), size=(photo.shape[0], photo.shape[1]))
        posed = _posed(veiled, joints * scale, [person * scale for person in one.people])
    except DataError:
        posed = None
    try:
        parsing, label_set = read_parsing(place_of(one.file.stem, "parsing"))
    except DataError:
        return [small, posed, None, None]
    labels = np.asarray(Image.fromarray(parsing).resize(small.shape[1::-1], Image.Resampling.NEAREST))
    coloured = (voc_palette()[labels] * (1 - _VEIL) + veiled).astype(np.uint8)
    mapped = np.where(labels[..., None] > 0, coloured, veiled)
    return [small, posed, mapped, label_legend(parsing, label_set)]


def _small(photo: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    factor = min(_HEIGHT / height, _WIDEST / width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def _posed(below: np.ndarray, joints: Keypoints, people: Sequence[Keypoints]) -> np.ndarray:
    """The one who is meant in colours, others in white; where there are several, with their numbers."""
    size, drawn = (below.shape[0], below.shape[1]), below
    for person in people:
        if not np.allclose(person, joints, atol=0.1):
            drawn = _over(drawn, skeleton(person, size).any(axis=2, keepdims=True) * np.array(_OTHER, np.uint8))
    drawn = _over(drawn, skeleton(joints, size))
    if len(people) < 2:
        return drawn
    picture = Image.fromarray(drawn)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for number, person in enumerate(people, start=1):
        x, y = person[present(person), :2].min(axis=0).clip(2, (size[1] - 14, size[0] - 18)).tolist()
        pen.text((x, y), str(number), "white", font=font, stroke_width=2, stroke_fill="black")
    return np.asarray(picture)


def _over(below: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.where(drawn.any(axis=2, keepdims=True), drawn, below).astype(np.uint8)


def _none(small: np.ndarray) -> Any:
    """An empty tile: nothing is known."""
    return np.full_like(small, PAPER)
