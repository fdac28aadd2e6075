"""Costs on the meta device against arithmetic by hand."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pgsynth_core.composition.cost import Count, count_parameters, counted_flops, peak_of, saved_activations

FLOAT = 4


def test_parameters_are_counted_once() -> None:
    layer = nn.Linear(3, 5)
    tied = nn.ModuleList([layer, layer, nn.Linear(2, 2).requires_grad_(False)])
    assert count_parameters(tied) == Count(trainable=20, frozen=6)


def test_a_multiply_add_is_two_operations() -> None:
    result, flops = counted_flops(lambda: torch.zeros(7, 11, device="meta") @ torch.zeros(11, 13, device="meta"))
    assert result.shape == (7, 13) and flops == 2 * 7 * 11 * 13


def test_saved_for_backward_leaves_parameters_out() -> None:
    with torch.device("meta"):
        layer, x = nn.Linear(8, 16), torch.zeros(4, 8, requires_grad=True)
        with saved_activations(layer) as saved:
            layer(x).relu()
            assert saved() == FLOAT * (4 * 8 + 4 * 16)


def test_attention_keeps_no_matrix() -> None:
    """Queries, keys, values and sums, as a fused kernel does: linear in the length."""

    def kept(length: int) -> int:
        query = torch.zeros(1, 2, length, 8, device="meta", requires_grad=True)
        with saved_activations(nn.Module()) as saved:
            F.scaled_dot_product_attention(query, query * 1, query * 1)
            return saved()

    assert kept(64) == 4 * FLOAT * 2 * 64 * 8
    assert kept(640) == 10 * kept(64)


def test_a_softmax_written_by_hand_keeps_its_matrix() -> None:
    query = torch.zeros(1, 1, 32, 8, device="meta", requires_grad=True)
    with saved_activations(nn.Module()) as saved:
        ((query @ query.mT).softmax(-1) @ query).sum()
    assert saved() >= FLOAT * 32 * 32


def test_peak_counts_what_lives_at_once() -> None:
    def run() -> None:
        for _ in range(5):
            one = torch.zeros(1000, device="meta")
            two = one + 1
            del one, two

    assert peak_of(run) == FLOAT * 2000


def test_peak_of_a_chain_is_not_its_sum() -> None:
    def run() -> Tensor:
        x = torch.zeros(1000, device="meta")
        for _ in range(10):
            x = x + 1
        return x

    assert peak_of(run) == FLOAT * 2000
