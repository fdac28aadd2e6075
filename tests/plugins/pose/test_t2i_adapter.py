"""T2I-Adapter: both types against their definition, residuals that fit every grid, silent at first, loaded weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.adapter import T2IAdapter as Network
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from pgsynth_core.errors import ContractError, PartError, SpecError
from pgsynth_core.interfaces import BuildContext, Conditioning
from pgsynth_plugins.pose.t2i_adapter import Config
from pgsynth_plugins.pose.t2i_adapter.model import T2IAdapter

from .conftest import Composed, MakeMethod, drawn, step

GRIDS = [(8, 8), (64, 44), (13, 11)]
TYPES = ["full", "light"]
WIDTHS = (8, 16, 24, 24)


def denoiser(widths: tuple[int, ...] = WIDTHS, *, blocks: tuple[str, ...] = ()) -> UNet2DConditionModel:
    """As many levels as Stable Diffusion, the last of which has no attention."""
    torch.manual_seed(0)
    down = blocks or ("CrossAttnDownBlock2D",) * (len(widths) - 1) + ("DownBlock2D",)
    return UNet2DConditionModel(
        block_out_channels=widths,
        layers_per_block=1,
        down_block_types=down,
        up_block_types=tuple(name.replace("Down", "Up") for name in reversed(down)),
        attention_head_dim=2,
        norm_num_groups=4,
        cross_attention_dim=6,
    )


@pytest.fixture
def adapter(context: Callable[..., BuildContext]) -> Callable[..., T2IAdapter]:
    """Built for a denoiser and a stride; `trained` draws the convolutions that start at zero at random."""

    def make(unet: nn.Module | None = None, *, trained: bool = True, stride: int = 2, **options: Any) -> T2IAdapter:
        torch.manual_seed(0)
        found = {"weights": options.pop("find")} if "find" in options else {}
        branch = T2IAdapter(Config(**options), context(unet or denoiser(), stride=stride, **found))
        for layer in (branch.zero_convolutions or []) if trained else []:
            nn.init.normal_(layer.weight, std=0.1)
        return branch

    return make


def residuals(branch: T2IAdapter, conditioning: Conditioning) -> tuple[Tensor, ...]:
    batch = conditioning.skeleton.shape[0]
    features = branch(*step(conditioning.latent_grid, batch), conditioning, {})
    assert (features.stem, features.down, features.mid) == (None, (), None)
    return features.intrablock


# ------------------------------------------------------------------------------------------- what it computes
def pooled(x: Tensor) -> Tensor:
    """The mean of the pixels that are there: at an odd border a window has fewer than four."""
    cells = [
        [x[..., row : row + 2, column : column + 2].mean((-1, -2)) for column in range(0, x.shape[-1], 2)]
        for row in range(0, x.shape[-2], 2)
    ]
    return torch.stack([torch.stack(row, -1) for row in cells], -2)


def expected(branch: T2IAdapter, picture: Tensor, stride: int, *, light: bool) -> list[Tensor]:
    """The definition, over the state dict's names."""
    weights = branch.adapter.state_dict()

    def convolved(x: Tensor, name: str) -> Tensor:
        kernel = weights[f"adapter.{name}.weight"]
        return torch.nn.functional.conv2d(x, kernel, weights[f"adapter.{name}.bias"], padding=kernel.shape[-1] // 2)

    blocks = picture.unflatten(3, (-1, stride)).unflatten(2, (-1, stride))  # [B, 3, h, s, w, s]
    x = blocks.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    x = x if light else convolved(x, "conv_in")
    found = []
    for level in range(len(WIDTHS)):
        x = pooled(x) if level else x
        x = convolved(x, f"body.{level}.in_conv") if f"adapter.body.{level}.in_conv.weight" in weights else x
        for block in range(4 if light else 2):
            name = f"body.{level}.resnets.{block}"
            x = x + convolved(convolved(x, f"{name}.block1").clamp(min=0), f"{name}.block2")
        x = convolved(x, f"body.{level}.out_conv") if light else x
        found.append(x)
    return found


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("grid", [(8, 8), (22, 16), (13, 11)])
@pytest.mark.parametrize("kind", TYPES)
def test_it_is_the_adapter_of_the_paper(
    kind: str, grid: tuple[int, int], batch: int, adapter: Callable[..., T2IAdapter]
) -> None:
    branch = adapter(type=kind).double()
    conditioning = Conditioning(latent_grid=grid, skeleton=drawn(grid, 2, batch).skeleton.double())
    found = residuals(branch, conditioning)
    for layer, one, before in zip(
        branch.zero_convolutions, found, expected(branch, conditioning.skeleton, 2, light=kind == "light"), strict=True
    ):
        left = torch.einsum("oc,bchw->bohw", layer.weight[..., 0, 0], before)
        torch.testing.assert_close(one, left, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("grid", [(8, 8), pytest.param((64, 44), marks=pytest.mark.slow), (13, 11)])
@pytest.mark.parametrize("kind", TYPES)
def test_residuals_fit_the_denoiser(
    kind: str, grid: tuple[int, int], batch: int, adapter: Callable[..., T2IAdapter]
) -> None:
    """One for each level, of its grid; every one of them is added, and zero changes nothing."""
    unet, conditioning = denoiser(), drawn(grid, 8, batch)
    noisy, times = step(grid, batch)
    tokens = torch.randn(batch, 3, 6)

    def predicted(*given: Tensor) -> Tensor:
        with torch.no_grad():
            return unet(noisy, times, tokens, down_intrablock_additional_residuals=list(given) or None).sample

    silent = residuals(adapter(unet, trained=False, stride=8, type=kind), conditioning)
    rows, columns = grid
    for level, one in enumerate(silent):
        assert one.shape == (batch, WIDTHS[level], -(-rows // 2**level), -(-columns // 2**level))
    assert len(silent) == 4 and torch.equal(predicted(*silent), predicted())
    for level in range(4):
        moved = [one + (number == level) for number, one in enumerate(silent)]
        assert not torch.equal(predicted(*moved), predicted()), f"the residual of level {level} is not added"


def test_every_level_reaches_the_denoisers_output(adapter: Callable[..., T2IAdapter]) -> None:
    unet, conditioning = denoiser(), drawn((13, 11), 8, 2)
    branch = adapter(unet, stride=8)
    given = list(residuals(branch, conditioning))
    out = unet(*step((13, 11), 2), torch.randn(2, 3, 6), down_intrablock_additional_residuals=given).sample
    out.square().mean().backward()
    for tensor in (conditioning.skeleton, *branch.parameters()):
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.any()


def test_activation_checkpointing_gives_bitwise_the_same(adapter: Callable[..., T2IAdapter]) -> None:
    """diffusers adds the last level's residual in place, to what a recomputed block gave."""
    unet = denoiser()
    branch, (noisy, times), tokens = adapter(unet, stride=8), step((13, 11), 2), torch.randn(2, 3, 6)
    found = []
    for on in (False, True):
        unet.enable_gradient_checkpointing() if on else unet.disable_gradient_checkpointing()
        unet.train().zero_grad()
        branch.zero_grad()
        given = list(residuals(branch, drawn((13, 11), 8, 2)))
        out = unet(noisy, times, tokens, down_intrablock_additional_residuals=given).sample
        out.square().mean().backward()
        found.append([out, *(parameter.grad for module in (unet, branch) for parameter in module.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_untrained_it_changes_nothing(changes_nothing: Callable[..., None]) -> None:
    changes_nothing("t2i_adapter")
    changes_nothing("t2i_adapter", "pose.t2i_adapter.type=light")
    with pytest.raises(AssertionError):
        changes_nothing("t2i_adapter", "pose.t2i_adapter.start=random")


@pytest.mark.parametrize("kind", TYPES)
def test_every_parameter_learns(kind: str, learns_from_the_second_step: Callable[..., None]) -> None:
    learns_from_the_second_step("t2i_adapter", f"pose.t2i_adapter.type={kind}")


def test_a_random_start_is_the_papers(adapter: Callable[..., T2IAdapter]) -> None:
    branch, conditioning = adapter(start="random").double(), drawn((13, 11), 2)
    conditioning = Conditioning(latent_grid=(13, 11), skeleton=conditioning.skeleton.double())
    assert branch.zero_convolutions is None
    for one, other in zip(
        residuals(branch, conditioning), expected(branch, conditioning.skeleton, 2, light=False), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


# ------------------------------------------------------------------------------------------- weights
def written(folder: Path, kind: str = "full", **given: Any) -> tuple[Path, Network]:
    """An adapter as diffusers saves one; of the light type with the three widths that it has for four levels."""
    torch.manual_seed(7)
    shape = {
        "channels": list(WIDTHS if kind == "full" else WIDTHS[:-1]),
        "num_res_blocks": 2 if kind == "full" else 4,
        "downscale_factor": 8,
        "adapter_type": f"{kind}_adapter",
    }
    network = Network(**(shape | given))
    network.save_pretrained(folder)
    return folder, network


def here(weight_id: str, files: tuple[str, ...] = ()) -> str:
    """A finder for what is a folder already."""
    assert files == ("config.json", "diffusion_pytorch_model.safetensors")
    return weight_id


@pytest.mark.parametrize("kind", TYPES)
def test_weights_that_diffusers_wrote_are_used_as_they_are(
    kind: str, tmp_path: Path, adapter: Callable[..., T2IAdapter]
) -> None:
    folder, network = written(tmp_path, kind)
    branch = adapter(stride=8, type=kind, weights=str(folder), find=here)
    conditioning = drawn((13, 11), 8, 2)
    assert branch.zero_convolutions is None
    with torch.no_grad():
        for one, other in zip(residuals(branch, conditioning), network(conditioning.skeleton), strict=True):
            assert torch.equal(one, other)
    assert all(parameter.requires_grad for parameter in branch.parameters())


def test_on_the_meta_device_no_weight_is_read(tmp_path: Path, adapter: Callable[..., T2IAdapter]) -> None:
    folder, network = written(tmp_path)
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"unread")
    for place in (str(folder), "somebody/an-adapter"):
        with torch.device("meta"):
            branch = adapter(stride=8, weights=place)
        assert {name: value.shape for name, value in branch.adapter.state_dict().items()} == {
            name: value.shape for name, value in network.state_dict().items()
        }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"in_channels": 1}, "in_channels is 1 and must be 3. Give an adapter that was made for this base"),
        ({"channels": [8, 16]}, r"channels is \[8, 16\] and must be \[8, 16, 24, 24\]. Give"),
        ({"downscale_factor": 16}, "downscale_factor is 16 and must be 8. Give"),
        ({"adapter_type": "full_adapter_xl"}, "adapter_type is 'full_adapter_xl' and must be 'full_adapter'. Give"),
    ],
)
def test_an_adapter_of_another_shape_is_refused(
    given: dict[str, Any], said: str, tmp_path: Path, adapter: Callable[..., T2IAdapter]
) -> None:
    folder, _ = written(tmp_path, **given)
    for finder in ({}, {"find": here}):  # composed, and built
        with pytest.raises(SpecError, match=rf"pose\.part\.weights: .*config\.json: {said}"):
            adapter(stride=8, weights=str(folder), **finder)


@pytest.mark.parametrize(("kind", "asked"), [("light", "full"), ("full", "light")])
def test_the_other_type_is_refused_with_a_cure_that_works(
    kind: str, asked: str, tmp_path: Path, adapter: Callable[..., T2IAdapter]
) -> None:
    folder, _ = written(tmp_path, kind)
    with pytest.raises(SpecError, match=rf"Set pose\.part\.type={kind}\."):
        adapter(stride=8, type=asked, weights=str(folder), find=here)
    assert adapter(stride=8, type=kind, weights=str(folder), find=here)


@pytest.mark.parametrize("text", ["{", "[1]", None])
def test_a_folder_that_holds_no_adapter_is_named(
    text: str | None, tmp_path: Path, adapter: Callable[..., T2IAdapter]
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"config\.json cannot be read as an adapter's: .*save_pretrained wrote\."):
        adapter(stride=8, weights=str(tmp_path), find=here)


def test_another_model_is_no_adapter(tmp_path: Path, adapter: Callable[..., T2IAdapter]) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "ControlNetModel"}), encoding="utf-8")
    with pytest.raises(SpecError, match="_class_name is 'ControlNetModel' and must be 'T2IAdapter'"):
        adapter(stride=8, weights=str(tmp_path))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("gone", "the weights cannot be read: No such file"),
        ("damaged", "the weights cannot be read: "),
        ("not all there", r"8 weights are missing or too many, e\.g\. adapter\.body\.3\.resnets"),
    ],
)
def test_weights_that_cannot_be_read_are_named(
    harm: str, said: str, tmp_path: Path, adapter: Callable[..., T2IAdapter]
) -> None:
    folder, network = written(tmp_path)
    file = folder / "diffusion_pytorch_model.safetensors"
    if harm == "gone":
        file.unlink()
    elif harm == "damaged":
        file.write_bytes(file.read_bytes()[:100])
    else:
        del network.adapter.body[-1]
        network.save_pretrained(folder)
    with pytest.raises(PartError, match=rf"{said}.*a \.bin is never read\."):
        adapter(stride=8, weights=str(folder), find=here)


