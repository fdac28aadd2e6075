"""Pose-Masked Attention: latent patches off the body do not see local queries.

Paper: *Learnable Query-Enhanced Pose Transformation*, section 3.2 "Pose-Masked Attention", Eq. 3-5, and Eq. 9 of
section 4.5.

==============  ==================================  ==========================================
paper           here                                axes
==============  ==================================  ==========================================
Q = W_q z_t     `call.query`                        [B, heads, Q, d]; L of the paper is our Q
K, V            made of `call.context` by `inner`   [B, heads, N, d]
m'_p            `conditioning.pose_mask[down]`      [B, 1, h, w], Q = h * w; True = m_p^(i) is 1
q^(j) global    `conditioning.tokens.is_global[j]`  [N]
M               `PMA.mask(call)`                    [B, 1, Q, N]; True = 0, False = -infinity
==============  ==================================  ==========================================

Eq. 3 is the innermost link of the chain, Eq. 4 is what it does with a mask; this part only makes M. Where a row is
all -infinity (Eq. 9 off the body) Eq. 4 has no value; the chain's rule gives a weighted sum of zero.

Reading: the paper injects the mask "into ControlNet": the default sites are the pose branch's cross-attention.
Reading: section 4.5 says that B4 applies Eq. 9 "to local queries", which would make it Eq. 5, the complete model.
    Eq. 9 as printed does not look at j, so it closes every column: ``eq9_keys: all``. The text's form is
    ``eq9_keys: local_only``.
Reading: the paper divides z_t into p x p patches; here a patch is one token of the site, so p doubles with each
    level of the network, and m'_p has one level for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

import torch
from jaxtyping import Bool
from torch import Tensor

from pgsynth_core.attention import plain_weights
from pgsynth_core.interfaces import (
    AttentionCall,
    AttentionProcessor,
    AttentionResult,
    AttentionView,
    BuildContext,
    Inner,
    Site,
)
from pgsynth_plugins.attention.pma import Config

__all__ = ["PMA"]


class PMA(AttentionProcessor):
    """One site's link; has no weights and keeps nothing between calls.

    Args:
        config: Which columns are closed.
        site: Where it acts.
        build: Not used: what it needs travels in the call.
    """

    def __init__(self, config: Config, site: Site, build: BuildContext) -> None:
        super().__init__(config, site, build)
        self.rule = config.mask
        self.spare_global = config.mask == "eq5" or config.eq9_keys == "local_only"

    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        """Eq. 4: the inner link over the pairs that M leaves open."""
        if self.rule == "none":
            return inner(call)
        return inner(call.narrowed(self.mask(call)))

    def mask(self, call: AttentionCall) -> Bool[Tensor, "B 1 Q #N"]:
        """M as booleans: True where Eq. 5 (or 9) has 0, False where it has -infinity.

        Raises:
            ValueError: If `pose_mask` has no level for this site, or that level has another grid.
        """
        patch_on_body = _rows(call)
        if not self.spare_global:
            return patch_on_body  # Eq. 9: the same for every j
        return patch_on_body | _global_columns(call)  # Eq. 5

    def views(self, call: AttentionCall, inner: Inner) -> Mapping[str, AttentionView]:
        """Which patches may read queries of each role, and how much each patch reads of each query, heads averaged."""
        narrowed = call if self.rule == "none" else call.narrowed(self.mask(call))
        weights = plain_weights(narrowed)[..., : call.context.shape[1]].transpose(1, 2)
        weights = weights.reshape(*weights.shape[:2], *call.grid)
        open_to = torch.ones_like(weights)
        if narrowed.mask is not None:
            pairs = narrowed.mask[:, 0].transpose(1, 2).to(weights)
            open_to = pairs.expand(*weights.shape[:2], -1).reshape(weights.shape)
        names, roles = _column_names(call), _roles(call)
        columns = {
            role: [j for j, its in enumerate(roles) if its is (role == "global")] for role in ("local", "global")
        }
        columns = {role: found for role, found in columns.items() if found}
        mask = torch.stack([open_to[:, found].mean(1) for found in columns.values()], dim=1)
        named = tuple(f"{role} columns" for role in columns)
        shown = {"mask": AttentionView(values=mask, names=named, grid="target")}
        for role, found in columns.items():
            labels = tuple(names[j] for j in found)
            shown[f"{role} queries"] = AttentionView(values=weights[:, found], names=labels, grid="target")
        return shown


def _rows(call: AttentionCall) -> Bool[Tensor, "B 1 Q 1"]:
    pyramid, level = call.conditioning.pose_mask, call.site.down
    grids = [tuple(mask.shape[2:]) for mask in pyramid]
    if level >= len(pyramid) or grids[level] != call.grid:
        raise ValueError(
            f"{call.site.name}: pose_mask has the grids {grids}; level {level} must have the site's grid {call.grid}"
        )
    return pyramid[level].flatten(2).unsqueeze(-1)


def _global_columns(call: AttentionCall) -> Bool[Tensor, "1 1 1 N"]:
    """Roles as a tensor, filled on the device run by run: a copy from the host would wait for the GPU at every site."""
    runs = [(role, len(list(same))) for role, same in groupby(_roles(call))]
    pieces = [torch.full((1, 1, 1, n), role, dtype=torch.bool, device=call.context.device) for role, n in runs]
    return torch.cat(pieces, dim=-1)


def _roles(call: AttentionCall) -> tuple[bool, ...]:
    """Of each column whether its query is global."""
    tokens = call.conditioning.tokens
    roles = () if tokens is None else tokens.is_global
    if len(roles) != call.context.shape[1]:
        raise ValueError(
            f"{call.site.name}: the site attends to {call.context.shape[1]} columns and the tokens have {len(roles)} "
            "roles; the mask needs one role per column"
        )
    return roles


def _column_names(call: AttentionCall) -> list[str]:
    """Of each column its encoder's label and its number there, from 1."""
    tokens = call.conditioning.tokens
    assert tokens is not None, "its roles were read"
    spans = tokens.spans.items()
    return [f"{label} {column - start + 1}" for label, (start, stop) in spans for column in range(start, stop)]
