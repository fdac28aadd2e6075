"""PMA against Eq. 4, 5 and 9 of the paper, written out with minus infinity and an explicit softmax, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core.attention import plain_attention, split_heads
from pgsynth_core.interfaces import AttentionCall, BuildContext, Conditioning, Site, Tokens
from pgsynth_plugins.attention.pma import Config
from pgsynth_plugins.attention.pma.model import PMA

from ...fixtures.layers import Projections

CHANNELS, WIDTH, HEADS = 8, 6, 2
ROLES = (False, False, False, True, True, False)
GRIDS = {"64x64": (64, 64, 0), "64x44": (64, 44, 0), "22x16": (22, 16, 1), "11x8": (11, 8, 2)}
MINUS_INFINITY = float("-inf")


@pytest.fixture
def pma(context: Callable[..., BuildContext]) -> Callable[..., PMA]:
    """A processor with the given options, at the site of the call."""
    return lambda call, **options: PMA(Config(**options), call.site, context())


def make_call(
    grid: str = "11x8", batch: int = 3, *, body: str = "rows", roles: tuple[bool, ...] = ROLES
) -> AttentionCall:
    """A cross-attention call; `body`: random `rows`, one sample with `no body`, or the body `everywhere`."""
    h, w, down = GRIDS[grid]
    pyramid = [torch.rand(batch, 1, h << up, w << up) < 0.4 for up in range(down, 0, -1)]
    level = torch.rand(batch, 1, h, w) < 0.4
    level[:, :, 0, :2] = torch.tensor([True, False])  # whatever the draw, there is one row of each kind
    if body == "no body":
        level[0] = False
    if body == "everywhere":
        level[:] = True
    hidden = torch.randn(batch, h * w, CHANNELS, requires_grad=True)
    values = torch.randn(batch, len(roles), WIDTH, requires_grad=True)
    tokens = Tokens(values=values, is_global=roles, spans={"encoder": (0, len(roles))})
    backbone = Projections(CHANNELS, WIDTH)
    return AttentionCall(
        site=Site("pose", "mid_block.attn2", "cross", CHANNELS, HEADS, down),
        hidden=hidden,
        context=values,
        query=split_heads(backbone.to_q(hidden), HEADS),
        mask=None,
        grid=(h, w),
        conditioning=Conditioning(latent_grid=(h << down, w << down), tokens=tokens, pose_mask=(*pyramid, level)),
        backbone=backbone,
        prepared={},
    )


def equation_5(m_p: Tensor, is_global: Tensor) -> Tensor:
    """M_ij = 0 if m_p^(i) = 1, 0 if q^(j) is global, -infinity otherwise."""
    zero = (m_p[:, :, None] == 1) | is_global[None, None, :]
    return torch.where(zero, 0.0, MINUS_INFINITY)


def equation_9(m_p: Tensor, is_global: Tensor) -> Tensor:
    """M_ij = 0 if m_p^(i) = 1, -infinity otherwise."""
    return torch.where((m_p[:, :, None] == 1).expand(-1, -1, len(is_global)), 0.0, MINUS_INFINITY)


def equation_3(m_p: Tensor, is_global: Tensor) -> Tensor:
    """No mask: 0 everywhere."""
    return torch.zeros(*m_p.shape, len(is_global))


EQUATIONS = {"eq5": equation_5, "eq9": equation_9, "none": equation_3}


def reference(call: AttentionCall, equation: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A = softmax(QK'/sqrt(d_k) + M) V, one head at a time; a row that is all -infinity gives zero."""
    backbone: Any = call.backbone
    q, k, v = backbone.to_q(call.hidden), backbone.to_k(call.context), backbone.to_v(call.context)
    m = equation(
        call.conditioning.pose_mask[call.site.down].flatten(1).int(), torch.tensor(ROLES[: call.context.shape[1]])
    )
    open_rows = (m > MINUS_INFINITY).any(-1, keepdim=True)
    m = torch.where(open_rows, m, 0.0)
    heads = []
    for q_h, k_h, v_h in zip(q.chunk(HEADS, -1), k.chunk(HEADS, -1), v.chunk(HEADS, -1), strict=True):
        logits = q_h @ k_h.transpose(1, 2) / q_h.shape[-1] ** 0.5 + m
        weights = logits.exp() / logits.exp().sum(-1, keepdim=True)
        heads.append(torch.where(open_rows, weights @ v_h, 0.0))
    return torch.cat(heads, -1)


