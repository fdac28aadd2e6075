"""Trousers, shorts, skirts, and the lower parts of dresses."""

from __future__ import annotations

import numpy as np

from pgsynth_plugins.datasets.figures.body.shapes import LEFT, Limb
from pgsynth_plugins.datasets.figures.body.wrap import Hang, Run, along_limb, limb_rings, on_torso
from pgsynth_plugins.datasets.figures.clothes.fronts import in_front
from pgsynth_plugins.datasets.figures.clothes.outfit import Bottom, Outfit
from pgsynth_plugins.datasets.figures.labels import BELT, DRESS, PANTS, SKIRT
from pgsynth_plugins.datasets.figures.material import Material, Painted
from pgsynth_plugins.datasets.figures.maths import Array, smooth
from pgsynth_plugins.datasets.figures.palette import Rgb, blend, darker, mixed, rgb, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["add_bottom", "bare_from"]


def bare_from(limb: Limb, bottom: Bottom, u: float) -> float:
    """How far below the hip joint the leg is bare, in metres; a little more is made than is seen."""
    return bottom.length * limb.length - (5.0 if bottom.skirted else 2.0) * u


def add_bottom(surfaces: Surfaces, outfit: Outfit) -> None:
    """Add what is worn below the waist."""
    if outfit.bottom.skirted:
        _add_skirt(surfaces, outfit.bottom)
        return
    _add_seat(surfaces, outfit.bottom)
    for limb in surfaces.legs.values():
        _add_leg(surfaces, outfit, limb)


# ------------------------------------------------------------------ trousers and shorts
def _add_seat(surfaces: Surfaces, bottom: Bottom) -> None:
    build, u = surfaces.build, surfaces.build.unit
    high, low = build.waistline + 1.2 * u, build.crotch - 1.2 * u
    height = high + (low - high) * (np.arange(16) / 15.0)
    material = surfaces.use(_seat_material(surfaces, bottom))
    surfaces.add(on_torso(surfaces.torso, Hang(height=height, ease=np.full(16, 0.42 * u), fits=True), material))


def _add_leg(surfaces: Surfaces, outfit: Outfit, limb: Limb) -> None:
    bottom, u = outfit.bottom, surfaces.build.unit
    end = bottom.length * limb.length
    long = bottom.kind == "trousers"
    tucked = outfit.shoes.kind == "boot" and bottom.wide < 0.6 and bottom.length > 0.9
    if tucked:
        end -= 3.0 * u
    count = 30 if long else 18
    distance = limb_rings(limb, limb.places[0], end, count)
    share = np.clip(distance / end, 0.0, 1.0)
    ease = u * (0.40 + bottom.wide * smooth(0.15, 0.75, share))
    if long and not tucked:  # cloth stands in folds on the shoe
        ease = ease + 0.22 * u * smooth(0.86, 0.97, share) * np.where(np.arange(count) % 2 == 0, 1.0, -0.4)
    distance, ease = np.append(distance, end), np.append(ease, -0.9 * u)
    material = surfaces.use(_leg_material(bottom, limb, end, u))
    run = Run(distance=distance, ease=ease, fold=0.16 * u * (1.0 + bottom.wide), segments=18)
    surfaces.add(along_limb(limb, run, material))


def _stitch(ground: Rgb) -> Rgb:
    return mixed(ground, rgb("e0a860"), 0.55)


def _leg_material(bottom: Bottom, limb: Limb, end: float, u: float) -> Material:
    cloth, girth = bottom.cloth, limb.girth(0.45 * limb.middle)
    thread = _stitch(cloth.ground)

    def paint(at: Array) -> Painted:
        turn, along = at[:, 0], at[:, 1]
        colour = cloth.colour(turn, -along, girth)
        outer = np.abs(turn - (0.75 if limb.side == LEFT else 0.25))
        if cloth.grain == "denim":
            faded = smooth(0.64, 0.36, along * (1.0 / end)) * smooth(0.06, 0.30, along * (1.0 / end))
            faded = faded * smooth(0.22, 0.0, np.abs(turn - 0.5))
            colour = blend(colour, mixed(cloth.ground, (1.0, 1.0, 1.0), 0.35), 0.4 * faded)
            seams = (np.abs(outer - 0.012) < 0.004) | (np.abs(along - end + 1.4 * u) < 0.14 * u)
            colour = blend(colour, thread, 0.6 * seams)
        else:
            crease = 0.05 * (bottom.kind == "trousers") * smooth(0.012, 0.0, np.abs(turn - 0.5))
            colour = shaded(colour, 1.0 + crease - 0.12 * (np.abs(along - end + 1.2 * u) < 0.14 * u))
        return Painted(shaded(colour, 1.0 - 0.10 * smooth(0.008, 0.0, outer)), PANTS)

    return Material(paint)


