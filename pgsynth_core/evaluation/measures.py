"""What is measured between a picture and the truth: SSIM, PSNR, L1, each with the definition its numbers go by.

Published tables differ in these definitions more than in their methods, so every result names its own.

SSIM is scikit-image's, set to Wang et al. (2004): over windows that lie wholly inside the picture, as the paper and its
authors' code have it. torchmetrics averages over mirrored borders too and gives other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float64, UInt8

__all__ = ["LEAST_SIDE", "MEASURES", "Measure", "l1", "psnr", "ssim"]

Picture = UInt8[np.ndarray, "H W 3"]
"""RGB, 0 to 255."""

_SIGMA: Final = 1.5
LEAST_SIDE: Final = 11
"""Pixels of SSIM's window; a picture with a shorter side has no SSIM."""

_PEAK: Final = 255


@dataclass(frozen=True)
class Measure:
    """One number between a picture and the truth.

    Attributes:
        name: Column of the table.
        better: Which way is better.
        unit: ``dB``, or empty.
        id: The definition as one word: numbers compare only where these are equal.
        definition: The definition in a sentence or two.
        of: ``(picture, truth) -> value``.
    """

    name: str
    better: Literal["higher", "lower"]
    unit: str
    id: str
    definition: str
    of: Callable[[Picture, Picture], float] = field(repr=False)

    def facts(self) -> Mapping[str, Any]:
        """Everything but the function, as plain data."""
        return {"id": self.id, "better": self.better, "unit": self.unit, "definition": self.definition}


def ssim(picture: Picture, truth: Picture) -> float:
    """Structural similarity of two pictures of one size, both sides `LEAST_SIDE` or more; -1 to 1."""
    from skimage.metrics import structural_similarity  # 0.2 s, scipy: for who scores, not for who lists commands

    value = structural_similarity(
        picture,
        truth,
        gaussian_weights=True,
        sigma=_SIGMA,
        use_sample_covariance=False,
        K1=0.01,
        K2=0.03,
        data_range=_PEAK,
        channel_axis=-1,
    )
    return float(value)


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB of two pictures of one size; infinite if they are equal."""
    error = float(np.square(_difference(picture, truth)).mean())
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf


def l1(picture: Picture, truth: Picture) -> float:
    """Mean absolute difference of two pictures of one size, 0 to 1."""
    return float(np.abs(_difference(picture, truth)).mean()) / _PEAK


def _difference(picture: Picture, truth: Picture) -> Float64[np.ndarray, "H W 3"]:
    difference: Float64[np.ndarray, "H W 3"] = np.subtract(picture, truth, dtype=np.float64)  # bytes would wrap around
    return difference


MEASURES: Final[Mapping[str, Measure]] = {
    measure.name: measure
    for measure in (
        Measure(
            "ssim",
            "higher",
            "",
            "ssim/wang2004/gaussian-11x11-sigma1.5/k1-0.01/k2-0.03/range-255/population/inside/rgb-mean",
            "Structural similarity (Wang et al. 2004) of 8-bit RGB at the picture's own size: Gaussian window of 11x11 "
            "pixels, sigma 1.5, K1 0.01, K2 0.03, data range 255, population covariance; mean over the windows that "
            "lie inside the picture, of each channel, then over R, G, B. Computed by scikit-image in float64.",
            ssim,
        ),
        Measure(
            "psnr",
            "higher",
            "dB",
            "psnr/peak-255/mse-over-pixels-and-rgb",
            "Peak signal-to-noise ratio of 8-bit RGB at the picture's own size: 10 log10(255^2 / mean squared error "
            "over all pixels and channels). Equal pictures: infinite, null in JSON. The mean is that of the pictures' "
            "values.",
            psnr,
        ),
        Measure(
            "l1",
            "lower",
            "",
            "l1/range-1/mean-over-pixels-and-rgb",
            "Mean absolute difference over all pixels and channels of RGB in [0, 1], at the picture's own size.",
            l1,
        ),
    )
}
"""Every measure by name, in the order of the columns."""
