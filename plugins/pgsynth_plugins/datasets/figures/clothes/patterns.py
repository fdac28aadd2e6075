"""Patterns of cloth: where each of the two figure colours lies, over a plane that repeats every unit both ways.

`p` runs around the limb or the body and `q` along it, both in repeats of the pattern. Around, a pattern has a whole
number of repeats, so no garment has a seam that shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.maths import Array, Numbers, sine_of

__all__ = ["PATTERNS", "Pattern", "Shares"]

Repeats = Float[Array, " N"]
Shares = tuple[Float[Array, " N"], Float[Array, " N"]]
Pattern = Callable[[Repeats, Repeats], Shares]


def _part(x: Repeats) -> Repeats:
    return x - np.floor(x)


def _centred(x: Repeats) -> Repeats:
    """Distance with sign from the nearest whole number."""
    return x - np.floor(x + 0.5)


def _shares(first: Numbers, second: Numbers | None = None) -> Shares:
    one: Array = first.astype(np.float64)
    return one, np.zeros_like(one) if second is None else second.astype(np.float64)


def _staggered(p: Repeats, q: Repeats) -> tuple[Repeats, Repeats]:
    """Way to the nearest point of a grid whose every other row is shifted by half; rows are half a repeat apart."""
    row = np.floor(q * 2.0 + 0.5)
    shift = 0.5 * (row - 2.0 * np.floor(row * 0.5))
    return _centred(p + shift), q - row * 0.5


def _plain(p: Repeats, q: Repeats) -> Shares:
    return _shares(np.zeros(p.shape))


def _stripes(p: Repeats, q: Repeats) -> Shares:
    return _shares(_part(q) < 0.5)


def _breton(p: Repeats, q: Repeats) -> Shares:
    return _shares(_part(q) < 0.32)


def _rhythm(p: Repeats, q: Repeats) -> Shares:
    t = _part(q * 0.5)
    return _shares((t < 0.30), (t > 0.42) & (t < 0.54))


def _bars(p: Repeats, q: Repeats) -> Shares:
    return _shares(_part(p) < 0.5)


def _pinstripe(p: Repeats, q: Repeats) -> Shares:
    return _shares(_part(p * 2.0) < 0.16)


def _gingham(p: Repeats, q: Repeats) -> Shares:
    down, across = _shares(_part(p) < 0.5, _part(q) < 0.5)
    return _shares(0.5 * (down + across))


def _tartan(p: Repeats, q: Repeats) -> Shares:
    s, t = np.abs(_centred(p * 0.5 + 0.25)), np.abs(_centred(q * 0.5 + 0.25))
    down, across = _shares(s < 0.17, t < 0.17)
    line = (np.abs(s - 0.33) < 0.022) | (np.abs(t - 0.33) < 0.022)
    return _shares(np.where(line, 0.0, 0.5 * (down + across)), line * 0.85)


def _windowpane(p: Repeats, q: Repeats) -> Shares:
    return _shares((np.abs(_centred(p)) < 0.055) | (np.abs(_centred(q)) < 0.055))


def _dots(p: Repeats, q: Repeats) -> Shares:
    x, y = _staggered(p, q)
    return _shares(x * x + y * y < 0.028)


def _coins(p: Repeats, q: Repeats) -> Shares:
    x, y = _staggered(p, q)
    row = np.floor(q * 2.0 + 0.5)
    odd = row - 2.0 * np.floor(row * 0.5) > 0.5
    disc = x * x + y * y < 0.050
    return _shares(disc & ~odd, disc & odd)


def _diamonds(p: Repeats, q: Repeats) -> Shares:
    x, y = np.abs(_centred(p)), np.abs(_centred(q * 0.5))
    line = np.abs(_part(p + q * 0.5) - 0.5) < 0.025
    line |= np.abs(_part(p - q * 0.5) - 0.5) < 0.025
    return _shares((x + y < 0.5) & ~line, line)


def _chevron(p: Repeats, q: Repeats) -> Shares:
    return _shares(_part(q + 0.9 * np.abs(_centred(p))) < 0.42)


def _flowers(p: Repeats, q: Repeats) -> Shares:
    x, y = _staggered(p, q)
    petals = np.zeros(p.shape, dtype=bool)
    for k in range(5):
        dx, dy = x - 0.125 * sine_of(k / 5.0), y - 0.125 * sine_of(k / 5.0 + 0.25)
        petals |= dx * dx + dy * dy < 0.0080
    middle = x * x + y * y < 0.0056
    return _shares(petals & ~middle, middle)


def _leaves(p: Repeats, q: Repeats) -> Shares:
    x, y = _staggered(p, q)
    row = np.floor(q * 2.0 + 0.5)
    lean = np.where(row - 2.0 * np.floor(row * 0.5) > 0.5, 0.55, -0.55)
    across, along = x - lean * y, y + lean * x
    leaf = np.abs(across) < 0.13 * (1.0 - 18.0 * along * along)
    return _shares(leaf & (np.abs(across) > 0.012))


def _triangles(p: Repeats, q: Repeats) -> Shares:
    x, y = _staggered(p, q)
    return _shares((y > -0.14) & (np.abs(x) < 0.5 * (0.19 - y)))


def _crosses(p: Repeats, q: Repeats) -> Shares:
    x, y = _staggered(p, q)
    x, y = np.abs(x), np.abs(y)
    return _shares(((x < 0.035) & (y < 0.13)) | ((y < 0.035) & (x < 0.13)))


PATTERNS: Final[Mapping[str, Pattern]] = {
    "plain": _plain,
    "stripes": _stripes,
    "breton": _breton,
    "rhythm": _rhythm,
    "bars": _bars,
    "pinstripe": _pinstripe,
    "gingham": _gingham,
    "tartan": _tartan,
    "windowpane": _windowpane,
    "dots": _dots,
    "coins": _coins,
    "diamonds": _diamonds,
    "chevron": _chevron,
    "flowers": _flowers,
    "leaves": _leaves,
    "triangles": _triangles,
    "crosses": _crosses,
}
"""Every pattern by name."""
