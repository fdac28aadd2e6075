"""Colours, chosen by eye: skin, hair, schemes of cloth that go together, and walls to stand before. sRGB in 0..1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pgsynth_plugins.datasets.figures.maths import Array, Numbers

__all__ = [
    "HAIR",
    "SCHEMES",
    "SKINS",
    "WALLS",
    "Rgb",
    "Scheme",
    "Skin",
    "blend",
    "darker",
    "luminance",
    "mixed",
    "rgb",
    "shaded",
]

Rgb = tuple[float, float, float]


def rgb(code: str) -> Rgb:
    """``"c8553d"`` as three numbers."""
    return int(code[0:2], 16) / 255.0, int(code[2:4], 16) / 255.0, int(code[4:6], 16) / 255.0


def mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    """`share` of the second colour in the first."""
    r, g, b = (x + (y - x) * share for x, y in zip(first, second, strict=True))
    return r, g, b


def darker(colour: Rgb, share: float) -> Rgb:
    """A shade of the colour."""
    return mixed(colour, (0.10, 0.07, 0.12), share)


def luminance(colour: Rgb) -> float:
    """How light it looks, 0 to 1."""
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]


def blend(first: Array, second: Array | Rgb, share: Numbers) -> Array:
    """Per sample: `share` of the second colour in the first.

    Args:
        first: [N, 3].
        second: [N, 3], or one colour.
        share: [N], 0 to 1; or a mask.
    """
    mix: Array = first + (np.asarray(second) - first) * share[..., None]
    return mix


def shaded(colour: Array, factor: Numbers) -> Array:
    """Every channel of [N, 3] colours times [N] factors."""
    product: Array = colour * factor[..., None]
    return product


@dataclass(frozen=True)
class Skin:
    """A complexion, with the lips and the blush that belong to it."""

    base: Rgb
    lips: Rgb
    blush: Rgb


SKINS: Final = tuple(
    Skin(rgb(base), rgb(lips), rgb(blush))
    for base, lips, blush in (
        ("f3d2bb", "cc7066", "ea9f8c"),
        ("eec4a4", "c4685a", "e2927a"),
        ("e8b894", "b8604f", "dc8a68"),
        ("d9a178", "a8523f", "cc7a52"),
        ("bf8358", "934536", "b4623e"),
        ("9c643f", "90463a", "9c5230"),
        ("80502f", "8a473d", "8a462c"),
        ("633d29", "7c4139", "713826"),
    )
)

HAIR: Final = tuple(
    rgb(code)
    for code in (
        "1f1a1c",
        "2b2020",
        "3a261e",
        "563522",
        "7a4a28",
        "a06a35",
        "c9974f",
        "e2c07c",
        "8f3b1f",
        "b65a2a",
        "8d8a8c",
        "d8d4cf",
    )
)


@dataclass(frozen=True)
class Scheme:
    """Colours of cloth that go together: three grounds, light and dark neutrals, and one accent."""

    top: Rgb
    bottom: Rgb
    outer: Rgb
    light: Rgb
    dark: Rgb
    accent: Rgb


SCHEMES: Final = tuple(
    Scheme(*(rgb(code) for code in codes.split()))
    for codes in (
        # top    bottom outer  light  dark   accent
        "c8553d 2f4858 e0a458 f6efe3 22303c e9b44c",
        "f2e8d5 3d5a80 ee6c4d fbf7ee 293241 98c1d9",
        "6a8d73 3b3a36 d8c99b f4f1e6 2c3530 e4bb97",
        "e8b4bc 6e4555 3a3238 f8ecec 3a2b36 d282a6",
        "264653 e9c46a 2a9d8f f7f0dc 1d3440 e76f51",
        "f4d35e 22577a ee964b fff8e1 0d3b66 f95738",
        "9db4c0 253237 5c6b73 eef4f5 253237 c2dfe3",
        "8e4162 41393e eda2c0 f7ecf0 2e282a e6c79c",
        "f7f3ec 6b8f71 a3b18a faf8f2 344e41 dda15e",
        "3a506b 1c2541 5bc0be eef6f6 0b132b f2c14e",
        "d98e73 5b5f97 ffc145 fff5e8 3b3c61 5b5f97",
        "ded6cc 4a4e69 9a8c98 f5f1ec 22223b c9ada7",
        "b23a48 1f2a33 fcb9b2 fdf0ec 461220 f2cc8f",
        "457b9d f1faee e63946 f1faee 1d3557 e63946",
        "7d9d9c 576f72 e4dccf f0ebe3 3b4a4d d88c6a",
        "efd9ce 957186 dec0f1 faf3f0 40364d b79ced",
        "f0a202 5f4b32 d95d39 fdf3dd 202c59 f18805",
        "52796f 354f52 cad2c5 f0f4ef 2f3e46 e5b25d",
        "fefae0 bc6c25 606c38 fefae0 283618 dda15e",
        "a3c4bc e7d7c1 bf4342 f6f1e9 5c3d3a e7a977",
    )
)

WALLS: Final = tuple(
    rgb(code)
    for code in (
        "efece6",
        "e4e8ea",
        "e9e0d6",
        "e7dcd8",
        "dde5dc",
        "e0dde8",
        "f1e6d2",
        "d9e3e8",
        "cfd8d6",
        "e8e8e6",
        "f3ddd0",
        "d6dbe4",
    )
)
