"""The head's form: skull, face, nose, ears and neck. What is painted on the face is in `face.py`.

Inside this module lengths are in heads: the chin is at height 0, the crown at 1, and x and z are counted from the axis
of the neck. The materials of head and hair get these as their coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np

from pgsynth_plugins.datasets.figures.body.bones import bone
from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.shapes import LEFT, RIGHT, SIDES, around
from pgsynth_plugins.datasets.figures.body.tubes import Binding, Tube
from pgsynth_plugins.datasets.figures.body.wrap import rigid, spread
from pgsynth_plugins.datasets.figures.maths import Array, Vector, cosine, sine, smooth, spline

__all__ = ["EAR", "EYE", "NOSE_TIP", "ears", "face_spots", "neck", "on_head", "place_on_head", "skull", "skull_surface"]

EYE: Final = (0.150, 0.462)
"""x and height of the person's left eye."""
EAR: Final = (0.335, 0.43, -0.075)
"""x, height and z of the person's left ear."""
NOSE_TIP: Final = (0.0, 0.318)

_LEVELS: Final = (-0.012, 0.02, 0.09, 0.20, 0.35, 0.50, 0.65, 0.78, 0.87, 0.935, 0.975, 0.994, 1.0)
_ROWS: Final = np.array(  # half the width, middle in depth, half the depth
    [
        (0.05, 0.235, 0.06),
        (0.145, 0.185, 0.155),
        (0.215, 0.105, 0.255),
        (0.268, 0.030, 0.345),
        (0.310, -0.030, 0.405),
        (0.333, -0.055, 0.430),
        (0.345, -0.070, 0.440),
        (0.325, -0.080, 0.415),
        (0.278, -0.085, 0.360),
        (0.208, -0.088, 0.275),
        (0.130, -0.090, 0.175),
        (0.065, -0.090, 0.088),
        (0.001, -0.090, 0.001),
    ]
)


def skull_surface(height: Array, s: Array, c: Array, feminine: float) -> tuple[Array, Array]:
    """x and z of the bald head, without the nose, at heights and angles that broadcast together; all in heads."""
    rows = spline(np.clip(height, _LEVELS[0], _LEVELS[-1]).ravel(), _LEVELS, _ROWS).reshape(*height.shape, 3)
    jaw = 1.0 + (0.07 - 0.10 * feminine) * smooth(0.42, 0.1, height)
    boxy = 1.0 + 0.16 * s * s * c * c
    return rows[..., 0] * jaw * s * boxy, rows[..., 1] + rows[..., 2] * c * boxy


def place_on_head(build: Build, x: Array, y: Array, z: Array) -> Array:
    """Heads to metres of the resting body; [..., 3]."""
    h = build.head
    return spread(x * h, build.chin + y * h, z * h - 0.010 * build.height)


