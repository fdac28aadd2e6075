"""Cloth: a pattern in colours, of a size, with the grain of what it is woven or knitted of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.clothes.patterns import PATTERNS
from pgsynth_plugins.datasets.figures.maths import Array, cosine, noise
from pgsynth_plugins.datasets.figures.palette import Rgb, shaded

__all__ = ["Cloth", "Grain"]

Grain = Literal["smooth", "knit", "denim"]

_SALT: Final = 7


@dataclass(frozen=True, kw_only=True)
class Cloth:
    """What a garment is cut from.

    Attributes:
        ground: Colour of the cloth.
        figures: Two colours that the pattern uses.
        pattern: A key of `PATTERNS`.
        period: Size of one repeat, in metres.
        grain: Fine texture.
    """

    ground: Rgb
    figures: tuple[Rgb, Rgb]
    pattern: str = "plain"
    period: float = 0.08
    grain: Grain = "smooth"

    def colour(self, turn: Float[Array, " N"], along: Float[Array, " N"], girth: float) -> Float[Array, "N 3"]:
        """Colour at places of a garment.

        Args:
            turn: Around the limb or the body, 0 to 1.
            along: Metres along it.
            girth: Metres around it, about: a garment has a whole number of repeats around.
        """
        repeats = max(1, int(girth / self.period + 0.5))
        if self.pattern in ("diamonds", "tartan"):  # their figure takes two repeats
            repeats += repeats % 2
        base = np.array(self.ground)
        colour = np.broadcast_to(base, (len(turn), 3))
        if self.pattern != "plain":
            first, second = PATTERNS[self.pattern](turn * repeats, along * (1.0 / self.period))
            one, two = (np.broadcast_to(np.array(figure) - base, colour.shape) for figure in self.figures)
            colour = colour + shaded(one, first) + shaded(two, second)
        return shaded(colour, self._grained(turn, along, girth))

    def _grained(self, turn: Array, along: Array, girth: float) -> Array:
        if self.grain == "knit":
            return 0.985 + 0.028 * cosine(turn * float(int(girth / 0.013)))
        if self.grain == "denim":
            fine = max(1, int(girth * 160.0))
            worn = noise(turn * 9.0, along * 7.0, _SALT, wrap=9)
            return 0.93 + 0.10 * worn + 0.05 * noise(turn * fine, along * 50.0, _SALT + 1, wrap=fine)
        return 0.985 + 0.03 * noise(turn * 13.0, along * 11.0, _SALT, wrap=13)
