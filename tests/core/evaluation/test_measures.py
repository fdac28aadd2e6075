"""SSIM, PSNR and L1 against their definitions: a reference of a few lines, and values that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pgsynth_core.evaluation.measures import l1, psnr, ssim

from pgsynth_core.evaluation import MEASURES


def picture(seed: int, *size: int) -> np.ndarray:
    """Random pixels of a size; neighbours alike, as in photographs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 4 + 2, size[1] // 4 + 2, 3))
    fine = np.random.default_rng(seed + 100).integers(-20, 21, (*size, 3))
    return np.clip(np.kron(coarse, np.ones((4, 4, 1), int))[: size[0], : size[1]] + fine, 0, 255).astype(np.uint8)


def flat(value: int) -> np.ndarray:
    return np.full((32, 24, 3), value, np.uint8)


def reference(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, Eq. 13 with the window of their section III.C, over every window inside the picture."""
    at = np.arange(-5, 6)
    weights = np.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        for row in range(x.shape[0] - 10):
            for column in range(x.shape[1] - 10):
                a = x[row : row + 11, column : column + 11, channel].astype(float)
                b = y[row : row + 11, column : column + 11, channel].astype(float)
                mu_a, mu_b = (weights * a).sum(), (weights * b).sum()
                var_a, var_b = (weights * (a - mu_a) ** 2).sum(), (weights * (b - mu_b) ** 2).sum()
                cov = (weights * (a - mu_a) * (b - mu_b)).sum()
                values.append(
                    (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
                )
    return float(np.mean(values))


@pytest.mark.parametrize("size", [(32, 24), (11, 11), (11, 40), (33, 17)])
def test_ssim_is_the_papers(size: tuple[int, int]) -> None:
    truth = picture(0, *size)
    for other in (picture(1, *size), truth // 2, np.roll(truth, 1, axis=1), 255 - truth):
        assert ssim(other, truth) == pytest.approx(reference(other, truth), abs=1e-10)


def test_the_choices_in_the_definition_matter() -> None:
    """The canary: sample covariance, another window, borders and grey each give other numbers, so the test would see it."""
    from skimage.metrics import structural_similarity

    one, two = picture(0, 32, 24), picture(1, 32, 24)
    base = {
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
        "data_range": 255,
        "channel_axis": -1,
    }
    whole = structural_similarity(one, two, **base, full=True)[1].mean()
    others = [
        structural_similarity(one, two, **{**base, "use_sample_covariance": True}),
        structural_similarity(one, two, **{**base, "sigma": 1.2}),
        structural_similarity(one, two, **{**base, "gaussian_weights": False}),
        structural_similarity(one, two, **{**base, "data_range": 200}),
        whole,
    ]
    assert min(abs(other - ssim(one, two)) for other in others) > 1e-6, "the comparison above holds to 1e-10"


def test_ssim_of_flat_pictures() -> None:
    c1 = (0.01 * 255) ** 2
    assert ssim(flat(100), flat(150)) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


@pytest.mark.parametrize("name", ["ssim", "psnr", "l1"])
def test_equal_pictures_score_best_and_order_does_not_matter(name: str) -> None:
    of = MEASURES[name].of
    one, two = picture(0, 32, 24), picture(1, 32, 24)
    assert of(one, one) == {"ssim": pytest.approx(1), "psnr": math.inf, "l1": 0}[name]
    assert of(one, two) == pytest.approx(of(two, one))
    assert (of(one, one) > of(one, two)) == (MEASURES[name].better == "higher")


@pytest.mark.parametrize(("low", "high"), [(10, 11), (0, 255), (255, 0), (200, 100)])
def test_psnr_and_l1_of_flat_pictures(low: int, high: int) -> None:
    """Bytes that wrapped around would give 255 - 1 where the difference is 1."""
    difference = abs(high - low)
    assert psnr(flat(low), flat(high)) == pytest.approx(20 * math.log10(255 / difference))
    assert l1(flat(low), flat(high)) == pytest.approx(difference / 255)


def test_psnr_is_of_the_mean_squared_error_over_everything() -> None:
    one = flat(100)
    one[0, 0, 0] = 200
    assert psnr(one, flat(100)) == pytest.approx(10 * math.log10(255**2 / (100**2 / one.size)))
    assert l1(one, flat(100)) == pytest.approx(100 / 255 / one.size)


def test_the_definitions_say_what_was_computed() -> None:
    text = MEASURES["ssim"].definition
    for words in ("11x11", "sigma 1.5", "data range 255", "population", "inside", "each channel", "scikit-image"):
        assert words in text
    assert len({measure.id for measure in MEASURES.values()}) == len(MEASURES)
