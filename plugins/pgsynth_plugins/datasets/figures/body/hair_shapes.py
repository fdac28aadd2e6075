"""The surfaces of hair: a shell over the head from the crown to the hairline or far below it, and what is tied behind.

The shell is open in front for the face. Its columns run from the edge on the person's right over the back to the edge
on the left; every column ends at its own height, so that one grid serves a crop and hair down to the waist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.body.bones import bone
from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.hair import STYLES, Hair, Style
from pgsynth_plugins.datasets.figures.body.head import place_on_head, skull_surface
from pgsynth_plugins.datasets.figures.body.shapes import SIDES, around
from pgsynth_plugins.datasets.figures.body.tubes import Binding, Tube
from pgsynth_plugins.datasets.figures.body.wrap import rigid, spread
from pgsynth_plugins.datasets.figures.maths import Array, cosine, noise, sine, smooth, spline

__all__ = ["hair_tubes"]

_ACROSS: Final = (0.0, 0.45, 0.62, 0.74, 0.82, 0.90, 1.0)
_COLUMNS: Final = 46


def hair_tubes(build: Build, hair: Hair, material: int, *, covered: bool) -> list[Tube]:
    """The surfaces of somebody's hair; flat on top where a hat covers it."""
    style = STYLES[hair.style]
    tubes = [_shell(build, style, hair.part, material, covered)]
    if style.tie == "tail":
        tubes.append(_tail(build, material))
    if style.tie == "top" and not covered:
        tubes.append(_ball(build, (1.04, -0.26), 0.185, material))
    if style.tie == "nape" or (style.tie == "top" and covered):
        tubes.append(_ball(build, (0.30, -0.53), 0.165, material))
    if style.tie == "braids":
        tubes += [_braid(build, side, material) for side in SIDES]
    return tubes


# ------------------------------------------------------------------ the shell
def _front_edge(height: Array, fringe: float) -> Array:
    """Half of the opening for the face at a height, in turns from the front."""
    places = (-1.2, -0.20, 0.10, 0.30, 0.46, 0.60, 0.70, 0.775, 0.805)
    values = np.array([0.275, 0.250, 0.222, 0.216, 0.205, 0.178, 0.135, 0.075, 0.0])
    if fringe > 0.0:  # the opening's upper end comes down, and its sides stay
        opening = spline(height, places, values)
        return opening * smooth(0.0, 0.06, 0.805 - fringe - height)
    return spline(height + fringe, places, values)


@dataclass(frozen=True)
class _Grid:
    """The shell's points: places across and down, height, half of the opening, sine and cosine of the angle."""

    across: Float[Array, " S1"]
    down: Float[Array, "K 1"]
    height: Float[Array, "K S1"]
    opening: Float[Array, "K S1"]
    s: Float[Array, "K S1"]
    c: Float[Array, "K S1"]


def _grid(style: Style) -> _Grid:
    rings = 38 if style.long else 30
    across: Array = np.arange(_COLUMNS + 1) / (0.5 * _COLUMNS) - 1.0
    bottom = spline(np.abs(across), _ACROSS, np.array(style.bottom))
    if style.long:
        bottom = bottom + 0.04 * (noise(across * 7.0, np.zeros_like(across), 31) - 0.5)
    t = (np.arange(rings) / (rings - 1.0))[:, None]
    t = 0.75 * t * t + 0.25 * t if style.long else 0.45 * t * t + 0.55 * t
    height = 1.0 - t * (1.0 - bottom)
    opening = np.clip(_front_edge(height.ravel(), style.fringe), 0.0, 0.45).reshape(height.shape)
    turn = across * (0.5 - opening) + 0.5  # 0 is the front
    return _Grid(across, t, height, opening, sine(turn), cosine(turn))


