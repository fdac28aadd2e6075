"""What is painted on the trunk: cloth with its print and buttons, and the skin that neckline and armholes leave bare.

A neckline is no hole in the cloth but skin painted on it, and its edge casts a little shade; so it is as sharp as the
picture allows, and needs no second surface below.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.shapes import LEFT, RIGHT
from pgsynth_plugins.datasets.figures.clothes.lettering import lettered, text_width
from pgsynth_plugins.datasets.figures.clothes.motifs import MOTIFS
from pgsynth_plugins.datasets.figures.clothes.outfit import Print, Top
from pgsynth_plugins.datasets.figures.labels import FACE, arm
from pgsynth_plugins.datasets.figures.material import Material, Painted
from pgsynth_plugins.datasets.figures.maths import Array, Mask, smooth
from pgsynth_plugins.datasets.figures.palette import Rgb, blend, darker, luminance, mixed, shaded
from pgsynth_plugins.datasets.figures.surfaces import Surfaces

__all__ = ["in_front", "trunk_material"]


def in_front(turn: Array) -> Mask:
    """Whether a place around the body is in its front half."""
    front: Mask = np.abs(turn - np.floor(turn) - 0.5) < 0.25
    return front


def trunk_material(surfaces: Surfaces, top: Top, skin: Rgb, label: int, low: float) -> Material:
    """The trunk's paint.

    Args:
        surfaces: The body.
        top: The garment.
        skin: What shows at the neck.
        label: Of the cloth.
        low: Height of the hem.
    """
    build, u = surfaces.build, surfaces.build.unit
    girth = 6.6 * surfaces.torso.width(0.72 * build.height)
    opening = _opening(top, build)
    cut = top.neckline not in ("high", "collar")  # these end under a collar
    shade = darker(skin, 0.22)

    def paint(at: Array) -> Painted:
        turn, y, x = at[:, 0], at[:, 1], at[:, 2]
        front = in_front(turn)
        colour = top.cloth.colour(turn, y, girth)
        colour = _printed(top.print, colour, np.stack([np.where(front, x, -x), y - 0.728 * build.height]), front, u)
        if top.buttons:
            colour = np.where(front[:, None], _buttoned(top, colour, x, y, build), colour)
        neck, arms = opening(x, y, front)
        edge = np.minimum(np.abs(neck), np.abs(arms))
        if top.trim is not None:
            hem = (y < low + 1.3 * u) & (top.hem != 0.0)
            colour = blend(colour, top.trim, ((edge < 0.85 * u) & cut) | hem)
        colour = shaded(colour, 1.0 - 0.14 * ((np.abs(edge - 0.85 * u) < 0.13 * u) & cut))
        flesh = blend(np.broadcast_to(np.array(skin), colour.shape), shade, smooth(0.9 * u, 0.0, edge))
        bare = (neck < 0.0) | (arms < 0.0)
        of_arm = np.where(x > 0.0, arm(LEFT), arm(RIGHT))
        labels = np.where(neck < 0.0, FACE, np.where(arms < 0.0, of_arm, label))
        return Painted(np.where(bare[:, None], flesh, colour), labels)

    return Material(paint)


# ------------------------------------------------------------------ openings
Opening = Callable[[Array, Array, Mask], tuple[Array, Array]]
"""x, height and whether in front -> metres from the edges of neckline and armhole, negative where the skin is bare."""


def _opening(top: Top, build: Build) -> Opening:
    u, base = build.unit, 0.842 * build.height
    half, ahead, behind = {  # half the width, depth in front, depth behind
        "round": (4.1, 3.6, 1.9),
        "v": (4.0, 8.0, 1.9),
        "boat": (6.4, 2.9, 2.6),
        "collar": (3.2, 3.0, 1.2),
        "high": (2.4, 1.0, 0.6),
        "scoop": (5.2, 6.4, 3.2),
        "tank": (4.4, 6.2, 4.2),
        "straps": (5.6, 8.4, 8.0),
    }[top.neckline]

    def curve(left: Array, below: Array, depth: Array) -> Array:
        across, down = left * (1.0 / (half * u)), np.maximum(below, 0.0) / depth
        return (np.sqrt(across * across + down * down) - 1.0) * (half * u)

    def opening(x: Array, y: Array, front: Mask) -> tuple[Array, Array]:
        left, below = np.abs(x), base - y
        depth = np.where(front, ahead * u, behind * u)
        neck, arms = curve(left, below, depth), np.ones_like(x)
        if top.neckline in ("v", "collar"):
            neck = np.where(front, (left * (1.0 / (half * u)) + below / depth - 1.0) * 0.62 * half * u, neck)
        elif top.neckline == "tank":
            arms = 0.66 * build.shoulder - left
            arms = arms + 0.9 * build.shoulder * smooth(0.785 * build.height, 0.742 * build.height, y)
        elif top.neckline == "straps":
            strap = 0.55 * u - np.abs(left - 0.56 * build.shoulder)
            above = depth - below - 1.2 * u * smooth(0.0, 0.6, left * (1.0 / build.chest))
            neck = np.where((strap > 0.0) & (above > 0.0), strap, -above)
        return neck, arms

    return opening


# ------------------------------------------------------------------ buttons and prints
def _buttoned(top: Top, colour: Array, x: Array, y: Array, build: Build) -> Array:
    """A placket with buttons down the middle."""
    u = build.unit
    low = (0.0 if top.sleeve == "long" else 0.75) * build.height
    colour = shaded(colour, 1.0 - 0.16 * ((np.abs(np.abs(x) - 0.85 * u) < 0.12 * u) & (y > low)))
    step = y * (1.0 / (3.6 * u))
    nearest = (step - np.floor(step) - 0.5) * 3.6 * u
    button = (x * x + nearest * nearest < 0.12 * u * u) & (y < 0.815 * build.height) & (y > low)
    ground = top.cloth.ground
    ink = mixed(ground, (1.0, 1.0, 1.0), 0.6) if luminance(ground) < 0.6 else darker(ground, 0.45)
    return blend(colour, ink, 0.9 * button)


def _printed(print_: Print, colour: Array, place: Array, front: Mask, u: float) -> Array:
    """The picture or word; `place` is [2, N], to the viewer's right and up, from the middle of the chest."""
    if not print_.kind:
        return colour
    x, y = place
    shown = front | print_.back
    if print_.kind == "band":
        colour = blend(colour, print_.inks[0], np.abs(y) < 2.6 * u)
        return blend(colour, print_.inks[1], np.abs(np.abs(y) - 3.5 * u) < 0.45 * u)
    if print_.kind == "word":
        high = 5.0 * u * min(1.0, 12.6 * u / text_width(print_.what, 5.2 * u))
        inked = lettered(print_.what, x, y - 0.6 * u, high, 0.62) & shown
        line = (np.abs(y + 0.5 * high + 1.0 * u) < 0.32 * u) & (np.abs(x) < 0.5 * text_width(print_.what, high)) & shown
        return blend(blend(colour, print_.inks[0], inked), print_.inks[1], line)
    size = 1.0 / (5.4 * u)
    ink = MOTIFS[print_.what](x * size, y * size)
    return blend(blend(colour, print_.inks[0], (ink == 1) & shown), print_.inks[1], (ink == 2) & shown)
