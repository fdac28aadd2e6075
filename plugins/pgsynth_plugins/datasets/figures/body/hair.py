"""Hair: who wears which cut in which colour, and how it is painted. The surfaces are in `hair_shapes.py`.

The coordinates of its material are (place across, from -1 over 0 at the back to 1; height in heads; 0), so that
strands run from the crown downwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.labels import HAIR as LABEL
from pgsynth_plugins.datasets.figures.material import Material, Painted
from pgsynth_plugins.datasets.figures.maths import Array, noise, smooth
from pgsynth_plugins.datasets.figures.palette import HAIR, Rgb, darker, mixed, shaded

__all__ = ["STYLES", "Hair", "Style", "draw_hair", "hair_material"]


@dataclass(frozen=True, kw_only=True)
class Style:
    """A cut.

    Attributes:
        bottom: Where the hair ends, at seven places from the back to the edge beside the face, in heads.
        volume: How far it stands off the skull, at the top and at the sides.
        fringe: How far it falls onto the forehead, in heads.
        curl: How rough its surface is.
        tie: What is tied: nothing, a tail, a bun on top or at the nape, two braids.
        feminine: Who wears it: low for men, high for women, 0.5 for anyone.
        fall: Falling hair: how far it spreads at its ends, in heads.
    """

    bottom: tuple[float, ...]
    volume: tuple[float, float]
    fringe: float = 0.0
    curl: float = 0.0
    tie: Literal["", "tail", "top", "nape", "braids"] = ""
    feminine: float = 0.5
    fall: float = 0.0

    @property
    def long(self) -> bool:
        """Whether it falls below the chin."""
        return min(self.bottom) < 0.05

    @property
    def woolly(self) -> bool:
        """Whether it has a rough surface rather than strands."""
        return self.curl > 0.6


_SHORT: Final = (0.08, 0.13, 0.26, 0.50, 0.50, 0.42, 0.42)
_TIED: Final = (0.10, 0.16, 0.28, 0.46, 0.50, 0.46, 0.46)


def _level(back: float, front: float) -> tuple[float, ...]:
    return (back, back, back, 0.5 * (back + front), front, front, front)


STYLES: Final[Mapping[str, Style]] = {
    "buzz": Style(bottom=_SHORT, volume=(0.012, 0.010), feminine=0.2),
    "crop": Style(bottom=_SHORT, volume=(0.075, 0.035), fringe=0.03, feminine=0.15),
    "quiff": Style(bottom=_SHORT, volume=(0.120, 0.030), fringe=-0.02, feminine=0.1),
    "pixie": Style(bottom=_SHORT, volume=(0.070, 0.050), fringe=0.14, feminine=0.8),
    "curls": Style(
        bottom=(0.10, 0.16, 0.26, 0.42, 0.45, 0.44, 0.44), volume=(0.135, 0.105), fringe=0.05, curl=1.0, feminine=0.5
    ),
    "afro": Style(bottom=(0.08, 0.08, 0.14, 0.26, 0.34, 0.40, 0.44), volume=(0.24, 0.25), fringe=-0.01, curl=0.7),
    "bob": Style(bottom=_level(-0.02, 0.06), volume=(0.060, 0.085), feminine=0.95, fall=0.03),
    "fringe bob": Style(bottom=_level(0.00, 0.10), volume=(0.060, 0.075), fringe=0.20, feminine=0.95, fall=0.03),
    "shoulder": Style(bottom=_level(-0.36, -0.24), volume=(0.055, 0.075), feminine=0.95, fall=0.05),
    "long": Style(bottom=_level(-0.95, -0.72), volume=(0.055, 0.070), feminine=1.0, fall=0.08),
    "waves": Style(bottom=_level(-0.70, -0.52), volume=(0.075, 0.110), curl=0.55, feminine=1.0, fall=0.13),
    "ponytail": Style(bottom=_TIED, volume=(0.040, 0.022), tie="tail", feminine=0.95),
    "bun": Style(bottom=_TIED, volume=(0.035, 0.022), tie="top", feminine=0.9),
    "chignon": Style(bottom=_TIED, volume=(0.045, 0.028), tie="nape", feminine=1.0),
    "braids": Style(bottom=_TIED, volume=(0.040, 0.026), tie="braids", feminine=1.0),
}
"""Every cut by name."""


@dataclass(frozen=True)
class Hair:
    """Somebody's hair; `part` is where it is parted, -0.5 (the person's right) to 0.5."""

    style: str
    colour: Rgb
    part: float


def draw_hair(chance: Chance, feminine: float) -> Hair:
    """Colour, cut and parting."""
    suited = {name: 1 if style.curl else 2 for name, style in STYLES.items() if abs(style.feminine - feminine) < 0.62}
    return Hair(
        style=chance.weighted("style", suited),
        colour=chance.pick("colour", HAIR),
        part=chance.between("part", -0.5, 0.5),
    )


def hair_material(hair: Hair) -> Material:
    """Strands, lighter and darker, and a soft band of light round the head."""
    style = STYLES[hair.style]
    base = np.array(hair.colour)
    up = np.array(mixed(hair.colour, (1.0, 0.86, 0.66), 0.20)) - base
    down = np.array(darker(hair.colour, 0.40)) - base

    def paint(at: Array) -> Painted:
        across, height = at[:, 0], at[:, 1]
        if style.woolly:
            lock = noise(across * 14.0 + height * 3.0, height * 13.0, 11)
        else:
            lock = 0.65 * noise(across * 17.0, height * 1.6, 11) + 0.35 * noise(across * 48.0, height * 2.2, 12)
        share = np.clip((lock - 0.5) * 1.9, -1.0, 1.0)
        light = np.maximum(share, 0.0)
        if not style.woolly:
            light = light + 0.35 * smooth(0.10, 0.0, np.abs(height - 0.80 + 0.05 * (lock - 0.5))) * (0.4 + lock)
        ones = np.broadcast_to(base, (len(at), 3))
        colour = ones + shaded(np.broadcast_to(up, ones.shape), light)
        return Painted(colour + shaded(np.broadcast_to(down, ones.shape), np.maximum(-share, 0.0)), LABEL)

    return Material(paint, shine=0.06)