def test_an_adapter_with_weights_has_no_start(composed: Composed) -> None:
    with pytest.raises(SpecError, match=r"start is that of a new one\. Leave pose\.t2i_adapter\.start out"):
        composed("t2i_adapter", "pose.t2i_adapter.start=random", "pose.t2i_adapter.weights=somebody/an-adapter")
    assert composed("t2i_adapter", "pose.t2i_adapter.weights=somebody/an-adapter").proof()


# ------------------------------------------------------------------------------------------- in a method
@pytest.mark.parametrize("blocks", [("DownBlock2D", "CrossAttnDownBlock2D"), ("DownBlock2D", "DownBlock2D")])
def test_a_level_without_a_place_for_it_is_refused(blocks: tuple[str, ...], adapter: Callable[..., T2IAdapter]) -> None:
    with pytest.raises(ContractError, match=r"down_blocks\[0\], a DownBlock2D without .* Write pose=controlnet"):
        adapter(denoiser((8, 16), blocks=blocks))


def test_a_denoiser_it_cannot_follow_is_named(adapter: Callable[..., T2IAdapter]) -> None:
    with pytest.raises(TypeError, match="follows a UNet2DConditionModel; the base gives Linear"):
        adapter(nn.Linear(2, 2))


@pytest.mark.parametrize("kind", TYPES)
def test_a_trained_run_is_loaded_as_it_was(kind: str, loads_as_trained: Callable[..., None]) -> None:
    loads_as_trained("t2i_adapter", f"pose.t2i_adapter.type={kind}")


