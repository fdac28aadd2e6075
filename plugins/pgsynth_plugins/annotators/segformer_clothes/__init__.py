"""Options of SegFormer for clothes. No torch."""

from __future__ import annotations

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Which network says what each pixel shows."""

    network: str = Field(
        "mattmdjaga/segformer_b2_clothes",
        description="A SegFormer of transformers whose labels are named as ATR-18's; hub id or folder.",
    )
