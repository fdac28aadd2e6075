"""What somebody wears, piece by piece. How it is chosen is in `wardrobe.py`; how it is made, in the files beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pgsynth_plugins.datasets.figures.clothes.cloth import Cloth
from pgsynth_plugins.datasets.figures.palette import Rgb

__all__ = [
    "Bag",
    "Bottom",
    "Hat",
    "Neckline",
    "Outer",
    "OuterKind",
    "Outfit",
    "Print",
    "Shoe",
    "Shoes",
    "Sleeve",
    "Top",
]

Neckline = Literal["round", "v", "boat", "collar", "high", "scoop", "tank", "straps"]
Sleeve = Literal["none", "cap", "short", "elbow", "long"]
Shoe = Literal["sneaker", "boot", "flat", "loafer", "heel"]
Hat = Literal["", "cap", "beanie", "brim", "beret"]
Bag = Literal["", "cross", "shoulder", "backpack"]
OuterKind = Literal["blazer", "cardigan", "bomber", "coat", "denim"]

_BLACK: Rgb = (0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Print:
    """A picture (a key of `MOTIFS`), a word or bands on the chest, and perhaps on the back, in two inks."""

    kind: Literal["", "motif", "word", "band"] = ""
    what: str = ""
    inks: tuple[Rgb, Rgb] = (_BLACK, _BLACK)
    back: bool = False


@dataclass(frozen=True, kw_only=True)
class Top:
    """What covers the trunk: a shirt, or the upper part of a dress.

    Attributes:
        neckline: Its opening.
        sleeve: How far the sleeves go.
        cloth: What it is made of.
        loose: Ease beyond the least, in hundredths of the height.
        hem: Where a shirt ends, in hundredths of the height below the waist; 0 is tucked in.
        trim: Colour of cuffs, collar and hem; None for the cloth's own.
        print: On the chest.
        buttons: Whether it is closed with buttons in front.
        hood: Whether it has a hood, worn down.
    """

    neckline: Neckline
    sleeve: Sleeve
    cloth: Cloth
    loose: float
    hem: float
    trim: Rgb | None = None
    print: Print = Print()
    buttons: bool = False
    hood: bool = False


@dataclass(frozen=True, kw_only=True)
class Bottom:
    """Trousers, shorts, a skirt, or the lower part of a dress.

    Attributes:
        kind: Which of them.
        cloth: What it is made of.
        length: From 0 at the hip to 1 at the ankle.
        wide: Ease at the lower end, in hundredths of the height.
        pleats: Number of folds of a skirt.
        belt: Its colour, if one is worn.
    """

    kind: Literal["trousers", "shorts", "skirt", "dress"]
    cloth: Cloth
    length: float
    wide: float
    pleats: int = 0
    belt: Rgb | None = None

    @property
    def skirted(self) -> bool:
        """Whether it hangs round both legs together."""
        return self.kind in ("skirt", "dress")


@dataclass(frozen=True, kw_only=True)
class Outer:
    """An open jacket."""

    kind: OuterKind
    cloth: Cloth


@dataclass(frozen=True, kw_only=True)
class Shoes:
    """Shoes with the colours of upper and sole, and the colour of socks that show, if any."""

    kind: Shoe
    upper: Rgb
    sole: Rgb
    sock: Rgb | None


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """Everything somebody wears."""

    top: Top
    bottom: Bottom
    outer: Outer | None
    shoes: Shoes
    hat: Hat
    hat_colours: tuple[Rgb, Rgb]
    glasses: Literal["", "round", "wide"]
    bag: Bag
    bag_colour: Rgb
    scarf: Cloth | None
