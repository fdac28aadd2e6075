"""Options of the T2I-Adapter pose branch. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Which of the two adapters, and what it starts from."""

    type: Literal["full", "light"] = Field(
        "full", description="T2I-Adapter as published, or its light variant: a quarter of the parameters."
    )
    weights: str = Field("", description="Hub id or local folder of an adapter in diffusers layout; empty: a new one.")
    start: Literal["zero", "random"] = Field(
        "zero", description="A new one adds nothing at first (own 1x1 convolutions), or noise as in the paper."
    )
