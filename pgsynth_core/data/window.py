"""A window of a photo: the person in the proportions that a method works in, wherever they stand; and back again.

A method sees people as its training data shows them, upright and filling the picture. In a photo of one's own somebody
stands small at the side. The window is what is cut out around them, grey where it reaches past the photo's edge, and
where the output goes back to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32
from PIL import Image as Pillow

from pgsynth_core.data.fit import PADDING, Picture, PictureLabels
from pgsynth_core.data.keypoints import present
from pgsynth_core.data.records import Image, Keypoints, LabelMap, Person

__all__ = ["ABOVE", "AROUND", "Window", "window_around"]

_Area = Float32[np.ndarray, "_H _W"]
ABOVE: Final = 0.14
"""Added above the highest joint, as a share of the joints' height: eyes and ears are not the top of a head."""

AROUND: Final = 0.08
"""Added below and beside the joints, as a share of the longer side of their box: feet and hands go on after them."""

_LEAST: Final = 8
"""Pixels a side of a window has at least."""


@dataclass(frozen=True)
class Window:
    """A rectangle of a photo, in whole pixels; it may reach past the photo's edges.

    Attributes:
        left: Its first column.
        top: Its first row.
        height: Rows.
        width: Columns.
    """

    left: int
    top: int
    height: int
    width: int

    def cut(self, person: Person) -> Person:
        """The person alone: image, joints and label map in the window's pixels; grey and background past the edges."""
        parsing = None if person.parsing is None else self.labels(person.parsing)
        joints = self.joints(person.keypoints)
        return Person(person.name, self.image(person.image), joints, parsing, person.label_set)

    def area(self, area: _Area) -> _Area:
        """The part of an area in it; nothing past the edges."""
        return self._cut(area, 0)

    def image(self, image: Image) -> Picture:
        """The photo's pixels in it; `fit.PADDING` past the edges."""
        return self._cut(image, PADDING)

    def labels(self, parsing: LabelMap) -> PictureLabels:
        """The labels in it; background past the edges."""
        return self._cut(parsing, 0)

    def joints(self, joints: Keypoints) -> Keypoints:
        """From the photo's pixels to the window's; missing ones stay missing."""
        moved = joints.copy()
        moved[present(joints), :2] -= np.array([self.left, self.top], np.float32)
        return moved

    def joints_back(self, joints: Keypoints) -> Keypoints:
        """The inverse of `joints`."""
        moved = joints.copy()
        moved[present(joints), :2] += np.array([self.left, self.top], np.float32)
        return moved

    def back(self, picture: Picture, photo: Image) -> Image:
        """A picture of the window, of any size, at its place in the photo; all around it the photo's own pixels.

        Args:
            picture: What a method made of the window.
            photo: Where it was cut from; not changed.
        """
        whole = photo.copy()
        rows, columns = self._inside(photo.shape[0], photo.shape[1])
        scaled = np.asarray(Pillow.fromarray(picture).resize((self.width, self.height), Pillow.Resampling.BICUBIC))
        whole[np.ix_(rows, columns)] = scaled[np.ix_(rows - self.top, columns - self.left)]
        return whole

    def _inside(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the photo that it covers."""
        rows = np.arange(max(0, self.top), min(height, self.top + self.height))
        columns = np.arange(max(0, self.left), min(width, self.left + self.width))
        return rows, columns

    def _cut(self, array: np.ndarray, padding: int) -> np.ndarray:
        part = np.full((self.height, self.width, *array.shape[2:]), padding, array.dtype)
        rows, columns = self._inside(array.shape[0], array.shape[1])
        part[np.ix_(rows - self.top, columns - self.left)] = array[np.ix_(rows, columns)]
        return part


def window_around(joints: Keypoints, size: tuple[int, int], *, of: tuple[int, int]) -> Window:
    """The window around a person, in the proportions of a method.

    Args:
        joints: The person's, in the photo's pixels; one at least is known.
        size: (height, width) that the method works at: its proportions are the window's, to a pixel.
        of: (height, width) of the photo. A joint that lies outside counts, but no further than another photo away.

    Raises:
        ValueError: If no joint is known.
    """
    known = present(joints)
    if not known.any():
        raise ValueError("a window is around a person, and no joint of one is known")
    places = np.clip(joints[known, :2].astype(np.float64), [-of[1], -of[0]], [2 * of[1], 2 * of[0]])
    (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
    reach = max(right - left, bottom - top, _LEAST)
    left, right, bottom = left - AROUND * reach, right + AROUND * reach, bottom + AROUND * reach
    top -= max(ABOVE * (bottom - top), AROUND * reach)
    tall = max(bottom - top, (right - left) * size[0] / size[1], _LEAST)
    height = round(tall)
    width = max(1, round(height * size[1] / size[0]))
    return Window(round((left + right - width) / 2), round((top + bottom - height) / 2), height, width)
