"""PSNR and L1 against scikit-image, and values that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from ...fixtures.scored import metric, picture


def value(name: str, one: np.ndarray, other: np.ndarray) -> float:
    (found,) = metric(name).values([one], [other])
    assert found is not None
    return found


def flat(level: int) -> np.ndarray:
    return np.full((32, 24, 3), level, np.uint8)


@pytest.mark.parametrize(("low", "high"), [(10, 11), (0, 255), (255, 0), (200, 100)])
def test_flat_pictures(low: int, high: int) -> None:
    """Bytes that wrapped around would give 255 - 1 where the difference is 1."""
    difference = abs(high - low)
    assert value("psnr", flat(low), flat(high)) == pytest.approx(20 * math.log10(255 / difference))
    assert value("l1", flat(low), flat(high)) == pytest.approx(difference / 255)


def test_psnr_is_scikit_images_also_in_cflds_way() -> None:
    one, two = picture(0, 64, 48), picture(1, 64, 48)
    assert value("psnr", one, two) == pytest.approx(peak_signal_noise_ratio(two, one), rel=1e-12)
    gt, pred = (image.astype(np.float32) / 255 for image in (two, one))
    assert value("psnr", one, two) == pytest.approx(peak_signal_noise_ratio(gt, pred, data_range=1), rel=1e-6)


def test_both_are_over_all_pixels_and_channels() -> None:
    one = flat(100)
    one[0, 0, 0] = 200
    assert value("psnr", one, flat(100)) == pytest.approx(10 * math.log10(255**2 / (100**2 / one.size)))
    assert value("l1", one, flat(100)) == pytest.approx(100 / 255 / one.size)


@pytest.mark.parametrize(("name", "best"), [("psnr", math.inf), ("l1", 0)])
def test_equal_pictures_score_best_and_order_does_not_matter(name: str, best: float) -> None:
    one, two = picture(0, 32, 24), picture(1, 32, 24)
    assert value(name, one, one) == best
    assert value(name, one, two) == pytest.approx(value(name, two, one))