def on_head(build: Build, points: tuple[Array, Array, Array], middle: tuple[float, float], material: int) -> Tube:
    """A closed tube that hangs on the head alone; its coordinates are the points themselves.

    Args:
        build: Whose.
        points: x, height and z, each [K, S + 1], in heads.
        middle: x and z that the rings go round.
        material: Its number.
    """
    x, y, z = np.broadcast_arrays(*points)
    count = len(y)
    centre = place_on_head(build, np.full(count, middle[0]), y[:, y.shape[1] // 2], np.full(count, middle[1]))
    return Tube(
        centres=centre,
        offsets=place_on_head(build, x, y, z) - centre[:, None],
        coordinates=spread(x, y, z),
        binding=rigid("head", count),
        material=material,
    )


def skull(build: Build, material: int) -> Tube:
    """Skull and face, nose included."""
    low = (-0.012, -0.004, 0.02, 0.05, 0.09, 0.13, 0.165, 0.20, 0.235)
    high = (0.55, 0.62, 0.70, 0.78, 0.85, 0.91, 0.95, 0.98, 0.994, 1.0)
    height = np.array([*low, *(0.27 + 0.02 * k for k in range(13)), *high])[::-1]
    t = np.arange(37) / 36.0 - 0.5
    turn = t * (0.46 + 1.08 * np.abs(t))  # columns lie closer together in front
    s, c = sine(turn), cosine(turn)
    s[0] = s[-1] = 0.0
    grid = height[:, None] * np.ones_like(s)
    x, z = skull_surface(grid, s, c, build.feminine)
    z = z + _nose(x, grid, build.feminine) * (c > 0.0) + _relief(x, grid) * smooth(0.2, 0.7, c * np.ones_like(grid))
    return on_head(build, (x, grid, z), (0.0, 0.0), material)


def _nose(x: Array, y: Array, feminine: float) -> Array:
    """How far the nose stands out."""
    out = np.where(y > NOSE_TIP[1], smooth(0.55, NOSE_TIP[1], y), smooth(0.272, NOSE_TIP[1], y))
    wide = 0.040 + (0.036 - 0.008 * feminine) * smooth(0.50, 0.33, y)
    across = np.maximum(1.0 - (x / wide) * (x / wide), 0.0)
    return (0.092 - 0.020 * feminine) * out * across * across


def _relief(x: Array, y: Array) -> Array:
    """Sockets of the eyes, lips and chin: shallow, for the light and for the profile."""
    left = np.abs(x)
    socket = smooth(0.075, 0.02, np.abs(y - 0.475)) * smooth(0.12, 0.04, np.abs(left - EYE[0]))
    lips = smooth(0.050, 0.01, np.abs(y - 0.198)) * smooth(0.11, 0.03, left)
    under = smooth(0.035, 0.0, np.abs(y - 0.135)) * smooth(0.13, 0.05, left)
    return -0.020 * socket + 0.020 * lips - 0.012 * under


@lru_cache(maxsize=64)
def face_spots(build: Build) -> Mapping[str, Vector]:
    """Nose, eyes and ears, in metres of the resting body."""
    spots = {}
    for name, (x, y) in {"nose": NOSE_TIP, "left-eye": EYE, "right-eye": (-EYE[0], EYE[1])}.items():
        turn = np.arange(301) / 1600.0  # a fifth of the way round, looked up: no arc sine is the same everywhere
        across, depth = skull_surface(np.full(301, y), sine(turn), cosine(turn), build.feminine)
        near = min(int(np.searchsorted(across, abs(x))), 300)
        place = np.array([x]), np.array([y])
        z = depth[near] + _nose(*place, build.feminine) - 0.03  # in the flesh: on the very skin it would be an edge
        spots[name] = place_on_head(build, *place, z)[0]
    for side, name in ((LEFT, "left-ear"), (RIGHT, "right-ear")):
        spots[name] = place_on_head(build, np.array([side * EAR[0]]), np.array([EAR[1]]), np.array([EAR[2]]))[0]
    return spots


def ears(build: Build, material: int) -> list[Tube]:
    """Both ears: flat drops at the sides of the head."""
    _, s, c = around(10)
    y = np.array([0.0855, 0.085, 0.07, 0.03, -0.02, -0.06, -0.085, -0.0855])[:, None]
    wide = np.array([0.0005, 0.006, 0.026, 0.032, 0.030, 0.020, 0.005, 0.0005])[:, None]
    deep = np.array([0.001, 0.012, 0.050, 0.062, 0.050, 0.028, 0.008, 0.001])[:, None]
    back = np.array([-0.02, -0.02, -0.02, -0.018, -0.008, 0.004, 0.01, 0.01])[:, None]
    out = EAR[0] + 0.018 * smooth(0.1, -0.1, -y)
    return [
        on_head(build, (side * out + wide * s, EAR[1] + y, EAR[2] + back + deep * c), (side * EAR[0], EAR[2]), material)
        for side in SIDES
    ]


def neck(build: Build, material: int) -> Tube:
    """From inside the shoulders up into the head; its coordinates are those of the trunk."""
    u = build.unit
    place, s, c = around(20)
    low, high = build.neck_base - 2.6 * u, build.chin + 0.30 * build.head
    t = np.arange(11) / 10.0
    height = high + (low - high) * t
    flare = smooth(0.55, 1.0, t)
    thick = u * (0.45 + 0.55 * build.girth)
    wide = (3.15 - 0.55 * build.feminine) * thick + 1.5 * u * flare
    deep = (3.25 - 0.45 * build.feminine) * thick + 0.3 * u * flare
    offsets = spread(wide[:, None] * s, np.zeros(1), deep[:, None] * c)
    up, top = smooth(0.75, 0.2, t), smooth(0.35, 0.0, t)
    return Tube(
        centres=spread(np.zeros(1), height, -1.0 * u - 0.6 * u * smooth(0.0, 1.0, t)),
        offsets=offsets,
        coordinates=spread(place, height[:, None], offsets[..., 0]),
        binding=Binding.to([bone("chest"), bone("neck"), bone("head")], [1.0 - up, up * (1.0 - top), up * top]),
        material=material,
    )
