"""A base that needs no weights: a small UNet2DConditionModel over an exact pixel-unshuffle codec.

Nothing is pretrained, so everything is trained, and what it paints in a few minutes on a CPU is small. It has the
same structure as the large bases (two attention grids, self and cross, a ControlNet fits on it), so that a method
that composes, trains and samples here does so there.

Differs: the large bases predict the noise. Here the default is v: the first sampling steps start from noise alone,
where a predicted noise that is slightly wrong is a picture that is far off, and a small network trained for minutes is
slightly wrong. One run each on 8 photographs, 600 steps: samples at 16.1 dB with v, 9.0 dB with epsilon (2000 steps
of v: 26.5 dB, where copying the source gives 11.8 dB).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor

from pgsynth_core.interfaces import Base, BuildContext, Codec
from pgsynth_plugins.bases.tiny import Config

__all__ = ["Tiny", "UnshuffleCodec"]

_SCHEDULE: Final[Mapping[str, object]] = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "variance_type": "fixed_small",
}
"""DDPM's own (Ho et al., section 4). Latents are pixels, so a sample may be clipped to [-1, 1]."""


class UnshuffleCodec(Codec):
    """Folds blocks of `block` x `block` pixels into channels and back; exact, no weights.

    Args:
        block: Pixels along one side of a latent cell; the latent has ``3 * block**2`` channels.
    """

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B Z h w"]:
        """The same numbers, folded; H and W must be multiples of the block."""
        return F.pixel_unshuffle(image, self.block)

    def decode(self, latent: Float[Tensor, "B Z h w"]) -> Float[Tensor, "B 3 H W"]:
        """The same numbers, unfolded."""
        return F.pixel_shuffle(latent, self.block)


class Tiny(Base):
    """The built-in base.

    Args:
        config: The codec's block, and what the denoiser predicts.
        build: Its axes give the latent channels Z and the width D of cross-attention, as the manifest binds them.
    """

    codec: UnshuffleCodec
    denoiser: UNet2DConditionModel

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        self.codec = UnshuffleCodec(config.unshuffle)
        self.denoiser = UNet2DConditionModel(
            in_channels=build.axes["Z"],
            out_channels=build.axes["Z"],
            cross_attention_dim=build.axes["D"],
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=4,  # diffusers' name for the number of heads
            norm_num_groups=8,
        )
        self.schedule = {**_SCHEDULE, "prediction_type": config.prediction}
