"""Arithmetic that is the same on every machine: only + - * / and square roots, which IEEE 754 rounds exactly.

Sines of the C library and of numpy, sums, dot products and matrix products may differ in the last bit between
processors and versions, and one bit is enough to move an edge by a sample. Nothing here is random, nothing is fast for
its own sake. A test holds the whole painter to this.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = [
    "Array",
    "Mask",
    "Matrix",
    "Numbers",
    "Vector",
    "cosine",
    "cross",
    "matmul",
    "noise",
    "normalised",
    "rotation",
    "sine",
    "sine_of",
    "smooth",
    "spline",
]

if TYPE_CHECKING:  # so that mypy knows what arithmetic on arrays gives
    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]
    Numbers = NDArray[Any]
else:
    Array = Mask = Numbers = np.ndarray
Vector = Float[Array, "3"]
Matrix = Float[Array, "3 3"]

_TURN: Final = 6.283185307179586
_TAYLOR: Final = (1.0 / 6.0, 1.0 / 20.0, 1.0 / 42.0, 1.0 / 72.0, 1.0 / 110.0, 1.0 / 156.0, 1.0 / 210.0)


def sine(turns: Array | float) -> Array:
    """Sine of an angle in turns (1.0 is the full circle); error below 1e-11."""
    t = np.asarray(turns, dtype=np.float64)
    t = t - np.floor(t + 0.5)  # [-0.5, 0.5)
    x: Array = np.where(t > 0.25, 0.5 - t, np.where(t < -0.25, -0.5 - t, t)) * _TURN
    squared = x * x
    series = np.ones_like(x)
    for ratio in reversed(_TAYLOR):
        series = 1.0 - squared * ratio * series
    return x * series


def sine_of(turns: float) -> float:
    """`sine` of one number, without the cost of an array."""
    t = turns - floor(turns + 0.5)
    t = 0.5 - t if t > 0.25 else -0.5 - t if t < -0.25 else t
    x = t * _TURN
    series = 1.0
    for ratio in reversed(_TAYLOR):
        series = 1.0 - x * x * ratio * series
    return x * series


def cosine(turns: Array | float) -> Array:
    """Cosine of an angle in turns."""
    return sine(np.asarray(turns, dtype=np.float64) + 0.25)


def smooth(low: Array | float, high: Array | float, x: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic without kinks between. `low` may be above `high`: then it falls."""
    t: Array = np.minimum(np.maximum((x - low) * (1.0 / (high - low)), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


def spline(at: Array, places: Sequence[float], values: Array) -> Array:
    """A smooth curve through control points: cubics, at each point as steep as the parabola beside it.

    Args:
        at: [K] where it is asked, within the first and the last place.
        places: N places in ascending order.
        values: [N, ...] one row per place.

    Returns:
        [K, ...].
    """
    x = np.asarray(places, dtype=np.float64)
    y = np.asarray(values, dtype=np.float64)
    wide = (slice(None),) + (None,) * (y.ndim - 1)
    step = x[1:] - x[:-1]
    slopes = (y[1:] - y[:-1]) / step[wide]
    inner = (slopes[:-1] * step[1:][wide] + slopes[1:] * step[:-1][wide]) / (step[1:] + step[:-1])[wide]
    tangent = np.concatenate([slopes[:1], inner, slopes[-1:]])
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    t = ((np.clip(at, x[0], x[-1]) - x[i]) / step[i])[wide]
    h = step[i][wide]
    u = 1.0 - t
    values_at: Array = u * u * (1.0 + 2.0 * t) * y[i] + t * t * (3.0 - 2.0 * t) * y[i + 1]
    bend: Array = t * u * h * (u * tangent[i] - t * tangent[i + 1])
    return values_at + bend


def noise(x: Array, y: Array, salt: int, wrap: int = 0) -> Array:
    """Smooth noise in [0, 1]: hashed values on the integer grid, blended; with `wrap`, it repeats so along x."""
    column, row = np.floor(x), np.floor(y)
    s, t = x - column, y - row
    s, t = s * s * (3.0 - 2.0 * s), t * t * (3.0 - 2.0 * t)
    i, j = column.astype(np.int64), row.astype(np.int64)
    i, after = (i % wrap, (i + 1) % wrap) if wrap else (i, i + 1)
    near = _hashed(i, j, salt) * (1.0 - s) + _hashed(after, j, salt) * s
    far = _hashed(i, j + 1, salt) * (1.0 - s) + _hashed(after, j + 1, salt) * s
    return near * (1.0 - t) + far * t


def _hashed(column: Numbers, row: Numbers, salt: int) -> Array:
    mixed = (column * 374761393 + row * 668265263 + salt * 982451653) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    value: Array = ((mixed ^ (mixed >> 16)) & 0xFFFF) * (1.0 / 65535.0)
    return value


def rotation(axis: int, degrees: float) -> Matrix:
    """Right-handed rotation about x (0), y (1) or z (2)."""
    s, c = sine_of(degrees / 360.0), sine_of(degrees / 360.0 + 0.25)
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = c
    matrix[i, j], matrix[j, i] = -s, s
    return matrix


def matmul(a: Matrix, b: Matrix) -> Matrix:
    """a b, in a fixed order of additions."""
    product: Array = a[:, 0:1] * b[0] + a[:, 1:2] * b[1] + a[:, 2:3] * b[2]
    return product


def cross(a: Float[Array, "*n 3"], b: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Vector products along the last axis."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def normalised(vectors: Float[Array, "*n 3"]) -> Float[Array, "*n 3"]:
    """Vectors of length one along the last axis; a zero vector stays zero."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    length = np.sqrt(x * x + y * y + z * z)
    unit: Array = vectors / np.maximum(length, 1e-12)[..., None]
    return unit
