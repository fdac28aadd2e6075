"""What the figure stands before: a plain wall, a softly lit one, or a studio whose floor takes the figure's shadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.maths import Array, smooth
from pgsynth_plugins.datasets.figures.palette import WALLS, Rgb, blend, darker, mixed
from pgsynth_plugins.datasets.figures.render.camera import Camera

__all__ = ["Backdrop", "draw_backdrop", "paint_backdrop"]

Kind = Literal["plain", "soft", "studio"]


@dataclass(frozen=True)
class Backdrop:
    """Its kind and its colour."""

    kind: Kind
    wall: Rgb


def draw_backdrop(chance: Chance, kinds: Literal["plain", "varied"]) -> Backdrop:
    """A wall; `plain` asks for one colour all over."""
    kind: Kind = "plain" if kinds == "plain" else chance.weighted("kind", {"plain": 2, "soft": 3, "studio": 3})
    return Backdrop(kind, chance.pick("wall", WALLS))


def paint_backdrop(
    backdrop: Backdrop, size: tuple[int, int], camera: Camera, feet: Float[Array, "F 3"]
) -> Float[Array, "H W 3"]:
    """The empty picture, 0 to 1, with the shadow of whoever stands there.

    Args:
        backdrop: Which.
        size: Height and width in pixels.
        camera: Where the floor is.
        feet: What touches the floor or nearly does, in metres; only a studio's floor shows their shadow.
    """
    height, width = size
    wall = np.array(backdrop.wall)
    if backdrop.kind == "plain":
        return np.broadcast_to(wall, (height, width, 3)).copy()
    y = ((np.arange(height) + 0.5) / height)[:, None] * np.ones((1, width))
    x = ((np.arange(width) + 0.5) / width)[None, :] * np.ones((height, 1))
    dx, dy = (x - 0.42) * 1.1, (y - 0.36) * 0.9
    dark, light = np.array(darker(backdrop.wall, 0.10)), mixed(backdrop.wall, (1.0, 1.0, 1.0), 0.40)
    picture = blend(np.broadcast_to(dark, (height, width, 3)), light, smooth(0.85, 0.05, dx * dx + dy * dy))
    if backdrop.kind == "soft":
        return picture
    floor = np.array(darker(backdrop.wall, 0.085)) * np.array([1.0, 0.985, 0.965])
    horizon = (camera.down - 0.20 * camera.scale) / height
    near = blend(np.broadcast_to(floor, picture.shape), backdrop.wall, 0.3 + 0.5 * y)
    picture = blend(picture, near, smooth(horizon - 0.015, horizon + 0.015, y))
    return _shadowed(picture, camera, feet)


def _shadowed(picture: Array, camera: Camera, feet: Float[Array, "F 3"]) -> Array:
    """A soft oval on the floor under each foot."""
    y, x = np.arange(picture.shape[0]) + 0.5, np.arange(picture.shape[1]) + 0.5
    for foot in feet:
        across = (x - camera.across - camera.scale * (foot[0] + 0.03)) * (1.0 / (0.20 * camera.scale))
        down = (y - camera.down - camera.scale * (0.004 + 0.12 * foot[2])) * (1.0 / (0.050 * camera.scale))
        away = (across * across)[None, :] + (down * down)[:, None]
        near = max(0.0, 1.0 - 5.0 * float(foot[1]))
        picture = blend(picture, (0.16, 0.12, 0.18), 0.34 * near * smooth(1.0, 0.0, away))
    return picture
