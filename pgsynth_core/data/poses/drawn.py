"""Joints read back from a picture of a skeleton as `draw` and ControlNet draw it, in its colours on black.

A disc of a joint that is seen whole gives the joint by its middle. Of one that lies under others, drawn later, the
place is the one at which the skeleton, drawn again, is most like the picture; tried are where a piece of it is seen,
and, if a limb that ends there is, the joints that may cover it. A joint that leaves no trace is missing, and so is one
of which the picture does not tell the place within a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from pgsynth_core.data.draw import LIMB_DIMMING, drawn_with, stroke
from pgsynth_core.data.keypoints import JOINT_COLOURS, LIMB_COLOURS, LIMBS, no_keypoints, present
from pgsynth_core.data.records import Image, Keypoints

__all__ = ["joints_drawn"]

_BLACK: Final = 40
"""Pixels with no channel above are background."""

_MOST_DRAWN: Final = 0.4
"""A skeleton covers no larger share of a picture."""

_NEAR: Final = 45
"""A pixel whose every channel is so near a colour has it; neighbours among the colours are 85 apart."""

_EXACT: Final = 12
"""So near, a pixel has nothing else in it."""

_RIM: Final = 0.3
"""Pixels by which a disc looks smaller, where only pixels that are near its colour count."""

_WHOLE: Final = 0.8
"""A disc of which such a share is seen is seen whole."""

_TOLD: Final = 0.66
"""A joint under others is there if so much of what it would show is in the picture; rims that blend show less."""

_UNLIKE: Final = 0.6
"""A skeleton that, drawn again, differs by a larger share of the light in the picture is none."""

_STARTS: Final = 3
"""Of the places at which a joint may lie under others so many are looked at more closely."""

_FAR: Final = 4
"""Radii. A joint under others is not further away from where it is looked for."""

_AROUND: Final = tuple(np.array([np.cos(turn), np.sin(turn)]) for turn in np.arange(8) * np.pi / 4)
"""Ways of one pixel."""

_CLEAR: Final = 0.5
"""A place under others is told if at every other, a pixel away too, so many full pixels of light differ more."""

_TOO_MANY: Final = 40_000
"""Pixels of one colour in discs: no skeleton has them at sizes that are read."""


def joints_drawn(image: Image) -> Keypoints:
    """The joints, in pixels of the picture, of the one skeleton in it; confidences are 1.

    Raises:
        ValueError: If it is no such picture, or several skeletons are in it; the message is a reason.
    """
    bright = image.max(axis=2) > _BLACK
    share = float(bright.mean())
    if not share:
        raise ValueError("it is black all over")
    if share > _MOST_DRAWN:
        raise ValueError("its background is not black")
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    top, left = max(0, int(rows[0]) - 2), max(0, int(columns[0]) - 2)
    part = image[top : int(rows[-1]) + 3, left : int(columns[-1]) + 3].astype(np.float32)
    drawing = _Drawing(part, stroke(image.shape[0]))
    joints = drawing.joints()
    there = present(joints)
    if there.sum() < 2:
        raise ValueError("fewer than two discs in the colours of joints are in it")
    unlike = drawing.unlike(joints) / float(drawing.picture.sum())
    if unlike > _UNLIKE:
        raise ValueError(f"drawn again, the joints that are found in it look {100 * unlike:.0f} % different")
    joints[there, :2] += (left, top)
    return joints


@dataclass(frozen=True)
class _Part:
    """A part of a drawing, `left` and `top` pixels into it."""

    picture: np.ndarray
    left: int
    top: int
    radius: float

    def unlike(self, joints: Keypoints) -> float:
        """How much light differs here where the joints of the drawing are drawn again."""
        return float(np.abs(self.drawn(joints) - self.picture).sum())

    def drawn(self, joints: Keypoints) -> np.ndarray:
        """The joints of the drawing drawn again, as far as they lie here."""
        here = joints - np.array([self.left, self.top, 0], np.float32)
        return drawn_with(here, (self.picture.shape[0], self.picture.shape[1]), self.radius)


@dataclass
class _Drawing:
    """The part of a picture that is drawn on.

    Attributes:
        picture: RGB.
        radius: Of its discs: as we draw them, unless they turn out to have another.
    """

    picture: np.ndarray
    radius: float

    def joints(self) -> Keypoints:
        """The joints, in pixels of the part."""
        pieces = [_pieces(self._having(colour, 1.0)) for colour in JOINT_COLOURS]
        areas = [len(found[0]) for found in pieces if found]
        if not areas:
            return no_keypoints()
        radius = float(np.sqrt(np.median(sorted(areas)[len(areas) // 2 :]) / np.pi)) + _RIM
        if abs(radius - self.radius) > 2 * _RIM:
            self.radius = max(0.75, radius)
        if any(np.ptp(found[0], axis=0).max() > 3 * self.radius + 2 for found in pieces if found):
            raise ValueError("what has the colours of joints in it are no discs")
        joints, unsure = no_keypoints(), dict[int, list[np.ndarray]]()
        for joint, found in enumerate(pieces):
            near = [piece for piece in found if _apart(piece, found[0]) <= 2.5 * self.radius]
            whole = _WHOLE * np.pi * max(0.5, self.radius - _RIM) ** 2
            if any(len(piece) >= whole for piece in found if not any(piece is one for one in near)):
                raise ValueError("several skeletons are in it: it has two discs of one joint's colour")
            if near and len(near[0]) >= whole:
                joints[joint] = *_centre(self._core(near[0], JOINT_COLOURS[joint])), 1
            else:
                unsure[joint] = [_centre(piece) for piece in near]
        for _ in range(min(2, len(unsure))):  # what is found of one tells about the next
            for joint, guesses in unsure.items():
                joints[joint] = self._fitted(joints, joint, guesses)
        for joint in [joint for joint in unsure if joints[joint, 2]]:
            beside = {other for limb in LIMBS if joint in limb for other in limb} & unsure.keys()
            if any(not joints[other, 2] and self._limb_seen(joints, other) for other in beside):
                joints[joint] = 0  # a limb is seen to a joint that is not found: its colour misled this one
        return joints

    def unlike(self, joints: Keypoints) -> float:
        """How much light differs where the joints are drawn again."""
        return _Part(self.picture, 0, 0, self.radius).unlike(joints)

    def _having(self, colour: tuple[int, int, int], dimming: float) -> np.ndarray:
        """The pixels of a colour: rows of y, x."""
        near = np.abs(self.picture - np.asarray(colour, np.float32) * np.float32(dimming)).max(axis=2) <= _NEAR
        found = np.argwhere(near)
        if len(found) > _TOO_MANY:
            raise ValueError("a joint's colour covers more of it than a disc would")
        return found

    def _core(self, piece: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
        """The pixels of a disc that it covers all of, where there are some: its rim is blended with what is below."""
        apart = np.abs(self.picture[piece[:, 0], piece[:, 1]] - np.asarray(colour, np.float32)).max(axis=1)
        core = piece[apart <= _EXACT]
        return core if len(core) > 3 else piece

    def _fitted(self, joints: Keypoints, joint: int, guesses: list[np.ndarray]) -> np.ndarray:
        """Where the joint lies under others; all 0 if that cannot be told, or the picture is as well without it."""
        later = [joints[other, :2] for other in np.flatnonzero(present(joints)) if other > joint]
        if self._limb_seen(joints, joint):
            guesses = guesses + later
        nowhere = np.zeros(3, np.float32)
        if not guesses:
            return nowhere
        trial = joints.copy()
        beside = [other for limb in LIMBS if joint in limb for other in limb if other != joint and joints[other, 2]]

        def around(places: list[np.ndarray]) -> _Part:
            return self._part(np.array([*places, *joints[beside, :2]]))

        def unlike(place: np.ndarray) -> float:
            trial[joint] = *place, 1
            return part.unlike(trial)

        part = around(guesses)
        trial[joint] = 0
        bound = part.unlike(trial) + 255 * self.radius  # far from its place, a disc does harm
        tried = sorted(((unlike(guess), number) for number, guess in enumerate(guesses)))[:_STARTS]
        starts = [guesses[number] for light, number in tried if light < bound]
        if not starts:
            return nowhere
        part = around(starts)
        trial[joint] = 0
        without = part.unlike(trial)
        ends = sorted((self._settled(start, unlike) for start in starts), key=lambda end: end[0])
        least, place = ends[0]
        here = np.array([*place, 1], np.float32)
        trial[joint] = here
        drawn = part.drawn(trial)
        trial[joint] = 0
        shown = float(np.abs(drawn - part.drawn(trial)).sum())  # what the joint and its limbs add to the picture
        if without - least <= max(_TOLD * shown, 255 * self.radius):
            return nowhere
        others = [light for light, end in ends if np.hypot(*(end - place)) > 1]
        others += [unlike(place + way) for way in _AROUND]
        return here if min(others) > least + _CLEAR * 255 else nowhere

    def _settled(self, place: np.ndarray, unlike: Callable[[np.ndarray], float]) -> tuple[float, np.ndarray]:
        """The least light that differs, and the place where that is, in steps from here."""
        start, least, step = place, unlike(place), self.radius
        while step > 0.1 and np.hypot(*(place - start)) < _FAR * self.radius:
            around = [place + step * way for way in _AROUND[::2]]
            found = [unlike(where) for where in around]
            if min(found) < least:
                least, place = min(found), around[int(np.argmin(found))]
            else:
                step /= 2
        return least, place

    def _part(self, places: np.ndarray) -> _Part:
        """The part of the drawing around some places."""
        size = self.picture.shape[1::-1]
        left, top = np.clip(places.min(axis=0) - 4 * self.radius - 2, 0, size).astype(int).tolist()
        right, bottom = np.clip(places.max(axis=0) + 4 * self.radius + 2, 0, size).astype(int).tolist()
        return _Part(self.picture[top:bottom, left:right], left, top, self.radius)

    def _limb_seen(self, joints: Keypoints, joint: int) -> bool:
        """Whether a limb between this joint and one that is known shows: rims of discs have its colour, too."""
        discs = joints[present(joints), :2]
        for (start, end), colour in zip(LIMBS, LIMB_COLOURS, strict=True):
            other = end if start == joint else start
            if joint not in (start, end) or not joints[other, 2]:
                continue
            pixels = self._having(colour, LIMB_DIMMING)[:, ::-1] + 0.5
            away = np.hypot(*(pixels[:, None] - discs[None]).transpose(2, 0, 1)).min(axis=1) > self.radius + 1
            if away.sum() >= 3:
                return True
        return False


# ------------------------------------------------------------------------------------------- pieces
def _pieces(pixels: np.ndarray) -> list[np.ndarray]:
    """Pixels that touch, at corners too, together; the largest piece first."""
    left = {(int(row), int(column)) for row, column in pixels}
    pieces = []
    while left:
        piece, edge = list[tuple[int, int]](), [left.pop()]
        while edge:
            row, column = edge.pop()
            piece.append((row, column))
            beside = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)} & left
            left -= beside
            edge += beside
        pieces.append(np.array(piece))
    return sorted(pieces, key=len, reverse=True)


def _centre(piece: np.ndarray) -> np.ndarray:
    """x and y of its middle."""
    return np.asarray(piece[:, ::-1].mean(axis=0) + 0.5)


def _apart(piece: np.ndarray, other: np.ndarray) -> float:
    return float(np.hypot(*(_centre(piece) - _centre(other))))
