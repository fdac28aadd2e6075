"""The pose encoder: four convolutions bring the drawn skeleton to the latent's grid, added where the denoiser begins.

Paper: *TruePose: Human-Parsing-guided Attention Diffusion for Full-ID Preserving Pose Transfer* (arXiv 2502.03426),
which says that its PoseEncoder has four convolutional layers. The idea is the Pose Guider of *Animate Anyone* (arXiv
2311.17117), section 3.2, which in turn takes it from ControlNet's encoder of the condition.

=======================  =================================  ===================
paper                    here                               axes
=======================  =================================  ===================
p_tau, the target pose   `conditioning.skeleton`, RGB       [B, 3, H, W]
PoseEncoder              `layers`                           to [B, C, h, w]
added to the latent      `PoseFeatures.stem`                [B, C, h, w]
=======================  =================================  ===================

C is the width of the denoiser's `conv_in`, h = H / stride, w = W / stride.

Reading: "added" means to what `conv_in` makes of the noisy latent, as all code of this family has it: the four channels
    of the latent itself have no room for a pose.
Reading: four convolutions in all. The last one brings the width to C and starts at zero, so that an untrained encoder
    changes nothing. Were there four before it, each halving as Animate Anyone writes, the grid would be 16 times
    smaller than the image, where the latent's is 8.
Reading: 32, 64, 128 channels (`widths`), the last three of ControlNet's and Animate Anyone's 16, 32, 64, 128. SiLU
    between them (`activation`), as in ControlNet's code; its text says ReLU. PyTorch's own initialisation, but for the
    last; both texts say Gaussian.
Reading: the first convolutions halve, 4 x 4 with stride 2 as both texts say, as often as the base's codec halves the
    image: three times on Stable Diffusion. The others are 3 x 3. A codec that halves more often than there are `widths`
    repeats the last of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from jaxtyping import Float, Num
from torch import Tensor, nn

from pgsynth_core.errors import ContractError, SpecError
from pgsynth_core.interfaces import BuildContext, Conditioning, PoseBranch, PoseFeatures
from pgsynth_plugins.pose.pose_encoder import Config

__all__ = ["PoseEncoder"]

_COLOURS: Final = 3
_ACTIVATIONS: Final[Mapping[str, type[nn.Module]]] = {"silu": nn.SiLU, "relu": nn.ReLU}


class PoseEncoder(PoseBranch):
    """A few convolutions, the last one zero at first.

    Args:
        config: Widths and activation.
        build: The width of its `denoiser`'s `conv_in` is C; `stride` says how often to halve.

    Raises:
        TypeError: If the base's denoiser has no convolution `conv_in`.
        ContractError: If the base's stride is not a power of two.
        SpecError: If there is no width, or one below 1.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        first = getattr(build.denoiser, "conv_in", None)
        if not isinstance(first, nn.Conv2d):
            kind = type(build.denoiser).__name__
            raise TypeError(f"pose_encoder adds to what a convolution conv_in gives; the base's {kind} has none")
        if not config.widths or min(config.widths) < 1:
            text = f"widths is {list(config.widths)}; it holds at least one number of channels, each at least 1."
            default = list(Config().widths)
            raise SpecError(text, where=f"pose.{build.label}.widths", cure=f"The default is {default}.")
        halvings = _halvings(build.stride)
        widths = config.widths + config.widths[-1:] * (halvings - len(config.widths))
        last = nn.Conv2d(widths[-1], first.out_channels, 3, padding=1)
        nn.init.zeros_(last.weight)
        assert last.bias is not None, "as convolutions come"
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*_before_the_last(widths, halvings, _ACTIVATIONS[config.activation]), last)

    def forward(
        self,
        noisy: Float[Tensor, "B Z h w"],
        timesteps: Num[Tensor, " B"],
        conditioning: Conditioning,
        attention: Mapping[str, object],
    ) -> PoseFeatures:
        """What is added to `conv_in`'s output, [B, C, h, w]; zero before the first training step."""
        assert conditioning.skeleton is not None, "the manifest asks for a skeleton"
        return PoseFeatures(stem=self.layers(conditioning.skeleton))


def _before_the_last(widths: Sequence[int], halvings: int, activation: type[nn.Module]) -> Iterator[nn.Module]:
    for index, (given, width) in enumerate(zip((_COLOURS, *widths), widths, strict=False)):
        kernel, stride = (4, 2) if index < halvings else (3, 1)  # 4 x 4: even sizes halve exactly, no pixel is left out
        yield nn.Conv2d(given, width, kernel, stride, padding=1)
        yield activation()


def _halvings(stride: int) -> int:
    halvings = stride.bit_length() - 1
    if stride != 2**halvings:
        raise ContractError(
            f"pose_encoder brings the skeleton to the latent's size by halving; the base's stride is {stride}.",
            cure="Use a base with stride 1, 2, 4, 8, ...",
        )
    return halvings
