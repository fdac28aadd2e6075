"""Hats and sunglasses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from pgsynth_plugins.datasets.figures.body.head import EYE, on_head, place_on_head
from pgsynth_plugins.datasets.figures.body.shapes import SIDES, around
from pgsynth_plugins.datasets.figures.body.tubes import Tube
from pgsynth_plugins.datasets.figures.body.wrap import Band, ribbon
from pgsynth_plugins.datasets.figures.clothes.outfit import Outfit
from pgsynth_plugins.datasets.figures.labels import GLASSES, HAT
from pgsynth_plugins.datasets.figures.material import Material, Painted, plain
from pgsynth_plugins.datasets.figures.maths import Array, cosine, sine, smooth
from pgsynth_plugins.datasets.figures.palette import blend, darker, luminance, mixed, rgb, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["add_glasses", "add_hat"]

Rows = tuple[tuple[float, float], ...]
"""Rings from the top down: height in heads, and girth against the head's widest ring."""


def _dome(top: float, low: float, wide: float) -> Rows:
    """A quarter of an ellipse from the top down to `low`, `wide` at its foot."""
    t = np.arange(9) / 8.0
    return tuple(zip((low + (top - low) * cosine(0.25 * t)).tolist(), (wide * sine(0.25 * t)).tolist(), strict=True))


_FORMS: Final[Mapping[str, Rows]] = {
    "cap": (*_dome(1.10, 0.78, 1.10), (0.71, 1.10), (0.70, 0.98)),
    "beanie": (*_dome(1.17, 0.80, 1.13), (0.77, 1.14), (0.765, 1.20), (0.66, 1.20), (0.64, 1.16), (0.64, 0.98)),
    "beret": (
        (1.095, 0.0),
        (1.09, 0.6),
        (1.06, 1.1),
        (1.01, 1.30),
        (0.95, 1.32),
        (0.89, 1.22),
        (0.83, 1.10),
        (0.78, 1.09),
        (0.77, 0.98),
    ),
    "brim": (
        (1.115, 0.0),
        (1.135, 0.45),
        (1.135, 0.72),
        (1.10, 0.85),
        (0.98, 0.97),
        (0.80, 1.09),
        (0.725, 1.10),
        (0.715, 1.30),
        (0.700, 1.65),
        (0.695, 1.95),
        (0.685, 1.95),
        (0.690, 1.05),
    ),
}


def add_hat(surfaces: Surfaces, outfit: Outfit) -> None:
    """Add the hat."""
    _, s, c = around(36)
    rows = np.array(_FORMS[outfit.hat])
    height, girth = rows[:, 0:1], rows[:, 1:2] + 0.003
    boxy = 1.0 + 0.16 * s * s * c * c
    points = (0.365 * girth * s * boxy, height + 0.04 * c * np.minimum(girth, 1.0), -0.075 + 0.465 * girth * c * boxy)
    surfaces.add(on_head(surfaces.build, points, (0.0, -0.08), surfaces.use(_hat_material(outfit))))
    if outfit.hat == "cap":
        base, band = outfit.hat_colours
        surfaces.add(_peak(surfaces, surfaces.use(plain(mixed(base, band, 0.25), HAT))))


def _hat_material(outfit: Outfit) -> Material:
    base, band = outfit.hat_colours
    ribbon_colour = darker(band, 0.6) if luminance(base) > 0.4 else band

    def paint(at: Array) -> Painted:
        x, z = at[:, 0], at[:, 2] + 0.08
        height = at[:, 1] - 0.08 * z  # about what it was before the hat was tilted
        colour = np.broadcast_to(np.array(base), (len(at), 3))
        if outfit.hat == "cap":
            badge = (z > 0.0) & (x * x + (height - 0.86) * (height - 0.86) < 0.010)
            seam = (np.abs(x) < 0.010) | (np.abs(np.abs(x) - 1.1 * np.abs(z)) < 0.012)
            colour = blend(blend(colour, darker(base, 0.4), 0.35 * seam), band, 0.95 * badge)
        elif outfit.hat == "beanie":
            slope = np.abs(x) / np.maximum(np.abs(x) + np.abs(z), 0.02)  # goes round like an angle does
            colour = shaded(colour, 1.0 + 0.05 * cosine(slope * 14.0))
            colour = blend(colour, mixed(base, band, 0.35), 0.8 * (height < 0.768))
        elif outfit.hat == "brim":
            colour = blend(colour, ribbon_colour, 0.95 * ((height < 0.79) & (height > 0.722)))
        return Painted(colour, HAT)

    return Material(paint)


