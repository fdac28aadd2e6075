"""Scaled-dot-product attention under the one mask rule, for every part that attends. Floor 0; imports torch.

The rule: masks are boolean, [B, 1, Q, K], True = may attend, broadcast over heads. A row with nothing to attend to
is opened before attention and its weighted sum set to zero after it, so that every backend, eager or compiled,
agrees; PyTorch itself gives such a row four different meanings, depending on the form of the mask.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from pgsynth_core.interfaces import AttentionCall, AttentionResult, Conditioning, KeyValue, Site

__all__ = [
    "join_heads",
    "masked_attention",
    "masked_attention_backends",
    "plain_attention",
    "plain_weights",
    "project_keys",
    "reference_at",
    "split_heads",
]


def split_heads(tokens: Float[Tensor, "B Q C"], heads: int) -> Float[Tensor, "B heads Q d"]:
    """[B, Q, heads * d] -> [B, heads, Q, d]."""
    batch, length, width = tokens.shape
    return tokens.reshape(batch, length, heads, width // heads).transpose(1, 2)


def join_heads(values: Float[Tensor, "B heads Q d"]) -> Float[Tensor, "B Q C"]:
    """[B, heads, Q, d] -> [B, Q, heads * d]."""
    return values.transpose(1, 2).flatten(2)


def masked_attention_backends(query: Tensor) -> AbstractContextManager[None]:
    """On CUDA: memory-efficient or math kernels, never cuDNN.

    cuDNN's backward gives NaN in the queries' gradient where a mask is passed, the length is 64 modulo 128 (704 is)
    and a row's logsumexp is below -88.7 (pytorch issue 196678).
    """
    if not query.is_cuda:
        return nullcontext()
    return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


def masked_attention(
    query: Float[Tensor, "B heads Q d"],
    key: Float[Tensor, "B heads K d"],
    value: Float[Tensor, "B heads K e"],
    mask: Bool[Tensor, "#B 1 #Q #K"] | None = None,
) -> Float[Tensor, "B heads Q e"]:
    """softmax(QK'/sqrt(d)) V over the pairs the mask allows; a row with nothing to attend to gives zeros.

    Args:
        query: Heads split.
        key: Heads split.
        value: Heads split.
        mask: True = may attend; None = everything may.

    Returns:
        The weighted sums, heads still split.
    """
    if mask is None:
        return F.scaled_dot_product_attention(query, key, value)
    mask = mask.expand(-1, -1, query.shape[2], key.shape[2])
    some = mask.any(dim=-1, keepdim=True)
    opened = mask | ~some
    if query.is_cuda:  # the efficient kernel wants rows that start on 8-element boundaries, compiled too
        opened = F.pad(opened, (0, -key.shape[2] % 8))[..., : key.shape[2]]
    with masked_attention_backends(query):
        summed = F.scaled_dot_product_attention(query, key, value, attn_mask=opened)
    return torch.where(some, summed, 0.0)


def plain_attention(call: AttentionCall) -> AttentionResult:
    """The innermost link: attention with the backbone's own projections, before `to_out`."""
    return AttentionResult(hidden=join_heads(masked_attention(call.query, *_keys(call))))


def plain_weights(call: AttentionCall) -> Float[Tensor, "B Q keys"]:
    """The weights of `plain_attention`, heads averaged, for looking at: no attention kernel ever makes them.

    Returns:
        A row for each query: softmax(QK'/sqrt(d)) over the columns of `context`, then those of `beside`; zeros where
        there is nothing to attend to.
    """
    key, _, mask = _keys(call)
    logits: Tensor = call.query @ key.transpose(2, 3) / call.query.shape[-1] ** 0.5
    if mask is None:
        return logits.softmax(dim=-1).mean(dim=1)
    mask = mask.expand(-1, -1, *logits.shape[2:])
    weights = logits.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return torch.where(mask.any(dim=-1, keepdim=True), weights, 0.0).mean(dim=1)


def _keys(call: AttentionCall) -> tuple[Tensor, Tensor, Tensor | None]:
    """Keys, values and mask of the plain link: those of the context, with what stands beside it open to every row."""
    key, value = project_keys(call.backbone, call.context, call.site.heads)
    mask = call.mask
    if call.beside:
        key, value = (torch.cat(parts, dim=2) for parts in zip((key, value), *call.beside, strict=True))
        if mask is not None:
            columns = mask.expand(-1, -1, -1, call.context.shape[1])
            mask = F.pad(columns, (0, key.shape[2] - columns.shape[3]), value=True)
    return key, value, mask


def project_keys(backbone: nn.Module, tokens: Float[Tensor, "B K E"], heads: int) -> KeyValue:
    """Keys and values of some tokens by an attention layer's `to_k` and `to_v`, heads split."""
    key, value = (split_heads(backbone.get_submodule(name)(tokens), heads) for name in ("to_k", "to_v"))
    return key, value


def reference_at(site: Site, conditioning: Conditioning) -> Float[Tensor, "B N_s C"]:
    """The source's tokens at a site's twin.

    Raises:
        ValueError: If `reference` has none for it.
    """
    twin = site.twin("source")
    if twin not in conditioning.reference:
        raise ValueError(f"{site.name}: no reference for {twin}; there are: {sorted(conditioning.reference)}")
    return conditioning.reference[twin]
