"""Light: soft from the upper left, darker where a surface turns away and where something lies close in front of it."""

from __future__ import annotations

from math import floor
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from pgsynth_plugins.datasets.figures.maths import Array, smooth

__all__ = ["lit", "nearby_shade"]

_TO_LIGHT: Final = (-0.424, 0.566, 0.707)
_HALFWAY: Final = (-0.2294, 0.3063, 0.9239)
_SHADOW: Final = np.array([0.56, 0.51, 0.60])
_BRIGHT: Final = np.array([1.05, 1.035, 1.01])

_PROBES: Final = (
    (-0.8, -0.6, 1.0),
    (-0.2, -1.0, 1.0),
    (-1.0, 0.1, 0.8),
    (0.7, -0.7, 0.7),
    (1.0, 0.0, 0.55),
    (-0.6, 0.8, 0.5),
    (0.0, 1.0, 0.45),
    (0.7, 0.7, 0.45),
)
"""Where to look for something in front: right, down, and how much it darkens; the light's side counts most."""
_REACHES: Final = ((0.010, 0.5), (0.030, 0.6), (0.070, 0.4))
"""How far away to look, in metres, and how much each distance counts."""


def lit(
    colour: Float[Array, "N 3"],
    normal: Float[Array, "N 3"],
    shine: Float[Array, " N"],
    shade: Float[Array, " N"],
) -> Float[Array, "N 3"]:
    """Colour under the light.

    Args:
        colour: Of the surface, 0 to 1.
        normal: Unit vectors outwards.
        shine: Strength of the highlight.
        shade: 0 in the open to 1 in the closest corner.
    """
    nx, ny, nz = normal[:, 0], normal[:, 1], normal[:, 2]
    towards = nx * _TO_LIGHT[0] + ny * _TO_LIGHT[1] + nz * _TO_LIGHT[2]
    tone = 0.12 + 0.88 * smooth(-0.55, 0.95, towards)
    tone = tone - 0.22 * smooth(0.50, 0.0, nz)
    tone = np.clip(tone * (1.0 - 0.62 * shade), 0.0, 1.0)
    glow = np.maximum(nx * _HALFWAY[0] + ny * _HALFWAY[1] + nz * _HALFWAY[2], 0.0)
    for _ in range(5):
        glow = glow * glow
    out: Array = (
        colour * (_SHADOW + tone[:, None] * (_BRIGHT - _SHADOW)) + (0.55 * shine * glow * (1.0 - shade))[:, None]
    )
    return np.clip(out, 0.0, 1.0)


def nearby_shade(depth: Float[Array, "R C"], sample: Int[np.ndarray, " N"], scale: float) -> Float[Array, " N"]:
    """How much of its surroundings lies in front of each sample.

    Args:
        depth: Of the whole grid of samples; far below everything where there is nothing.
        sample: Which samples are asked for.
        scale: Samples to a metre.
    """
    height, width = depth.shape
    flat = depth.ravel()
    row, column, here = sample // width, sample % width, flat[sample]
    shade: Array = np.zeros(len(sample))
    for reach, weight in _REACHES:
        for right, down, part in _PROBES:
            dx, dy = floor(right * reach * scale + 0.5), floor(down * reach * scale + 0.5)
            if not dx and not dy:
                continue
            over = flat[np.clip(row + dy, 0, height - 1) * width + np.clip(column + dx, 0, width - 1)] - here
            close = np.clip((over - 0.35 * reach) * (1.0 / (1.2 * reach)), 0.0, 1.0)
            shade = shade + (0.20 * weight * part) * close * smooth(9.35 * reach + 0.10, 2.35 * reach, over)
    return np.clip(shade, 0.0, 1.0)
