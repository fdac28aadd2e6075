"""What a surface is painted with: a function from the surface's own coordinates to colour and label.

Because it knows nothing but the surface's coordinates, whatever is painted moves, bends and foreshortens with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pgsynth_plugins.datasets.figures.maths import Array
from pgsynth_plugins.datasets.figures.palette import Rgb

__all__ = ["Material", "Painted", "plain"]

Coordinates = Float[Array, "N 3"]


@dataclass(frozen=True)
class Painted:
    """Colour and ATR-18 label of N samples of one material."""

    colour: Float[Array, "N 3"]
    label: Int[np.ndarray, " N"] | int


@dataclass(frozen=True)
class Material:
    """A surface's paint.

    Attributes:
        paint: From the coordinates that the tube agreed on.
        shine: Strength of the highlight, 0 to 1.
    """

    paint: Callable[[Coordinates], Painted]
    shine: float = 0.0


def plain(colour: Rgb, label: int, shine: float = 0.0) -> Material:
    """One colour all over."""
    return Material(lambda at: Painted(np.broadcast_to(np.array(colour), (len(at), 3)), label), shine)
