"""Fitting a photo of any size into the size a method works at: image, keypoints and label map by one and the same map.

``squash`` stretches the whole photo to the size. ``pad`` shows the whole photo in its own proportions, in the middle,
with grey beside it. ``crop`` fills the size with the middle of the photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from pgsynth_core.data.keypoints import present
from pgsynth_core.data.records import Image, Keypoints, LabelMap, Person

__all__ = ["PADDING", "Fit", "FitMode", "fit_person"]

Picture = UInt8[np.ndarray, "h w 3"]
PictureLabels = UInt8[np.ndarray, "h w"]
"""As `Image` and `LabelMap`, at the size of the picture: h w are not the photo's H W."""

FitMode = Literal["squash", "pad", "crop"]

_HARDLY: Final = 1e-6
"""So much of a pixel is none of it: what calculating with fractions adds."""

PADDING: Final = 128
"""Grey beside a padded photo, in each channel; the middle of [-1, 1]. Labels are padded with 0."""


@dataclass(frozen=True)
class Fit:
    """How a photo lies in a picture.

    Attributes:
        stored: (height, width) of the photo in pixels.
        size: (height, width) of the picture.
        mode: As the spec's `fit` says.

    Raises:
        ValueError: If a side is not positive, or the mode is unknown.
    """

    stored: tuple[int, int]
    size: tuple[int, int]
    mode: FitMode

    def __post_init__(self) -> None:
        if min(*self.stored, *self.size) < 1:
            raise ValueError(f"sizes are at least 1x1; given: {self.stored} into {self.size}")
        if self.mode not in ("squash", "pad", "crop"):
            raise ValueError(f"fit is squash, pad or crop; given: {self.mode!r}")

    # ------------------------------------------------------------------ the map
    @property
    def seen(self) -> tuple[float, float, float, float]:
        """The part of the photo that is in the picture: left, top, right, bottom in the photo's pixels."""
        height, width = self.stored
        if self.mode != "crop":
            return 0.0, 0.0, float(width), float(height)
        scale = max(self.size[0] / height, self.size[1] / width)
        tall, wide = min(self.size[0] / scale, height), min(self.size[1] / scale, width)
        left, top = (width - wide) / 2, (height - tall) / 2
        return left, top, left + wide, top + tall

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Where that part lies in the picture: left, top, right, bottom in whole pixels."""
        tall, wide = self.size
        if self.mode == "pad":
            scale = min(self.size[0] / self.stored[0], self.size[1] / self.stored[1])
            tall = min(tall, max(1, round(self.stored[0] * scale)))
            wide = min(wide, max(1, round(self.stored[1] * scale)))
        left, top = (self.size[1] - wide) // 2, (self.size[0] - tall) // 2
        return left, top, left + wide, top + tall

    @property
    def scale(self) -> tuple[float, float]:
        """Picture's pixels per photo's pixel, (y, x)."""
        seen, place = self.seen, self.place
        return (place[3] - place[1]) / (seen[3] - seen[1]), (place[2] - place[0]) / (seen[2] - seen[0])

    def _shift(self) -> tuple[float, float]:
        """What is added to (y, x) after scaling."""
        seen, place, (down, across) = self.seen, self.place, self.scale
        return place[1] - seen[1] * down, place[0] - seen[0] * across

    # ------------------------------------------------------------------ there
    def image(self, image: Image) -> Picture:
        """The picture: bicubic, antialiased; `PADDING` beside a padded photo.

        Raises:
            ValueError: If the image is not of the stored size.
        """
        return self._resized(image, Pillow.Resampling.BICUBIC, PADDING)

    def labels(self, parsing: LabelMap) -> PictureLabels:
        """The label map of the picture: nearest; background beside a padded photo.

        Raises:
            ValueError: If the map is not of the stored size.
        """
        return self._resized(parsing, Pillow.Resampling.NEAREST, 0)

    def keypoints(self, keypoints: Keypoints) -> Keypoints:
        """The joints in pixels of the picture; one that a crop cuts off lies outside it."""
        (down, across), (below, right) = self.scale, self._shift()
        return _moved(keypoints, (across, down), (right, below))

    def _resized(self, array: np.ndarray, resample: Pillow.Resampling, padding: int) -> np.ndarray:
        if array.shape[:2] != self.stored:
            raise ValueError(f"this fits what is {self.stored} high and wide; given: {array.shape[:2]}")
        left, top, right, bottom = self.place
        if self.stored == self.size:
            return array.copy()
        photo = Pillow.fromarray(array).resize((right - left, bottom - top), resample, box=self.seen)
        picture = np.full((*self.size, *array.shape[2:]), padding, np.uint8)
        picture[top:bottom, left:right] = np.asarray(photo)
        return picture

    # ------------------------------------------------------------------ and back
    def keypoints_back(self, keypoints: Keypoints) -> Keypoints:
        """From pixels of the picture to the photo's: the inverse of `keypoints`."""
        (down, across), (below, right) = self.scale, self._shift()
        return _moved(keypoints, (1 / across, 1 / down), (-right / across, -below / down))

    def image_back(self, picture: Picture) -> Image:
        """The picture's part that shows the photo, at the photo's scale; pixels that a crop cut off wholly are grey.

        Raises:
            ValueError: If the picture is not of this size.
        """
        if picture.shape[:2] != self.size:
            raise ValueError(f"the picture is {self.size} high and wide; given: {picture.shape[:2]}")
        if self.stored == self.size:
            return picture.copy()
        left, top, right, bottom = self.place
        seen, scale = np.array(self.seen), np.array(self.scale[::-1])
        near, far = np.floor(seen[:2] + _HARDLY).astype(int), np.ceil(seen[2:] - _HARDLY).astype(int)  # whole pixels
        before, after = (seen[:2] - near) * scale, (far - seen[2:]) * scale  # what of them lies outside the picture
        edge = max(0, int(np.ceil(max(*before, *after))))  # there it goes on as at its edge
        part = np.pad(picture[top:bottom, left:right], ((edge, edge), (edge, edge), (0, 0)), mode="edge")
        box = (*(edge - before), *(edge + after + [right - left, bottom - top]))
        wide, tall = far - near
        photo = np.full((*self.stored, 3), PADDING, np.uint8)
        photo[near[1] : far[1], near[0] : far[0]] = np.asarray(
            Pillow.fromarray(part).resize((int(wide), int(tall)), Pillow.Resampling.BICUBIC, box=box)
        )
        return photo


def _moved(keypoints: Keypoints, scale: tuple[float, float], shift: tuple[float, float]) -> Keypoints:
    moved = keypoints.copy()
    known = present(keypoints)
    moved[known, :2] = keypoints[known, :2].astype(np.float64) * scale + shift
    return moved


def fit_person(person: Person, size: tuple[int, int], mode: FitMode) -> Person:
    """The person in a picture of (height, width) `size`: image, keypoints and label map together."""
    fit = Fit(person.size, size, mode)
    parsing = None if person.parsing is None else fit.labels(person.parsing)
    return Person(person.name, fit.image(person.image), fit.keypoints(person.keypoints), parsing, person.label_set)
