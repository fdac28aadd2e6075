"""Taint follows values, not shapes, through views, in-place writes, booleans and integers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pgsynth_core.composition.taint import Taint


def written_into(x: Tensor) -> Tensor:
    out = torch.zeros(2, 3, device="meta")
    out[:, 0] = x[:, 0]
    return out


READS: dict[str, Callable[[Tensor], Tensor]] = {
    "arithmetic": lambda x: (x + 1).sum(),
    "view": lambda x: x.view(3, 2).transpose(0, 1)[0],
    "in place": written_into,
    "compare": lambda x: torch.where(x > 0, 1.0, 0.0),
    "index": lambda x: torch.zeros(9, device="meta")[x.long()],
    "attention mask": lambda x: torch.nn.functional.scaled_dot_product_attention(
        *(torch.zeros(1, 1, 2, 4, device="meta") for _ in range(2)),
        torch.zeros(1, 1, 2, 4, device="meta"),
        attn_mask=(x > 0)[:, :2][None, None],
    ),
}
SHAPE_ONLY: dict[str, Callable[[Tensor], Tensor]] = {
    "zeros_like": torch.zeros_like,
    "new_ones": lambda x: x.new_ones(4),
    "rand_like": torch.rand_like,
    "its size": lambda x: torch.ones(x.shape, device="meta"),
    "something else": lambda x: torch.ones(2, device="meta") * 2,
}


@pytest.mark.parametrize("name", READS)
def test_what_reads_is_marked(name: str) -> None:
    x = torch.zeros(2, 3, device="meta")
    with Taint() as taint:
        taint.mark("x", x)
        out = READS[name](x)
    assert taint.found_in(out) == {"x"}


@pytest.mark.parametrize("name", SHAPE_ONLY)
def test_what_reads_the_shape_only_is_not(name: str) -> None:
    x = torch.zeros(2, 3, device="meta")
    with Taint() as taint:
        taint.mark("x", x)
        out = SHAPE_ONLY[name](x)
    assert taint.missing_in(out) == ["x"]


def test_marks_are_told_apart_and_trees_are_searched() -> None:
    a, b, c = (torch.zeros(2, device="meta") for _ in range(3))
    with Taint() as taint:
        for name, tensor in {"a": a, "b": b, "c": c}.items():
            taint.mark(name, tensor)
        tree = {"one": [a + b], "two": torch.zeros(1, device="meta")}
    assert taint.found_in(tree) == {"a", "b"} and taint.missing_in(tree) == ["c"]


def test_memory_used_again_carries_no_old_mark() -> None:
    with Taint() as taint:
        for _ in range(200):
            gone = torch.zeros(2, device="meta")
            taint.mark("gone", gone)
            del gone
            assert not taint.found_in(torch.zeros(2, device="meta") + 1)
