"""Query-based Feature Fusion Transformer: learnable queries read a backbone's four feature levels in turn.

Paper: *Learnable Query-Enhanced Pose Transformation*, section 3.2 "Query-based Feature Fusion Transformer", Fig. 2a.

===========  ========================  ==========================================
paper        here                      axes
===========  ========================  ==========================================
x_s          `source.image`            [B, 3, H, W], ImageNet range
F_1..F_4     `levels`                  [B, h_i * w_i, C], C = heads * head_width
Q_l          `local`                   [B, local_queries, C]
Q_g          `whole`                   [B, global_queries, C] ("global" is a Python word)
Q            `tokens.values`           [B, N, D], local first
===========  ========================  ==========================================

The paper gives the order of the steps and no more. Reading, for all that it leaves open:

Reading: 64 local and 8 global queries, 4 layers, 8 heads of 64 channels, initial queries drawn from N(0, 1).
Reading: a layer holds both stages: cross-attention of the local queries with F1, F2, F3, F4 one after the other, then
    self-attention of [Q_l; Q_g], then a feed-forward of 4 C with GELU; each a pre-norm residual.
Reading: a level is normalised and brought to C channels once, for all layers, and carries sine positions that
    are relative to the image, so that one place has one code on every level. Keys and values both carry them.
Reading: the result is normalised and projected to the width D that the denoiser's cross-attention reads.
Reading: where a local query looks, for `pgsynth inspect`, is its cross-attention with F1..F4, averaged over heads,
    levels and layers; a global query, which never reads F, looks where those local queries look that it attends to,
    layer by layer. What queries pass on among themselves otherwise is not followed.
Reading: Swin-B "pretrained on ImageNet" is ImageNet-1k, and frozen. timm's plain name would load ImageNet-22k, so the
    tag is part of the option.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.attention import join_heads, masked_attention, split_heads
from pgsynth_core.interfaces import BuildContext, Conditioning, Encoder, Grid, SourceInputs, Tokens
from pgsynth_core.patches import spread
from pgsynth_plugins.encoders.qfft import Config
from pgsynth_plugins.encoders.qfft.backbones import LEVELS, Features, build_backbone

__all__ = ["QFFT", "Attention", "Layer", "sine_positions"]

_NAMES: Final = tuple(f"F{level}" for level in range(1, LEVELS + 1))


class QFFT(Encoder):
    """The encoder.

    Args:
        config: Which queries there are, how deep they read, and what they read.
        build: `axes["D"]` is the width of the tokens; `image_size` and `weights` go to the backbone.

    Raises:
        SpecError: If the backbone does not exist or cannot be read.
        PartError: If timm or its weights are not there.
    """

    def __init__(self, config: Config, build: BuildContext) -> None:
        super().__init__(config, build)
        width = config.heads * config.head_width
        n_global = config.global_queries if config.queries == "local+global" else 0
        self.label = build.label
        self.width = width
        self.roles = (False,) * config.local_queries + (True,) * n_global
        self.n_local = config.local_queries
        self.queries = nn.Parameter(torch.randn(len(self.roles), width))
        self.backbone = build_backbone(config, build)
        self.project = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, width)) for channels in self.backbone.channels
        )
        self.layers = nn.ModuleList(Layer(width, config.heads) for _ in range(config.depth))
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, build.axes["D"]))

    def forward(self, source: SourceInputs, latent_grid: Grid) -> Conditioning:
        """Tokens of the source image, local ones first.

        Args:
            source: Its `image` is read, [B, 3, H, W] in ImageNet range.
            latent_grid: Passed on.
        """
        features = _joined(source.features or self.features(source))
        levels = self._levels(features)
        local, whole = self._initial(features[0].shape[0])
        for layer in self.layers:
            local, whole = layer(local, whole, levels)
        values = self.out(torch.cat([local, whole], dim=1))
        tokens = Tokens(values=values, is_global=self.roles, spans={self.label: (0, len(self.roles))})
        return Conditioning(latent_grid=latent_grid, tokens=tokens)

    def features(self, source: SourceInputs) -> Mapping[str, Float[Tensor, "B _ _ _"]]:
        """The backbone's four levels, channels last."""
        assert source.image is not None, "the manifest asks for source_image"
        return dict(zip(_NAMES, self.backbone(source.image), strict=True))

    def places(self, source: SourceInputs, latent_grid: Grid) -> Float[Tensor, "B N h w"]:
        """Where each query looks, on the grid of F1; see this module's `Reading:` of it."""
        features = _joined(source.features or self.features(source))
        grids = [(feature.shape[1], feature.shape[2]) for feature in features]
        levels = self._levels(features)
        local, whole = self._initial(features[0].shape[0])
        found = []
        for layer in self.layers:
            assert isinstance(layer, Layer), "built of them"
            cross, among = layer.weights(local, whole, levels)
            cells = [each.reshape(*each.shape[:2], *grid) for each, grid in zip(cross, grids, strict=True)]
            maps = [spread(each, grids[0]) for each in cells]
            of_local = torch.stack(maps).mean(0)
            given = among[:, self.n_local :, : self.n_local]
            given = given / given.sum(-1, keepdim=True)
            found.append(torch.cat([of_local, torch.einsum("bgl,blhw->bghw", given, of_local)], dim=1))
            local, whole = layer(local, whole, levels)
        return torch.stack(found).mean(0)

    def _levels(self, features: Features) -> list[Float[Tensor, "B _ C"]]:
        """F1..F4 as keys and values: normalised, projected, with positions."""
        return [
            project(feature).flatten(1, 2) + sine_positions(feature, self.width)
            for project, feature in zip(self.project, features, strict=True)
        ]

    def _initial(self, batch: int) -> tuple[Float[Tensor, "B L C"], Float[Tensor, "B G C"]]:
        """The learned queries, local and global, once for each sample."""
        # a copy: without gradients, PyTorch's FLOP counter refuses a view of a parameter as a submodule's input
        queries = self.queries.repeat(batch, 1, 1)
        return queries[:, : self.n_local], queries[:, self.n_local :]


