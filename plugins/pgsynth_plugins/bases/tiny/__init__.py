"""Options of the built-in base that needs no weights. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """How pixels are folded into the latent, and what the denoiser predicts."""

    unshuffle: int = Field(2, ge=1, le=4, description="Side of the pixel block that makes one latent cell: 1, 2 or 4.")
    prediction: Literal["v_prediction", "epsilon"] = Field(
        "v_prediction", description="What the denoiser predicts: v learns colours in minutes, epsilon does not."
    )
