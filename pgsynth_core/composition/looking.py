"""Looking on at one denoising step: what each link can be shown of, and where on the source each encoder is read.

How an encoder's attention lies on the source is defined once, here. At each site that reads the encoder's tokens, the
weights that the innermost attention gives to them are averaged over heads and over all of the target's queries, and
brought to a sum of one; each token's share then goes where the encoder says that the token looks (`Encoder.places`).
Tokens without a place keep theirs, which is told as nowhere. Of features that a processor reads at the place of the
source where they stand (`reference`), it is the processor's view named "source attention", brought to a sum of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch
from jaxtyping import Float, Num
from torch import Tensor

from pgsynth_core.attention import plain_weights
from pgsynth_core.composition.method import Method
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import (
    AttentionCall,
    AttentionProcessor,
    AttentionView,
    Conditioning,
    Encoder,
    Inner,
    Site,
    SourceInputs,
)

SOURCE_ATTENTION: Final = "source attention"
"""Title of the view in which a processor says what share of attention each of the source's tokens gets."""

CROSS: Final = "cross-attention"
"""How tokens are read."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """Where on the source an encoder is read at one site.

    Attributes:
        encoder: Its label.
        by: `CROSS`, or the label of the processor that reads it.
        site: Name of the site.
        where: Shares of attention on a grid over the whole source photo.
        nowhere: The share of tokens that have no place; together with `where`, 1.
    """

    encoder: str
    by: str
    site: str
    where: Float[Tensor, "B h w"]
    nowhere: Float[Tensor, " B"]


Views = dict[str, dict[str, dict[str, AttentionView]]]
"""Label of a processor -> name of a site -> title -> view."""


@dataclass(frozen=True)
class Looked:
    """What was seen of one step.

    Attributes:
        views: Of the processors, as far as they have any.
        reads: Where encoders are read, in the order of the calls.
        places: Label of an encoder -> where each of its tokens looks; None for one that does not say.
    """

    views: Views = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    places: Mapping[str, Float[Tensor, "B N h w"] | None] = field(default_factory=dict)


@torch.no_grad()
def look(
    method: Method,
    noisy: Float[Tensor, "B Z h w"],
    timesteps: Num[Tensor, " B"],
    source: SourceInputs,
    data: Conditioning,
) -> Looked:
    """Take one denoising step and look on; what the method computes is not changed by it.

    Args:
        method: In evaluation mode, on its device.
        noisy: The noisy target.
        timesteps: Its diffusion time.
        source: The source.
        data: The ports made from data.

    Raises:
        PartError: If a part gives views or places of another form than the interface says.
    """
    parts = method.encode_parts(source, data)
    conditioning = method.joined(parts, data)
    places = {label: _places(method, label, source, parts, data) for label in method.encoders}
    looked = Looked(places=places)
    given = {site: label for label, ports in parts.items() for site in ports.reference}
    method(noisy, timesteps, conditioning, watch=_Watching(looked, given))
    return looked


def _places(
    method: Method, label: str, source: SourceInputs, parts: Mapping[str, Conditioning], data: Conditioning
) -> Tensor | None:
    tokens, encoder = parts[label].tokens, method.encoders[label]
    assert isinstance(encoder, Encoder), "built as one"
    if tokens is None:
        return None
    others = {other: parts[other] for other in method.encoding_order() if other != label}
    inputs = method.inputs_for(method.plans[label], method.with_tokens(label, source, others, data))
    places = encoder.places(inputs, data.latent_grid)
    if places is not None and (places.ndim != 4 or places.shape[:2] != tokens.values.shape[:2]):
        wanted = f"[{', '.join(map(str, tokens.values.shape[:2]))}, h, w]"
        raise PartError(f"encoder {label}: its places are {list(places.shape)}; for its tokens they are {wanted}.")
    return places


class _Watching:
    """The `Watch` that writes down what it sees.

    Args:
        looked: Where to.
        given: Name of a site of the source -> label of the encoder whose features stand for it.
    """

    def __init__(self, looked: Looked, given: Mapping[str, str]) -> None:
        self._looked, self._given = looked, given
        self._viewing = False

    def __call__(
        self, site: Site, label: str, link: AttentionProcessor | None, call: AttentionCall, inner: Inner
    ) -> None:
        if self._viewing:  # a link that asks what is inside it, in order to show it, is no second call of that
            return
        if link is None:
            self._looked.reads.extend(_token_reads(site, call, self._looked.places))
            return
        self._viewing = True
        try:
            found = link.views(call, inner)
        finally:
            self._viewing = False
        for title, view in found.items():
            _refuse_form(f"attn {label} at {site.name}: view {title!r}", view)
        if found:
            self._looked.views.setdefault(label, {})[site.name] = dict(found)
        if SOURCE_ATTENTION in found and (encoder := self._given.get(site.twin("source"))):
            where = found[SOURCE_ATTENTION].values.mean(dim=1)
            total = where.sum(dim=(1, 2), keepdim=True)
            where = where / total.clamp(min=torch.finfo(where.dtype).tiny)
            nowhere = torch.zeros_like(where[:, 0, 0])
            self._looked.reads.append(Read(encoder=encoder, by=label, site=site.name, where=where, nowhere=nowhere))


def _token_reads(site: Site, call: AttentionCall, places: Mapping[str, Tensor | None]) -> list[Read]:
    tokens = call.conditioning.tokens
    if site.kind != "cross" or tokens is None or call.context.shape[1] != tokens.values.shape[1]:
        return []
    weights = plain_weights(call).mean(dim=1)
    reads = []
    for label, (start, stop) in tokens.spans.items():
        given, at = weights[:, start:stop], places.get(label)
        total = given.sum(dim=1, keepdim=True)
        if at is None or not bool((total > 0).all()):  # nobody may look at it here: there is nothing to share out
            continue
        shares = given / total
        where = torch.einsum("bn,bnhw->bhw", shares, at.to(shares))
        nowhere = (1 - where.sum(dim=(1, 2))).clamp(min=0)
        reads.append(Read(encoder=label, by=CROSS, site=site.name, where=where, nowhere=nowhere))
    return reads


def _refuse_form(what: str, view: AttentionView) -> None:
    axes = 4 if view.grid else 2
    if view.values.ndim != axes or view.values.shape[1] != len(view.names):
        wanted = "[B, n, h, w]" if view.grid else "[B, n]"
        raise PartError(f"{what} is {list(view.values.shape)} with {len(view.names)} names; wanted: {wanted}, n names.")