def _joined(features: Mapping[str, Tensor]) -> Features:
    return tuple(features[name] for name in _NAMES)


class Layer(nn.Module):
    """One layer: the local queries read F1..F4, then all queries read each other.

    Args:
        width: Channels C.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.cross_norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(LEVELS))
        self.cross = nn.ModuleList(Attention(width, heads) for _ in range(LEVELS))
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, heads)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(
        self, local: Float[Tensor, "B L C"], whole: Float[Tensor, "B G C"], levels: list[Float[Tensor, "B _ C"]]
    ) -> tuple[Float[Tensor, "B L C"], Float[Tensor, "B G C"]]:
        """Refined local and global queries; G may be 0."""
        for norm, attend, level in zip(self.cross_norm, self.cross, levels, strict=True):
            local = local + attend(norm(local), level)
        both = torch.cat([local, whole], dim=1)
        normed = self.self_norm(both)
        both = both + self.self_attention(normed, normed)
        both = both + self.feed(self.feed_norm(both))
        return both[:, : local.shape[1]], both[:, local.shape[1] :]

    def weights(
        self, local: Float[Tensor, "B L C"], whole: Float[Tensor, "B G C"], levels: list[Float[Tensor, "B _ C"]]
    ) -> tuple[list[Float[Tensor, "B L _"]], Float[Tensor, "B N N"]]:
        """What the queries attend to in `forward`: the local ones to the cells of each level, all to each other."""
        cross = []
        for norm, attend, level in zip(self.cross_norm, self.cross, levels, strict=True):
            assert isinstance(attend, Attention), "built of them"
            cross.append(attend.weights(norm(local), level))
            local = local + attend(norm(local), level)
        normed = self.self_norm(torch.cat([local, whole], dim=1))
        return cross, self.self_attention.weights(normed, normed)


class Attention(nn.Module):
    """Multi-head attention, Q from one sequence, K and V from another.

    Args:
        width: Channels C of both.
        heads: Divides C.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, tokens: Float[Tensor, "B Q C"], context: Float[Tensor, "B K C"]) -> Float[Tensor, "B Q C"]:
        """softmax(QK'/sqrt(d)) V, heads joined, projected."""
        query, key, value = self.to_q(tokens), self.to_k(context), self.to_v(context)
        out: Tensor = self.to_out(
            join_heads(masked_attention(*(split_heads(given, self.heads) for given in (query, key, value))))
        )
        return out

    def weights(self, tokens: Float[Tensor, "B Q C"], context: Float[Tensor, "B K C"]) -> Float[Tensor, "B Q K"]:
        """softmax(QK'/sqrt(d)), heads averaged; for looking at only."""
        query, key = (split_heads(given, self.heads) for given in (self.to_q(tokens), self.to_k(context)))
        logits: Tensor = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        return logits.softmax(dim=-1).mean(dim=1)


def sine_positions(feature: Float[Tensor, "B h w _"], width: int) -> Float[Tensor, "1 cells {width}"]:
    """Sine code of the middle of each cell, in fractions of the image, so that all levels share one code.

    Args:
        feature: Gives grid, device and precision.
        width: Channels of the code: a quarter each for sin and cos of y and x, at frequencies from 1/2 to 64 turns
            over the image.

    Returns:
        One code per cell, in row order.
    """
    h, w = feature.shape[1:3]
    precision = torch.promote_types(feature.dtype, torch.float32)
    turns = torch.logspace(-1, 6, math.ceil(width / 4), base=2.0, device=feature.device, dtype=precision)
    y, x = (2 * math.pi / n * (torch.arange(n, device=feature.device, dtype=precision) + 0.5) for n in (h, w))
    angles = torch.cat(
        [(y[:, None] * turns)[:, None].expand(h, w, -1), (x[:, None] * turns)[None].expand(h, w, -1)], dim=-1
    )
    code = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(0, 1)[:, :width]
    return code.to(feature.dtype).unsqueeze(0)