def _seat_material(surfaces: Surfaces, bottom: Bottom) -> Material:
    build, u, cloth = surfaces.build, surfaces.build.unit, bottom.cloth
    girth = 6.6 * build.hips
    ink = _stitch(cloth.ground) if cloth.grain == "denim" else darker(cloth.ground, 0.30)

    def paint(at: Array) -> Painted:
        turn, y, x = at[:, 0], at[:, 1], at[:, 2]
        front, below = in_front(turn), build.waistline - y
        colour = cloth.colour(turn, y, girth)
        lines = (np.abs(below - 1.4 * u) < 0.12 * u) | (front & (np.abs(x) < 0.12 * u) & (below > 1.4 * u))
        slant = np.abs(x) - 0.50 * build.hips - 0.45 * (below - 1.4 * u)
        lines |= front & (np.abs(slant) < 0.13 * u) & (below > 1.4 * u) & (below < 7.0 * u)
        aside = np.abs(np.abs(x) - 0.46 * build.hips)
        pocket = ~front & (aside < 2.7 * u) & (below > 5.0 * u) & (below < 10.5 * u)
        inner = (aside < 2.45 * u) & (below > 5.25 * u) & (below < 10.2 * u)
        colour = blend(colour, ink, 0.55 * (lines | (pocket & ~inner)))
        return _belted(bottom.belt, colour, (y - build.waistline, np.where(front, x, 9.0)), PANTS, u)

    return Material(paint)


def _belted(belt: Rgb | None, colour: Array, place: tuple[Array, Array], label: int, u: float) -> Painted:
    """A belt with a buckle in front, if there is one; `place` is metres above the waist and from the buckle."""
    if belt is None:
        return Painted(colour, label)
    above, aside = np.abs(place[0] + 0.1 * u), np.abs(place[1])
    band = above < 1.15 * u
    colour = np.where(band[:, None], np.array(belt), colour)
    colour = blend(colour, darker(belt, 0.4), 0.6 * (np.abs(above - 0.95 * u) < 0.12 * u))
    ring = np.maximum(aside, above * 1.15)
    colour = blend(colour, rgb("d9b65c"), 0.95 * (band & (ring < 1.55 * u) & (ring > 0.95 * u)))
    return Painted(colour, np.where(band, BELT, label))


# ------------------------------------------------------------------ skirts
def _add_skirt(surfaces: Surfaces, bottom: Bottom) -> None:
    build, u = surfaces.build, surfaces.build.unit
    low = build.hip_joint - bottom.length * surfaces.legs[LEFT].length
    high = build.waistline + (2.0 if bottom.kind == "dress" else 1.2) * u
    height = high + (low - high) * (np.arange(26) / 25.0)
    flared = smooth(build.waistline, low, height)
    ease = u * (0.48 + 0.5 * smooth(0.0, 0.3, flared) + bottom.wide * (0.35 * flared + 0.65 * flared * flared))
    depth = u * (0.05 + 0.75 * flared * (0.4 + 0.12 * bottom.wide))
    hang = Hang(
        height=height,
        ease=ease,
        stride=0.85,
        pleats=(bottom.pleats, depth) if bottom.pleats else None,
        lined=True,
    )
    material = surfaces.use(_skirt_material(surfaces, bottom, low))
    surfaces.add(on_torso(surfaces.torso, hang, material, segments=72 if bottom.pleats else 40))


def _skirt_material(surfaces: Surfaces, bottom: Bottom, low: float) -> Material:
    build, u, cloth = surfaces.build, surfaces.build.unit, bottom.cloth
    girth = 6.6 * surfaces.torso.width(0.72 * build.height)
    label = DRESS if bottom.kind == "dress" else SKIRT

    def paint(at: Array) -> Painted:
        turn, y = at[:, 0], at[:, 1]
        line = np.abs(y - low - 1.2 * u) < 0.13 * u
        if bottom.kind == "skirt":
            line |= np.abs(build.waistline - 1.2 * u - y) < 0.12 * u
        colour = shaded(cloth.colour(turn, y, girth), 1.0 - 0.13 * line)
        place = (y - build.waistline, np.where(in_front(turn), at[:, 2], 9.0))
        return _belted(bottom.belt, colour, place, label, u)

    return Material(paint)
