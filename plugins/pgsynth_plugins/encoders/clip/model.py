"""CLIP as appearance encoder: tokens of the whole photo, and one embedding per parsing region.

Paper: *Learning Transferable Visual Models From Natural Language Supervision* (arXiv 2103.00020).

The regions are what TruePose's CAA reads: CLIP embeddings of the crops of the source's parsing regions.

===========  ========================  ==========================================
paper        here                      axes
===========  ========================  ==========================================
I_s          `source.image`            [B, 3, H, W], CLIP's range
R_i          `source.crops`            [B, R, 3, a, b], CLIP's range
             `regions.exists`          [B, R], from `source.parsing`
===========  ========================  ==========================================

Reading: tokens are the output of a chosen block after CLIP's last norm, the class token global, the patches local; the
    photo keeps its shape, and the position table is interpolated to it.
Reading: a region's embedding is CLIP's image embedding of its crop, at the square CLIP was trained on.
Reading: both are normalised and projected to the width D that the denoiser's cross-attention reads.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from pgsynth_core.interfaces import BuildContext, Conditioning, Encoder, Grid, Regions, SourceInputs, Tokens
from pgsynth_core.patches import fit_patches, patch_places
from pgsynth_plugins.encoders.clip import Config
from pgsynth_plugins.encoders.clip.backbone import Backbone

__all__ = ["CLIP"]


class CLIP(Encoder):
    """The encoder.

    Args:
        config: What is given, by which backbone, and how the photo is brought to its patches.
        build: `axes["D"]` is the width of tokens and regions; `label_set` says what the regions are; `weights` finds
            the backbone's.

    Raises:
        SpecError: If the backbone does not exist or cannot be read.
        PartError: If open_clip or the weights are not there.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        self.fit = config.fit
        self.label, self.label_set = build.label, build.label_set
        self.backbone = Backbone(config, build)
        self.crop_side = self.backbone.side
        self.side = config.resolution or self.crop_side
        self.token_out = self.region_out = None
        if config.output != "regions":
            self.token_out = _projection(self.backbone.width, build.axes["D"])
        if config.output != "tokens":
            self.region_out = _projection(self.backbone.embedding_width, build.axes["D"])

    def forward(self, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        """Tokens and regions of the source, those that the options ask for.

        Args:
            source: `image` is read for tokens, `crops` and `parsing` for regions.
            latent_grid: Passed on.
        """
        features = source.features or self.features(source)
        tokens, regions = None, None
        if self.token_out is not None:
            tokens = self._tokens(self.token_out(features["tokens"]))
        if self.region_out is not None:
            assert source.parsing is not None, "the manifest asks for it"
            exists = existing(source.parsing, features["regions"].shape[1])
            regions = self._regions(self.region_out(features["regions"]), exists)
        return Conditioning(latent_grid=latent_grid, tokens=tokens, regions=regions)

    def features(self, source: SourceInputs) -> Mapping[str, Float[Tensor, "B _ _"]]:
        """The backbone's tokens of the photo and embeddings of the crops, as the options ask for them."""
        found: dict[str, Tensor] = {}
        backbone = self.backbone
        if self.token_out is not None:
            assert source.image is not None, "the manifest asks for source_image"
            found["tokens"] = backbone(fit_patches(source.image, fit=self.fit, patch=backbone.patch, side=self.side))
        if self.region_out is not None:
            assert source.crops is not None, "the manifest asks for source_crops"
            crops = source.crops.flatten(0, 1)
            seen = fit_patches(crops, fit="squash", patch=backbone.patch, side=backbone.side)
            embeddings: Tensor = backbone.embedding(seen)
            found["regions"] = embeddings.view(*source.crops.shape[:2], -1)
        return found

    def places(self, source: SourceInputs, latent_grid: Grid) -> Float[Tensor, "B N h w"] | None:
        """One patch each, the class token none; None without tokens."""
        if self.token_out is None:
            return None
        assert source.image is not None, "the manifest asks for source_image"
        (batch, _, height, width), patch = source.image.shape, self.backbone.patch
        patches = patch_places((height, width), fit=self.fit, patch=patch, side=self.side).to(source.image)
        return F.pad(patches, (0, 0, 0, 0, 1, 0)).expand(batch, -1, -1, -1)

    def _tokens(self, values: Float[Tensor, "B N D"]) -> Tokens:
        count = values.shape[1]
        return Tokens(values=values, is_global=(True,) + (False,) * (count - 1), spans={self.label: (0, count)})

    def _regions(self, values: Float[Tensor, "B R D"], exists: Bool[Tensor, "B R"]) -> Regions:
        values = torch.where(exists.unsqueeze(-1), values, 0.0)
        return Regions(values=values, exists=exists, label_set=self.label_set)


def existing(parsing: Int[Tensor, "B H W"], count: int) -> Bool[Tensor, "B {count}"]:
    """Which of the labels 0 to count - 1 a label map holds."""
    return (parsing.flatten(1).unsqueeze(-1) == torch.arange(count, device=parsing.device)).any(dim=1)


def _projection(width: int, wanted: int) -> nn.Module:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, wanted))