def _peak(surfaces: Surfaces, material: int) -> Tube:
    """The peak of a cap: a flat tongue forwards."""
    _, s, c = around(16)
    t = np.array([0.0, 0.08, 0.3, 0.55, 0.8, 0.95, 1.0])[:, None]
    wide = np.array([0.02, 0.30, 0.315, 0.295, 0.22, 0.11, 0.001])[:, None]
    x = wide * s
    thick = 0.018 * smooth(1.02, 0.9, t)
    y = 0.728 - 0.055 * t + thick * c - 0.55 * x * x
    return on_head(surfaces.build, (x, y, 0.20 + 0.46 * t), (0.0, 0.4), material)


# ------------------------------------------------------------------ sunglasses
def add_glasses(surfaces: Surfaces, kind: str) -> None:
    """Add sunglasses: two lenses, a bridge, two temples."""
    build, h = surfaces.build, surfaces.build.head
    frame = surfaces.use(plain(rgb("1d1a1c"), GLASSES, 0.5))
    glass = surfaces.use(Material(_lens, shine=0.9))
    wide, high = (0.108, 0.094) if kind == "round" else (0.126, 0.080)
    _, s, c = around(20)
    r = np.array([1.12, 1.10, 1.0, 0.7, 0.35, 0.002])[:, None]
    lift = np.array([-0.012, 0.008, 0.012, 0.018, 0.022, 0.024])[:, None]
    t = np.arange(7) / 6.0
    for side in SIDES:
        x0, y0 = side * (EYE[0] + 0.002), EYE[1] - 0.010
        x = x0 + wide * r * s
        y = y0 + high * r * c
        z = 0.382 - 0.65 * (x * x - x0 * x0 * 0.2) + lift
        surfaces.add(on_head(build, (x, y, z), (x0, 0.30), glass))
        path = place_on_head(
            build, side * (0.275 + 0.085 * smooth(0.0, 0.5, t)), EYE[1] + 0.02 - 0.01 * t, 0.30 - 0.40 * t
        )
        out = np.tile(np.array([side * 1.0, 0.0, 0.0]), (7, 1))
        temple = Band(path=path, outwards=out, half=np.full(7, 0.015 * h), thick=0.012 * h, bone="head")
        surfaces.add(ribbon(build, temple, frame))
    path = place_on_head(build, 0.06 - 0.12 * t, EYE[1] + 0.022 + 0.0 * t, 0.410 + 0.0 * t)
    out = np.tile(np.array([0.0, 0.0, 1.0]), (7, 1))
    bridge = Band(path=path, outwards=out, half=np.full(7, 0.013 * h), thick=0.012 * h, bone="head")
    surfaces.add(ribbon(build, bridge, frame))


def _lens(at: Array) -> Painted:
    """Dark above, lighter below, with a streak of light; the coordinates are the head's."""
    x, y = at[:, 0], at[:, 1]
    shade = smooth(0.36, 0.56, y)
    colour = blend(np.tile(np.array(rgb("4a4450")), (len(at), 1)), rgb("17151a"), shade)
    streak = np.abs((np.abs(x) - EYE[0]) * 0.8 - (y - EYE[1])) < 0.012
    return Painted(blend(colour, (0.75, 0.78, 0.85), 0.35 * streak), GLASSES)
