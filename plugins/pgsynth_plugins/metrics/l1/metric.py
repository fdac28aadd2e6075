"""Mean absolute difference of RGB in [0, 1], over all pixels and channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pgsynth_core.metrics import PairMetric, Picture

__all__ = ["L1"]

_PEAK: Final = 255


class L1(PairMetric):
    """Mean absolute difference; 0 to 1."""

    @property
    def id(self) -> str:
        """The definition as one word."""
        return "l1/range-1/mean-over-pixels-and-rgb"

    @property
    def definition(self) -> str:
        """The definition in a sentence."""
        return "Mean absolute difference over all pixels and channels of RGB in [0, 1], at the picture's own size."

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float]:
        """L1 of each pair."""
        return [
            float(np.abs(np.subtract(one, other, dtype=np.float64)).mean()) / _PEAK  # bytes would wrap around
            for one, other in zip(predicted, truth, strict=True)
        ]
