"""Pyramids: a mask or a label map of the picture on the latent's grid and on its halvings.

Level 0 is the latent's grid, level l the grid after l halvings with ceil: a site with `down` = l reads level l. A cell
of level l stands for the square of stride * 2^l pixels at its place, cut off where the picture ends. Grids are never
assumed square.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

from pgsynth_core.data.records import LabelMap

__all__ = ["halvings", "label_pyramid", "mask_pyramid"]

Grid = tuple[int, int]


def halvings(grid: Grid, levels: int) -> tuple[Grid, ...]:
    """The grid and its halvings with ceil, `levels` in all: 64x44, 32x22, 16x11, 8x6."""
    grids = [grid]
    for _ in range(levels - 1):
        h, w = grids[-1]
        grids.append((-(-h // 2), -(-w // 2)))
    return tuple(grids)


def _latent_grid(size: tuple[int, int], stride: int) -> Grid:
    return -(-size[0] // stride), -(-size[1] // stride)


def mask_pyramid(mask: Bool[np.ndarray, "H W"], *, stride: int, levels: int) -> tuple[Bool[np.ndarray, "_ _"], ...]:
    """Max-pooling with ceil: a cell is True if any of its pixels is.

    Args:
        mask: On pixels.
        stride: Pixels along one side of a cell of level 0.
        levels: How many.
    """
    found = [_any(mask, stride)]
    for _ in range(levels - 1):
        found.append(_any(found[-1], 2))
    return tuple(found)


def _any(mask: Bool[np.ndarray, "H W"], block: int) -> Bool[np.ndarray, "_ _"]:
    h, w = _latent_grid((mask.shape[0], mask.shape[1]), block)
    padded = np.zeros((h * block, w * block), np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(h, block, w, block).any(axis=(1, 3)))


def label_pyramid(parsing: LabelMap, *, stride: int, levels: int) -> tuple[UInt8[np.ndarray, "_ _"], ...]:
    """Nearest: a cell has the label of the pixel at its middle, of the last pixel where its middle lies outside.

    The middle of an even number of pixels is the one below and right of it. Every level is taken from the pixels, not
    from the level before.

    Args:
        parsing: On pixels.
        stride: Pixels along one side of a cell of level 0.
        levels: How many.
    """
    size = (parsing.shape[0], parsing.shape[1])
    found = []
    for level, (h, w) in enumerate(halvings(_latent_grid(size, stride), levels)):
        block = stride * 2**level
        rows = np.minimum(np.arange(h) * block + block // 2, size[0] - 1)
        columns = np.minimum(np.arange(w) * block + block // 2, size[1] - 1)
        found.append(parsing[np.ix_(rows, columns)])
    return tuple(found)
