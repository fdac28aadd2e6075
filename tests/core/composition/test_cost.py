"""Costs on the meta device against arithmetic by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from pgsynth_core.composition.cost import Count, LiveBytes, count_parameters, counted_flops, peak_of

FLOAT = 4


def test_parameters_are_counted_once() -> None:
    layer = nn.Linear(3, 5)
    tied = nn.ModuleList([layer, layer, nn.Linear(2, 2).requires_grad_(False)])
    assert count_parameters(tied) == Count(trainable=20, frozen=6)


def test_a_multiply_add_is_two_operations() -> None:
    result, flops = counted_flops(lambda: torch.zeros(7, 11, device="meta") @ torch.zeros(11, 13, device="meta"))
    assert result.shape == (7, 13) and flops == 2 * 7 * 11 * 13


# ------------------------------------------------------------------------------------------- a step
def test_a_step_holds_what_backward_needs_and_gradients_but_no_view() -> None:
    """A chain of two layers: x, its product and the rectified one live until the backward pass comes to them."""
    with FakeTensorMode():
        first, second = nn.Linear(1000, 1000, bias=False), nn.Linear(1000, 1000, bias=False)
        with LiveBytes() as live:
            x = torch.zeros(8, 1000)
            second(first(x).relu()).sum().backward()
    weights, rows = FLOAT * 1_000_000, FLOAT * 8 * 1000
    assert 2 * weights <= live.peak <= 2 * weights + 5 * rows


def test_gradients_take_the_place_of_activations() -> None:
    """When the last gradient is made, the activations that were saved for the others are gone."""
    with FakeTensorMode():
        layers = nn.Sequential(*(nn.Linear(100, 100, bias=False) for _ in range(10)))
        with LiveBytes() as live:
            layers(torch.zeros(100, 100)).sum().backward()
    one = FLOAT * 100 * 100
    assert 11 * one <= live.peak <= 14 * one, "not ten activations and ten gradients"


def test_what_is_checkpointed_is_made_again_and_not_kept() -> None:
    def peak(again: bool) -> int:
        with FakeTensorMode():
            blocks = [nn.Sequential(*(nn.Linear(8, 8), nn.Tanh()) * 5) for _ in range(10)]
            with LiveBytes() as live:
                x = torch.zeros(10_000, 8)
                for block in blocks:
                    x = checkpoint(block, x, use_reentrant=False) if again else block(x)
                x.sum().backward()
        return live.peak

    row = FLOAT * 10_000 * 8
    assert peak(False) > 50 * row and peak(True) < 20 * row


def attention_peak(length: int, *, again: bool = False) -> int:
    def attend(query: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query * 1, query * 1, query * 1)

    with FakeTensorMode():
        query = torch.zeros(1, 2, length, 8, requires_grad=True)
        with LiveBytes() as live:
            made = checkpoint(attend, query, use_reentrant=False) if again else attend(query)
            made.sum().backward()
    return live.peak


@pytest.mark.parametrize("again", [False, True])
def test_attention_keeps_no_matrix(again: bool) -> None:
    """Queries, keys, values, sums and their gradients, as a fused kernel does: linear in the length."""
    assert attention_peak(640, again=again) < 10.1 * attention_peak(64, again=again)


def test_a_softmax_written_by_hand_keeps_its_matrix() -> None:
    with FakeTensorMode():
        query = torch.zeros(1, 1, 32, 8, requires_grad=True)
        with LiveBytes() as live:
            ((query @ query.mT).softmax(-1) @ query).sum()
    assert live.peak >= FLOAT * 32 * 32


# ------------------------------------------------------------------------------------------- without gradients
def test_sampling_makes_no_matrix() -> None:
    query = torch.zeros(1, 2, 640, 8, device="meta")
    assert peak_of(lambda: F.scaled_dot_product_attention(query, query, query)) == FLOAT * 2 * 640 * 8


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
