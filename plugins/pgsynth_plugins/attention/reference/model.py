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
from dataclasses import dataclass, fields, replace

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
        """Where on the source attention lies, of the one softmax over all that arrives at plain attention."""
        widened, way = self.widened(call), list[AttentionCall]()
        inner(_Followed(**{field.name: getattr(widened, field.name) for field in fields(widened)}, way=way))
        source, reached = widened.beside[-1][0], way[-1]
        before = next(place for place, (key, _) in enumerate(reached.beside) if key is source)
        start = call.context.shape[1] + sum(key.shape[2] for key, _ in reached.beside[:before])
        share = plain_weights(reached)[..., start : start + source.shape[2]].mean(1)
        grid = self.site.grid(call.conditioning.latent_grid)
        return {"source attention": AttentionView(values=share.view(-1, 1, *grid), names=("A",), grid="source")}


@dataclass(frozen=True, kw_only=True)
class _Followed(AttentionCall):
    """A call that is followed inwards: links pass on a `replace` of it, and the last of these is plain attention's.

    Attributes:
        way: Every one of them, in the order in which they are made.
    """

    way: list[AttentionCall]

    def __post_init__(self) -> None:
        self.way.append(self)