def gradients(out: Tensor, call: AttentionCall) -> tuple[Tensor, ...]:
    """Of a fixed projection of the output, to both inputs and all three projections."""
    along = torch.linspace(-1, 1, out.numel()).view_as(out)
    return torch.autograd.grad((out * along).sum(), [call.hidden, call.context, *call.backbone.parameters()])


@pytest.mark.parametrize("body", ["rows", "no body", "everywhere"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("rule", EQUATIONS)
def test_equals_the_equation(rule: str, grid: str, batch: int, body: str, pma: Callable[..., PMA]) -> None:
    call = make_call(grid, batch, body=body)
    out = pma(call, mask=rule)(call, plain_attention).hidden
    wanted = reference(call, EQUATIONS[rule])
    torch.testing.assert_close(out, wanted, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(gradients(out, call), gradients(wanted, call), strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_the_rules_differ(pma: Callable[..., PMA]) -> None:
    """Canary: a comparison that accepts any rule would pass for every row above."""
    call = make_call()
    outputs = [pma(call, mask=rule)(call, plain_attention).hidden for rule in EQUATIONS]
    assert all(not torch.allclose(one, other) for one, other in itertools.combinations(outputs, 2))


def test_off_the_body_eq9_gives_exactly_zero_and_eq5_reads_the_global_queries(pma: Callable[..., PMA]) -> None:
    call = make_call(body="no body")
    off = ~call.conditioning.pose_mask[2].flatten(1)
    assert (pma(call, mask="eq9")(call, plain_attention).hidden[off] == 0).all()
    global_only = replace(call, context=call.context[:, ROLES.index(True) : 5])
    wanted = plain_attention(global_only).hidden
    torch.testing.assert_close(pma(call, mask="eq5")(call, plain_attention).hidden[off], wanted[off])


def test_local_only_reading_of_eq9(pma: Callable[..., PMA]) -> None:
    """With global queries it is Eq. 5, as the text on B4 would have it; without them Eq. 9 either way."""
    call = make_call()
    local_only = pma(call, mask="eq9", eq9_keys="local_only")
    assert torch.equal(local_only(call, plain_attention).hidden, pma(call, mask="eq5")(call, plain_attention).hidden)
    call = make_call(roles=(False,) * 3)
    out = pma(call, mask="eq9", eq9_keys="local_only")(call, plain_attention).hidden
    assert torch.equal(out, pma(call, mask="eq9")(call, plain_attention).hidden)


def test_narrows_a_mask_that_is_there(pma: Callable[..., PMA]) -> None:
    call = make_call()
    outer = torch.rand(3, 1, 88, 6) < 0.5
    seen: list[AttentionCall] = []
    pma(call)(replace(call, mask=outer), lambda inner: (seen.append(inner), plain_attention(inner))[1])
    assert seen[0].mask is not None and torch.equal(seen[0].mask, outer & pma(call).mask(call))


def test_none_passes_the_call_on_untouched(pma: Callable[..., PMA]) -> None:
    call = make_call()
    call = replace(call, conditioning=replace(call.conditioning, pose_mask=()))
    seen: list[AttentionCall] = []
    pma(call, mask="none")(call, lambda inner: (seen.append(inner), plain_attention(inner))[1])
    assert seen[0] is call


@pytest.mark.parametrize("levels", [0, 2, 3])
def test_a_wrong_pyramid_is_named(levels: int, pma: Callable[..., PMA]) -> None:
    call = make_call()
    pyramid = tuple(mask[..., :-1] for mask in call.conditioning.pose_mask[:levels])
    broken = replace(call, conditioning=replace(call.conditioning, pose_mask=pyramid))
    with pytest.raises(ValueError, match=r"pose:cross:mid_block.attn2: pose_mask has the grids .* \(11, 8\)"):
        pma(call)(broken, plain_attention)


def test_columns_without_a_role_are_named(pma: Callable[..., PMA]) -> None:
    call = make_call()
    with pytest.raises(ValueError, match="attends to 5 columns and the tokens have 6 roles"):
        pma(call)(replace(call, context=call.context[:, :5]), plain_attention)


def test_has_no_weights_and_keeps_nothing(pma: Callable[..., PMA]) -> None:
    call = make_call()
    processor = pma(call)
    before = dict(vars(processor))
    processor(call, plain_attention)
    assert not processor.state_dict() and vars(processor) == before


# ------------------------------------------------------------------------------------------- looking
def weights(call: AttentionCall, equation: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """softmax(QK'/sqrt(d_k) + M), heads averaged, [B, Q, N]; a row that is all -infinity gives zeros."""
    backbone: Any = call.backbone
    q, k = backbone.to_q(call.hidden), backbone.to_k(call.context)
    m = equation(call.conditioning.pose_mask[call.site.down].flatten(1).int(), torch.tensor(ROLES))
    heads = []
    for q_h, k_h in zip(q.chunk(HEADS, -1), k.chunk(HEADS, -1), strict=True):
        terms = (q_h @ k_h.transpose(1, 2) / q_h.shape[-1] ** 0.5 + m).exp()
        heads.append(terms / terms.sum(-1, keepdim=True).clamp(min=1e-300))
    return torch.stack(heads).mean(0)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("rule", EQUATIONS)
def test_views_are_the_weights_of_the_equation(rule: str, batch: int, pma: Callable[..., PMA]) -> None:
    call = make_call(batch=batch, body="no body" if batch == 3 else "rows")
    views, wanted = pma(call, mask=rule).views(call, plain_attention), weights(call, EQUATIONS[rule])
    assert list(views) == ["mask", "local queries", "global queries"]
    assert {view.grid for view in views.values()} == {"target"}
    for title, role in (("local queries", False), ("global queries", True)):
        columns = [column for column, its in enumerate(ROLES) if its is role]
        assert views[title].names == tuple(f"encoder {column + 1}" for column in columns)
        shown = wanted[:, :, columns].transpose(1, 2).unflatten(2, call.grid)
        torch.testing.assert_close(views[title].values, shown, rtol=1e-10, atol=1e-12)


def test_the_view_of_the_mask_is_where_columns_of_a_role_are_open(pma: Callable[..., PMA]) -> None:
    call = make_call()
    body = call.conditioning.pose_mask[2].double()
    everywhere = torch.ones_like(body)
    for options, local, whole in (
        ({"mask": "eq5"}, body, everywhere),
        ({"mask": "eq9"}, body, body),
        ({"mask": "eq9", "eq9_keys": "local_only"}, body, everywhere),
        ({"mask": "none"}, everywhere, everywhere),
    ):
        view = pma(call, **options).views(call, plain_attention)["mask"]
        assert view.names == ("local columns", "global columns")
        assert torch.equal(view.values, torch.cat([local, whole], dim=1)), options


def test_views_leave_out_a_role_that_no_query_has_and_what_stands_beside(pma: Callable[..., PMA]) -> None:
    call = make_call(roles=(False,) * 3)
    beside = torch.randn(3, HEADS, 7, CHANNELS // HEADS)
    views = pma(call, mask="eq9").views(replace(call, beside=((beside, beside),)), plain_attention)
    assert list(views) == ["mask", "local queries"] and views["mask"].names == ("local columns",)
    assert views["local queries"].values.shape == (3, 3, *call.grid)
    alone = pma(call, mask="eq9").views(call, plain_attention)["local queries"].values
    on_body = call.conditioning.pose_mask[2][:, 0]
    assert (views["local queries"].values.sum(1) < alone.sum(1))[on_body].all(), "keys beside take their share"


@pytest.mark.compiled
@pytest.mark.parametrize("rule", ["eq5", pytest.param("eq9", marks=pytest.mark.slow)])
def test_compiled_equals_eager(rule: str, pma: Callable[..., PMA]) -> None:
    call = make_call("22x16", body="no body")
    processor = pma(call, mask=rule)

    def run(hidden: Tensor, tokens: Tensor) -> Tensor:
        query = split_heads(call.backbone.get_submodule("to_q")(hidden), HEADS)
        return processor(replace(call, hidden=hidden, context=tokens, query=query), plain_attention).hidden

    eager = run(call.hidden, call.context)
    compiled = torch.compile(run, fullgraph=True)(call.hidden, call.context)
    torch.testing.assert_close(compiled, eager, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(gradients(compiled, call), gradients(eager, call), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
