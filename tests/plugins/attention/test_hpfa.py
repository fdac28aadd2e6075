"""HPFA against Eq. 6 and 7 written out with the whole matrix, in float64: forward, region scores, every gradient."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pgsynth_core.attention import plain_attention, split_heads
from pgsynth_core.data.labels import LABELS
from pgsynth_core.interfaces import AttentionCall, AttentionResult, BuildContext, Conditioning, Site
from pgsynth_plugins.attention.hpfa import Config
from pgsynth_plugins.attention.hpfa.model import HPFA
from pgsynth_plugins.attention.hpfa.weighted import Weighting, weighted_attention

from ...fixtures.layers import Projections
from ...fixtures.memory import needs_peak, run_apart

CHANNELS, HEADS = 8, 2
SITE = Site("denoiser", "layer", "self", CHANNELS, HEADS, 1)
GRIDS = {"13x11": (13, 11), "7x5": (7, 5), "1x1": (1, 1)}
SOURCES = ("mixed", "one sample without a person", "all outside", "all inside", "two regions")


class Denoiser(nn.Module):
    """A denoiser of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Projections(CHANNELS)


def labels_of(kind: str, batch: int, grid: tuple[int, int], label_set: str) -> Tensor:
    """A label map of the source."""
    count = len(LABELS[label_set])
    drawn = torch.randint(0, count, (batch, *grid))
    if kind == "one sample without a person":
        drawn[0] = 0
    if kind == "all outside":
        drawn[:] = 0
    if kind == "all inside":
        drawn = drawn.clamp(min=1)
    if kind == "two regions":
        drawn = torch.where(drawn % 2 == 0, 4, count - 1)
    return drawn


def make_call(
    grid: str = "7x5", batch: int = 3, *, source: str = "mixed", label_set: str = "atr18", scale: float = 2.0
) -> AttentionCall:
    """A self-attention call with a reference and a parsing; logits are spread by `scale`."""
    h, w = GRIDS[grid]
    hidden = (torch.randn(batch, h * w, CHANNELS) * scale).requires_grad_()
    reference = (torch.randn(batch, h * w, CHANNELS) * scale).requires_grad_()
    backbone = Projections(CHANNELS)
    labels = labels_of(source, batch, (h, w), label_set)
    return AttentionCall(
        site=SITE,
        hidden=hidden,
        context=hidden,
        query=split_heads(backbone.to_q(hidden), HEADS),
        mask=None,
        grid=(h, w),
        conditioning=Conditioning(
            latent_grid=(h * 2, w * 2),
            reference={"source:self:layer": reference},
            parsing=(torch.zeros(batch, h * 2, w * 2, dtype=torch.long), labels),
        ),
        backbone=backbone,
        prepared={},
    )


@pytest.fixture
def hpfa(context: Callable[..., BuildContext]) -> Callable[..., HPFA]:
    """A processor with the given options."""

    def make(label_set: str = "atr18", **options: Any) -> HPFA:
        return HPFA(Config(**options), SITE, context(denoiser=Denoiser(), label_set=label_set))

    return make


def dense(part: HPFA, call: AttentionCall, label_set: str) -> tuple[Tensor, Tensor]:
    """Eq. 6 and 7 with the whole matrix, and each region's mean attention."""
    config, labels = part.config, call.conditioning.parsing[1].flatten(1)
    groups = {name for name in ("body", "clothes", "face") if getattr(config, name)}
    inside = torch.tensor([group in groups for group in LABELS[label_set].groups])[labels][:, None, None]
    projections = part if config.projections == "own" else call.backbone
    source = call.conditioning.reference["source:self:layer"]
    key, value = (split_heads(projection(source), HEADS) for projection in (projections.to_k, projections.to_v))
    attention = torch.softmax(call.query @ key.transpose(2, 3) / (CHANNELS / HEADS) ** 0.5, dim=-1)
    high = (attention >= 1 / key.shape[2]) | (config.threshold == "none")
    weights = attention * torch.where(inside, torch.where(high, 1 + config.delta, 1.0), config.sigma)
    if config.renormalise:
        weights = weights / weights.sum(-1, keepdim=True)
    hidden = plain_attention(call).hidden + (weights @ value).transpose(1, 2).flatten(2)
    scores = torch.zeros(len(labels), len(LABELS[label_set]))
    for sample, region in itertools.product(range(len(labels)), range(scores.shape[1])):
        if (here := labels[sample] == region).any():
            scores[sample, region] = weights[sample, :, :, here].mean()
    return hidden, scores


