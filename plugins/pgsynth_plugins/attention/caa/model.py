"""CLIP-guided Attention Alignment: attends to the embeddings of the source regions that were attended least.

Paper: *TruePose: Human-Parsing-guided Attention Diffusion for Full-ID Preserving Pose Transfer* (arXiv 2502.03426),
Eq. 8 to 10.

==============  ===============================================  ==========================================
paper           here                                             axes
==============  ===============================================  ==========================================
F~_l            what is inside: `inner(call).hidden`             [B, Q, C]
scores          `region_attention`, from the link inside         [B, R]
CLIP(R_i)       `conditioning.regions`                           [B, R, D]
K               `config.k`
==============  ===============================================  ==========================================

Q = W_q F~, keys and values are W_k, W_v of the embeddings of the K regions; W_out of the weighted sum is added to F~,
before the layer's own `to_out`.

Reading: per sample and site, the K regions with the lowest mean attention per source token, of those the source has
    and that have a token at this site; the background is none; ties go to the lower label.
Reading: W_out starts at zero, so that the method starts as it is without.
Reading: K = 0 is the ablation without CAA; it then has no weights and reads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from pgsynth_core.attention import join_heads, masked_attention, project_keys, split_heads
from pgsynth_core.data import label_set_of
from pgsynth_core.interfaces import (
    AttentionCall,
    AttentionProcessor,
    AttentionResult,
    AttentionView,
    BuildContext,
    Conditioning,
    Inner,
    Site,
)
from pgsynth_plugins.attention.caa import Config

__all__ = ["CAA"]


class CAA(AttentionProcessor):
    """One site's link.

    Args:
        config: How many regions.
        site: Where it acts.
        build: `axes["D"]` is the width of the regions' embeddings; `label_set` says which labels are background.
    """

    region: Tensor

    def __init__(self, config: Config, site: Site, build: BuildContext) -> None:
        super().__init__(config, site, build)
        self.k, self.site = config.k, site
        labels = label_set_of(build.label_set)
        self.names = labels.names
        region = torch.tensor([group != "background" for group in labels.groups])
        self.register_buffer("region", region, persistent=False)
        if self.k:
            self.to_q = nn.Linear(site.channels, site.channels, bias=False)
            self.to_k = nn.Linear(build.axes["D"], site.channels, bias=False)
            self.to_v = nn.Linear(build.axes["D"], site.channels, bias=False)
            self.to_out = nn.Linear(site.channels, site.channels, bias=False)  # where no region is, nothing is added
            nn.init.zeros_(self.to_out.weight)

    def prepare(self, conditioning: Conditioning, backbone: nn.Module) -> Mapping[str, Tensor]:
        """Keys and values of all regions, and which of them may be chosen here, once per image.

        Raises:
            ValueError: If `regions`, or a level of `parsing` for this site, is missing.
        """
        if not self.k:
            return {}
        regions, pyramid, level = conditioning.regions, conditioning.parsing, self.site.down
        if regions is None or level >= len(pyramid):
            missing = "regions" if regions is None else f"parsing level {level}"
            raise ValueError(f"{self.site.name}: {missing} did not arrive")
        key, value = project_keys(self, regions.values, self.site.heads)
        labels = torch.arange(len(self.names), device=pyramid[level].device)
        here = (pyramid[level].flatten(1)[..., None] == labels).any(1)
        return {"key": key, "value": value, "candidates": here & regions.exists & self.region}

    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        """Eq. 8 to 10 on what is inside.

        Raises:
            ValueError: If what it reads is missing.
        """
        result = inner(call)
        if not self.k:
            return result
        kept = call.prepared or self.prepare(call.conditioning, call.backbone)
        chosen = self.chosen(result, kept["candidates"])
        query = split_heads(self.to_q(result.hidden), self.site.heads)
        summed = masked_attention(query, kept["key"], kept["value"], chosen[:, None, None])
        return replace(result, hidden=result.hidden + self.to_out(join_heads(summed)))

    def chosen(self, result: AttentionResult, candidates: Bool[Tensor, "B R"]) -> Bool[Tensor, "B R"]:
        """The K candidates with the lowest mean attention; fewer where there are fewer."""
        scores = result.region_attention
        if scores is None:
            raise ValueError(f"{self.site.name}: region_attention did not arrive")
        order = scores.masked_fill(~candidates, torch.inf).argsort(dim=-1, stable=True)
        return (order.argsort(-1) < self.k) & candidates

    def views(self, call: AttentionCall, inner: Inner) -> Mapping[str, AttentionView]:
        """Mean attention of every region that may be chosen, not a number for the others; and which were chosen."""
        if not self.k:
            return {}
        result, candidates = inner(call), self.prepare(call.conditioning, call.backbone)["candidates"]
        chosen = self.chosen(result, candidates)
        assert result.region_attention is not None, "refused where it is chosen"
        scores = result.region_attention.masked_fill(~candidates, torch.nan)
        return {
            "mean attention": AttentionView(values=scores, names=self.names),
            "chosen": AttentionView(values=chosen.to(scores.dtype), names=self.names),
        }
