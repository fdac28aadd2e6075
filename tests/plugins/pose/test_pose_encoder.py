"""The pose encoder: four convolutions against their definition, silent at first, on every stride and grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from pgsynth_core.errors import ContractError, SpecError
from pgsynth_core.interfaces import BuildContext, Conditioning
from pgsynth_plugins.pose.pose_encoder import Config
from pgsynth_plugins.pose.pose_encoder.model import PoseEncoder

from .conftest import Composed, drawn, step

GRIDS = [(8, 8), (64, 44), (13, 11)]


class Denoiser(nn.Module):
    """What the branch sees of one."""

    def __init__(self, width: int = 10) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(4, width, 3, padding=1)


@pytest.fixture
def encoder(context: Callable[..., BuildContext]) -> Callable[..., PoseEncoder]:
    """Built for a stride, with the last convolution drawn at random unless told otherwise."""

    def make(stride: int = 2, *, trained: bool = True, **options: Any) -> PoseEncoder:
        torch.manual_seed(0)
        branch = PoseEncoder(Config(**options), context(Denoiser(), stride=stride))
        if trained:
            nn.init.normal_(branch.layers[-1].weight, std=0.1)
            nn.init.normal_(branch.layers[-1].bias)
        return branch

    return make


def stem(branch: PoseEncoder, conditioning: Conditioning) -> Tensor:
    batch = conditioning.skeleton.shape[0]
    features = branch(*step(conditioning.latent_grid, batch), conditioning, {})
    assert (features.intrablock, features.down, features.mid) == ((), (), None)
    return features.stem


def convolved(picture: Tensor, layer: nn.Conv2d, kernel: int, stride: int) -> Tensor:
    """Each output cell is a sum over its window; the border is zero."""
    rows, columns = (side // stride for side in picture.shape[-2:])
    windows = F.unfold(picture, kernel, padding=1, stride=stride)
    return (layer.weight.flatten(1) @ windows + layer.bias[:, None]).unflatten(2, (rows, columns))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("stride", "halvings"), [(1, 0), (2, 1), (8, 3)])
@pytest.mark.parametrize("activation", ["silu", "relu"])
def test_it_is_four_convolutions_of_which_the_first_halve(
    stride: int, halvings: int, grid: tuple[int, int], batch: int, activation: str, encoder: Callable[..., PoseEncoder]
) -> None:
    branch = encoder(stride, activation=activation, widths=(3, 4, 5)).double()
    conditioning = drawn(grid, stride, batch)
    conditioning = Conditioning(latent_grid=grid, skeleton=conditioning.skeleton.double())
    expected, layers = conditioning.skeleton, [layer for layer in branch.layers if isinstance(layer, nn.Conv2d)]
    for number, layer in enumerate(layers):
        expected = convolved(expected, layer, *((4, 2) if number < halvings else (3, 1)))
        if number < 3:
            expected = expected * expected.sigmoid() if activation == "silu" else expected.clamp(min=0)
    assert len(layers) == 4 and expected.shape == (batch, 10, *grid)
    torch.testing.assert_close(stem(branch, conditioning), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("stride", "widths"),
    [(1, [32, 64, 128]), (8, [32, 64, 128]), (16, [32, 64, 128, 128]), (32, [32, 64, 128, 128, 128])],
)
def test_every_power_of_two_is_reached(stride: int, widths: list[int], encoder: Callable[..., PoseEncoder]) -> None:
    branch = encoder(stride)
    layers = [layer for layer in branch.layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [*widths, 10]
    assert stem(branch, drawn((5, 3), stride)).shape == (1, 10, 5, 3)


def test_its_widths_are_an_option(encoder: Callable[..., PoseEncoder]) -> None:
    layers = [layer for layer in encoder(8, widths=(16, 32, 64, 128)).layers if isinstance(layer, nn.Conv2d)]
    assert [(layer.out_channels, layer.stride[0]) for layer in layers] == [(16, 2), (32, 2), (64, 2), (128, 1), (10, 1)]


@pytest.mark.parametrize("widths", [(), (32, 0)])
def test_widths_that_are_none_are_refused(widths: tuple[int, ...], encoder: Callable[..., PoseEncoder]) -> None:
    with pytest.raises(SpecError, match=r"pose\.part\.widths: widths is \[.*each at least 1\. The default is \[32, 64"):
        encoder(widths=widths)


def test_a_stride_that_halving_cannot_reach_is_refused(encoder: Callable[..., PoseEncoder]) -> None:
    with pytest.raises(ContractError, match=r"the base's stride is 3. Use a base with stride 1, 2, 4, 8"):
        encoder(3)


def test_a_denoiser_it_cannot_add_to_is_named(context: Callable[..., BuildContext]) -> None:
    with pytest.raises(TypeError, match="a convolution conv_in gives; the base's Linear has none"):
        PoseEncoder(Config(), context(nn.Linear(2, 2)))


def test_the_skeleton_is_read_near_and_at_its_place(encoder: Callable[..., PoseEncoder]) -> None:
    """The gradient of one cell falls on the pixels around it: nothing is shifted, on an odd grid neither."""
    conditioning = drawn((13, 11), 8)
    stem(encoder(8), conditioning)[0, :, 6, 5].sum().backward()
    seen = conditioning.skeleton.grad.abs().sum((0, 1))
    rows, columns = (seen.sum(axis).nonzero()[:, 0].float() for axis in (1, 0))
    assert (rows.min() + rows.max() + 1) / 2 == 6 * 8 + 4 and (columns.min() + columns.max() + 1) / 2 == 5 * 8 + 4
    assert len(rows) == len(columns) == 38


def test_untrained_it_changes_nothing(
    encoder: Callable[..., PoseEncoder], changes_nothing: Callable[..., None]
) -> None:
    assert not stem(encoder(trained=False), drawn((13, 11), 2)).any()
    changes_nothing("pose_encoder")


def test_every_parameter_learns(learns_from_the_second_step: Callable[..., None]) -> None:
    learns_from_the_second_step("pose_encoder")


def test_a_trained_run_is_loaded_as_it_was(loads_as_trained: Callable[..., None]) -> None:
    loads_as_trained("pose_encoder")


@pytest.mark.parametrize("pose", ["pose_encoder", "controlnet+pose_encoder", "pose_encoder+t2i_adapter+controlnet"])
def test_it_composes(pose: str, composed: Composed) -> None:
    trained = {part.label: part.trainable for part in composed(pose).proof().parts}
    assert trained["pose_encoder"] == 130816 and set(pose.split("+")) <= set(trained)


def test_on_stable_diffusion_1_5_it_is_small(composed: Composed, context: Callable[..., BuildContext]) -> None:
    with torch.device("meta"):
        branch = PoseEncoder(Config(), context(UNet2DConditionModel(cross_attention_dim=768), stride=8))
    assert sum(parameter.numel() for parameter in branch.parameters()) == 534560
    proof = composed("pose_encoder", "base=sd").proof()
    assert next(part for part in proof.parts if part.label == "pose_encoder").trainable == 534560


def test_it_is_described(composed: Composed) -> None:
    told = composed("pose_encoder", "pose.pose_encoder.widths=[8, 8]").describe()
    assert "qfft + pose_encoder on tiny" in told and "options: widths=[8, 8]" in told
    assert "Four convolutions of the drawn skeleton" in told and "pose:" not in told


def test_it_has_no_attention_for_others_to_act_in(composed: Composed) -> None:
    """What the contract proposes instead, composes."""
    with pytest.raises(ContractError) as refused:
        composed("pose_encoder", "attn=pma")
    (problem,) = refused.value.problems
    assert problem.message.startswith("pma acts at pose:cross, and nothing here has such a site")
    assert problem.cure.startswith("Parts that have it: controlnet; or set attn.pma.sites=denoiser:cross.")
    assert "To have it, write pose=pose_encoder+controlnet." in problem.cure
    assert composed("pose_encoder", "attn=pma", "attn.pma.sites=denoiser:cross").proof()
    assert composed("pose_encoder+controlnet", "attn=pma").proof()


@pytest.mark.compiled
def test_compiled_equals_eager(encoder: Callable[..., PoseEncoder]) -> None:
    branch, conditioning = encoder(8).double(), drawn((13, 11), 8, 3)
    noisy, times = step((13, 11), 3)

    def run(skeleton: Tensor) -> Tensor:
        return branch(noisy, times, Conditioning(latent_grid=(13, 11), skeleton=skeleton), {}).stem

    skeleton = conditioning.skeleton.detach().double()
    torch.testing.assert_close(torch.compile(run, fullgraph=True)(skeleton), run(skeleton), rtol=1e-10, atol=1e-12)
