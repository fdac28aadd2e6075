"""Shirts, and the upper parts of dresses: trunk, sleeves, collars. What is painted on the trunk is in `fronts.py`."""

from __future__ import annotations

from typing import Final

import numpy as np

from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.shapes import SIDES, Limb
from pgsynth_plugins.datasets.figures.body.wrap import (
    Band,
    Hang,
    Run,
    along_limb,
    limb_rings,
    on_torso,
    ribbon,
    spread,
)
from pgsynth_plugins.datasets.figures.clothes.cloth import Cloth
from pgsynth_plugins.datasets.figures.clothes.fronts import trunk_material
from pgsynth_plugins.datasets.figures.clothes.outfit import Outfit, Sleeve, Top
from pgsynth_plugins.datasets.figures.material import Material, Painted
from pgsynth_plugins.datasets.figures.maths import Array, cosine, sine, smooth
from pgsynth_plugins.datasets.figures.palette import Rgb, blend, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["add_top", "neck_loop", "sleeve_end"]

_SLEEVES: Final = {"none": 0.0, "cap": 0.24, "short": 0.62, "elbow": 1.05}
"""Where a sleeve ends, in upper arms; a long one ends at the wrist."""


def sleeve_end(limb: Limb, sleeve: Sleeve) -> float:
    """Metres from the shoulder joint to the end of the sleeve."""
    return limb.length - 0.004 if sleeve == "long" else _SLEEVES[sleeve] * limb.middle


def add_top(surfaces: Surfaces, outfit: Outfit, skin: Rgb, label: int) -> None:
    """Add the shirt, or the upper part of the dress; without its sleeves under a jacket, which hides them."""
    top, build, u = outfit.top, surfaces.build, surfaces.build.unit
    tucked = top.hem == 0.0
    low, high = build.waistline - (2.0 if tucked else top.hem) * u, 0.850 * build.height
    height = high + (low - high) * (np.arange(30) / 29.0)
    loose = top.loose * (0.35 if tucked else 1.0)
    ease = u * (0.30 + loose * smooth(0.80 * build.height, 0.70 * build.height, height))
    ease = ease * smooth(0.853 * build.height, 0.80 * build.height, height) + 0.05 * u
    if tucked:  # under the waistband
        ease = ease + (0.12 * u - ease) * smooth(build.waistline + 5.0 * u, build.waistline + 1.5 * u, height)
    else:  # a hem has an edge: the last ring turns in
        height, ease = np.append(height, low), np.append(ease, -0.8 * u)
    material = surfaces.use(trunk_material(surfaces, top, skin, label, low))
    surfaces.add(on_torso(surfaces.torso, Hang(height=height, ease=ease, stride=0.35), material))
    if top.sleeve != "none" and outfit.outer is None:
        for limb in surfaces.arms.values():
            _add_sleeve(surfaces, top, limb, label)
    _add_collar(surfaces, top, label)


def _add_sleeve(surfaces: Surfaces, top: Top, limb: Limb, label: int) -> None:
    u = surfaces.build.unit
    puffed = 0.7 if top.neckline in ("v", "scoop") and top.sleeve == "elbow" else 0.0
    end = sleeve_end(limb, top.sleeve)
    distance = limb_rings(limb, limb.places[0], end, 24)
    share = np.clip(distance * (1.0 / end), 0.0, 1.0)
    wide = 0.35 + 0.75 * top.loose * (0.45 * np.ones_like(share) if top.sleeve == "long" else share)
    ease = u * (wide + puffed * smooth(0.2, 0.8, share))
    if top.sleeve == "long" and not puffed:
        ease = ease * (1.0 - 0.55 * smooth(0.90, 0.97, share))
    distance, ease = np.append(distance, end), np.append(ease, -0.6 * u)
    material = surfaces.use(_sleeve_material(top, end, limb.girth(0.2 * limb.middle), label, u))
    surfaces.add(along_limb(limb, Run(distance=distance, ease=ease, fold=0.12 * u * (1.0 + top.loose)), material))


def _sleeve_material(top: Top, end: float, girth: float, label: int, u: float) -> Material:
    edge = (2.6 if top.cloth.grain == "knit" else 1.1) * u

    def paint(at: Array) -> Painted:
        along = at[:, 1]
        colour = top.cloth.colour(at[:, 0], -along, girth)
        if top.trim is not None:
            colour = blend(colour, top.trim, along > end - edge)
        return Painted(shaded(colour, 1.0 - 0.16 * (np.abs(along - end + edge) < 0.14 * u)), label)

    return Material(paint)


# ------------------------------------------------------------------ collars and hoods
def _add_collar(surfaces: Surfaces, top: Top, label: int) -> None:
    build, u = surfaces.build, surfaces.build.unit
    if top.neckline not in ("high", "collar") and not top.hood:
        return
    cloth = Cloth(ground=top.trim or top.cloth.ground, figures=top.cloth.figures, grain=top.cloth.grain)
    material = surfaces.use(Material(lambda at: Painted(cloth.colour(at[:, 0], at[:, 1], 0.4), label)))
    t = np.arange(29) / 28.0
    if top.hood:
        path, half, thick = neck_loop(4.7 * u, 0.839 * build.height, -2.3 * u, 0.9 * u), 2.2 * u, 1.7 * u
    elif top.neckline == "high":
        radius = (3.5 - 0.5 * build.feminine) * u
        path, half, thick = neck_loop(radius, 0.858 * build.height, -1.3 * u, 0.3 * u), 2.2 * u, 0.7 * u
    else:
        for side in SIDES:
            surfaces.add(ribbon(build, _shirt_collar(build, t, side), material))
        return
    band = Band(path=path, outwards=_level(path), half=np.full(len(path), half), thick=thick)
    surfaces.add(ribbon(build, band, material))


def _shirt_collar(build: Build, t: Array, side: int) -> Band:
    """Half of a collar: a band round the neck that falls over in front, to a point."""
    u = build.unit
    turn = side * (0.035 + 0.465 * t)
    s, c = sine(turn), cosine(turn)
    rise = 0.9 * u * smooth(0.3, 0.9, t) - 1.9 * u * smooth(0.35, 0.0, t)
    path = spread((3.9 * u + 0.4 * u * smooth(0.3, 0.0, t)) * s, 0.846 * build.height + rise, -1.3 * u + 4.1 * u * c)
    half = u * (1.35 - 0.2 * t) * smooth(-0.06, 0.10, t)
    return Band(path=path, outwards=_level(path), half=half, thick=0.32 * u)


def neck_loop(radius: float, height: float, back: float, tilt: float) -> Array:
    """A loop round the neck, higher behind by twice `tilt`; all in metres, [33, 3]."""
    t = np.arange(33) / 32.0
    s, c = sine(t), cosine(t)
    s[-1], c[-1] = s[0], c[0]
    return spread(radius * s, height - tilt * c, back + radius * c)


def _level(path: Array) -> Array:
    return spread(path[:, 0], np.zeros(1), path[:, 2])
