"""A small stroke font, and words and numbers to print on shirts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from pgsynth_plugins.datasets.figures.maths import Array

__all__ = ["GLYPHS", "WORDS", "lettered", "text_width"]

_HIGH: Final = 6.0
_ADVANCE: Final = 5.6

GLYPHS: Final[Mapping[str, str]] = {
    "A": "00 04 26 44 40|02 42",
    "B": "00 06 36 45 44 33 03|33 42 41 30 00",
    "C": "45 36 16 05 01 10 30 41",
    "D": "00 06 26 44 42 20 00",
    "E": "46 06 00 40|03 33",
    "F": "46 06 00|03 33",
    "G": "45 36 16 05 01 10 30 41 43 23",
    "H": "00 06|40 46|03 43",
    "I": "20 26",
    "J": "46 41 30 10 01",
    "K": "00 06|46 02|13 40",
    "L": "06 00 40",
    "M": "00 06 23 46 40",
    "N": "00 06 40 46",
    "O": "10 01 05 16 36 45 41 30 10",
    "P": "00 06 36 45 44 33 03",
    "Q": "10 01 05 16 36 45 41 30 10|22 40",
    "R": "00 06 36 45 44 33 03|23 40",
    "S": "45 36 16 05 04 13 33 42 41 30 10 01",
    "T": "06 46|26 20",
    "U": "06 01 10 30 41 46",
    "V": "06 20 46",
    "W": "06 10 24 30 46",
    "X": "00 46|06 40",
    "Y": "06 23 46|23 20",
    "Z": "06 46 00 40",
    "0": "10 01 05 16 36 45 41 30 10",
    "1": "15 26 20|10 30",
    "2": "05 16 36 45 44 00 40",
    "3": "05 16 36 45 44 33 42 41 30 10 01|33 23",
    "4": "30 36 02 42",
    "5": "46 06 03 33 42 41 30 00",
    "6": "36 16 05 01 10 30 41 42 33 03",
    "7": "06 46 10",
    "8": "13 04 05 16 36 45 44 33 13 02 01 10 30 41 42 33",
    "9": "10 30 41 45 36 16 05 04 13 43",
}
"""Strokes on a grid 4 wide and 6 high: points are two digits, x then y from below; ``|`` lifts the pen."""

WORDS: Final = (
    "HELLO",
    "WAVE",
    "LUNA",
    "OSLO",
    "NOVA",
    "ECHO",
    "RIO",
    "SUNNY",
    "POSE",
    "KIND",
    "MAPLE",
    "07",
    "23",
    "88",
    "42",
    "ATLAS",
)


@lru_cache(maxsize=64)
def _strokes(letter: str) -> tuple[tuple[float, float, float, float], ...]:
    found = []
    for line in GLYPHS[letter].split("|"):
        points = [(float(code[0]), float(code[1])) for code in line.split()]
        found += [(*a, *b) for a, b in pairwise(points)]
    return tuple(found)


def text_width(text: str, height: float) -> float:
    """How wide a text of this height is, in the same unit."""
    return (_ADVANCE * len(text) - (_ADVANCE - 4.0)) * height / _HIGH


def lettered(
    text: str, x: Float[Array, " N"], y: Float[Array, " N"], height: float, weight: float
) -> Bool[np.ndarray, " N"]:
    """Whether points lie on the strokes.

    Args:
        text: Capitals and digits.
        x: To the right, from the middle of the text.
        y: Up, from the middle of the text.
        height: Of the letters, in the unit of x and y.
        weight: Half the width of a stroke, in sixths of the height.
    """
    scale = _HIGH / height
    column = (x + 0.5 * text_width(text, height)) * scale
    row = y * scale + 0.5 * _HIGH
    inked = np.zeros(x.shape, dtype=bool)
    near = np.flatnonzero((row > -weight) & (row < _HIGH + weight))
    for place, letter in enumerate(text):
        px = column[near] - place * _ADVANCE
        own = near[(px > -weight) & (px < 4.0 + weight)]
        if not len(own):
            continue
        px, py = column[own] - place * _ADVANCE, row[own]
        for ax, ay, bx, by in _strokes(letter):
            dx, dy = bx - ax, by - ay
            t = np.clip(((px - ax) * dx + (py - ay) * dy) * (1.0 / (dx * dx + dy * dy)), 0.0, 1.0)
            ex, ey = px - ax - t * dx, py - ay - t * dy
            inked[own] |= ex * ex + ey * ey < weight * weight
    return inked
