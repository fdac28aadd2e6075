"""Options of the CLIP encoder. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """What is given, which CLIP gives it, and how the photo is brought to its patches."""

    output: Literal["tokens", "regions", "both"] = Field(
        "tokens", description="Tokens of the photo, one embedding per parsing region, or both."
    )
    backbone: str = Field(
        "ViT-L-14:openai",
        description="open_clip's MODEL:TAG, MODEL:FILE.safetensors, a folder with open_clip_config.json, or small.",
    )
    layer: int = Field(-1, le=-1, description="Block whose output becomes tokens, from the end: -1 is the last.")
    fit: Literal["aspect", "pad", "squash"] = Field(
        "aspect", description="The whole photo: in its own shape, framed by a square, or stretched to it."
    )
    resolution: int = Field(0, ge=0, description="Tokens see at most this squared in pixels; 0: as it was trained.")
    pretrained: bool = Field(True, description="Load the backbone's weights.")
    train_backbone: bool = Field(False, description="Train the backbone too.")
