"""Reference attention against one softmax over target and source written out, and against the joined map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pgsynth_core.attention import join_heads, plain_attention, split_heads
from pgsynth_core.interfaces import AttentionCall, AttentionResult, BuildContext, Conditioning, Site
from pgsynth_plugins.attention.reference import Config
from pgsynth_plugins.attention.reference.model import ReferenceAttention

from ...fixtures.layers import Projections

CHANNELS, HEADS = 8, 2
SITE = Site("denoiser", "layer", "self", CHANNELS, HEADS, 0)
TWIN = "source:self:layer"


@pytest.fixture
def part(context: Callable[..., BuildContext]) -> ReferenceAttention:
    """The processor."""
    return ReferenceAttention(Config(), SITE, context())


def make_call(grid: tuple[int, int] = (7, 5), batch: int = 3) -> AttentionCall:
    """A self-attention call with a reference."""
    h, w = grid
    hidden, source = (torch.randn(batch, h * w, CHANNELS, requires_grad=True) for _ in range(2))
    backbone = Projections(CHANNELS)
    return AttentionCall(
        site=SITE,
        hidden=hidden,
        context=hidden,
        query=split_heads(backbone.to_q(hidden), HEADS),
        mask=None,
        grid=grid,
        conditioning=Conditioning(latent_grid=grid, reference={TWIN: source}),
        backbone=backbone,
        prepared={},
    )


def dense(call: AttentionCall, mask: Tensor | None = None) -> Tensor:
    """softmax(Q [K_1; K_2]' / sqrt(d)) [V_1; V_2]; `mask` closes columns of the target's own."""
    both = torch.cat([call.context, call.conditioning.reference[TWIN]], dim=1)
    key, value = (split_heads(projection(both), HEADS) for projection in (call.backbone.to_k, call.backbone.to_v))
    scores = call.query @ key.transpose(2, 3) / (CHANNELS / HEADS) ** 0.5
    if mask is not None:
        scores[..., : mask.shape[-1]] = scores[..., : mask.shape[-1]].masked_fill(~mask, -torch.inf)
    return join_heads(torch.softmax(scores, -1) @ value)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("grid", [(13, 11), (7, 5), (1, 1)])
def test_equals_one_softmax_over_both(part: ReferenceAttention, grid: tuple[int, int], batch: int) -> None:
    call = make_call(grid, batch)
    ours, theirs = part(call, plain_attention).hidden, dense(call)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    inputs = [call.hidden, call.conditioning.reference[TWIN], *call.backbone.parameters()]
    seed = torch.randn_like(ours)
    got, expected = (torch.autograd.grad(out, inputs, seed, retain_graph=True) for out in (ours, theirs))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_a_mask_closes_the_targets_own_columns_only(part: ReferenceAttention) -> None:
    call = make_call()
    mask = torch.rand(3, 1, 35, 35) < 0.3
    mask[0, :, 4] = False  # a row that may see nothing of its own still sees the source
    torch.testing.assert_close(part(call.narrowed(mask), plain_attention).hidden, dense(call, mask), rtol=0, atol=1e-10)
    rows = torch.rand(3, 1, 35, 1) < 0.5  # a mask of one column stands for all of the target's
    whole = rows.expand(-1, -1, -1, 35)
    torch.testing.assert_close(
        part(call.narrowed(rows), plain_attention).hidden, dense(call, whole), rtol=0, atol=1e-10
    )


def test_prepared_gives_the_same_bits(part: ReferenceAttention) -> None:
    call = make_call()
    kept = part.prepare(call.conditioning, call.backbone)
    with_kept = part(replace(call, prepared=kept), plain_attention)
    assert torch.equal(with_kept.hidden, part(call, plain_attention).hidden)


def test_what_is_inside_is_called_with_the_source_beside(part: ReferenceAttention) -> None:
    call, seen = make_call(), []

    def inner(call: AttentionCall) -> AttentionResult:
        seen.append(call)
        return plain_attention(call)

    part(call, lambda widened: part(widened, inner))
    assert [len(one.beside) for one in seen] == [2]


def test_what_does_not_arrive_is_named(part: ReferenceAttention) -> None:
    call = make_call()
    with pytest.raises(ValueError, match="no reference for source:self:layer"):
        part(replace(call, conditioning=Conditioning(latent_grid=(7, 5))), plain_attention)


def test_the_view_is_the_softmax_under_the_mask_and_beside_others(part: ReferenceAttention) -> None:
    call = make_call().narrowed(torch.rand(3, 1, 35, 35) < 0.3)
    key = part.prepare(call.conditioning, call.backbone)["key"]
    other = key * 2
    own = split_heads(call.backbone.to_k(call.context), HEADS)
    scores = call.query @ torch.cat([own, other, key], dim=2).transpose(2, 3) / (CHANNELS / HEADS) ** 0.5
    assert call.mask is not None
    scores[..., :35] = scores[..., :35].masked_fill(~call.mask, -torch.inf)
    expected = scores.softmax(-1).mean((1, 2))[:, 70:].unflatten(-1, (1, 7, 5))
    found = part.views(replace(call, beside=((other, other),)), plain_attention)
    torch.testing.assert_close(found["source attention"].values, expected, rtol=0, atol=1e-12)


def test_views_say_where_on_the_source_attention_lies(part: ReferenceAttention) -> None:
    call = make_call()
    view = part.views(call, plain_attention)["source attention"]
    ones = replace(call.conditioning, reference={TWIN: torch.zeros_like(call.conditioning.reference[TWIN])})
    assert view.grid == "source" and view.values.shape == (3, 1, 7, 5)
    assert ((view.values.sum((1, 2, 3)) > 0) & (view.values.sum((1, 2, 3)) < 1)).all()
    alone = part.views(replace(call, hidden=call.hidden * 0, query=call.query * 0, conditioning=ones), plain_attention)
    torch.testing.assert_close(alone["source attention"].values.sum((1, 2, 3)), torch.full((3,), 0.5))
