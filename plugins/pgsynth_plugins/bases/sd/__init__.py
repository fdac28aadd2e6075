"""Options of the Stable Diffusion base. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Which checkpoint, and how much of its denoiser is trained."""

    weights: str = Field(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", description="Hub id, or a local folder in diffusers layout."
    )
    revision: str = Field(
        "", description="Branch, tag or commit of the hub id; empty for the newest. A folder has none."
    )
    architecture: Literal["sd15", "sd2"] = Field("sd15", description="Shape of the checkpoint: 1.x or 2.x.")
    train: Literal["frozen", "cross_attention", "all"] = Field(
        "frozen", description="What of the denoiser is trained; the codec never is."
    )
