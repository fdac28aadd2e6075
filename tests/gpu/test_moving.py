"""`Model.to` on a CUDA device: what is sampled, edited and interpolated there and back is what the CPU draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgsynth_core import Model, Run, load

from ..api.conftest import small_run
from ..fixtures.people import noise, standing

__all__ = ["small_run"]

pytestmark = pytest.mark.gpu

PHOTO, OTHER, POSE = noise((72, 48)), noise((72, 48), 1), standing()
ROUNDING = 3
"""Of 255: the CPU and a GPU add in another order, in two steps of a method that has learned next to nothing."""


def drawn(model: Model) -> list[np.ndarray]:
    """A picture or more by each of the ways to draw."""
    mask = np.zeros((72, 48), bool)
    mask[20:50, 10:40] = True
    made = model.sample(PHOTO, POSE, n=2)
    made += model.edit(PHOTO, OTHER, mask=mask, pose=POSE)
    made += model.interpolate([PHOTO, OTHER], [POSE], frames=3)
    return [np.asarray(one, np.int16) for one in made]


def on(model: Model) -> str:
    return next(model.assembly.method.parameters()).device.type


def test_it_moves_there_and_back(small_run: Run) -> None:
    exact = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        model = load(small_run, device="cpu")
        before = drawn(model)
        assert on(model.to(torch.device("cuda"))) == "cuda"
        there = drawn(model)
        assert on(model.to("cpu")) == "cpu"
        back = drawn(model)
        assert on(model.to("cuda:0")) == "cuda" and on(load(small_run, device=torch.device("cuda"))) == "cuda"
    finally:
        torch.backends.cudnn.allow_tf32 = exact
    assert len(before) == len(there) == len(back) == 6
    for first, second, third in zip(before, there, back, strict=True):
        assert np.abs(first - second).max() <= ROUNDING and np.array_equal(first, third)
        assert np.ptp(first) > 20, "canary: there is something to see"
