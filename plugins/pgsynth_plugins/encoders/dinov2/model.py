"""DINOv2 as appearance encoder: tokens of the whole photo.

Paper: *DINOv2: Learning Robust Visual Features without Supervision* (arXiv 2304.07193).

===========  ========================  ==========================================
paper        here                      axes
===========  ========================  ==========================================
x            `source.image`            [B, 3, H, W], ImageNet range
[CLS]        `tokens.values[:, 0]`     [B, D], global
patches      `tokens.values[:, 1:]`    [B, N - 1, D], local, in row order
===========  ========================  ==========================================

Reading: tokens are the output of a chosen block after DINOv2's last norm (as its authors take features); the photo
    keeps its shape, and the library interpolates the position table to it.
Reading: they are normalised and projected to the width D that the denoiser's cross-attention reads.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.interfaces import BuildContext, Conditioning, Encoder, Grid, SourceInputs, Tokens
from pgsynth_core.patches import fit_patches, patch_places
from pgsynth_plugins.encoders.dinov2 import Config
from pgsynth_plugins.encoders.dinov2.backbone import Backbone

__all__ = ["DINOv2"]


class DINOv2(Encoder):
    """The encoder.

    Args:
        config: Which DINOv2, and how the photo is brought to its patches.
        build: `axes["D"]` is the width of the tokens; `weights` finds the backbone's.

    Raises:
        SpecError: If the backbone does not exist or cannot be read.
        PartError: If transformers or the weights are not there.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        self.label, self.fit = build.label, config.fit
        self.backbone = Backbone(config, build)
        self.side = config.resolution or self.backbone.side
        width = self.backbone.width
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, build.axes["D"]))

    def forward(self, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        """Tokens of the source image, the global one first.

        Args:
            source: Its `image` is read, [B, 3, H, W] in ImageNet range.
            latent_grid: Passed on.
        """
        features = source.features or self.features(source)
        values: Tensor = self.out(features["tokens"])
        count = values.shape[1]
        roles = (True,) + (False,) * (count - 1)
        tokens = Tokens(values=values, is_global=roles, spans={self.label: (0, count)})
        return Conditioning(latent_grid=latent_grid, tokens=tokens)

    def features(self, source: SourceInputs) -> Mapping[str, Float[Tensor, "B N _"]]:
        """The backbone's tokens."""
        assert source.image is not None, "the manifest asks for source_image"
        whole = fit_patches(source.image, fit=self.fit, patch=self.backbone.patch, side=self.side)
        return {"tokens": self.backbone(whole)}

    def places(self, source: SourceInputs, latent_grid: Grid) -> Float[Tensor, "B N h w"]:
        """One patch each, the class token none."""
        assert source.image is not None, "the manifest asks for source_image"
        (batch, _, height, width), patch = source.image.shape, self.backbone.patch
        patches = patch_places((height, width), fit=self.fit, patch=patch, side=self.side).to(source.image)
        return F.pad(patches, (0, 0, 0, 0, 1, 0)).expand(batch, -1, -1, -1)
