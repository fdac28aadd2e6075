"""Shoes, socks, and the feet in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from pgsynth_plugins.datasets.figures.body.limbs import foot
from pgsynth_plugins.datasets.figures.body.shapes import Limb
from pgsynth_plugins.datasets.figures.body.wrap import Run, along_limb, limb_rings
from pgsynth_plugins.datasets.figures.clothes.outfit import Shoes
from pgsynth_plugins.datasets.figures.labels import leg, shoe
from pgsynth_plugins.datasets.figures.material import Material, Painted, plain
from pgsynth_plugins.datasets.figures.maths import Array
from pgsynth_plugins.datasets.figures.palette import Rgb, blend, darker, mixed, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["add_feet"]

Form = tuple[tuple[float, float, float, float, float], ...]

_FORMS: Final[Mapping[str, Form]] = {
    "sneaker": (
        (-3.50, 0.55, 2.3, 0.9, 0.0),
        (-3.25, 1.30, 3.8, 0.1, 0.0),
        (-2.4, 1.75, 5.0, 0.0, 0.0),
        (-1.0, 1.85, 5.4, 0.0, 0.05),
        (0.6, 1.85, 5.2, 0.0, 0.15),
        (2.6, 1.95, 4.3, 0.0, 0.25),
        (4.8, 2.15, 3.3, 0.0, 0.4),
        (7.0, 2.15, 2.6, 0.0, 0.5),
        (8.8, 1.85, 2.2, 0.1, 0.5),
        (9.9, 1.25, 1.8, 0.25, 0.45),
        (10.45, 0.55, 1.4, 0.5, 0.4),
    ),
    "boot": (
        (-3.4, 0.55, 2.3, 0.9, 0.0),
        (-3.15, 1.30, 4.2, 0.0, 0.0),
        (-2.3, 1.75, 6.0, 0.0, 0.0),
        (-0.6, 1.85, 6.2, 0.0, 0.05),
        (1.0, 1.85, 5.6, 0.0, 0.15),
        (2.8, 1.95, 4.4, 0.0, 0.25),
        (4.8, 2.1, 3.3, 0.0, 0.4),
        (7.0, 2.05, 2.6, 0.0, 0.5),
        (8.8, 1.75, 2.2, 0.1, 0.5),
        (9.9, 1.2, 1.8, 0.25, 0.45),
        (10.4, 0.55, 1.4, 0.5, 0.4),
    ),
    "loafer": (
        (-3.25, 0.5, 2.1, 0.8, 0.0),
        (-3.0, 1.20, 3.4, 0.0, 0.0),
        (-2.2, 1.6, 4.0, 0.0, 0.0),
        (-0.6, 1.7, 3.8, 0.0, 0.05),
        (1.2, 1.7, 3.6, 0.05, 0.15),
        (3.0, 1.85, 3.4, 0.05, 0.25),
        (5.0, 2.05, 2.8, 0.0, 0.4),
        (7.2, 1.95, 2.1, 0.0, 0.45),
        (9.0, 1.55, 1.7, 0.1, 0.45),
        (10.1, 0.95, 1.3, 0.25, 0.4),
        (10.55, 0.4, 1.0, 0.45, 0.4),
    ),
    "flat": (
        (-3.05, 0.5, 1.8, 0.6, 0.0),
        (-2.85, 1.10, 2.6, 0.0, 0.0),
        (-2.0, 1.5, 2.9, 0.0, 0.0),
        (0.0, 1.5, 2.3, 0.0, 0.05),
        (2.0, 1.6, 1.9, 0.0, 0.2),
        (4.2, 1.85, 2.1, 0.0, 0.35),
        (6.4, 1.85, 1.9, 0.0, 0.45),
        (8.2, 1.45, 1.5, 0.05, 0.45),
        (9.3, 0.85, 1.1, 0.2, 0.4),
        (9.75, 0.35, 0.9, 0.35, 0.4),
    ),
    "heel": (
        (-2.85, 0.40, 2.3, 0.5, 0.0),
        (-2.65, 0.95, 3.0, -2.5, 0.0),
        (-1.9, 1.3, 3.2, -2.5, 0.0),
        (-1.3, 1.4, 3.0, -0.4, 0.0),
        (0.6, 1.4, 2.4, -0.4, 0.05),
        (2.4, 1.5, 1.7, -1.0, 0.2),
        (4.4, 1.75, 1.3, -2.0, 0.35),
        (6.4, 1.75, 0.5, -2.6, 0.4),
        (8.2, 1.3, -0.5, -2.6, 0.4),
        (9.3, 0.65, -1.5, -2.5, 0.4),
        (9.65, 0.25, -1.9, -2.4, 0.4),
    ),
}
"""Rings from heel to toe, as `limbs.foot` takes them."""

_BARE: Final = np.array(
    [
        (-2.7, 0.5, 1.8, 0.9, 0.0),
        (-2.5, 0.95, 3.0, 0.4, 0.0),
        (-1.7, 1.35, 4.2, 0.3, 0.0),
        (0.0, 1.40, 4.3, 0.4, 0.05),
        (2.0, 1.42, 3.3, 0.6, 0.15),
        (4.2, 1.62, 2.3, 0.5, 0.3),
        (6.4, 1.62, 1.6, 0.3, 0.4),
        (8.2, 1.2, 1.2, 0.3, 0.4),
        (9.0, 0.6, 0.9, 0.5, 0.4),
    ]
)
"""A foot, that an open shoe shows from above."""
_SOLES: Final = {"sneaker": 1.15, "boot": 1.0, "loafer": 0.5}


def add_feet(surfaces: Surfaces, shoes: Shoes, skin: Rgb) -> None:
    """Add feet, socks and shoes."""
    u = surfaces.build.unit
    for limb in surfaces.legs.values():
        if shoes.kind in ("flat", "heel"):
            rows = _BARE.copy()
            if shoes.kind == "heel":  # the foot stands on its toes
                rows[:, 2:4] -= np.clip((rows[:, :1] + 0.5) * 0.34, -0.2, 2.45)
            bare = surfaces.use(plain(skin, leg(limb.side)))
            surfaces.add(foot(surfaces.build, limb, rows, bare))
        material = surfaces.use(_shoe_material(shoes, limb.side, u))
        surfaces.add(foot(surfaces.build, limb, np.array(_FORMS[shoes.kind]), material))
        if shoes.kind == "boot":
            shaft = surfaces.use(plain(shoes.upper, shoe(limb.side), 0.30))
            surfaces.add(along_limb(limb, _cuff(limb, 7.5 * u, 0.72 * u), shaft))
        elif shoes.sock is not None:
            _add_sock(surfaces, shoes.sock, limb)


def _shoe_material(shoes: Shoes, side: int, u: float) -> Material:
    upper, sole, kind = shoes.upper, shoes.sole, shoes.kind
    line = mixed(upper, darker(upper, 0.8), 0.5)

    def paint(at: Array) -> Painted:
        across, high, ahead = np.abs(at[:, 0] - 0.5), at[:, 1], at[:, 2]
        colour = np.broadcast_to(np.array(upper), (len(at), 3))
        if kind == "sneaker":
            step = ahead * (1.0 / (1.05 * u))
            lace = (across < 0.085) & (step - np.floor(step) < 0.42) & (ahead > 0.8 * u) & (ahead < 5.4 * u)
            slash = (across > 0.16) & (np.abs(ahead - 1.6 * u - 1.3 * (high - 2.6 * u)) < 0.55 * u) & (high > 1.2 * u)
            colour = blend(colour, line, 0.35 * ((across < 0.16) & (ahead > 0.4 * u) & (ahead < 6.0 * u)))
            colour = blend(colour, sole, 0.95 * lace + 0.85 * slash)
        elif kind in ("loafer", "boot"):
            colour = blend(colour, line, 0.5 * (np.abs(ahead - 3.6 * u) < 0.35 * u))
        under = high < _SOLES.get(kind, -9.0) * u
        return Painted(np.where(under[:, None], np.array(sole), colour), shoe(side))

    return Material(paint, shine=0.0 if kind == "sneaker" else 0.30)


def _cuff(limb: Limb, above: float, ease: float) -> Run:
    """A tube round the ankle, from `above` it down into the shoe, with an edge at the top."""
    start = limb.length - above
    distance = limb_rings(limb, start, limb.places[-1], 9)
    return Run(distance=np.insert(distance, 0, start), ease=np.insert(np.full(9, ease), 0, -0.6 * ease))


def _add_sock(surfaces: Surfaces, colour: Rgb, limb: Limb) -> None:
    u = surfaces.build.unit
    top = limb.length - 4.6 * u

    def paint(at: Array) -> Painted:
        rib = np.abs(at[:, 1] - top - 1.3 * u) < 0.18 * u
        base = np.broadcast_to(np.array(colour), (len(at), 3))
        return Painted(shaded(base, 1.0 - 0.12 * rib), leg(limb.side))

    surfaces.add(along_limb(limb, _cuff(limb, 4.6 * u, 0.28 * u), surfaces.use(Material(paint))))
