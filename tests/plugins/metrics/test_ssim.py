"""SSIM against its equation, scikit-image and CFLD's calls; values that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pgsynth_core.errors import PartError
from pgsynth_core.metrics import PairMetric

from ...fixtures.scored import metric, picture


def ssim(one: np.ndarray, other: np.ndarray, of: PairMetric | None = None) -> float:
    (value,) = (of or metric("ssim")).values([one], [other])
    assert value is not None
    return value


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
def test_the_default_is_the_papers(size: tuple[int, int]) -> None:
    truth = picture(0, *size)
    for other in (picture(1, *size), truth // 2, np.roll(truth, 1, axis=1), 255 - truth):
        assert ssim(other, truth) == pytest.approx(reference(other, truth), abs=1e-10)


def test_the_choices_in_the_definition_matter() -> None:
    """The canary: other covariance, windows, borders and greys give other numbers, so the test would see it."""
    one, two = picture(0, 64, 56) // 2 + 20, picture(1, 64, 56)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    whole = structural_similarity(one, two, **wang, channel_axis=-1, full=True)[1].mean()
    others = [structural_similarity(one, two, **{**wang, "sigma": 1.2}, channel_axis=-1), whole]
    others += [
        ssim(one, two, metric("ssim", **options))
        for options in (
            {"covariance": "sample"},
            {"window": "uniform"},
            {"window": "uniform", "side": 7},
            {"data_range": "prediction"},
            {"window": "uniform", "covariance": "sample"},
        )
    ]
    assert min(abs(other - ssim(one, two)) for other in others) > 1e-6, "the comparison above holds to 1e-10"
    assert len({round(other, 9) for other in others}) == len(others)


def test_cflds_two_are_its_calls() -> None:
    """As CFLD's metric class calls scikit-image: pictures in float32, channels first."""
    one, two = picture(0, 256, 176), picture(1, 256, 176)
    gt, pred = (np.transpose(image.astype(np.float32) / 255, (2, 0, 1)) for image in (two, one))
    first = structural_similarity(gt, pred, data_range=1, win_size=51, channel_axis=0)
    second = structural_similarity(
        gt * 255.0,
        pred * 255.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=0,
        data_range=(pred * 255.0).max() - (pred * 255.0).min(),
    )
    uniform = metric("ssim", window="uniform", side=51, covariance="sample", arithmetic="float32")
    gaussian = metric("ssim", data_range="prediction", arithmetic="float32")
    assert ssim(one, two, uniform) == pytest.approx(first, rel=1e-6)
    assert ssim(one, two, gaussian) == pytest.approx(second, rel=1e-6)
    assert len({uniform.id, gaussian.id, metric("ssim").id}) == 3


def test_the_range_is_the_predictions_not_the_truths() -> None:
    low, high = picture(0, 32, 24) // 4, picture(1, 32, 24)
    of = metric("ssim", data_range="prediction")
    assert ssim(low, high, of) != pytest.approx(ssim(high, low, of))


def test_a_flat_prediction_has_no_range() -> None:
    """As published: 0 in place of the range, so that nothing is like a flat picture, and two of them give 0 / 0."""
    of = metric("ssim", data_range="prediction", arithmetic="float32")
    truth = picture(1, 32, 24)
    assert ssim(flat(0), truth, of) == 0 and ssim(flat(100), truth, of) == pytest.approx(0, abs=1e-6)
    (value, other) = of.values([flat(0), flat(0)], [flat(0), truth])
    assert value is None and other == 0


def test_flat_pictures() -> None:
    c1 = (0.01 * 255) ** 2
    assert ssim(flat(100), flat(150)) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))
    assert ssim(flat(7), flat(7)) == pytest.approx(1)


def test_each_definition_says_what_it_is_and_how_large_pictures_must_be() -> None:
    wang, uniform = metric("ssim"), metric("ssim", window="uniform", covariance="sample", arithmetic="float32")
    for words in ("11x11", "sigma 1.5", "data range 255", "population", "inside", "each channel", "scikit-image"):
        assert words in wang.definition
    for words in ("uniform", "51x51", "sample", "float32"):
        assert words in uniform.definition
    assert (wang.least, uniform.least) == (11, 51)
    with pytest.raises(PartError, match="no middle"):
        metric("ssim", window="uniform", side=50)
