"""Options of the pose encoder. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """The convolutions before the last one, which has the width of the denoiser's first."""

    widths: tuple[int, ...] = Field(
        (32, 64, 128), description="Channels of the convolutions before the last; the last is repeated to halve enough."
    )
    activation: Literal["silu", "relu"] = Field("silu", description="Between the convolutions.")
