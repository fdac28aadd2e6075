"""The moving average: fp32, warmed up, against the recursion written out."""

from __future__ import annotations

import torch

from pgsynth_core.training.average import Average


def test_it_is_the_recursion() -> None:
    weights = {"a": torch.zeros(3, dtype=torch.bfloat16)}
    average, expected = Average(weights, 0.9), torch.zeros(3)
    for step in range(1, 20):
        weights["a"] = torch.full((3,), float(step), dtype=torch.bfloat16)
        average.update(weights, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert average.tensors["a"].dtype == torch.float32
    torch.testing.assert_close(average.tensors["a"], expected)


def test_it_is_a_copy() -> None:
    weights = {"a": torch.ones(2)}
    average = Average(weights, 0.5)
    weights["a"].zero_()
    assert average.tensors["a"].tolist() == [1, 1]
