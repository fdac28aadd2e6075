"""ControlNet: shaped after the denoiser, starting from its weights, silent at first; on every stride and grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from pgsynth_core.errors import ContractError
from pgsynth_core.interfaces import BuildContext, Conditioning, Tokens
from pgsynth_plugins.pose.controlnet import Config
from pgsynth_plugins.pose.controlnet.model import ControlNet, embedding_widths


def denoiser(channels: int = 12, **given: Any) -> UNet2DConditionModel:
    torch.manual_seed(0)
    small = {
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
        "cross_attention_dim": 64,
    }
    return UNet2DConditionModel(in_channels=channels, out_channels=channels, **(small | given))


def step(height: int, width: int, stride: int = 2, batch: int = 3) -> tuple[Tensor, Tensor, Conditioning]:
    """A noisy latent, times, and what the step is conditioned on."""
    grid = height // stride, width // stride
    tokens = Tokens(values=torch.randn(batch, 5, 64), is_global=(False,) * 5, spans={"encoder": (0, 5)})
    skeleton = torch.rand(batch, 3, height, width, requires_grad=True)
    conditioning = Conditioning(latent_grid=grid, tokens=tokens, skeleton=skeleton)
    return torch.randn(batch, 12, *grid), torch.arange(batch) * 100, conditioning


@pytest.fixture
def controlnet(context: Callable[..., BuildContext]) -> Callable[..., ControlNet]:
    return lambda unet, **given: ControlNet(Config(), context(unet, **given))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(32, 24), (26, 22), (10, 16)])
def test_residuals_fit_the_denoiser(size: tuple[int, int], batch: int, controlnet: Callable[..., ControlNet]) -> None:
    unet = denoiser()
    noisy, times, conditioning = step(*size, batch=batch)
    features = controlnet(unet)(noisy, times, conditioning, {})
    tokens = conditioning.tokens.values
    plain = unet(noisy, times, encoder_hidden_states=tokens).sample
    residuals = {"down_block_additional_residuals": features.down, "mid_block_additional_residual": features.mid}
    guided = unet(noisy, times, encoder_hidden_states=tokens, **residuals).sample
    assert torch.equal(guided, plain), "zero convolutions: nothing is added before the first training step"
    with pytest.raises(AssertionError):  # canary: a residual that is not zero changes the output
        moved = residuals | {"mid_block_additional_residual": features.mid + 1}
        assert torch.equal(unet(noisy, times, encoder_hidden_states=tokens, **moved).sample, plain)


def test_it_starts_from_the_denoisers_weights_and_trains_its_own(controlnet: Callable[..., ControlNet]) -> None:
    unet = denoiser().requires_grad_(False)
    branch = controlnet(unet)
    theirs, ours = unet.state_dict(), branch.network.state_dict()
    shared = [name for name in ours if name.startswith(("conv_in", "time_embedding", "down_blocks", "mid_block"))]
    assert shared and all(torch.equal(ours[name], theirs[name]) for name in shared)
    assert not {value.data_ptr() for value in ours.values()} & {value.data_ptr() for value in theirs.values()}
    assert all(parameter.requires_grad for parameter in branch.parameters())
    assert all(module is not unet for module in branch.modules())


def test_the_skeleton_and_the_tokens_are_read(controlnet: Callable[..., ControlNet]) -> None:
    branch = controlnet(denoiser())
    for name, parameter in branch.named_parameters():
        if "controlnet_" in name:
            nn.init.normal_(parameter, std=0.1)
    noisy, times, conditioning = step(26, 22)
    conditioning.tokens.values.requires_grad_()
    features = branch(noisy, times, conditioning, {})
    sum(part.square().sum() for part in (*features.down, features.mid)).backward()
    for given in (conditioning.skeleton, conditioning.tokens.values):
        assert given.grad is not None and given.grad.isfinite().all() and given.grad.any()
    unread = [name for name, parameter in branch.named_parameters() if parameter.grad is None]
    assert not unread, f"parameters without gradient: {unread}"


def test_the_chains_get_what_core_hands_over(controlnet: Callable[..., ControlNet]) -> None:
    """Passed as `cross_attention_kwargs`, so that a processor at any of its sites receives it."""
    seen: list[object] = []

    class Listener(nn.Module):
        def __call__(self, attn: nn.Module, hidden_states: Tensor, note: object, **_: Any) -> Tensor:
            seen.append(note)
            return hidden_states

    branch = controlnet(denoiser())
    branch.network.set_attn_processor(Listener())
    branch(*step(26, 22), {"note": "from core"})
    assert len(seen) == len(branch.network.attn_processors) and set(seen) == {"from core"}


@pytest.mark.parametrize(
    ("stride", "widths"),
    [(1, (16,)), (2, (16, 32)), (4, (16, 32, 96)), (8, (16, 32, 96, 256)), (16, (16, 32, 96, 256, 256))],
)
def test_the_skeleton_is_halved_as_often_as_the_image(
    stride: int, widths: tuple[int, ...], controlnet: Callable[..., ControlNet]
) -> None:
    assert embedding_widths(stride) == widths
    branch = controlnet(denoiser(), stride=stride)
    noisy, times, conditioning = step(4 * stride, 3 * stride, stride)
    halving = [m for m in branch.network.controlnet_cond_embedding.modules() if getattr(m, "stride", 0) == (2, 2)]
    assert 2 ** len(halving) == stride
    assert branch(noisy, times, conditioning, {}).down[0].shape == (3, 8, 4, 3)


def test_a_stride_that_halving_cannot_reach_is_refused(controlnet: Callable[..., ControlNet]) -> None:
    with pytest.raises(ContractError, match=r"the base's stride is 3. Use a base with stride 1, 2, 4, 8"):
        controlnet(denoiser(), stride=3)


def test_a_denoiser_it_cannot_copy_is_named(controlnet: Callable[..., ControlNet]) -> None:
    with pytest.raises(TypeError, match="copies a UNet2DConditionModel; the base gives Linear"):
        controlnet(nn.Linear(2, 2))


def test_on_stable_diffusion_1_5_it_has_its_published_size(controlnet: Callable[..., ControlNet]) -> None:
    with torch.device("meta"):
        branch = controlnet(UNet2DConditionModel(cross_attention_dim=768), stride=8)
    assert round(sum(parameter.numel() for parameter in branch.parameters()) / 1e6, 1) == 361.3
    assert all(parameter.is_meta for parameter in branch.parameters())
