"""Attention whose weights are multiplied by M', without ever holding the matrix: two operations known to torch.

Per row i and source token j, with A = softmax(QK'/sqrt(d)) and lse_i the row's logsumexp:

    M'_ij = base_j + high_ij more_j,    high_ij: A_ij >= 1/K, which is  logit_ij - lse_i >= -log K
    W_ij  = A_ij M'_ij, divided by its row's sum if `renormalise`
    out_i = sum_j W_ij V_j,             share_j = mean of W_ij over queries and heads

A block of rows is worked on at a time, forward, and backward again from Q, K and lse: the block fits the processor's
cache, which is faster than the whole matrix and needs no memory of its size. As operations of their own they are one
node to `torch.compile`, to activation checkpointing and to the meta device.

Gradients, with g_i = d/d out_i and c_j = d/d share_j / (queries heads); M' is piecewise constant:

    dW_ij = g_i V_j' + c_j,   dV_j = sum_i W_ij g_i,   dlogit_ij = W_ij dW_ij - P_ij sum_l W_il dW_il

where P is W if renormalised and else A.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

__all__ = ["Weighting", "weighted_attention"]

BLOCK_BYTES: Final = {"cpu": 1 << 22, "cuda": 1 << 28}
"""Of a block of the matrix: what stays in the cache of a processor; on a GPU, what keeps it busy."""

TIE: Final = 64
"""Roundings, in units of the arithmetic's own precision, within which A_ij = 1/K counts as high."""


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """M' and what is done with it.

    Attributes:
        base: M' where attention is not high.
        more: What is added where it is.
        threshold: Attention is high at or above its row's mean; False: always.
        renormalise: Rows sum to one again; a row whose weights are all zero stays zero.
    """

    base: Float[Tensor, "B K"]
    more: Float[Tensor, "B K"]
    threshold: bool = True
    renormalise: bool = False


def weighted_attention(
    query: Float[Tensor, "B heads Q d"],
    key: Float[Tensor, "B heads K d"],
    value: Float[Tensor, "B heads K e"],
    by: Weighting,
) -> tuple[Float[Tensor, "B heads Q e"], Float[Tensor, "B K"]]:
    """The weighted sums, and each token's share of the weights.

    Args:
        query: Heads split.
        key: Heads split.
        value: Heads split.
        by: M'.

    Returns:
        The sums in the dtype of the query, the shares in that of the arithmetic: float32 at least.
    """
    out, share, _, _ = _forward(query, key, value, by.base, by.more, threshold=by.threshold, renormalise=by.renormalise)
    return out, share