def _shell(build: Build, style: Style, part: float, material: int, covered: bool) -> Tube:
    grid = _grid(style)
    height, s, c = grid.height, grid.s, grid.c
    x, z = skull_surface(np.maximum(height, 0.18), s, c, build.feminine)
    thick = _thickness(style, grid, part, covered)
    if not covered:
        thick = thick * (1.0 if style.volume[0] <= 0.02 else _texture(style, grid))
    fall = style.fall * smooth(0.25, min(style.bottom) - 0.05, height)
    level = 1.0 - 0.92 * smooth(0.72, 1.0, height)  # towards the crown, hair stands up rather than out
    x = x + (thick * level + fall) * s
    z = z + (thick * level + 0.4 * fall) * c - 0.10 * smooth(0.10, -0.30, height) * smooth(-0.3, -1.0, c)
    z = np.where(height < 0.18, np.minimum(z, 0.13 - 0.10 * smooth(0.1, -0.35, height)), z)
    y = height + thick * smooth(0.62, 0.97, height)
    if style.curl and style.long:
        ripple = 0.030 * smooth(0.45, 0.0, height)
        x, z = x + ripple * cosine(height * 3.1) * s, z + ripple * sine(height * 3.1 + 0.3)
    rings = len(height)
    middle = place_on_head(build, np.zeros(rings), y[:, _COLUMNS // 2], np.full(rings, -0.07))
    low = 0.9 * smooth(0.12, -0.75, height).ravel()
    return Tube(
        centres=middle,
        offsets=place_on_head(build, x, y, z) - middle[:, None],
        coordinates=spread(grid.across, height, np.zeros(1)),
        binding=Binding.to([bone("head"), bone("chest")], [1.0 - low, low]),
        material=material,
        closed=False,
        lined=True,
    )


def _thickness(style: Style, grid: _Grid, part: float, covered: bool) -> Array:
    """How far the hair stands off the skull."""
    top, side = (min(volume, 0.03) for volume in style.volume) if covered else style.volume
    share = smooth(0.55, 0.95, grid.height)
    edge = 1.0 - np.abs(grid.across)
    if style.long:
        near, end = smooth(-0.02, 0.10, edge), np.ones_like(grid.down)
    else:
        near, end = smooth(0.0, 0.30, edge), smooth(0.0, 0.22, 1.0 - grid.down)
    crown = np.maximum(near, smooth(0.70, 0.86, grid.height))
    thick = 0.020 + (top * share + side * (1.0 - share)) * crown * end
    tucked = smooth(0.10, 0.0, edge) * smooth(0.02, 0.08, grid.opening) * smooth(0.0, 0.12, grid.height)
    if not covered and not style.woolly and style.volume[0] > 0.02:
        line = smooth(0.10, 0.0, np.abs(grid.s * 0.33 - 0.24 * part)) * (np.abs(grid.across) > 0.5)
        thick = thick * (1.0 - 0.25 * line * smooth(0.72, 0.82, grid.height) * smooth(0.97, 0.90, grid.height))
    return thick - (thick + 0.035) * tucked  # beside the face the edge goes into the head


def _texture(style: Style, grid: _Grid) -> Array:
    """Curls stand out more and less."""
    if not style.woolly:
        return np.ones_like(grid.height)
    return 0.72 + 0.56 * noise(grid.across * 9.0 * np.ones_like(grid.height), grid.height * 9.0, 21)


# ------------------------------------------------------------------ what is tied
def _ball(build: Build, at: tuple[float, float], radius: float, material: int) -> Tube:
    """A bun; `at` is its height and z in heads."""
    place, s, c = around(18)
    t = (np.arange(11) / 10.0)[:, None]
    up, out = cosine(t * 0.5), sine(t * 0.5) + 0.002
    lumps = 0.92 + 0.16 * noise(place * 8.0 * np.ones_like(t), t * 5.0 * np.ones_like(place), 5, wrap=8)
    x, z = radius * out * s * lumps, at[1] + radius * out * c * lumps
    y = at[0] + radius * 0.92 * up * np.ones_like(s)
    middle = place_on_head(build, np.zeros(11), y[:, 0], np.full(11, at[1]))
    return Tube(
        centres=middle,
        offsets=place_on_head(build, x, y, z) - middle[:, None],
        coordinates=spread(place * 2.0 - 1.0 + up * 0.4, 0.45 + 0.2 * up, np.zeros(1)),
        binding=rigid("head", 11),
        material=material,
    )


def _hanging(build: Build, path: Array, radius: Array, low: Array, material: int) -> Tube:
    """A tail or braid along a path, in heads; `low` is how far each ring hangs on the chest."""
    place, s, c = around(14)
    r = radius[:, None]
    x, y, z = path[:, 0:1] + r * s, path[:, 1:2] * np.ones_like(s), path[:, 2:3] + r * c
    middle = place_on_head(build, path[:, 0], path[:, 1], path[:, 2])
    return Tube(
        centres=middle,
        offsets=place_on_head(build, x, y, z) - middle[:, None],
        coordinates=spread(place * 2.0 - 1.0, y * 0.5, np.zeros(1)),
        binding=Binding.to([bone("head"), bone("chest")], [1.0 - low, low]),
        material=material,
    )


def _tail(build: Build, material: int) -> Tube:
    t = np.arange(17) / 16.0
    y = 0.86 - 1.15 * t * (0.25 + 0.75 * t)
    path = spread(np.zeros(1), y, -0.46 - 0.84 * t * (1.0 - t) - 0.06 * t)
    radius = spline(t, (0.0, 0.06, 0.3, 0.75, 0.95, 1.0), np.array([0.002, 0.085, 0.135, 0.115, 0.05, 0.002]))
    return _hanging(build, path, radius, 0.5 * smooth(0.3, 1.0, t), material)


def _braid(build: Build, side: int, material: int) -> Tube:
    t = np.arange(37) / 36.0
    path = spread(side * (0.30 + 0.06 * t), 0.34 - 1.0 * t, -0.20 + 0.30 * t * (1.6 - t))
    radius = spline(t, (0.0, 0.06, 0.85, 0.97, 1.0), np.array([0.002, 0.072, 0.054, 0.040, 0.002]))
    strands = 0.80 + 0.30 * np.abs(sine(np.arange(37) / 8.0))
    return _hanging(build, path, radius * strands, smooth(0.1, 0.7, t), material)