def test_a_run_that_starts_from_weights_is_loaded_as_it_was(
    tmp_path: Path, loads_as_trained: Callable[..., None]
) -> None:
    folder, _ = written(tmp_path / "adapter", channels=[32, 64], downscale_factor=2)
    loads_as_trained("t2i_adapter", f"pose.t2i_adapter.weights={folder}")


@pytest.mark.parametrize("block", [1, *(pytest.param(block, marks=pytest.mark.slow) for block in (2, 4))])
@pytest.mark.parametrize("kind", TYPES)
def test_it_composes(kind: str, block: int, composed: Composed) -> None:
    words = (f"pose.t2i_adapter.type={kind}", f"base.tiny.unshuffle={block}", f"size={13 * block}x{11 * block}")
    assert composed("t2i_adapter", *words).proof()
    assert composed("controlnet+t2i_adapter", *words).proof()


@pytest.mark.parametrize(("kind", "own", "zeros"), [("full", 77369280, 3792320), ("light", 18689200, 3792320)])
def test_on_stable_diffusion_1_5_it_has_its_published_size(
    kind: str, own: int, zeros: int, composed: Composed, adapter: Callable[..., T2IAdapter]
) -> None:
    proof = composed("t2i_adapter", "base=sd", f"pose.t2i_adapter.type={kind}").proof()
    assert next(part for part in proof.parts if part.label == "t2i_adapter").trainable == own + zeros
    with torch.device("meta"):
        branch = adapter(UNet2DConditionModel(cross_attention_dim=768), stride=8, type=kind, start="random")
        channels = [320, 640, 1280, 1280] if kind == "full" else [320, 640, 1280]
        published = Network(3, channels, 2 if kind == "full" else 4, 8, f"{kind}_adapter")
    shapes = [{name: value.shape for name, value in one.state_dict().items()} for one in (branch.adapter, published)]
    assert shapes[0] == shapes[1]
    assert sum(parameter.numel() for parameter in branch.parameters()) == own


def test_it_is_described(composed: Composed) -> None:
    told = composed("t2i_adapter", "pose.t2i_adapter.type=light").describe()
    assert "qfft + t2i_adapter on tiny" in told and "options: type=light" in told
    assert "one residual for each level of the denoiser's way down" in told


@pytest.mark.compiled
def test_compiled_equals_eager(made: MakeMethod) -> None:
    """The whole step: diffusers takes the residuals out of a list while it goes down."""
    method, inputs = made("t2i_adapter", "pose.t2i_adapter.start=random")
    with torch.no_grad():
        shown = method.encode(inputs.source, inputs.data)
        eager = method(inputs.noisy, inputs.timesteps, shown)
        compiled = torch.compile(method, fullgraph=True)(inputs.noisy, inputs.timesteps, shown)
    torch.testing.assert_close(compiled, eager, atol=1e-4, rtol=1e-4)
