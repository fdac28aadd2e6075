"""The form of the body as functions: how far the skin is from the spine or from the bone, at every height and angle.

Skin and clothes are both made from these, clothes with some ease added; so a sleeve lies on its arm whatever the build.
Angles are in turns: 0 is the front, 0.25 the person's left, 0.5 the back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

import numpy as np

from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.maths import Array, cosine, sine, smooth, spline

__all__ = ["LEFT", "RIGHT", "SIDES", "Limb", "Torso", "arm_of", "around", "leg_of"]

LEFT: Final = 1
RIGHT: Final = -1
SIDES: Final = (LEFT, RIGHT)
"""The person's own; at rest the left is at +x."""


@lru_cache(maxsize=32)
def around(segments: int) -> tuple[Array, Array, Array]:
    """Columns of a tube, from the back over the person's right and the front round to the back.

    Returns:
        Place in 0..1 (0.5 is the front), and sine and cosine of the angle; each [segments + 1].
    """
    place = np.arange(segments + 1) / segments
    s, c = sine(place - 0.5), cosine(place - 0.5)
    s[0] = s[-1] = 0.0
    for array in (place, s, c):
        array.flags.writeable = False
    return place, s, c


def _bump(x: Array) -> Array:
    """1 at 0, falling smoothly to 0 at 1 and -1."""
    rest = np.maximum(1.0 - x * x, 0.0)
    return rest * rest


@dataclass(frozen=True)
class Torso:
    """From the crotch to the neck."""

    build: Build

    @cached_property
    def _levels(self) -> tuple[tuple[float, ...], Array]:
        """Heights, and at each: half the width, depth in front, depth behind."""
        b, u = self.build, self.build.unit
        stout = 0.5 + 0.5 * b.chest / (0.0885 * b.height)
        rows = {
            b.crotch - 1.2 * u: (0.30 * b.hips, 1.0 * u, 1.8 * u),
            b.crotch + 0.6 * u: (0.80 * b.hips, 3.3 * u, 4.9 * u),
            b.crotch + 3.6 * u: (b.hips, 5.3 * u, 6.2 * u),
            b.crotch + 8.0 * u: (0.95 * b.hips + 0.05 * b.waist, 5.5 * u, 5.6 * u),
            b.waistline: (b.waist, 5.0 * u, 4.4 * u),
            0.55 * b.waistline + 0.45 * 0.735 * b.height: (0.55 * b.waist + 0.45 * b.chest, 5.4 * u, 4.7 * u),
            0.735 * b.height: (b.chest, 5.9 * u, 5.3 * u),
            0.772 * b.height: (0.45 * b.chest + 0.55 * b.shoulder, 5.4 * u, 5.5 * u),
            b.shoulder_joint: (0.99 * b.shoulder, 3.9 * u, 4.8 * u),
            0.819 * b.height: (0.80 * b.shoulder, 3.2 * u, 4.3 * u),
            0.831 * b.height: (0.52 * b.shoulder, 2.6 * u, 3.7 * u),
            0.841 * b.height: (0.35 * b.shoulder, 2.3 * u, 3.3 * u),
            0.852 * b.height: (0.27 * b.shoulder, 2.1 * u, 3.0 * u),
        }
        values = np.array(list(rows.values()))
        values[:, 1:] *= stout
        return tuple(rows), values

    def skin(self, height: Array, s: Array, c: Array) -> tuple[Array, Array]:
        """x and z of the skin at heights and angles (sine and cosine), which broadcast together."""
        b, u = self.build, self.build.unit
        places, values = self._levels
        rows = spline(height.ravel(), places, values).reshape(*height.shape, 3)
        wide, front, behind = rows[..., 0], rows[..., 1], rows[..., 2]
        boxy = 1.0 + 0.20 * s * s * c * c
        left = np.abs(s)
        swell = b.bust * _bump((height - 0.728 * b.height) / (5.2 * u)) * _bump((left - 0.50) / 0.62)
        swell = swell + b.belly * _bump((height - b.waistline + 4.0 * u) / (11.0 * u))
        seat = 1.3 * u * _bump((height - b.crotch - 3.2 * u) / (6.5 * u)) * _bump((left - 0.42) / 0.6)
        depth = np.where(c > 0.0, front + swell * smooth(0.0, 0.5, c), behind + seat * smooth(0.0, 0.5, -c))
        return wide * s * boxy, depth * c * boxy - 0.6 * u

    @cached_property
    def widest(self) -> float:
        """Height of the hips, below which cloth hangs free of the body."""
        return self.build.crotch + 3.6 * self.build.unit

    def drape(self, height: Array, s: Array, c: Array) -> tuple[Array, Array]:
        """As `skin`, but below the hips straight down from them, as cloth hangs."""
        return self.skin(np.maximum(height, self.widest), s, c)

    def width(self, height: float) -> float:
        """Half the width of the body at a height, in metres."""
        places, values = self._levels
        return float(spline(np.array([height]), places, values)[0, 0])

    def ridge(self, x: float) -> float:
        """Height of the shoulder at a distance from the middle, looked up to a hundredth of a step."""
        height = self.build.shoulder_joint + 0.046 * self.build.height * (np.arange(201) / 200.0)
        half = spline(height, *self._levels)[:, 0]
        return float(height[int(np.count_nonzero(half > abs(x)))])

    def surface(self, x: Array, height: Array, front: Array) -> tuple[Array, Array]:
        """The trunk at points given by x and height, as far out as they can lie on it.

        Args:
            x: [K] metres from the middle.
            height: [K] above the floor.
            front: [K] 1 in front, -1 behind.

        Returns:
            [K, 3] points of the skin and [K, 3] the directions outwards, level.
        """
        half, _ = self.skin(height, np.ones_like(x), np.zeros_like(x))
        s = np.clip(x / half, -0.99, 0.99)
        c = np.sqrt(1.0 - s * s) * front
        _, z = self.skin(height, s, c)
        return np.stack([x, height, z], axis=1), np.stack([s, np.zeros_like(s), c], axis=1)


