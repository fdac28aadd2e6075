"""Scarves and bags."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pgsynth_plugins.datasets.figures.body.shapes import SIDES, around
from pgsynth_plugins.datasets.figures.body.tubes import Tube
from pgsynth_plugins.datasets.figures.body.wrap import Band, ribbon, rigid, spread, torso_binding
from pgsynth_plugins.datasets.figures.clothes.cloth import Cloth
from pgsynth_plugins.datasets.figures.clothes.outfit import Outfit
from pgsynth_plugins.datasets.figures.clothes.tops import neck_loop
from pgsynth_plugins.datasets.figures.labels import BAG, SCARF
from pgsynth_plugins.datasets.figures.material import Material, Painted, plain
from pgsynth_plugins.datasets.figures.maths import Array, cosine, smooth, spline
from pgsynth_plugins.datasets.figures.palette import Rgb, blend, darker, rgb, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["add_bag", "add_scarf"]


# ------------------------------------------------------------------ scarf
def add_scarf(surfaces: Surfaces, cloth: Cloth, ease: float) -> None:
    """Add a scarf: twice round the neck, two ends in front; `ease` is what lies below it, in metres."""
    build, u = surfaces.build, surfaces.build.unit
    material = surfaces.use(Material(lambda at: Painted(cloth.colour(at[:, 0] * 0.5, at[:, 1], 0.12), SCARF)))
    for radius, height, half in ((4.7, 0.842, 2.4), (4.2, 0.860, 1.9)):
        path = neck_loop(radius * u, height * build.height, -1.3 * u, 0.8 * u)
        out = path * np.array([1.0, 0.0, 1.0])
        band = Band(path=path, outwards=out, half=np.full(len(path), half * u), thick=1.5 * u)
        surfaces.add(ribbon(build, band, material))
    t = np.arange(16) / 15.0
    for side, long in zip(SIDES, (21.0, 15.0), strict=True):
        y = 0.842 * build.height - t * long * u
        skin, out = surfaces.torso.surface(side * (1.6 + 1.0 * t) * u, y, np.ones(16))
        z = np.maximum(skin[:, 2] + ease + 1.0 * u, 4.6 * u * smooth(0.35, 0.0, t))
        band = Band(path=spread(skin[:, 0], y, z), outwards=out, half=np.full(16, 2.4 * u), thick=0.55 * u)
        surfaces.add(ribbon(build, band, material))


# ------------------------------------------------------------------ bags
def add_bag(surfaces: Surfaces, outfit: Outfit, ease: float) -> None:
    """Add the bag; `ease` is what lies between skin and strap, in metres."""
    bag = surfaces.use(_leather(outfit.bag_colour))
    strap = surfaces.use(plain(darker(outfit.bag_colour, 0.15), BAG))
    if outfit.bag == "backpack":
        _add_backpack(surfaces, (bag, strap), ease)
        return
    build, u = surfaces.build, surfaces.build.unit
    cross = outfit.bag == "cross"
    low = build.hip_joint + (-1.0 if cross else 9.0) * u
    reach = surfaces.torso.width(low) + ease
    surfaces.add(_strap(surfaces, (-0.47 if cross else 0.60) * build.shoulder, (reach, low), ease, strap))
    size = (2.4, 5.6, 4.4) if cross else (2.1, 6.0, 5.2)
    middle = (surfaces.torso.width(build.hip_joint) + ease + 1.9 * u, low - 3.0 * u, -0.5 * u)
    surfaces.add(_box(surfaces, middle, size, bag, "pelvis" if cross else "chest"))


def _strap(surfaces: Surfaces, shoulder: float, foot: tuple[float, float], ease: float, material: int) -> Tube:
    """A loop from a shoulder down in front, round the left side and up behind; `foot` is x and height of the bag."""
    build, u = surfaces.build, surfaces.build.unit
    t = np.arange(57) / 56.0
    down = 0.5 - 0.5 * cosine(t)  # 0 on the shoulder, 1 at the bag
    x = shoulder + (foot[0] - shoulder) * down
    top = surfaces.torso.ridge(shoulder)
    y = top + (foot[1] - top) * down
    skin, out = surfaces.torso.surface(x, y, np.where(t < 0.5, 1.0, -1.0))
    lift = smooth(0.12, 0.0, down)
    path = skin + ease * out * (1.0 - lift[:, None]) + spread(np.zeros(1), (0.20 * u + 0.35 * ease) * lift, np.zeros(1))
    path[:, 0] = np.where(np.abs(x) > np.abs(path[:, 0]), x, path[:, 0])
    path[-1] = path[0]
    outwards = out * (1.0 - 0.9 * lift[:, None]) + spread(np.zeros(1), 1.2 * lift, np.zeros(1))
    outwards[-1] = outwards[0]
    return ribbon(build, Band(path=path, outwards=outwards, half=np.full(57, 0.55 * u), thick=0.18 * u), material)


def _leather(colour: Rgb) -> Material:
    """A flap with a clasp; the coordinates are those of the box."""

    def paint(at: Array) -> Painted:
        high, aside = at[:, 1], np.abs(at[:, 2])
        base = np.broadcast_to(np.array(colour), (len(at), 3))
        base = blend(base, darker(colour, 0.35), 0.7 * (np.abs(high - 0.15) < 0.05))
        base = blend(base, rgb("d9b65c"), 0.9 * ((np.abs(high - 0.12) < 0.14) & (aside < 0.13)))
        return Painted(shaded(base, 1.0 + 0.04 * (high > 0.15)), BAG)

    return Material(paint, shine=0.2)


def _box(
    surfaces: Surfaces, at: tuple[float, float, float], size: tuple[float, float, float], material: int, name: str
) -> Tube:
    """A rounded box hanging at a point of the body.

    Its coordinates are (turn, height from -1 to 1, place across the larger side from -1 to 1; 9 on the narrow sides).

    Args:
        surfaces: The body.
        at: Its middle.
        size: Half of its x, z and y, in hundredths of the person's height.
        material: Its number.
        name: The bone it hangs on.
    """
    u = surfaces.build.unit
    place, s, c = around(20)
    t = np.array([1.0, 0.998, 0.97, 0.85, 0.6, 0.3, 0.0, -0.3, -0.6, -0.82, -0.95, -1.0])[:, None]
    grow = np.array([0.001, 0.55, 0.80, 0.93, 0.98, 1.0, 1.0, 1.0, 0.98, 0.92, 0.78, 0.001])[:, None]
    boxy = 1.0 + 0.75 * s * s * c * c
    x, z = size[0] * u * grow * s * boxy, size[1] * u * grow * c * boxy
    offsets = spread(x, np.zeros(1), z)
    centres = spread(np.array(at[0]), at[1] + size[2] * u * t[:, 0], np.array(at[2]))
    if size[0] < size[1]:
        facing = np.where(np.abs(x) > 0.5 * size[0] * u, z * (1.0 / (size[1] * u)), 9.0)
    else:
        facing = np.where(np.abs(z) > 0.5 * size[1] * u, x * (1.0 / (size[0] * u)), 9.0)
    return Tube(
        centres=centres,
        offsets=offsets,
        coordinates=spread(place, t, facing),
        binding=torso_binding(surfaces.build, centres) if name == "chest" else rigid(name, len(t)),
        material=material,
    )


def _add_backpack(surfaces: Surfaces, materials: tuple[int, int], ease: float) -> None:
    """A box on the back, and a strap over each shoulder and under the arm."""
    build, u = surfaces.build, surfaces.build.unit
    box = _box(surfaces, (0.0, 0.715 * build.height, -8.4 * u - ease), (6.4, 3.4, 9.0), materials[0], "chest")
    surfaces.add(replace(box, material=materials[0]))
    t = np.arange(25) / 24.0
    for side in SIDES:
        y = build.height * spline(t, (0.0, 0.30, 0.42, 0.70, 1.0), np.array([0.785, 0.829, 0.822, 0.745, 0.685]))
        x = build.shoulder * spline(t, (0.0, 0.30, 0.70, 1.0), np.array([0.52, 0.58, 0.66, 0.93]))
        skin, out = surfaces.torso.surface(side * x, y, np.where(t < 0.30, -1.0, 1.0))
        lift = smooth(0.20, 0.0, np.abs(t - 0.30))
        path = skin + (ease + 0.25 * u) * out * (1.0 - lift[:, None])
        path = path + spread(np.zeros(1), (0.25 * u + 0.35 * ease) * lift, np.zeros(1))
        path[:, 0] = side * x
        outwards = out + spread(np.zeros(1), 2.0 * lift, np.zeros(1))
        band = Band(path=path, outwards=outwards, half=np.full(25, 0.95 * u), thick=0.30 * u)
        surfaces.add(ribbon(build, band, materials[1]))
