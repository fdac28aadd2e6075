"""Human-Parsing-guided Fusion Attention: adds source features of the same site, weighted by the source's parsing.

Paper: *TruePose: Human-Parsing-guided Attention Diffusion for Full-ID Preserving Pose Transfer* (arXiv 2502.03426),
Eq. 6 and 7.

==============  ===============================================  ==========================================
paper           here                                             axes
==============  ===============================================  ==========================================
F_l             `call.hidden`; its queries are `call.query`      [B, heads, Q, d]
F'_l            `conditioning.reference[twin]`                   [B, N_s, C]; N_s = h_s * w_s
H_s             `conditioning.parsing[down]`                     [B, h_s, w_s]
A               softmax(Q K' / sqrt(d))                          [B, heads, Q, N_s]; never held
sigma, delta    `config.sigma`, `config.delta`
M'              `HPFA.weights`: base, and more where A is high   [B, N_s] each
==============  ===============================================  ==========================================

M'_ij is 1 + delta where source token j lies in a region and A_ij is high, 1 where in a region and not high, sigma
outside; (A * M') V is added to the site's output before `to_out`.

Reading: A_ij is high at or above its row's mean, which is 1 / N_s; a tie is high. The paper says "high attention".
    ``threshold: none`` takes all of a region as high.
Reading: regions are body, clothes and face, all labels but the background; ``body``, ``clothes``, ``face`` say which.
Reading: rows of A * M' are not brought back to a sum of one: ``renormalise`` is off.
Reading: keys and values of the source have projections of their own, which start as copies of the site's and are
    trained; ``projections: backbone`` uses the site's. Queries are the site's own.
Reading: the paper does not name the layers; the default is every self-attention of the denoiser.

`region_attention` is handed outwards: per region the mean of A * M' over queries, heads and the region's source
tokens; 0 for a region without a token at this site.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor, nn

from pgsynth_core.attention import join_heads, project_keys, reference_at
from pgsynth_core.data import label_set_of
from pgsynth_core.interfaces import (
    AttentionCall,
    AttentionProcessor,
    AttentionResult,
    AttentionView,
    BuildContext,
    Conditioning,
    Inner,
    KeyValue,
    Site,
)
from pgsynth_plugins.attention.hpfa import Config
from pgsynth_plugins.attention.hpfa.weighted import Weighting, weighted_attention

__all__ = ["HPFA"]


class HPFA(AttentionProcessor):
    """One site's link.

    Args:
        config: Weights, regions, projections.
        site: Where it acts; its twin in the source network gives the features.
        build: `denoiser` is what own projections are copied from; `label_set` says which labels are regions.
    """

    inside: Tensor

    def __init__(self, config: Config, site: Site, build: BuildContext) -> None:
        super().__init__(config, site, build)
        self.config, self.site = config, site
        labels = label_set_of(build.label_set)
        self.names = labels.names
        taken = {group for group in ("body", "clothes", "face") if getattr(config, group)}
        inside = torch.tensor([group in taken for group in labels.groups])
        self.register_buffer("inside", inside, persistent=False)
        if config.projections == "own":
            assert build.denoiser is not None, "attention is built after the base"
            layer = build.denoiser.get_submodule(site.path)
            self.to_k, self.to_v = (copy.deepcopy(layer.get_submodule(name)) for name in ("to_k", "to_v"))
            self.requires_grad_(True)

    def prepare(self, conditioning: Conditioning, backbone: nn.Module) -> Mapping[str, Tensor]:
        """Keys and values of the source, M' and the regions of its tokens, once per image.

        Raises:
            ValueError: If `reference` or `parsing` has nothing for this site, or their grids differ.
        """
        key, value = self.project(conditioning, backbone)
        labels = self.labels(conditioning, tokens=key.shape[2])
        inside, precise = self.inside[labels], torch.promote_types(key.dtype, torch.float32)
        return {
            "key": key,
            "value": value,
            "base": torch.where(inside, 1.0, self.config.sigma).to(precise),
            "more": (inside * self.config.delta).to(precise),
            # not `one_hot`, which waits for the GPU to look at its values
            "regions": labels[..., None] == torch.arange(len(self.names), device=labels.device),
        }

    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        """Eq. 6 and 7 beside what is inside."""
        kept = call.prepared or self.prepare(call.conditioning, call.backbone)
        fused, share = weighted_attention(call.query, kept["key"], kept["value"], self.weighting(kept))
        regions = kept["regions"].to(share.dtype)
        per_region = (share[..., None] * regions).sum(1) / regions.sum(1).clamp(min=1)
        return AttentionResult(hidden=inner(call).hidden + join_heads(fused), region_attention=per_region)

    def weighting(self, kept: Mapping[str, Tensor]) -> Weighting:
        """M' of the source's tokens."""
        threshold, renormalise = self.config.threshold == "row-mean", self.config.renormalise
        return Weighting(base=kept["base"], more=kept["more"], threshold=threshold, renormalise=renormalise)

    def project(self, conditioning: Conditioning, backbone: nn.Module) -> KeyValue:
        """K and V of the source's tokens at this site's twin."""
        own = self if self.config.projections == "own" else backbone
        return project_keys(own, reference_at(self.site, conditioning), self.site.heads)

    def labels(self, conditioning: Conditioning, tokens: int) -> Int[Tensor, "B N_s"]:
        """Label of each source token."""
        pyramid, level = conditioning.parsing, self.site.down
        grids = [tuple(parsing.shape[1:]) for parsing in pyramid]
        if level >= len(pyramid) or pyramid[level][0].numel() != tokens:
            raise ValueError(
                f"{self.site.name}: parsing has the grids {grids}; level {level} must have one cell for each of the "
                f"{tokens} source tokens"
            )
        return pyramid[level].flatten(1)

    def views(self, call: AttentionCall, inner: Inner) -> Mapping[str, AttentionView]:
        """How much each target patch takes of each region; where on the source attention lies, before M' and after."""
        kept = self.prepare(call.conditioning, call.backbone)
        by = self.weighting(kept)
        maps = (-1, 1, *call.conditioning.parsing[self.site.down].shape[1:])
        regions = kept["regions"].to(call.query.dtype)[:, None].expand(-1, self.site.heads, -1, -1)
        weights, after = weighted_attention(call.query, kept["key"], regions, by)
        plain = Weighting(base=torch.ones_like(by.base), more=torch.zeros_like(by.more))
        _, before = weighted_attention(call.query, kept["key"], kept["value"], plain)
        of_target = weights.mean(1).transpose(1, 2).reshape(-1, len(self.names), *call.grid)
        return {
            "weights per region": AttentionView(values=of_target, names=self.names, grid="target"),
            "source attention": AttentionView(values=before.view(maps), names=("A",), grid="source"),
            "source weights": AttentionView(values=after.view(maps), names=("A * M'",), grid="source"),
        }
