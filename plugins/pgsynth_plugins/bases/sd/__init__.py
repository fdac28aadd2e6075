"""Options of the Stable Diffusion base. No torch."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, JsonValue

from pgsynth_core.options import PartConfig

__all__ = ["Config"]

_WITH_LORA: Final[dict[str, JsonValue]] = {"when": {"train": ["lora"]}}
"""Of options that say nothing unless LoRA trains."""


class Config(PartConfig):
    """Which checkpoint, and how much of its denoiser is trained."""

    weights: str = Field(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", description="Hub id, or a local folder in diffusers layout."
    )
    revision: str = Field(
        "", description="Branch, tag or commit of the hub id; empty for the newest. A folder has none."
    )
    architecture: Literal["sd15", "sd2"] = Field("sd15", description="Shape of the checkpoint: 1.x or 2.x.")
    train: Literal["frozen", "cross_attention", "lora", "all"] = Field(
        "frozen", description="What of the denoiser is trained; lora is new (pgsynth[lora]). The codec never is."
    )
    lora_rank: int = Field(
        16, ge=1, le=1024, json_schema_extra=_WITH_LORA, description="Rank r of the updates that LoRA learns."
    )
    lora_alpha: int = Field(16, ge=1, json_schema_extra=_WITH_LORA, description="The update is scaled by alpha / r.")
    lora_targets: tuple[str, ...] = Field(
        ("to_q", "to_k", "to_v", "to_out.0"),
        json_schema_extra=_WITH_LORA,
        description="Ends of the paths of the layers that get one.",
    )
