"""Options of SSIM. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Which of the field's definitions of SSIM; published tables seldom say."""

    window: Literal["gaussian", "uniform"] = Field(
        "gaussian", description="Weights of the window: Gaussian of sigma 1.5, 11 pixels a side; or all equal."
    )
    side: int = Field(
        51, ge=3, le=511, description="Pixels a side, odd.", json_schema_extra={"when": {"window": ["uniform"]}}
    )
    covariance: Literal["population", "sample"] = Field("population", description="Divided by n, or by n - 1.")
    data_range: Literal["full", "prediction"] = Field(
        "full", description="All that 8 bits can hold; or from the least to the greatest value of the prediction."
    )
    arithmetic: Literal["float64", "float32"] = Field("float64", description="In which it is computed.")
