"""Peak signal-to-noise ratio: 10 log10(255^2 / mean squared error over all pixels and channels), in dB."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from pgsynth_core.metrics import PairMetric, Picture

__all__ = ["PSNR"]

_PEAK: Final = 255


class PSNR(PairMetric):
    """PSNR of 8-bit RGB in dB; infinite of equal pictures. The mean is that of the pictures' values."""

    @property
    def id(self) -> str:
        """The definition as one word."""
        return "psnr/peak-255/mse-over-pixels-and-rgb"

    @property
    def definition(self) -> str:
        """The definition in a sentence or two."""
        return (
            "Peak signal-to-noise ratio of 8-bit RGB at the picture's own size: 10 log10(255^2 / mean squared error "
            "over all pixels and channels). Equal pictures: infinite, null in JSON. The mean is that of the pictures' "
            "values."
        )

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float]:
        """PSNR of each pair."""
        return [_of(one, other) for one, other in zip(predicted, truth, strict=True)]


def _of(predicted: Picture, truth: Picture) -> float:
    error = float(np.square(np.subtract(predicted, truth, dtype=np.float64)).mean())  # bytes would wrap around
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf
