"""Bare limbs: arms and legs, hands, and the form of feet and shoes."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.body.bones import bone
from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.shapes import Limb, around
from pgsynth_plugins.datasets.figures.body.tubes import Binding, Tube
from pgsynth_plugins.datasets.figures.body.wrap import Run, along_limb, limb_rings, rigid, spread
from pgsynth_plugins.datasets.figures.maths import Array, smooth

__all__ = ["bare_limb", "foot", "hand"]

Drop = Float[Array, "K 5"]
"""Rings of a hand: how far below the wrist, half the thickness, half the width, towards the body, forwards."""

_PALM: Final[Drop] = np.array(
    [
        (-0.8, 1.00, 1.30, 0.0, 0.0),
        (0.6, 1.02, 1.50, 0.0, 0.05),
        (1.8, 1.02, 1.95, 0.05, 0.15),
        (3.0, 0.98, 2.15, 0.15, 0.25),
        (4.2, 0.88, 2.12, 0.30, 0.25),
        (5.0, 0.74, 1.95, 0.42, 0.22),
        (5.5, 0.30, 1.40, 0.50, 0.20),
        (5.6, 0.01, 0.02, 0.50, 0.20),
    ]
)
_THUMB: Final[Drop] = np.array(
    [
        (0.7, 0.02, 0.02, 0.10, 1.0),
        (0.9, 0.55, 0.55, 0.10, 1.1),
        (1.7, 0.80, 0.82, 0.30, 1.6),
        (2.9, 0.72, 0.72, 0.55, 2.3),
        (4.2, 0.60, 0.60, 0.80, 2.85),
        (5.1, 0.46, 0.46, 0.95, 3.1),
        (5.5, 0.02, 0.02, 1.0, 3.15),
    ]
)
_FINGERS: Final = ((1.62, 4.05, 0.52), (0.62, 4.45, 0.54), (-0.38, 4.15, 0.52), (-1.28, 3.35, 0.46))
"""Of each finger: how far forwards it grows, its length, its thickness."""


def bare_limb(limb: Limb, start: float, material: int) -> Tube:
    """A bare arm or leg, from a distance below its joint to just beyond wrist or ankle."""
    distance = limb_rings(limb, start, limb.places[-1], 22)
    return along_limb(limb, Run(distance=distance, ease=np.zeros_like(distance)), material)


def hand(build: Build, limb: Limb, material: int) -> list[Tube]:
    """A relaxed hand: palm, a thumb in front, four fingers a little curled."""
    u = build.unit * (0.45 + 0.55 * build.girth)
    tubes = [_drop(limb, _PALM * u, material, 12), _drop(limb, _THUMB * u, material, 8)]
    for ahead, length, thick in _FINGERS:
        t = np.array([0.0, 0.05, 0.3, 0.55, 0.8, 0.94, 1.0])
        form = np.array([0.02, 0.90, 1.0, 0.95, 0.85, 0.55, 0.02]) * thick
        curl = 0.35 + 1.25 * t * t + 0.2 * t
        rows = spread(4.3 + length * t * (1.0 - 0.06 * t), form, form * 1.04, curl, ahead * (1.0 - 0.10 * t))
        tubes.append(_drop(limb, rows * u, material, 8))
    return tubes


def _drop(limb: Limb, rows: Drop, material: int, segments: int) -> Tube:
    """A closed drop hanging from the wrist."""
    place, s, c = around(segments)
    down, thick, wide, across, ahead = (rows[:, i] for i in range(5))
    offsets = spread(thick[:, None] * s, np.zeros(1), wide[:, None] * c)
    x, y, z = limb.joint
    own = smooth(-0.012, 0.012, down)
    return Tube(
        centres=spread(x - limb.side * across, y - limb.length - down, z + ahead),
        offsets=offsets,
        coordinates=spread(place, down[:, None], offsets[..., 2]),
        binding=Binding.to([bone(limb.bones[2]), bone(limb.end)], [1.0 - own, own]),
        material=material,
    )


def foot(build: Build, limb: Limb, rows: Float[Array, "K 5"], material: int) -> Tube:
    """A foot or a shoe; its coordinates are (turn, metres above the floor, metres ahead of the ankle).

    Args:
        build: Whose.
        limb: The leg.
        rows: Rings from heel to toe, in hundredths of the height: how far ahead of the ankle, half the width, top and
            bottom above the floor, how far outwards. Both ends are closed.
        material: Its number.
    """
    place, s, c = around(18)
    ends = rows[[0, -1]].copy()
    level = 0.5 * (ends[:, 2] + ends[:, 3])
    ends[:, 1], ends[:, 2], ends[:, 3] = 0.004, level + 0.004, level - 0.004
    ahead, wide, top, bottom, out = (np.concatenate([ends[:1], rows, ends[1:]]) * build.unit).T
    half, middle = 0.5 * (top - bottom), 0.5 * (top + bottom)
    flat = np.clip(np.where(c < 0.0, c * (1.6 - 0.6 * c * c), c), -1.0, 1.0)  # a sole is flatter than an instep
    boxy = 1.0 + 0.22 * s * s * c * c
    offsets = spread(wide[:, None] * s * boxy, half[:, None] * flat * boxy, np.zeros(1))
    x, _, z = limb.joint
    return Tube(
        centres=spread(x + limb.side * out, middle, z + ahead),
        offsets=offsets,
        coordinates=spread(place, middle[:, None] + offsets[..., 1], ahead[:, None]),
        binding=rigid(limb.end, len(ahead)),
        material=material,
    )
