"""The built-in base: an exact codec, and a U-Net that takes every grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pgsynth_core.interfaces import BuildContext
from pgsynth_plugins.bases.tiny import Config
from pgsynth_plugins.bases.tiny.model import Tiny


@pytest.fixture
def tiny(context: Callable[..., BuildContext]) -> Callable[..., Tiny]:
    """The base with a given block; its axes as the manifest binds them."""

    def make(block: int = 2, **options: Any) -> Tiny:
        return Tiny(Config(unshuffle=block, **options), context(axes={"D": 64, "Z": 3 * block**2}, stride=block))

    return make


@pytest.mark.parametrize("block", [1, 2, 4])
def test_the_codec_is_exact(block: int, tiny: Callable[..., Tiny]) -> None:
    image = torch.rand(3, 3, 8 * block, 6 * block) * 2 - 1
    codec = tiny(block).codec
    latent = codec.encode(image)
    assert latent.shape == (3, 3 * block**2, 8, 6) and torch.equal(codec.decode(latent), image)
    assert not codec.state_dict()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("grid", [(16, 12), (13, 11), (5, 8), (3, 3)])
def test_every_grid_goes_through(grid: tuple[int, int], batch: int, tiny: Callable[..., Tiny]) -> None:
    base = tiny()
    noisy, tokens = torch.randn(batch, 12, *grid), torch.randn(batch, 5, 64, requires_grad=True)
    out = base.denoiser(noisy, torch.arange(batch), encoder_hidden_states=tokens).sample
    assert out.shape == noisy.shape
    out.sum().backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all() and tokens.grad.any()


def test_it_attends_on_two_grids_with_both_kinds(tiny: Callable[..., Tiny]) -> None:
    paths = list(tiny().denoiser.attn_processors)
    levels = {(path.split(".")[1], kind) for path in paths for kind in ("attn1", "attn2") if kind in path}
    assert {("0", "attn1"), ("1", "attn1"), ("0", "attn2"), ("1", "attn2")} <= levels


def test_everything_trains_and_there_is_little_of_it(tiny: Callable[..., Tiny]) -> None:
    parameters = list(tiny().parameters())
    assert all(parameter.requires_grad for parameter in parameters)
    assert sum(parameter.numel() for parameter in parameters) < 5e6


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_the_schedule_is_a_config_of_diffusers(prediction: str, tiny: Callable[..., Tiny]) -> None:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    schedule = dict(tiny(prediction=prediction).schedule)
    trained, sampled = DDPMScheduler.from_config(schedule), DDIMScheduler.from_config(schedule)
    assert torch.equal(trained.alphas_cumprod, sampled.alphas_cumprod) and sampled.config.clip_sample
    assert trained.config.prediction_type == prediction
    assert trained.alphas_cumprod[-1] < 1e-4, "the last step must leave nothing of the picture"
