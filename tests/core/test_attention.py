"""The one mask rule, against an explicit softmax in float64: forward, gradients, fully masked rows and samples."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pgsynth_core.attention import join_heads, masked_attention, plain_attention, plain_weights, split_heads
from pgsynth_core.interfaces import AttentionCall, Conditioning, Site


def reference(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """exp of allowed logits over their sum; 0 where the sum is empty."""
    weights = torch.exp(query @ key.mT / query.shape[-1] ** 0.5) * mask
    return weights @ value / weights.sum(-1, keepdim=True).clamp(min=1e-300)


def inputs(batch: int, rows: int = 7, columns: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(batch)
    shapes = ((batch, 2, rows, 4), (batch, 2, columns, 4), (batch, 2, columns, 4))
    return [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in shapes]


def masks(batch: int, rows: int = 7, columns: int = 5) -> dict[str, Tensor]:
    some = torch.rand(batch, 1, rows, columns, generator=torch.Generator().manual_seed(9)) > 0.5
    row, sample = some.clone(), some.clone()
    row[:, :, 2], sample[0] = False, False
    one_key = torch.zeros_like(some)
    one_key[..., 3] = True
    shared = some[:, :, :, :1].any(0, keepdim=True)
    return {"some": some, "row": row, "sample": sample, "one key": one_key, "shared": shared}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["some", "row", "sample", "one key", "shared"])
def test_values_and_gradients(batch: int, name: str) -> None:
    mask = masks(batch)[name]
    ours, theirs = inputs(batch), inputs(batch)
    out, expected = masked_attention(*ours, mask), reference(*theirs, mask)
    torch.testing.assert_close(out, expected, atol=1e-12, rtol=1e-12)
    out.square().sum().backward()
    expected.square().sum().backward()
    for tensor, other in zip(ours, theirs, strict=True):
        assert torch.isfinite(tensor.grad).all()
        torch.testing.assert_close(tensor.grad, other.grad, atol=1e-12, rtol=1e-12)


def test_a_row_with_nothing_to_attend_to_is_exactly_zero() -> None:
    mask = masks(3)["sample"]
    open_rows = mask.any(-1).expand(3, 2, 7)
    out = masked_attention(*inputs(3), mask)
    assert not open_rows[0].any() and open_rows.any()
    assert out[~open_rows].abs().max() == 0 and out[open_rows].abs().min() > 0


def test_no_mask_is_plain_attention() -> None:
    query, key, value = inputs(2)
    expected = reference(query, key, value, torch.ones(1, 1, 7, 5, dtype=torch.bool))
    torch.testing.assert_close(masked_attention(query, key, value), expected)


def test_heads_split_and_join() -> None:
    tokens = torch.randn(2, 5, 12)
    assert split_heads(tokens, 3).shape == (2, 3, 5, 4)
    assert torch.equal(join_heads(split_heads(tokens, 3)), tokens)
    assert torch.equal(split_heads(tokens, 3)[:, 1], tokens[..., 4:8])


@pytest.mark.compiled
@pytest.mark.parametrize("name", [pytest.param("row", marks=pytest.mark.slow), "sample"])
def test_compiled_equals_eager(name: str) -> None:
    mask = masks(2)[name]
    eager = masked_attention(*inputs(2), mask)
    compiled = torch.compile(masked_attention, fullgraph=True)(*inputs(2), mask)
    torch.testing.assert_close(compiled, eager, atol=1e-12, rtol=1e-12)


class Projections(nn.Module):
    """What the plain link sees of a backbone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_k = nn.Linear(6, width, bias=False, dtype=torch.float64)


@pytest.mark.parametrize("beside", [0, 3])
@pytest.mark.parametrize("name", [None, "some", "row", "sample", "shared"])
def test_weights_are_those_that_plain_attention_gives(
    name: str | None, beside: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    batch, rows, columns, heads = 3, 7, 5, 2
    mask = None if name is None else masks(batch)[name]
    width = columns + beside  # of a head: values are one-hot, so that what attention gives are its weights
    unit = torch.eye(width, dtype=torch.float64).expand(batch, heads, -1, -1)

    def keys(of: nn.Module, tokens: Tensor, count: int) -> tuple[Tensor, Tensor]:
        return split_heads(of.get_submodule("to_k")(tokens), count), unit[:, :, :columns]

    monkeypatch.setattr("pgsynth_core.attention.project_keys", keys)
    further = (torch.randn(batch, heads, beside, width, dtype=torch.float64), unit[:, :, columns:])
    call = AttentionCall(
        site=Site("denoiser", "mid_block.attn2", "cross", 8, heads, 0),
        hidden=torch.randn(batch, rows, 8, dtype=torch.float64),
        context=torch.randn(batch, columns, 6, dtype=torch.float64),
        query=torch.randn(batch, heads, rows, width, dtype=torch.float64),
        mask=mask,
        grid=(7, 1),
        conditioning=Conditioning(latent_grid=(7, 1)),
        backbone=Projections(heads * width),
        prepared={},
        beside=(further,) if beside else (),
    )
    given = split_heads(plain_attention(call).hidden, heads).mean(1)
    torch.testing.assert_close(plain_weights(call), given, atol=1e-12, rtol=1e-12)
    assert plain_weights(call).shape == (batch, rows, columns + beside)
