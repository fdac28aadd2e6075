"""SourceNet: a copy of the denoiser that sees the source once, and gives what enters its self-attention layers.

Paper: *TruePose: Human-Parsing-guided Attention Diffusion for Full-ID Preserving Pose Transfer* (arXiv 2502.03426),
the SourceNet of its Siamese pair.

=========================  ====================================================  ===================
paper                      here                                                  axes
=========================  ====================================================  ===================
z_s, the source's latent   `source.latent`                                       [B, Z, h, w]
SourceNet                  `network`, from the denoiser's initial weights        a trimmed U-Net
F'_l, l = 1..L             `reference`, by the source site's name                [B, N_s, C] per site
=========================  ====================================================  ===================

The tokens come out as the forward's own result: the caller's mapping names what it wants and gets it, and nothing is
left on a module. So it may be checkpointed, accumulated, interleaved and compiled like any other function.

Reading: one forward at t = 0, where the latent is clean; the paper names no time. So it is the same for all steps of
    sampling, and is run once per image.
Reading: F'_l is what enters the layer after its norm, which the keys and values of attention are made of.
Reading: cross-attention reads the same tokens as the denoiser's: those of the other encoders, or the null token.
    `reference` is of the source, so they are read before any is dropped, and one forward serves every branch of
    guidance: a branch without another encoder still has in `reference` what SourceNet made of its tokens. To hide the
    source from the model, drop `appearance`, which is every encoder.
Differs: layers whose result nothing reads are taken off. The paper trains the whole copy, to no effect there.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from pgsynth_core.errors import ContractError
from pgsynth_core.interfaces import BuildContext, Conditioning, Encoder, Grid, SourceInputs
from pgsynth_plugins.encoders.sourcenet import Config
from pgsynth_plugins.encoders.sourcenet.reading import Place, trimmed

__all__ = ["SourceNet"]


class SourceNet(Encoder):
    """The denoiser's copy, cut off behind the last self-attention layer that somebody reads.

    Args:
        config: Whether it trains.
        build: Its `denoiser` is copied; `read_sites` say how much of the copy is kept.

    Raises:
        ContractError: If nobody reads at a self-attention layer, or the base's denoiser is not a
            `UNet2DConditionModel` whose blocks can be cut.
    """

    network: UNet2DConditionModel

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        names = {site.path: site.twin("source") for site in build.read_sites if site.kind == "self"}
        if not names:
            raise ContractError(
                f"{build.label} gives the tokens of self-attention layers, and nobody reads at one.",
                cure="Leave it out, or let a processor that reads `reference` act at denoiser:self.",
            )
        if unknown := _unknown(build.denoiser, names):
            raise ContractError(
                f"{build.label} cuts a copy of the denoiser off behind the last layer that is read: {unknown}.",
                cure="Take a base whose denoiser is a UNet2DConditionModel with transformer blocks, "
                f"or leave {build.label} out.",
            )
        copied = build.copy_of_denoiser()
        assert isinstance(copied, UNet2DConditionModel), "a copy of one"
        self.names = tuple(names.values())
        self.network = trimmed(copied, names).requires_grad_(config.train)

    def forward(self, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        """Only `reference`: source site name -> the normed tokens entering that layer."""
        assert source.latent is not None, "the manifest asks for the latent"
        assert source.tokens is not None, "core supplies the null token where no encoder gives tokens"
        wanted: dict[str, Tensor | None] = dict.fromkeys(self.names)
        self.network(
            source.latent,
            torch.zeros(source.latent.shape[0], dtype=torch.long, device=source.latent.device),
            encoder_hidden_states=source.tokens.values,
            cross_attention_kwargs={"wanted": wanted},
            return_dict=False,
        )
        reference = {name: tokens for name, tokens in wanted.items() if tokens is not None}
        wanted.clear()  # activation checkpointing keeps this mapping until it has run the layers again: nothing wanted
        return Conditioning(latent_grid=latent_grid, reference=reference)


def _unknown(denoiser: nn.Module | None, paths: Iterable[str]) -> str:
    """What there is about a denoiser that cannot be copied and cut off; empty if it can."""
    if not isinstance(denoiser, UNet2DConditionModel):
        return f"the base's denoiser is a {type(denoiser).__name__}"
    try:
        for path in paths:
            Place.of(path)
    except ValueError as error:
        return str(error)
    return ""
