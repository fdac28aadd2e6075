"""Reference attention: the source's tokens beside the target's own, as keys and values of one softmax.

The baseline the field uses under many names (reference-only, spatial attention of Animate Anyone, arXiv 2311.17117,
section 3.2): no weights of its own, the backbone's `to_k` and `to_v` project both.

==============  ===============================================  ==========================================
field           here                                             axes
==============  ===============================================  ==========================================
x_1             `call.context`, the target's tokens              [B, Q, C]
x_2             `conditioning.reference[twin]`                   [B, N_s, C]
==============  ===============================================  ==========================================

softmax(Q [K_1; K_2]' / sqrt(d)) [V_1; V_2]

Differs: Animate Anyone joins the two maps along the width, attends, and takes the first half of the result. The rows
    of the second half are not read by anyone, so they are not computed here; the first half is the same.
Reading: dropped features are zeros and stay among the keys, in training and in sampling alike: they dilute the
    target's own attention by the same amount in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from pgsynth_core.attention import plain_weights, project_keys, reference_at
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
from pgsynth_plugins.attention.reference import Config

__all__ = ["ReferenceAttention"]


class ReferenceAttention(AttentionProcessor):
    """One site's link; has no weights and keeps nothing between calls.

    Args:
        config: Where it acts, which is all there is.
        site: Where; its twin in the source network gives the tokens.
        build: Not used.
    """

    def __init__(self, config: Config, site: Site, build: BuildContext) -> None:
        super().__init__(config, site, build)
        self.site = site

    def prepare(self, conditioning: Conditioning, backbone: nn.Module) -> Mapping[str, Tensor]:
        """Keys and values of the source, once per image."""
        key, value = project_keys(backbone, reference_at(self.site, conditioning), self.site.heads)
        return {"key": key, "value": value}

    def forward(self, call: AttentionCall, inner: Inner) -> AttentionResult:
        """What is inside, attending to the source too.

        Raises:
            ValueError: If `reference` has nothing for this site.
        """
        return inner(self.widened(call))

    def widened(self, call: AttentionCall) -> AttentionCall:
        """The call with the source's keys and values beside its own."""
        kept = call.prepared or self.prepare(call.conditioning, call.backbone)
        return replace(call, beside=(*call.beside, (kept["key"], kept["value"])))

    def views(self, call: AttentionCall, inner: Inner) -> Mapping[str, AttentionView]:
        """Where on the source attention lies, of one softmax over the target's own tokens and every source's so far.

        What links further inside add is not among them.
        """
        widened = self.widened(call)
        source = widened.beside[-1][0]
        share = plain_weights(widened)[..., -source.shape[2] :].mean(1)
        grid = self.site.grid(call.conditioning.latent_grid)
        return {"source attention": AttentionView(values=share.view(-1, 1, *grid), names=("A",), grid="source")}
