"""Pictures for prints: small functions from the plane, -1 to 1 both ways, to which of two inks is there, if any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from pgsynth_plugins.datasets.figures.maths import Array, Mask, Numbers, cosine, sine, sine_of

__all__ = ["MOTIFS", "Motif"]

Plane = Float[Array, " N"]
Ink = Int[np.ndarray, " N"]
Motif = Callable[[Plane, Plane], Ink]


def _inks(first: Numbers, second: Numbers | None = None) -> Ink:
    """0 where there is none; the second ink over the first."""
    ink = first.astype(np.int64)
    return ink if second is None else np.where(second, 2, ink)


def _disc(x: Plane, y: Plane, radius: float, at: tuple[float, float] = (0.0, 0.0)) -> Mask:
    dx, dy = x - at[0], y - at[1]
    inside: Mask = dx * dx + dy * dy < radius * radius
    return inside


def _heart(x: Plane, y: Plane) -> Ink:
    ax = np.abs(x) * 1.15
    top = _disc(ax, y, 0.46, (0.42, 0.38))
    body = (ax < 0.88 * (y + 0.92) * 0.78) & (y < 0.42) & (ax + 0.9 * y < 0.98)
    return _inks(top | (body & (y > -0.92)))


def _star(x: Plane, y: Plane) -> Ink:
    inside = np.zeros(x.shape, dtype=np.int64)
    for k in range(5):
        s, c = sine_of(k / 5.0), sine_of(k / 5.0 + 0.25)
        inside += (x * s + y * c < 0.36).astype(np.int64)
    return _inks(inside >= 4) * (x * x + y * y < 1.3)


def _sun(x: Plane, y: Plane) -> Ink:
    rays = np.zeros(x.shape, dtype=bool)
    for k in range(6):
        s, c = sine_of(k / 12.0), sine_of(k / 12.0 + 0.25)
        across, along = x * c - y * s, np.abs(x * s + y * c)
        rays |= (np.abs(across) < 0.065) & (along > 0.64) & (along < 0.98)
    return _inks(rays, _disc(x, y, 0.5))


def _moon(x: Plane, y: Plane) -> Ink:
    stars = _disc(x, y, 0.10, (0.48, 0.45)) | _disc(x, y, 0.07, (0.72, 0.05)) | _disc(x, y, 0.06, (0.30, 0.02))
    return _inks(_disc(x, y, 0.9, (-0.1, 0.0)) & ~_disc(x, y, 0.78, (0.26, 0.14)), stars)


def _peaks(x: Plane, y: Plane) -> Ink:
    ground = (y > -0.6) & (np.abs(x) < 1.0)
    far, near = ground & (y < 0.62 - 1.25 * np.abs(x + 0.28)), ground & (y < 0.22 - 1.15 * np.abs(x - 0.42))
    snow = far & (y > 0.26 + 0.12 * cosine(x * 2.6)) | _disc(x, y, 0.20, (0.62, 0.66))
    return _inks((far | near) & ~snow, snow)


def _waves(x: Plane, y: Plane) -> Ink:
    inside = _disc(x, y, 0.95)
    swell = y + 0.11 * sine(x * 1.3)
    rows = (swell - np.floor(swell * 3.2) / 3.2) < 0.16
    return _inks(inside & rows & (y < 0.2), _disc(x, y, 0.36, (0.18, 0.42)) & (swell > 0.16))


def _flower(x: Plane, y: Plane) -> Ink:
    petals = np.zeros(x.shape, dtype=bool)
    for k in range(6):
        petals |= _disc(x, y, 0.36, (0.56 * sine_of(k / 6.0), 0.56 * sine_of(k / 6.0 + 0.25)))
    return _inks(petals, _disc(x, y, 0.28))


def _smile(x: Plane, y: Plane) -> Ink:
    eyes = _disc(np.abs(x), (y - 0.26) * 0.7, 0.11, (0.30, 0.0))
    mouth = _disc(x, y, 0.62, (0.0, 0.06)) & ~_disc(x, y, 0.66, (0.0, 0.22)) & (y < 0.0)
    return _inks(_disc(x, y, 0.9), eyes | mouth)


def _polygon(x: Plane, y: Plane, corners: tuple[tuple[float, float], ...]) -> Mask:
    """Inside a polygon: an odd number of its edges lies to the right."""
    inside = np.zeros(x.shape, dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * ((bx - ax) / (by - ay)))
    return inside


def _bolt(x: Plane, y: Plane) -> Ink:
    corners = ((0.18, 0.95), (-0.52, -0.12), (-0.08, -0.12), (-0.26, -0.95), (0.52, 0.22), (0.06, 0.22), (0.42, 0.95))
    return _inks(_polygon(x, y, corners))


def _target(x: Plane, y: Plane) -> Ink:
    ring = _disc(x, y, 0.92) & ~_disc(x, y, 0.66)
    return _inks(ring, _disc(x, y, 0.40))


MOTIFS: Final[Mapping[str, Motif]] = {
    "heart": _heart,
    "star": _star,
    "sun": _sun,
    "moon": _moon,
    "peaks": _peaks,
    "waves": _waves,
    "flower": _flower,
    "smile": _smile,
    "bolt": _bolt,
    "target": _target,
}
"""Every picture by name."""