def gradients(outputs: tuple[Tensor, Tensor], part: HPFA, call: AttentionCall, seeds: list[Tensor]) -> list[Tensor]:
    """Of query's source, reference and every own weight, for both outputs at once."""
    inputs = [call.hidden, call.conditioning.reference["source:self:layer"], *part.parameters()]
    return list(torch.autograd.grad(outputs, inputs, seeds, retain_graph=True))


OPTIONS: list[Mapping[str, Any]] = [
    {},
    {"renormalise": True},
    {"threshold": "none"},
    {"projections": "backbone"},
    {"sigma": 1.0, "delta": 0.0},
    {"sigma": 0.05, "delta": 3.0, "renormalise": True},
    {"clothes": False, "face": False},
]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_the_equations(hpfa: Callable[..., HPFA], options: Mapping[str, Any], source: str, batch: int) -> None:
    for grid, label_set in zip(GRIDS, LABELS, strict=True):
        part, call = hpfa(label_set, **options), make_call(grid, batch, source=source, label_set=label_set)
        result = part(call, plain_attention)
        assert result.region_attention is not None
        expected = dense(part, call, label_set)
        torch.testing.assert_close(result.hidden, expected[0], rtol=0, atol=1e-10)
        torch.testing.assert_close(result.region_attention, expected[1], rtol=0, atol=1e-10)
        seeds = [torch.randn_like(output) for output in expected]
        got = gradients((result.hidden, result.region_attention), part, call, seeds)
        for ours, theirs in zip(got, gradients(expected, part, call, seeds), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_comparison_sees_a_change_of_one_weight(hpfa: Callable[..., HPFA]) -> None:
    part, other, call = hpfa(sigma=0.3), hpfa(sigma=0.3001), make_call()
    other.load_state_dict(part.state_dict())
    assert not torch.allclose(part(call, plain_attention).hidden, dense(other, call, "atr18")[0], rtol=0, atol=1e-10)


def test_a_row_that_is_weighted_by_nothing_is_zero(hpfa: Callable[..., HPFA]) -> None:
    for renormalise in (False, True):
        part, call = hpfa(sigma=0.0, renormalise=renormalise), make_call(source="all outside")
        result = part(call, plain_attention)
        torch.testing.assert_close(result.hidden, plain_attention(call).hidden)
        (gradient,) = torch.autograd.grad(result.hidden.sum(), call.conditioning.reference["source:self:layer"])
        assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tokens", [1, 3, 48, 704, 2816])
def test_a_tie_is_high(dtype: torch.dtype, tokens: int) -> None:
    """Equal logits are all exactly 1 / N_s; rounding of the logsumexp must not decide."""
    query, key = torch.full((1, 1, 2, 4), 1.3, dtype=dtype), torch.full((1, 1, tokens, 4), 0.7, dtype=dtype)
    by = Weighting(base=torch.ones(1, tokens, dtype=dtype), more=torch.ones(1, tokens, dtype=dtype))
    _, share = weighted_attention(query, key, key, by)
    torch.testing.assert_close(share, torch.full_like(share, 2 / tokens))


def in_float32(part: HPFA, call: AttentionCall) -> tuple[Tensor, Tensor]:
    """Which values are off by more than 1e-4 in float32, and which have a threshold tie in their row and head."""
    exact, _ = dense(part, call, "atr18")
    source = call.conditioning.reference["source:self:layer"]
    key = split_heads(part.to_k(source), HEADS)
    attention = torch.softmax(call.query @ key.transpose(2, 3) / (CHANNELS / HEADS) ** 0.5, dim=-1)
    tied = ((attention * key.shape[2] - 1).abs() < 1e-4).any(-1).transpose(1, 2)  # [B, Q, heads]
    low = replace(
        call,
        hidden=call.hidden.float(),
        context=call.context.float(),
        query=call.query.float(),
        conditioning=replace(call.conditioning, reference={"source:self:layer": source.float()}),
        backbone=copy.deepcopy(call.backbone).float(),
    )
    got = copy.deepcopy(part).float()(low, plain_attention).hidden
    off = (got.double() - exact).abs() > 1e-4
    return off, tied.repeat_interleave(CHANNELS // HEADS, -1)


def test_in_float32_values_are_those_of_float64(hpfa: Callable[..., HPFA]) -> None:
    off, tied = in_float32(hpfa(), make_call("13x11", 3))
    assert off.double().mean() <= 1e-3 and not (off & ~tied).any()


def test_in_float32_only_ties_differ(hpfa: Callable[..., HPFA]) -> None:
    call = make_call("13x11", 3)
    scale = torch.ones_like(call.query)
    scale[:, :, ::5] = 1e-6  # logits so alike that rounding decides which lie above their mean
    off, tied = in_float32(hpfa(), replace(call, query=call.query * scale))
    assert off.any() and not (off & ~tied).any()


def test_autocast_changes_the_products_around_it_and_nothing_in_it() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 2, 96, 4, dtype=torch.bfloat16) * 2 for _ in range(3))
    by = Weighting(base=torch.rand(2, 96, dtype=torch.float32), more=torch.rand(2, 96, dtype=torch.float32))
    results = []
    for half in (False, True):
        leaves = [tensor.clone().requires_grad_() for tensor in (query, key, value)]
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out, share = weighted_attention(*leaves, by)
            loss = out.double().square().sum() + share.double().square().sum()
        loss.backward()
        results.append([out, share, *(leaf.grad for leaf in leaves)])
    assert results[0][1].dtype == torch.float32
    for plain, cast in zip(*results, strict=True):
        assert plain is not None and cast is not None and torch.equal(plain, cast)


