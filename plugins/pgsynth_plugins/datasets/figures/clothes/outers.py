"""Open jackets over the shirt: blazer, cardigan, bomber, coat, denim jacket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

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
from pgsynth_plugins.datasets.figures.clothes.fronts import in_front
from pgsynth_plugins.datasets.figures.clothes.outfit import Outer
from pgsynth_plugins.datasets.figures.labels import UPPER
from pgsynth_plugins.datasets.figures.material import Material, Painted
from pgsynth_plugins.datasets.figures.maths import Array, cosine, sine, smooth, spline
from pgsynth_plugins.datasets.figures.palette import Rgb, blend, darker, mixed, rgb, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["add_outer"]


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """How a jacket is cut.

    Attributes:
        hem: Where it ends, in hundredths of the height below the waist.
        ease: Over the skin, in hundredths of the height.
        waist: Half of its opening at the waist, in turns; also `bottom`, at the hem.
        collar: Half the width of its collar; 0 without one.
        lapel: Half the width of its lapels.
        flare: Ease at the hem, beyond the waist's.
        cuff: Whether sleeves and hem are gathered.
    """

    hem: float
    ease: float
    waist: float
    bottom: float
    collar: float = 0.0
    lapel: float = 0.0
    flare: float = 0.0
    cuff: bool = False


_CUTS: Final = {
    "blazer": _Cut(hem=13.0, ease=1.15, waist=0.050, bottom=0.100, lapel=1.5, collar=1.25, flare=0.6),
    "cardigan": _Cut(hem=12.5, ease=1.15, waist=0.085, bottom=0.10),
    "bomber": _Cut(hem=6.5, ease=1.5, waist=0.08, bottom=0.085, cuff=True, collar=1.1),
    "coat": _Cut(hem=26.0, ease=1.6, waist=0.070, bottom=0.12, lapel=1.9, collar=1.5, flare=2.2),
    "denim": _Cut(hem=6.0, ease=1.1, waist=0.075, bottom=0.085, cuff=True, collar=1.4),
}


def add_outer(surfaces: Surfaces, outer: Outer) -> None:
    """Add the jacket."""
    cut, build, u = _CUTS[outer.kind], surfaces.build, surfaces.build.unit
    high, low = 0.850 * build.height, build.waistline - cut.hem * u
    height = high + (low - high) * (np.arange(34) / 33.0)
    hang = Hang(
        height=np.append(height, low),
        ease=np.append(_ease(surfaces, cut, height), 0.2 * u),
        stride=0.5,
        open=np.append(_open(surfaces, cut, height), cut.bottom),
        lined=True,
    )
    material = surfaces.use(_trunk_material(surfaces, outer, cut, low))
    surfaces.add(on_torso(surfaces.torso, hang, material, segments=40))
    for limb in surfaces.arms.values():
        _add_sleeve(surfaces, outer, cut, limb)
    if cut.collar:
        _add_collar(surfaces, outer, cut)
    if cut.lapel:
        _add_lapels(surfaces, outer, cut)


def _ease(surfaces: Surfaces, cut: _Cut, height: Array) -> Array:
    build, u = surfaces.build, surfaces.build.unit
    low = build.waistline - cut.hem * u
    ease = 0.55 + cut.ease * smooth(0.845 * build.height, 0.74 * build.height, height)
    return u * (ease + cut.flare * smooth(build.waistline, low, height))


def _open(surfaces: Surfaces, cut: _Cut, height: Array) -> Array:
    """Half of the opening at heights, in turns."""
    build, u = surfaces.build, surfaces.build.unit
    shares = (0.735, 0.80, 0.832, 0.85)
    places = (build.waistline - cut.hem * u, build.waistline, *(share * build.height for share in shares))
    return spline(height, places, np.array([cut.bottom, cut.waist, cut.waist + 0.03, 0.085, 0.115, 0.16]))


def _trunk_material(surfaces: Surfaces, outer: Outer, cut: _Cut, low: float) -> Material:
    build, u, cloth, kind = surfaces.build, surfaces.build.unit, outer.cloth, outer.kind
    girth = 6.6 * surfaces.torso.width(0.72 * build.height)
    dark = darker(cloth.ground, 0.35)

    def paint(at: Array) -> Painted:
        turn, y, x = at[:, 0], at[:, 1], at[:, 2]
        front, aside, below = in_front(turn), np.abs(x), build.waistline - y
        colour = cloth.colour(turn, y, girth)
        if kind in ("blazer", "coat"):
            pocket = front & (np.abs(aside - 0.62 * build.hips) < 2.3 * u) & (np.abs(below - 5.6 * u) < 0.55 * u)
            colour = blend(colour, dark, 0.35 * pocket)
        elif kind == "denim":
            yoke = np.abs(y - 0.752 * build.height) < 0.14 * u
            hem = np.abs(below - cut.hem * u + 1.6 * u) < 0.14 * u
            slant = aside - 0.060 * build.height - 0.08 * (y - 0.7 * build.height)
            seam = front & (np.abs(slant) < 0.14 * u) & (y < 0.752 * build.height)
            colour = blend(colour, rgb("e0a860"), 0.6 * (yoke | hem | seam))
        elif kind == "bomber":
            rib = (y < low + 2.4 * u) * (0.80 + 0.20 * cosine(turn * 60.0))
            colour = blend(colour, darker(cloth.ground, 0.28), rib)
        else:
            edge = np.abs(turn - np.floor(turn) - 0.5) - _open(surfaces, cut, y)
            button = (np.abs(edge - 0.012) < 0.006) & (np.abs(_part(y, 4.2 * u) - 2.1 * u) < 0.42 * u) & (x > 0.0)
            colour = shaded(colour, 1.0 - 0.12 * (edge < 0.024))
            colour = blend(colour, darker(cloth.ground, 0.6), 0.8 * button)
        return Painted(colour, UPPER)

    return Material(paint)


def _part(x: Array, period: float) -> Array:
    return x - np.floor(x * (1.0 / period)) * period


def _add_sleeve(surfaces: Surfaces, outer: Outer, cut: _Cut, limb: Limb) -> None:
    u = surfaces.build.unit
    end = limb.length + 0.4 * u
    distance = limb_rings(limb, limb.places[0], end, 24)
    share = np.clip(distance / end, 0.0, 1.0)
    ease = u * (0.75 + 0.35 * cut.ease * smooth(0.1, 0.5, share))
    if cut.cuff:
        ease = ease * (1.0 - 0.5 * smooth(0.90, 0.95, share))
    distance, ease = np.append(distance, end), np.append(ease, -0.4 * u)
    material = surfaces.use(_sleeve_material(outer, limb.girth(0.2 * limb.middle), end - 2.2 * u, u))
    surfaces.add(along_limb(limb, Run(distance=distance, ease=ease, fold=0.16 * u * (1.0 + cut.ease)), material))


def _sleeve_material(outer: Outer, girth: float, cuff: float, u: float) -> Material:
    cloth = outer.cloth

    def paint(at: Array) -> Painted:
        along = at[:, 1]
        colour = cloth.colour(at[:, 0], -along, girth)
        if outer.kind == "bomber":
            colour = blend(colour, darker(cloth.ground, 0.28), along > cuff)
        return Painted(shaded(colour, 1.0 - 0.16 * (np.abs(along - cuff) < 0.15 * u)), UPPER)

    return Material(paint)


# ------------------------------------------------------------------ collar and lapels
def _plain(colour: Rgb) -> Material:
    base = np.array(colour)
    return Material(lambda at: Painted(np.broadcast_to(base, (len(at), 3)), UPPER))


def _add_collar(surfaces: Surfaces, outer: Outer, cut: _Cut) -> None:
    """A band that stands at the neck and falls over in front, ending in points."""
    build, u = surfaces.build, surfaces.build.unit
    t = np.arange(33) / 32.0
    turn = 0.5 + (t - 0.5) * 0.84
    s, c = sine(turn), cosine(turn)
    fall = smooth(-0.25, 0.95, c)
    path = spread(
        (4.4 + 0.9 * fall) * u * s,
        0.845 * build.height - 3.0 * u * fall + 0.7 * u * smooth(0.2, -0.9, c),
        -1.4 * u + 4.9 * u * c,
    )
    out = spread(s, 0.30 + 0.55 * fall, c)
    half = cut.collar * u * smooth(0.0, 0.10, t) * smooth(1.0, 0.90, t) + 0.05 * u
    ground = outer.cloth.ground
    colour = darker(ground, 0.28) if outer.kind == "bomber" else mixed(ground, (1.0, 1.0, 1.0), 0.05)
    surfaces.add(ribbon(build, Band(path=path, outwards=out, half=half, thick=0.40 * u), surfaces.use(_plain(colour))))


def _add_lapels(surfaces: Surfaces, outer: Outer, cut: _Cut) -> None:
    """The folded front edges: broad under the collar, nothing at the waist."""
    build, u = surfaces.build, surfaces.build.unit
    t = np.arange(18) / 17.0
    height = 0.826 * build.height + (build.waistline + 0.5 * u - 0.826 * build.height) * t
    half = cut.lapel * u * spline(t, (0.0, 0.10, 0.22, 0.24, 1.0), np.array([0.35, 0.75, 1.0, 1.0, 0.05]))
    material = surfaces.use(_plain(mixed(outer.cloth.ground, (1.0, 1.0, 1.0), 0.07)))
    for side in SIDES:
        turn = side * (_open(surfaces, cut, height) + 0.70 * half * (1.0 / (6.3 * build.chest)))
        s, c = sine(turn), cosine(turn)
        x, z = surfaces.torso.drape(height, s, c)
        ease = _ease(surfaces, cut, height) + 0.30 * u
        path = spread(x + ease * s, height, z + ease * c)
        band = Band(path=path, outwards=spread(s, np.full(18, 0.05), c), half=half, thick=0.22 * u)
        surfaces.add(ribbon(build, band, material))
