"""Options of the Query-based Feature Fusion Transformer. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Which queries there are, how deep they read, and what they read."""

    queries: Literal["local", "local+global"] = Field("local+global", description="Table 3: which queries there are.")
    local_queries: int = Field(64, ge=1, description="Number of local queries.")
    global_queries: int = Field(8, ge=1, description="Number of global queries, if there are any.")
    depth: int = Field(4, ge=1, description="Layers; each reads F1..F4.")
    heads: int = Field(8, ge=1, description="Attention heads of every layer.")
    head_width: int = Field(64, ge=1, description="Channels of one head; queries are heads * head_width wide.")
    backbone: str = Field(
        "swin_base_patch4_window7_224.ms_in1k",
        description="timm model with its tag (four feature levels), or conv4: small, ours, always trained.",
    )
    pretrained: bool = Field(True, description="Load the timm tag's weights.")
    train_backbone: bool = Field(False, description="Train the timm backbone too.")