def _precise(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _blocks(query: Tensor, columns: int) -> Iterator[tuple[slice, slice]]:
    """Slices (of batch times heads, of rows) whose part of the matrix has the bytes of a block."""
    lanes, rows = query.shape[0] * query.shape[1], query.shape[2]
    budget = BLOCK_BYTES.get(query.device.type, BLOCK_BYTES["cuda"]) // (_precise(query.dtype).itemsize * columns)
    height = max(1, min(rows, budget))
    width = max(1, min(lanes, budget // height))
    for lane in range(0, lanes, width):
        for row in range(0, rows, height):
            yield slice(lane, lane + width), slice(row, row + height)


def _lanes(tensor: Tensor) -> Tensor:
    """[B, heads, N, d] -> [B * heads, N, d]."""
    return tensor.flatten(0, 1)


def _columns(weights: Tensor, heads: int, dtype: torch.dtype) -> Tensor:
    """[B, K] -> [B * heads, 1, K]."""
    return weights.to(dtype).repeat_interleave(heads, 0)[:, None]


def _bound(columns: int, threshold: bool, dtype: torch.dtype) -> float:
    """Logit minus logsumexp at which attention is high."""
    return -math.log(columns) - TIE * torch.finfo(dtype).eps if threshold else -math.inf


@torch.library.custom_op(
    "pgsynth::weighted_attention",
    mutates_args=(),
    schema="(Tensor query, Tensor key, Tensor value, Tensor base, Tensor more, *, bool threshold, bool renormalise)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
)
def _forward(  # noqa: PLR0913 - a schema has no dataclass
    query: Tensor, key: Tensor, value: Tensor, base: Tensor, more: Tensor, *, threshold: bool, renormalise: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Out [B, heads, Q, e], share [B, K], and for the backward lse and the rows' sums, both [B * heads, Q, 1]."""
    with torch.autocast(query.device.type, enabled=False):  # it would have every product in half precision again
        by = Weighting(base=base, more=more, threshold=threshold, renormalise=renormalise)
        return _forward_blocks(query, key, value, by)


def _forward_blocks(query: Tensor, key: Tensor, value: Tensor, by: Weighting) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, heads, rows, width = query.shape
    columns, dtype = key.shape[2], _precise(query.dtype)
    scale, bound = width**-0.5, _bound(columns, by.threshold, dtype)
    q, k, v = _lanes(query), _lanes(key).to(dtype).transpose(1, 2), _lanes(value).to(dtype)
    base_, more_ = _columns(by.base, heads, dtype), _columns(by.more, heads, dtype)
    out = q.new_empty(*q.shape[:2], v.shape[2])
    lse, total = (q.new_ones(*q.shape[:2], 1, dtype=dtype) for _ in range(2))
    mass = q.new_zeros(q.shape[0], 1, columns, dtype=dtype)
    for lane, row in _blocks(query, columns):
        logits = torch.bmm(q[lane, row].to(dtype) * scale, k[lane])
        lse[lane, row] = logits.logsumexp(-1, keepdim=True)
        logits -= lse[lane, row]
        weights = (logits >= bound).to(dtype).mul_(more_[lane]).add_(base_[lane]).mul_(logits.exp_())
        if by.renormalise:
            total[lane, row] = weights.sum(-1, keepdim=True).clamp_min_(torch.finfo(dtype).tiny)
            weights /= total[lane, row]
        out[lane, row] = torch.bmm(weights, v[lane]).to(out.dtype)
        mass[lane] += weights.sum(1, keepdim=True)
    share = mass.view(batch, heads, columns).sum(1) / (heads * rows)
    return out.view(batch, heads, rows, -1), share, lse, total


@_forward.register_fake
def _forward_shapes(  # noqa: PLR0913 - a schema has no dataclass
    query: Tensor, key: Tensor, value: Tensor, base: Tensor, more: Tensor, *, threshold: bool, renormalise: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, heads, rows, _ = query.shape
    dtype = _precise(query.dtype)
    lse, total = (query.new_empty(batch * heads, rows, 1, dtype=dtype) for _ in range(2))
    share = query.new_empty(batch, key.shape[2], dtype=dtype)
    return query.new_empty(batch, heads, rows, value.shape[3]), share, lse, total


@torch.library.custom_op(
    "pgsynth::weighted_attention_backward",
    mutates_args=(),
    schema="(Tensor[] grads, Tensor[] saved, *, bool threshold, bool renormalise) -> (Tensor, Tensor, Tensor)",
)
def _backward(
    grads: list[Tensor], saved: list[Tensor], *, threshold: bool, renormalise: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value."""
    with torch.autocast(saved[0].device.type, enabled=False):
        return _backward_blocks(grads, saved, threshold=threshold, renormalise=renormalise)


def _backward_blocks(
    grads: list[Tensor], saved: list[Tensor], *, threshold: bool, renormalise: bool
) -> tuple[Tensor, Tensor, Tensor]:
    (g_out, g_share), (query, key, value, base, more, lse, total) = grads, saved
    _, heads, rows, width = query.shape
    columns, dtype = key.shape[2], _precise(query.dtype)
    scale, bound = width**-0.5, _bound(columns, threshold, dtype)
    q, k, v, g = _lanes(query), _lanes(key).to(dtype), _lanes(value).to(dtype), _lanes(g_out)
    base_, more_ = _columns(base, heads, dtype), _columns(more, heads, dtype)
    c = _columns(g_share / (heads * rows), heads, dtype)
    dq, dk, dv = q.new_empty(q.shape), k.new_zeros(k.shape), v.new_zeros(v.shape)  # contiguous, whatever these are
    for lane, row in _blocks(query, columns):
        q_, g_ = q[lane, row].to(dtype) * scale, g[lane, row].to(dtype)
        plain = torch.baddbmm(lse[lane, row], q_, k[lane].transpose(1, 2), beta=-1)
        weights = (plain >= bound).to(dtype).mul_(more_[lane]).add_(base_[lane]).mul_(plain.exp_())
        if renormalise:
            plain = weights.div_(total[lane, row])
        dv[lane].baddbmm_(weights.transpose(1, 2), g_)
        # dW, then W dW, then the gradient of the logits, in one buffer
        d_logits = torch.baddbmm(c[lane], g_, v[lane].transpose(1, 2)).mul_(weights)
        d_logits.addcmul_(plain, d_logits.sum(-1, keepdim=True), value=-1)
        dq[lane, row] = torch.bmm(d_logits, k[lane]).mul_(scale).to(dq.dtype)
        dk[lane].baddbmm_(d_logits.transpose(1, 2), q_)
    return dq.view_as(query), dk.to(key.dtype).view_as(key), dv.to(value.dtype).view_as(value)


@_backward.register_fake
def _backward_shapes(
    grads: list[Tensor], saved: list[Tensor], *, threshold: bool, renormalise: bool
) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = (tensor.new_empty(tensor.shape) for tensor in saved[:3])
    return query, key, value


def _keep(
    ctx: Any, inputs: tuple[Tensor, ...], keyword_only_inputs: dict[str, bool], output: tuple[Tensor, ...]
) -> None:
    ctx.save_for_backward(*inputs, *output[2:])
    ctx.options = keyword_only_inputs


def _differentiate(ctx: Any, g_out: Tensor, g_share: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    found = _backward([g_out, g_share], list(ctx.saved_tensors), **ctx.options)
    return *found, None, None


_forward.register_autograd(_differentiate, setup_context=_keep)


def _products(query: tuple[int, ...], columns: int, widths: int) -> int:
    batch, heads, rows, _ = query
    return 2 * batch * heads * rows * columns * widths


@register_flop_formula(torch.ops.pgsynth.weighted_attention)
def _forward_flops(query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...], *_: Any, **__: Any) -> int:
    """QK' and WV."""
    return _products(query, key[2], query[3] + value[3])


@register_flop_formula(torch.ops.pgsynth.weighted_attention_backward)
def _backward_flops(grads: Any, saved: tuple[tuple[int, ...], ...], *_: Any, **__: Any) -> int:
    """QK' again, dV, dW, dQ and dK."""
    query, key, value = saved[:3]
    return _products(query, key[2], 3 * query[3] + 2 * value[3])
