"""ControlNet: a trained copy of the denoiser's down and middle blocks that reads the drawn skeleton.

Paper: *Adding Conditional Control to Text-to-Image Diffusion Models* (arXiv 2302.05543), section 3; used as the pose
branch by *Learnable Query-Enhanced Pose Transformation*, section 3.1 "ControlNet".

=======================  ============================================  =====================
paper                    here                                          axes
=======================  ============================================  =====================
trainable copy of Theta  `network`, from the denoiser's weights        a tree with sites `pose:*`
c_i, the condition       `conditioning.skeleton`, RGB in [0, 1]        [B, 3, H, W]
E(c_i), to latent size   `network.controlnet_cond_embedding`           [B, C, h, w]
c_t, the prompt          `conditioning.tokens.values`                  [B, N, D]
zero convolutions        `network.controlnet_down_blocks`, `_mid_block`
=======================  ============================================  =====================

Reading: E(.) halves the skeleton as often as the base's codec halves the image; the paper's (8 times smaller, widths
    16 to 256) is the case of Stable Diffusion, a shorter codec takes its first stages.
"""

from __future__ import annotations

from collections.abc import Mapping

from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float, Num
from torch import Tensor

from pgsynth_core.errors import ContractError
from pgsynth_core.interfaces import BuildContext, Conditioning, PoseBranch, PoseFeatures
from pgsynth_plugins.pose.controlnet import Config

__all__ = ["ControlNet"]

_WIDTHS = (16, 32, 96, 256)


class ControlNet(PoseBranch):
    """diffusers' `ControlNetModel`, shaped after the denoiser and starting from its weights.

    Args:
        config: Nothing to choose.
        build: Its `denoiser` is copied, not kept; `stride` shapes the skeleton's embedding.

    Raises:
        TypeError: If the base's denoiser is not a `UNet2DConditionModel`.
        ContractError: If the base's stride is not a power of two.
    """

    network: ControlNetModel

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        if not isinstance(build.denoiser, UNet2DConditionModel):
            raise TypeError(f"controlnet copies a UNet2DConditionModel; the base gives {type(build.denoiser).__name__}")
        self.network = ControlNetModel.from_unet(
            build.denoiser, conditioning_embedding_out_channels=embedding_widths(build.stride), conditioning_channels=3
        )

    def forward(
        self,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        conditioning: Conditioning,
        attention: Mapping[str, object],
    ) -> PoseFeatures:
        """Residuals for the denoiser's skip connections and middle block; zero before the first training step."""
        assert conditioning.tokens is not None, "core supplies the null token where no encoder gives tokens"
        assert conditioning.skeleton is not None, "the manifest asks for a skeleton"
        down, mid = self.network(
            noisy,
            timesteps,
            encoder_hidden_states=conditioning.tokens.values,
            controlnet_cond=conditioning.skeleton,
            cross_attention_kwargs=dict(attention),
            return_dict=False,
        )
        return PoseFeatures(down=tuple(down), mid=mid)


def embedding_widths(stride: int) -> tuple[int, ...]:
    """Channels of the skeleton embedding's stages: one stage more than there are halvings.

    Raises:
        ContractError: If `stride` is not a power of two.
    """
    halvings = stride.bit_length() - 1
    if stride != 2**halvings:
        raise ContractError(
            f"controlnet brings the skeleton to the latent's size by halving; the base's stride is {stride}.",
            cure="Use a base with stride 1, 2, 4, 8, ...",
        )
    return (_WIDTHS + (_WIDTHS[-1],) * halvings)[: halvings + 1]
