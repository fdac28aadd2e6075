"""Which triangle is seen at each sample: an exact orthographic z-buffer over all triangles at once.

A sample is a point of a grid finer than the pixels (`scale` to a side). Every triangle is opened into the samples of
its bounding box, those inside are kept, and the nearest wins; of equal depths, the triangle that comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from pgsynth_plugins.datasets.figures.maths import Array

__all__ = ["Seen", "rasterise"]

_DEPTH_STEPS: Final = 1 << 24  # per metre
_TRIANGLES: Final = 1 << 20
_EDGE: Final = 1e-7  # so that the seam between two triangles belongs to both rather than to none
_CHUNK: Final = 1 << 16  # candidates at a time: what fits the cache


@dataclass(frozen=True)
class Seen:
    """What is seen, for the N samples at which anything is.

    Attributes:
        sample: Number of the sample, row by row, ascending.
        triangle: Which triangle.
        corners: Weight of each of its corners.
        depth: z, in metres; greater is nearer.
    """

    sample: Int[np.ndarray, " N"]
    triangle: Int[np.ndarray, " N"]
    corners: Float[Array, "N 3"]
    depth: Float[Array, " N"]


def rasterise(points: Float[Array, "V 3"], triangles: Int[np.ndarray, "T 3"], height: int, width: int) -> Seen:
    """Find what is seen.

    Args:
        points: x to the right and y down, in samples (sample i covers i to i + 1 and is taken at its centre); z towards
            the viewer, in metres, between -4 and 4.
        triangles: Corners, anticlockwise as the viewer of a y-up world sees them; others face away and are not drawn.
        height: Of the grid, in samples.
        width: Of the grid, in samples.
    """
    plane, box = _set_up(points, triangles, height, width)
    nearest = np.full(height * width, -1, dtype=np.int64)
    ends = np.cumsum(box.count)  # whole numbers
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK)))
        _draw(nearest, plane, box.part(start, stop), width)
        start = stop
    sample = np.flatnonzero(nearest >= 0)
    chosen = _TRIANGLES - 1 - (nearest[sample] & (_TRIANGLES - 1))
    order = np.full(len(triangles), -1, dtype=np.int64)
    order[box.triangle] = np.arange(len(box.triangle))
    second, third, depth = plane.at(order[chosen], sample % width, sample // width)
    corners = np.stack([1.0 - second - third, second, third], axis=1)
    return Seen(sample, chosen, corners, depth)


@dataclass(frozen=True)
class _Planes:
    """Weights of the second and the third corner and the depth, each as x, y and constant of a plane; T' rows."""

    values: Float[Array, "9 T"]

    def at(self, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a = self.values[:, which]
        return (a[0] * x + a[1] * y + a[2], a[3] * x + a[4] * y + a[5], a[6] * x + a[7] * y + a[8])


@dataclass(frozen=True)
class _Boxes:
    """Bounding boxes in whole samples, of the triangles that are drawn at all."""

    triangle: Int[np.ndarray, " T"]
    left: Int[np.ndarray, " T"]
    top: Int[np.ndarray, " T"]
    wide: Int[np.ndarray, " T"]
    count: Int[np.ndarray, " T"]
    first: int = 0

    def part(self, start: int, stop: int) -> _Boxes:
        cut = slice(start, stop)
        return _Boxes(self.triangle[cut], self.left[cut], self.top[cut], self.wide[cut], self.count[cut], start)


def _set_up(
    points: Float[Array, "V 3"], triangles: Int[np.ndarray, "T 3"], height: int, width: int
) -> tuple[_Planes, _Boxes]:
    x, y = points[:, 0][triangles], points[:, 1][triangles]
    area = (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0]) - (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0])
    facing = np.flatnonzero(area > 1e-9)  # y points down here, so anticlockwise is positive
    x, y = x[facing] - 0.5, y[facing] - 0.5  # the first sample is at 0
    left = np.maximum(np.ceil(np.minimum(np.minimum(x[:, 0], x[:, 1]), x[:, 2])), 0.0)
    top = np.maximum(np.ceil(np.minimum(np.minimum(y[:, 0], y[:, 1]), y[:, 2])), 0.0)
    wide = np.minimum(np.floor(np.maximum(np.maximum(x[:, 0], x[:, 1]), x[:, 2])), width - 1.0) - left + 1.0
    high = np.minimum(np.floor(np.maximum(np.maximum(y[:, 0], y[:, 1]), y[:, 2])), height - 1.0) - top + 1.0
    hit = np.flatnonzero((wide > 0.0) & (high > 0.0))
    drawn, x, y = facing[hit], x[hit], y[hit]
    boxes = [side[hit].astype(np.int64) for side in (left, top, wide, wide * high)]
    over = 1.0 / area[drawn]
    z = points[:, 2][triangles[drawn]]
    x0, y0, z0 = x[:, 0], y[:, 0], z[:, 0]
    ux, uy, vx, vy = (x[:, 1] - x0) * over, (y[:, 1] - y0) * over, (x[:, 2] - x0) * over, (y[:, 2] - y0) * over
    second = (-vy, vx, vy * x0 - vx * y0)
    third = (uy, -ux, ux * y0 - uy * x0)
    rise, fall = z[:, 1] - z0, z[:, 2] - z0
    depth = tuple(rise * s + fall * t for s, t in zip(second, third, strict=True))
    planes = _Planes(np.stack([*second, *third, depth[0], depth[1], depth[2] + z0]))
    return planes, _Boxes(drawn, *boxes)


def _draw(nearest: Int[np.ndarray, " S"], planes: _Planes, box: _Boxes, width: int) -> None:
    """Enter one chunk of triangles into the buffer of (depth, number)."""
    which = np.repeat(np.arange(len(box.count)), box.count)
    ends = np.cumsum(box.count)  # whole numbers
    place = np.arange(len(which)) - np.repeat(ends - box.count, box.count)
    wide = box.wide[which]
    row = place // wide
    x, y = box.left[which] + (place - row * wide), box.top[which] + row
    second, third, depth = planes.at(which + box.first, x, y)
    inside = np.flatnonzero((second >= -_EDGE) & (third >= -_EDGE) & (second + third <= 1.0 + _EDGE))
    steps = ((depth[inside] + 4.0) * _DEPTH_STEPS).astype(np.int64)
    key = steps * _TRIANGLES + (_TRIANGLES - 1 - box.triangle[which[inside]])
    np.maximum.at(nearest, y[inside] * width + x[inside], key)
