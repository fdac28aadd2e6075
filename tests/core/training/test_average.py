"""The moving average: fp32, warmed up, against the recursion written out."""

from __future__ import annotations

import pytest
import torch

from pgsynth_core.errors import UserError
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_stands_in_for_the_weights_and_these_come_back(dtype: torch.dtype) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 3, dtype=dtype).t())
    average = Average({"a": weight}, 0.5)
    kept, place, own = average.tensors["a"], weight.data_ptr(), average.tensors["a"].data_ptr()
    with torch.no_grad():
        weight.mul_(3)
    with pytest.raises(RuntimeError, match="meanwhile"), average.in_place_of({"a": weight}):
        assert weight.eq(1).all() and weight.requires_grad
        assert (weight.data_ptr() == own) is (dtype == torch.float32), "no copy where none is needed"
        raise RuntimeError("meanwhile")
    assert weight.eq(3).all() and weight.data_ptr() == place and weight.stride() == (1, 3)
    assert average.tensors["a"] is kept and kept.eq(1).all() and kept.data_ptr() == own


def test_it_takes_the_values_of_a_checkpoint_where_it_is() -> None:
    average = Average({"a": torch.ones(2), "b": torch.ones(1)}, 0.5)
    place = average.tensors["a"].data_ptr()
    average.restore({"a": torch.zeros(2), "b": torch.zeros(1)}, where="ema.safetensors")
    assert average.tensors["a"].tolist() == [0, 0] and average.tensors["a"].data_ptr() == place, "on its own device"
    for wrong in ({"a": torch.zeros(2)}, {"a": torch.zeros(3), "b": torch.zeros(1)}):
        with pytest.raises(UserError, match=r"ema\.safetensors"):
            average.restore(wrong, where="ema.safetensors")
