"""Pyramids against loops over every cell, on sizes that divide and on sizes that do not."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data import label_pyramid, mask_pyramid
from pgsynth_core.data.pyramid import halvings
from pgsynth_core.interfaces import Site

CASES = [((64, 44), 2, 4), ((512, 352), 8, 4), ((37, 53), 4, 3), ((26, 22), 2, 4), ((7, 5), 1, 4), ((9, 33), 8, 2)]


def cells(size: tuple[int, int], block: int) -> list[list[tuple[slice, slice]]]:
    """The pixels of every cell."""
    rows, columns = (range(0, length, block) for length in size)
    return [[(slice(y, y + block), slice(x, x + block)) for x in columns] for y in rows]


@pytest.mark.parametrize(("size", "stride", "levels"), CASES)
def test_a_cell_is_true_if_any_of_its_pixels_is(size: tuple[int, int], stride: int, levels: int) -> None:
    chance = np.random.default_rng(0)
    for share in (0, 0.002, 0.05, 1):
        mask = chance.random(size) < share
        found = mask_pyramid(mask, stride=stride, levels=levels)
        assert len(found) == levels
        for level, grid in enumerate(found):
            expected = [[bool(mask[cell].any()) for cell in row] for row in cells(size, stride * 2**level)]
            assert grid.tolist() == expected and grid.dtype == np.bool_


@pytest.mark.parametrize(("size", "stride", "levels"), CASES)
def test_a_cell_has_the_label_of_its_middle(size: tuple[int, int], stride: int, levels: int) -> None:
    parsing = np.random.default_rng(1).integers(0, 18, size, dtype=np.uint8)
    for level, grid in enumerate(label_pyramid(parsing, stride=stride, levels=levels)):
        block = stride * 2**level
        for row, column in np.ndindex(grid.shape):
            y, x = (min(at * block + block // 2, length - 1) for at, length in zip((row, column), size, strict=True))
            assert grid[row, column] == parsing[y, x]
        assert grid.shape == (len(cells(size, block)), len(cells(size, block)[0]))


@pytest.mark.parametrize("latent", [(64, 44), (13, 11), (1, 1), (5, 64)])
def test_levels_are_the_grids_of_the_sites(latent: tuple[int, int]) -> None:
    grids = halvings(latent, 5)
    assert grids == tuple(Site("denoiser", "a", "self", 8, 1, down).grid(latent) for down in range(5))
    mask = np.zeros((latent[0] * 8, latent[1] * 8), np.bool_)
    assert tuple(level.shape for level in mask_pyramid(mask, stride=8, levels=5)) == grids
    assert tuple(level.shape for level in label_pyramid(mask.astype(np.uint8), stride=8, levels=5)) == grids


def test_the_grids_of_the_paper() -> None:
    assert halvings((64, 44), 4) == ((64, 44), (32, 22), (16, 11), (8, 6))
