"""Structural similarity (Wang et al. 2004), by scikit-image; the field's two definitions are options of it.

SSIM(x, y) = (2 m_x m_y + C1) (2 s_xy + C2) / ((m_x^2 + m_y^2 + C1) (s_x^2 + s_y^2 + C2))        (Eq. 13)

with means m, variances s^2 and covariance s_xy within a window, C1 = (K1 L)^2, C2 = (K2 L)^2, K1 = 0.01, K2 = 0.03 and
L the data range. The value is the mean over the windows that lie wholly inside the picture, of each channel, then over
R, G, B, as the paper's authors have it. torchmetrics averages over mirrored borders too and gives other numbers.

The defaults are the paper's. What this field calls SSIM is often another: windows of 51 equal weights with sample
covariance (the tables since GFLA, CFLD's "SSIM"), or a Gaussian window with the *prediction's* range for L (CFLD's
"SSIM_256"), both in float32. A flat prediction has the range 0, and no value where its truth is flat, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pgsynth_core.errors import PartError
from pgsynth_core.metrics import MetricContext, PairMetric, Picture
from pgsynth_plugins.metrics.ssim import Config

__all__ = ["SSIM"]

_PEAK: Final = 255
_SIGMA: Final = 1.5
_GAUSSIAN_SIDE: Final = 11
"""Pixels of scikit-image's Gaussian window at sigma 1.5: it ends at 3.5 sigma."""


class SSIM(PairMetric):
    """SSIM of 8-bit RGB; -1 to 1.

    Args:
        config: Which definition.
        context: Not used.

    Raises:
        PartError: If the side of the window is even.
    """

    libraries = ("numpy", "scikit-image", "scipy")

    def __init__(self, config: Config, context: MetricContext) -> None:
        super().__init__(config, context)
        if config.window == "uniform" and config.side % 2 == 0:
            raise PartError(f"ssim: a window of {config.side} pixels has no middle.", cure="Choose an odd side.")
        self._config = config
        self.least = config.side if config.window == "uniform" else _GAUSSIAN_SIDE

    @property
    def id(self) -> str:
        """The definition as one word."""
        config, side = self._config, self.least
        window = f"gaussian-{side}x{side}-sigma1.5" if config.window == "gaussian" else f"uniform-{side}x{side}"
        span = "range-255" if config.data_range == "full" else "range-max-min-of-prediction"
        last = "" if config.arithmetic == "float64" else "/float32"
        return f"ssim/wang2004/{window}/k1-0.01/k2-0.03/{span}/{config.covariance}/inside/rgb-mean{last}"

    @property
    def definition(self) -> str:
        """The definition in a sentence or two."""
        config, side = self._config, self.least
        kind = "Gaussian" if config.window == "gaussian" else "uniform"
        sigma = ", sigma 1.5" if config.window == "gaussian" else ""
        span = "255" if config.data_range == "full" else "that of the prediction (its maximum less its minimum)"
        return (
            f"Structural similarity (Wang et al. 2004) of 8-bit RGB at the picture's own size: {kind} window of "
            f"{side}x{side} pixels{sigma}, K1 0.01, K2 0.03, data range {span}, {config.covariance} covariance; mean "
            f"over the windows that lie inside the picture, of each channel, then over R, G, B. Computed by "
            f"scikit-image in {config.arithmetic}."
        )

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float | None]:
        """SSIM of each pair; None where it is 0 / 0."""
        return [self._of(one, other) for one, other in zip(predicted, truth, strict=True)]

    def _of(self, predicted: Picture, truth: Picture) -> float | None:
        from skimage.metrics import structural_similarity  # 0.2 s, scipy: for who scores, not for who lists

        config = self._config
        window: dict[str, Any] = {"gaussian_weights": True, "sigma": _SIGMA}
        if config.window == "uniform":
            window = {"win_size": config.side}
        one, other, peak = predicted, truth, float(_PEAK)
        if config.arithmetic == "float32":  # as pictures in [0, 1] or, with the prediction's range, in [0, 255]
            one, other = (picture.astype(np.float32) / np.float32(_PEAK) for picture in (predicted, truth))
            peak = 1.0
            if config.data_range == "prediction":
                one, other = one * np.float32(_PEAK), other * np.float32(_PEAK)
        if config.data_range == "prediction":
            peak = float(one.max() - one.min())
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0, where both are flat
            value = structural_similarity(
                other,
                one,
                **window,
                use_sample_covariance=config.covariance == "sample",
                K1=0.01,
                K2=0.03,
                data_range=peak,
                channel_axis=-1,
            )
        return float(value) if np.isfinite(value) else None
