"""The published shapes of Stable Diffusion 1.x and 2.x, so that composing needs no network. No torch.

Numbers are those of the `config.json` files of stable-diffusion-v1-5 and stable-diffusion-2-1; a checkpoint that is
loaded brings its own, and must agree in what the composition has bound (`ARCHITECTURES[...].cross_attention_dim`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ARCHITECTURES", "Architecture"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What diffusers needs to build an untrained copy.

    Attributes:
        unet: Arguments of `UNet2DConditionModel`.
        vae: Arguments of `AutoencoderKL`.
        schedule: The scheduler's config.
    """

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    schedule: Mapping[str, object]

    @property
    def cross_attention_dim(self) -> int:
        """D: the width of the tokens that its cross-attention reads."""
        width: int = self.unet["cross_attention_dim"]
        return width


_UNET: Final[Mapping[str, Any]] = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
}

_VAE: Final[Mapping[str, Any]] = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "scaling_factor": 0.18215,
}

_SCHEDULE: Final[Mapping[str, object]] = {
    "_class_name": "DDIMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "epsilon",
}

ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "sd15": Architecture(
        unet={**_UNET, "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
        vae={**_VAE, "sample_size": 512},
        schedule=_SCHEDULE,
    ),
    "sd2": Architecture(
        unet={
            **_UNET,
            "sample_size": 96,
            "cross_attention_dim": 1024,
            "attention_head_dim": (5, 10, 20, 20),
            "use_linear_projection": True,
        },
        vae={**_VAE, "sample_size": 768},
        schedule={**_SCHEDULE, "prediction_type": "v_prediction"},
    ),
}
