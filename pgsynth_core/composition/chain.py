"""Chains: the processors of one site, run like middleware on diffusers' processor seam. No forward is patched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from pgsynth_core.attention import plain_attention, split_heads
from pgsynth_core.composition.sites import attention_layers
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import AttentionCall, AttentionProcessor, AttentionResult, Conditioning, Inner, Site, Watch

Prepared = Mapping[str, Mapping[str, Tensor]]
"""``<site name>/<label>`` -> what that link's `prepare` returned."""


@dataclass(frozen=True)
class _Step:
    """What every chain of a step is passed."""

    conditioning: Conditioning
    prepared: Prepared
    watch: Watch | None


class AttentionChain(nn.ModuleDict):
    """Stands where diffusers keeps a layer's processor; label -> link, first written innermost.

    Args:
        site: The layer it stands at.
        links: Label -> processor, innermost first; may be empty, then it is plain attention.
    """

    def __init__(self, site: Site, links: Mapping[str, AttentionProcessor]) -> None:
        super().__init__(links)
        self.site = site

    def __call__(  # noqa: PLR0913 - diffusers reads these names and drops what it passes and does not find here
        self,
        attn: nn.Module,
        hidden_states: Float[Tensor, "B Q C"],
        encoder_hidden_states: Float[Tensor, "B K E"] | None = None,
        attention_mask: Tensor | None = None,
        *,
        conditioning: Conditioning | None = None,
        prepared: Prepared | None = None,
        watch: Watch | None = None,
    ) -> Float[Tensor, "B Q C"]:
        """The seam of diffusers' `Attention`: tokens in, tokens out.

        Raises:
            PartError: If a mask of diffusers' own arrives, or no conditioning: the network was called past pgsynth.
        """
        if attention_mask is not None:
            raise PartError(f"{self.site.name}: got attention_mask; masks come from processors, see `narrowed`.")
        if conditioning is None:
            raise PartError(f"{self.site.name}: no conditioning arrived.", cure="Pass on `attention` to the network.")
        step = _Step(conditioning, prepared or {}, watch)
        out: Tensor = super().__call__(attn, hidden_states, encoder_hidden_states, step)
        return out

    def forward(
        self,
        attn: nn.Module,
        hidden: Float[Tensor, "B Q C"],
        context: Float[Tensor, "B K E"] | None,
        step: _Step,
    ) -> Float[Tensor, "B Q C"]:
        """Project the query once, run the links, project out once."""
        grid = self.site.grid(step.conditioning.latent_grid)
        if hidden.shape[1] != grid[0] * grid[1]:
            raise PartError(
                f"{self.site.name}: {hidden.shape[1]} tokens arrived where the grid is {grid[0]}x{grid[1]}."
            )
        call = AttentionCall(
            site=self.site,
            hidden=hidden,
            context=hidden if context is None else context,
            query=split_heads(attn.get_submodule("to_q")(hidden), self.site.heads),
            mask=None,
            grid=grid,
            conditioning=step.conditioning,
            backbone=attn,
            prepared={},
        )
        inner: Inner = plain_attention
        if step.watch is not None:
            inner = partial(_plain, partial(step.watch, self.site, "", None))
        for label, link in self.items():
            assert isinstance(link, AttentionProcessor), "chains are built of them"
            kept = step.prepared.get(f"{self.site.name}/{label}", {})
            seen = None if step.watch is None else partial(step.watch, self.site, label, link)
            inner = partial(_run, (label, link), kept, inner, seen)
        out: Tensor = inner(call).hidden
        for layer in attn.get_submodule("to_out").children():
            out = layer(out)
        return out


_Seen = Callable[[AttentionCall, Inner], None]


def _run(
    labelled: tuple[str, AttentionProcessor],
    prepared: Mapping[str, Tensor],
    inner: Inner,
    seen: _Seen | None,
    call: AttentionCall,
) -> AttentionResult:
    label, link = labelled
    call = replace(call, prepared=prepared)
    if seen is not None:
        seen(call, inner)
    result: AttentionResult = link(call, inner)
    batch, heads, queries, width = call.query.shape
    if result.hidden.shape != (batch, queries, heads * width):
        given, wanted = list(result.hidden.shape), [batch, queries, heads * width]
        raise PartError(f"{label} gives {given} at {call.site.name}, where {wanted} is read.", cure=f"Mend {label}.")
    return result


def _plain(seen: _Seen, call: AttentionCall) -> AttentionResult:
    call = replace(call, prepared={})
    seen(call, plain_attention)
    return plain_attention(call)


def attach(network: nn.Module, chains: Mapping[str, AttentionChain]) -> dict[str, object]:
    """Put a chain at each named path of a network.

    Args:
        network: A diffusers network.
        chains: diffusers path -> chain.

    Returns:
        The processors that stood there, for `detach`.
    """
    layers = attention_layers(network)
    before: dict[str, object] = {}
    for path, chain in chains.items():
        before[path] = layers[path].processor
        layers[path].set_processor(chain)  # type: ignore[operator]
    return before


def detach(network: nn.Module, before: Mapping[str, object]) -> None:
    """Put back what `attach` found: tree and state dict are as they were."""
    layers = attention_layers(network)
    for path, processor in before.items():
        layer = layers[path]
        layer._modules.pop("processor", None)  # a plain object may not replace a registered module
        layer.set_processor(processor)  # type: ignore[operator]


def chains_of(network: nn.Module) -> dict[str, AttentionChain]:
    """diffusers path -> chain, where one is attached."""
    layers = attention_layers(network)
    found = {path: layer.processor for path, layer in layers.items()}
    return {path: chain for path, chain in found.items() if isinstance(chain, AttentionChain)}


class StemConv(nn.Conv2d):
    """The denoiser's `conv_in` with room for a pose branch's stem: extra input channels are added to its output.

    UNet2DConditionModel.forward has no argument for "added after conv_in"; features ride along as extra channels
    instead. Shares the convolution's own parameters, so keys and values of the state dict stay as they are.
    """

    @classmethod
    def around(cls, conv: nn.Conv2d) -> StemConv:
        """The same convolution, sharing weights."""
        stem = cls.__new__(cls)
        stem.__dict__ = dict(conv.__dict__)
        return stem

    def forward(self, input: Float[Tensor, "B _ h w"]) -> Float[Tensor, "B C h w"]:
        """Convolve the latent's channels; add the rest, if any."""
        latent, features = input[:, : self.in_channels], input[:, self.in_channels :]
        out = super().forward(latent)
        return out + features if features.shape[1] else out