def test_scores_of_regions_are_not_rounded_by_autocast(hpfa: Callable[..., HPFA]) -> None:
    part, call = hpfa().float(), make_call()
    kept = {
        name: value.float() if value.is_floating_point() else value
        for name, value in part.double().prepare(call.conditioning, call.backbone).items()
    }
    low = replace(call, query=call.query.float(), prepared=kept)
    plain = part(low, lambda call: AttentionResult(hidden=call.hidden)).region_attention
    with torch.autocast("cpu", torch.bfloat16):
        cast = part(low, lambda call: AttentionResult(hidden=call.hidden)).region_attention
    assert plain is not None and cast is not None and torch.equal(plain, cast)


@pytest.mark.parametrize("batch", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_the_operations_are_well_formed(batch: int) -> None:
    """Shapes, strides and aliases are as the meta device is told: what torch.compile relies on."""
    tokens = torch.randn(batch, 6, 8)
    query, key, value = (split_heads(tokens.clone(), HEADS).requires_grad_() for _ in range(3))
    by = (torch.rand(batch, 6), torch.rand(batch, 6))
    options = {"threshold": True, "renormalise": True}
    torch.library.opcheck(torch.ops.pgsynth.weighted_attention.default, (query, key, value, *by), options)
    out, share, lse, total = torch.ops.pgsynth.weighted_attention(query, key, value, *by, **options)
    saved = [tensor.detach() for tensor in (query, key, value, *by, lse, total)]
    grads = [torch.randn_like(out), torch.randn_like(share)]
    torch.library.opcheck(torch.ops.pgsynth.weighted_attention_backward.default, (grads, saved), options)


def test_prepared_gives_the_same_bits_and_is_read(hpfa: Callable[..., HPFA]) -> None:
    for projections in ("own", "backbone"):
        part, call = hpfa(projections=projections), make_call()
        kept = part.prepare(call.conditioning, call.backbone)
        plain = part(call, plain_attention)
        assert torch.equal(part(replace(call, prepared=kept), plain_attention).hidden, plain.hidden)
        for name in kept:
            other = kept | {name: kept[name] * 2 if kept[name].is_floating_point() else ~kept[name]}
            result = part(replace(call, prepared=other), plain_attention)
            same = torch.equal(result.hidden, plain.hidden) and torch.equal(
                _scores(result.region_attention), _scores(plain.region_attention)
            )
            assert not same, name


def _scores(given: Tensor | None) -> Tensor:
    assert given is not None
    return given


def test_own_projections_start_as_the_sites_and_train(hpfa: Callable[..., HPFA]) -> None:
    denoiser = Denoiser().requires_grad_(False)
    part = HPFA(
        Config(),
        SITE,
        BuildContext(label="hpfa", axes={}, image_size=(8, 8), stride=1, weights=lambda *_: None, denoiser=denoiser),
    )
    assert torch.equal(part.to_k.weight, denoiser.layer.to_k.weight)
    assert all(parameter.requires_grad for parameter in part.parameters())
    assert part.to_k.weight is not denoiser.layer.to_k.weight
    assert not list(hpfa(projections="backbone").parameters())


def test_what_does_not_arrive_is_named(hpfa: Callable[..., HPFA]) -> None:
    part, call = hpfa(), make_call()
    with pytest.raises(ValueError, match="no reference for source:self:layer"):
        part(replace(call, conditioning=replace(call.conditioning, reference={})), plain_attention)
    with pytest.raises(ValueError, match="parsing has the grids"):
        part(replace(call, conditioning=replace(call.conditioning, parsing=())), plain_attention)


def test_views_say_where_attention_lies(hpfa: Callable[..., HPFA]) -> None:
    part, call = hpfa(), make_call()
    views = part.views(call, plain_attention)
    per_region, source, weights = (views[name] for name in ("weights per region", "source attention", "source weights"))
    assert (per_region.grid, source.grid, weights.grid) == ("target", "source", "source")
    torch.testing.assert_close(source.values.sum((1, 2, 3)), torch.ones(3))
    torch.testing.assert_close(per_region.values.mean((2, 3)).sum(1), weights.values.sum((1, 2, 3)))
    assert per_region.names == LABELS["atr18"].names


def test_checkpointed_gives_the_same_bits(hpfa: Callable[..., HPFA]) -> None:
    part, call = hpfa(), make_call()
    inputs = [call.hidden, *part.parameters()]
    plain = part(call, plain_attention).hidden
    again = checkpoint(lambda: part(call, plain_attention).hidden, use_reentrant=False)
    assert isinstance(again, Tensor) and torch.equal(plain, again)
    both = [torch.autograd.grad(out.square().sum(), inputs, retain_graph=True) for out in (plain, again)]
    assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


@pytest.mark.compiled
@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_compiled_equals_eager(batch: int, hpfa: Callable[..., HPFA]) -> None:
    part, call = hpfa(), make_call("13x11", batch)
    inputs = [call.hidden, call.conditioning.reference["source:self:layer"], *part.parameters()]

    def run(link: Callable[[AttentionCall], Tensor]) -> tuple[Tensor, ...]:
        hidden = link(call)
        return hidden, *torch.autograd.grad(hidden.square().sum(), inputs)

    def eager(call: AttentionCall) -> Tensor:
        query = split_heads(call.backbone.get_submodule("to_q")(call.hidden), HEADS)
        return part(replace(call, query=query), plain_attention).hidden

    for ours, theirs in zip(run(torch.compile(eager, fullgraph=True)), run(eager), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


MEASURE = """
import json, sys, torch
from pgsynth_plugins.attention.hpfa.weighted import Weighting, weighted_attention
def dense(q, k, v, by):
    a = torch.softmax(q @ k.transpose(2, 3) / q.shape[3] ** 0.5, dim=-1)
    w = a * (by.base[:, None, None] + (a >= 1 / k.shape[2]) * by.more[:, None, None])
    return w @ v, w.mean((1, 2))
q, k, v = (torch.randn(4, 8, 1024, 40, requires_grad=True) for _ in range(3))
by = Weighting(base=torch.ones(4, 1024), more=torch.ones(4, 1024))
small = [t[:, :, :8].detach().requires_grad_() for t in (q, k, v)]
run = dense if sys.argv[1] == "dense" else weighted_attention
def step(q, k, v, by):
    out, share = run(q, k, v, by)
    (out.sum() + share.sum()).backward()
step(*small, Weighting(base=by.base[:, :8], more=by.more[:, :8]))
before = peak_bytes()
step(q, k, v, by)
print(json.dumps(peak_bytes() - before))
"""


@pytest.mark.slow
@needs_peak
def test_it_never_holds_the_matrix() -> None:
    """32x32 tokens: the matrix has 128 MiB, of which the dense form holds several."""
    ours, matrix = run_apart(MEASURE, "blocks"), run_apart(MEASURE, "dense")
    assert matrix > 256 * 2**20, "canary: the measure sees the matrix"
    assert ours <= matrix / 5, (ours, matrix)
