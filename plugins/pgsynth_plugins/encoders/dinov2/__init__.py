"""Options of the DINOv2 encoder. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Which DINOv2, what of it becomes tokens, and how the photo is brought to its patches."""

    backbone: str = Field(
        "facebook/dinov2-base", description="Hub id of Meta's DINOv2, or a local folder in transformers layout."
    )
    layer: int = Field(-1, le=-1, description="Block whose output becomes tokens, from the end: -1 is the last.")
    fit: Literal["aspect", "pad", "squash"] = Field(
        "aspect", description="The whole photo: in its own shape, framed by a square, or stretched to it."
    )
    resolution: int = Field(0, ge=0, description="Tokens see at most this squared in pixels; 0: as it was trained.")
    pretrained: bool = Field(True, description="Load the backbone's weights.")
    train_backbone: bool = Field(False, description="Train the backbone too.")
