"""The ATR-18 labels that are painted.

ATR names neither neck nor hands nor socks nor a bare chest: the neck and what a neckline shows are `FACE`, hands and
what an armhole shows belong to their arm, socks and bare feet to their leg, and a jacket is `UPPER`.
"""

from __future__ import annotations

from typing import Final

from pgsynth_core.data import LABELS

__all__ = [
    "BAG",
    "BELT",
    "DRESS",
    "FACE",
    "GLASSES",
    "HAIR",
    "HAT",
    "PANTS",
    "SCARF",
    "SKIRT",
    "UPPER",
    "arm",
    "leg",
    "shoe",
]

_ATR: Final = LABELS["atr18"]

HAT: Final = _ATR.index("hat")
HAIR: Final = _ATR.index("hair")
GLASSES: Final = _ATR.index("sunglasses")
UPPER: Final = _ATR.index("upper-clothes")
SKIRT: Final = _ATR.index("skirt")
PANTS: Final = _ATR.index("pants")
DRESS: Final = _ATR.index("dress")
BELT: Final = _ATR.index("belt")
FACE: Final = _ATR.index("face")
BAG: Final = _ATR.index("bag")
SCARF: Final = _ATR.index("scarf")


def _of_side(side: int, part: str) -> int:
    return _ATR.index(f"left-{part}" if side > 0 else f"right-{part}")


def shoe(side: int) -> int:
    """The person's left shoe (side = 1) or right shoe (-1)."""
    return _of_side(side, "shoe")


def leg(side: int) -> int:
    """The left or right leg."""
    return _of_side(side, "leg")


def arm(side: int) -> int:
    """The left or right arm."""
    return _of_side(side, "arm")
