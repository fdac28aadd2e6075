"""Areas that change: soft edges end where they say, no masked pixel is left out of a cell, shares add up."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from pgsynth_core.data import Fit, FitMode
from pgsynth_core.data.areas import cell_shares, cell_weights, softened


def square(size: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    inside = np.zeros(size, np.bool_)
    inside[rows, columns] = True
    return inside


def test_a_soft_edge_falls_from_one_to_nothing_within_its_reach() -> None:
    inside = square((40, 40), slice(15, 25), slice(15, 25))
    assert np.array_equal(softened(inside, 0.0), inside.astype(np.float32))
    soft = softened(inside, 4.0)
    assert (soft[inside] == 1).all()
    np.testing.assert_allclose(soft[20, 24:31], [1, 0.8, 0.6, 0.4, 0.2, 0, 0], atol=1e-6)
    away = np.maximum(0, np.abs(np.indices((40, 40)) - 19.5) - 4.5)
    assert (soft[np.hypot(*away) > 4] == 0).all() and (soft[np.hypot(*away) <= 4] > 0).all()
    assert not softened(np.zeros((5, 5), np.bool_), 3.0).any()


@pytest.mark.parametrize("mode", get_args(FitMode))
@pytest.mark.parametrize("stored", [(200, 130), (64, 44), (31, 17), (90, 300)])
def test_no_pixel_of_a_mask_is_left_out_of_its_cell(stored: tuple[int, int], mode: FitMode) -> None:
    """Where a photo is made smaller, a line one pixel wide is in no picture of the mask; its cells are."""
    fit, stride = Fit(stored, (64, 44), mode), 8
    left, top, right, bottom = (round(edge) for edge in fit.seen)
    rng = np.random.default_rng(0)
    for _ in range(20):
        y, x = rng.integers(top, bottom), rng.integers(left, right)
        area = np.zeros(stored, np.float32)
        area[y, x] = 0.7
        cells = cell_weights(area, fit, stride=stride)
        assert cells.shape == (8, 6)
        assert cells.max() == pytest.approx(0.7, abs=0.005) and cells.min() == 0
        (down, across), place, seen = fit.scale, fit.place, fit.seen
        cell = (
            int(((y + 0.5 - seen[1]) * down + place[1]) // stride),
            int(((x + 0.5 - seen[0]) * across + place[0]) // stride),
        )
        assert cells[cell] > 0


@pytest.mark.parametrize("mode", get_args(FitMode))
@pytest.mark.parametrize("size", [(64, 44), (512, 352), (63, 41)])
@pytest.mark.parametrize("stored", [(64, 44), (200, 130), (31, 17), (90, 300), (60, 400), (700, 40), (1, 1)])
def test_all_of_a_photo_is_all_of_the_cells(stored: tuple[int, int], size: tuple[int, int], mode: FitMode) -> None:
    assert (cell_weights(np.ones(stored, np.float32), Fit(stored, size, mode), stride=8) == 1).all()


@pytest.mark.parametrize("mode", get_args(FitMode))
@pytest.mark.parametrize("stored", [(64, 44), (50, 70), (31, 17), (20, 90), (12, 44)])
def test_cells_have_the_largest_weight_by_the_slow_rule(stored: tuple[int, int], mode: FitMode) -> None:
    """Each pixel where its middle lies, and at the nearest pixels of the picture; only what one side holds of both."""
    size, stride = (64, 44), 8
    fit = Fit(stored, size, mode)
    area = np.random.default_rng(1).random(stored, np.float32)
    (down, across), place, seen = fit.scale, fit.place, fit.seen

    def of_cell(cell: int, begin: int, end: int, start: float, scale: float, count: int) -> list[int]:
        """The photo's pixels of a cell along one side."""
        found = {
            i for i in range(count) if begin <= (at := (i + 0.5 - start) * scale + begin) < end and at // stride == cell
        }
        inside = (p for p in range(begin, end) if p // stride == cell)
        return sorted(found | {min(count - 1, max(0, int((p - begin + 0.5) / scale + start))) for p in inside})

    cells = cell_weights(area, fit, stride=stride)
    for row in range(place[1] // stride, (place[3] - 1) // stride + 1):
        rows = of_cell(row, place[1], place[3], seen[1], down, stored[0])
        for column in range(place[0] // stride, (place[2] - 1) // stride + 1):
            columns = of_cell(column, place[0], place[2], seen[0], across, stored[1])
            assert cells[row, column] == area[np.ix_(rows, columns)].max()


def test_padding_has_the_weight_of_what_is_nearest() -> None:
    area = np.zeros((32, 64), np.float32)
    area[:16] = 0.5
    cells = cell_weights(area, Fit((32, 64), (64, 64), "pad"), stride=8)
    assert cells.shape == (8, 8) and (cells[:4] == 0.5).all() and not cells[4:].any()


def labelled() -> np.ndarray:
    """Left half label 4, right half 6, of 16x16; the last row is background."""
    labels = np.full((16, 16), 4, np.uint8)
    labels[:, 8:] = 6
    labels[15:] = 0
    return labels


def test_each_label_has_its_references_and_the_rest_is_nobodys() -> None:
    shares = cell_shares(labelled(), [{4: 1.0}, {6: 0.25}], size=(16, 16), reach=0.0, stride=4)
    assert shares.shape == (2, 4, 4)
    np.testing.assert_allclose(shares[0, :, :2], 1)
    np.testing.assert_allclose(shares[1, :, 2:], 0.25)
    assert not shares[1, :, :2].any() and not shares[0, :, 2:].any()


def test_weights_above_one_are_divided_and_everywhere_is_everywhere() -> None:
    shares = cell_shares(labelled(), [{None: 1.0}, {6: 1.0}], size=(16, 16), reach=0.0, stride=4)
    np.testing.assert_allclose(shares[:, 0, 0], (1, 0))
    np.testing.assert_allclose(shares[:, 0, 3], (0.5, 0.5))
    assert (shares.sum(0) <= 1 + 1e-6).all()
    alone = cell_shares(None, [{None: 0.5}, {None: 0.5}], size=(15, 13), reach=0.0, stride=4)
    assert alone.shape == (2, 4, 4) and np.allclose(alone, 0.5)


def test_a_label_reaches_around_itself_and_no_farther() -> None:
    labels = np.zeros((8, 32), np.uint8)
    labels[:, :8] = 4
    shares = cell_shares(labels, [{4: 1.0}], size=(8, 32), reach=8.0, stride=4)
    np.testing.assert_allclose(shares[0], [[1, 1, 1, 1, 0, 0, 0, 0]] * 2)
    assert not cell_shares(labels, [{5: 1.0}], size=(8, 32), reach=8.0, stride=4).any(), "no such label is in it"