@dataclass(frozen=True, kw_only=True)
class Limb:
    """An arm or a leg at rest, hanging straight down from its joint.

    Attributes:
        side: 1 for the person's left, -1 for the right.
        bones: What its rings hang on: the bone above the limb, the limb's upper, its lower.
        end: The bone at its end: hand or foot.
        joint: x, y, z of the upper joint.
        middle: Distance from it to elbow or knee; `length` to wrist or ankle.
        places: Distances from the upper joint at which the thickness is given.
        radii: At each: half the width, half the depth, how far the flesh lies behind the bone, and towards the spine.
    """

    side: int
    bones: tuple[str, str, str]
    end: str
    joint: tuple[float, float, float]
    middle: float
    length: float
    places: tuple[float, ...]
    radii: Array

    def at(self, distance: Array) -> Array:
        """[K, 4]: the `radii` at distances from the upper joint."""
        return spline(distance, self.places, self.radii)

    def girth(self, distance: float) -> float:
        """Metres around, about."""
        wide, deep = self.at(np.array([distance]))[0, :2]
        return 3.2 * float(wide + deep)


def _named(side: int) -> str:
    return "left" if side == LEFT else "right"


def arm_of(build: Build, side: int) -> Limb:
    """The person's left arm (side = 1) or right arm (-1), as far as the wrist."""
    b, u, g = build, build.unit * build.girth, build.muscle
    upper, whole, name = b.upper_arm, b.upper_arm + b.forearm, _named(side)
    rows = {
        -2.05 * u: (0.30 * u, 0.3 * u, 0.0, 1.9 * u),
        -1.75 * u: (1.30 * u, 1.5 * u, 0.0, 1.55 * u),
        -0.9 * u: (2.10 * u, 2.35 * u, 0.0, 0.95 * u),
        0.8 * u: (2.60 * u, 2.85 * u, 0.0, 0.30 * u),
        3.0 * u: (2.62 * u, 2.95 * u, 0.0, 0.0),
        0.50 * upper: ((2.25 + 0.25 * g) * u, (2.50 + 0.45 * g) * u, -0.1 * u, 0.0),
        upper - 0.8 * u: (1.95 * u, 2.0 * u, 0.1 * u, 0.0),
        upper + 0.24 * b.forearm: ((1.95 + 0.2 * g) * u, 2.1 * u, 0.0, 0.0),
        upper + 0.66 * b.forearm: (1.50 * u, 1.62 * u, 0.0, 0.0),
        whole: (1.12 * u, 1.38 * u, 0.0, 0.0),
        whole + 2.0 * u: (1.0 * u, 1.4 * u, 0.0, 0.0),
    }
    return Limb(
        side=side,
        bones=(f"{name}_collar", f"{name}_arm", f"{name}_forearm"),
        end=f"{name}_hand",
        joint=(side * b.shoulder, b.shoulder_joint, -0.010 * b.height),
        middle=upper,
        length=whole,
        places=tuple(rows),
        radii=np.array(list(rows.values())),
    )


def leg_of(build: Build, side: int) -> Limb:
    """The person's left leg (side = 1) or right leg (-1), as far as the ankle."""
    b, u, g = build, build.unit * build.girth, build.muscle
    thigh, whole, name = b.hip_joint - b.knee, b.hip_joint - b.ankle, _named(side)
    shin = whole - thigh
    full = 0.50 * b.hips
    rows = {
        -7.0 * u: (0.80 * full, 3.2 * u, 0.0, 0.0),
        -3.0 * u: (0.93 * full, 4.5 * u, 0.2 * u, 0.0),
        0.0: (0.98 * full, 5.0 * u, 0.3 * u, 0.0),
        4.5 * u: (0.99 * full, 5.3 * u, 0.3 * u, 0.0),
        0.45 * thigh: (0.40 * full + 2.35 * u, (4.55 + 0.3 * g) * u, -0.1 * u, 0.0),
        thigh - 2.0 * u: (2.95 * u, 3.2 * u, -0.1 * u, 0.0),
        thigh + 1.2 * u: (2.75 * u, 2.95 * u, 0.0, 0.0),
        thigh + 0.28 * shin: ((2.75 + 0.3 * g) * u, (3.1 + 0.4 * g) * u, 0.8 * u, 0.0),
        thigh + 0.62 * shin: (2.1 * u, 2.35 * u, 0.55 * u, 0.0),
        whole - 2.0 * u: (1.5 * u, 1.75 * u, 0.2 * u, 0.0),
        whole + 2.8 * u: (1.4 * u, 1.7 * u, 0.2 * u, 0.0),
    }
    return Limb(
        side=side,
        bones=("pelvis", f"{name}_thigh", f"{name}_shin"),
        end=f"{name}_foot",
        joint=(side * b.hip, b.hip_joint, 0.0),
        middle=thigh,
        length=whole,
        places=tuple(rows),
        radii=np.array(list(rows.values())),
    )
