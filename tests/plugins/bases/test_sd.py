"""Stable Diffusion: the published shape without a network, a folder in diffusers layout, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from pgsynth_core import compose
from pgsynth_core.errors import PartError, SpecError
from pgsynth_core.interfaces import BuildContext
from pgsynth_core.sampling.sampler import sampler_of
from pgsynth_plugins.bases.sd import Config
from pgsynth_plugins.bases.sd.model import StableDiffusion

from ...fixtures.small_sd import SCHEDULE, save_small_sd


@pytest.fixture(scope="session")
def sd(context: Callable[..., BuildContext]) -> Callable[..., StableDiffusion]:
    """The base with given options; `folder` is where the weights are, none on the meta device."""

    def make(folder: Path | None = None, find: Any = None, **options: Any) -> StableDiffusion:
        found = None if folder is None else str(folder)
        size = {"image_size": (512, 352), "stride": 8, "axes": {"D": 768, "Z": 4}}
        build = context(label="sd", weights=find or (lambda weight_id, files=(): found), **size)
        with torch.device("cpu" if folder or find else "meta"):
            return StableDiffusion(Config(**options), build)

    return make


@pytest.fixture(scope="session")
def known(sd: Callable[..., StableDiffusion]) -> StableDiffusion:
    return sd()


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint with random weights in diffusers layout."""
    return save_small_sd(tmp_path_factory.mktemp("checkpoint"))


# ------------------------------------------------------------------------------------------- the published shape
def millions(module: torch.nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in module.parameters()) / 1e6, 1)


def test_stable_diffusion_1_5_has_its_published_size(known: StableDiffusion) -> None:
    assert (millions(known.denoiser), millions(known.codec)) == (859.5, 83.7)
    assert all(parameter.is_meta for parameter in known.parameters())


def test_stable_diffusion_2_has_its_published_size(sd: Callable[..., StableDiffusion]) -> None:
    base = sd(architecture="sd2")
    assert (millions(base.denoiser), millions(base.codec)) == (865.9, 83.7)
    assert base.denoiser.config["cross_attention_dim"] == 1024 and base.schedule["prediction_type"] == "v_prediction"


@pytest.mark.parametrize(("grid", "gigaflop"), [((64, 44), 529.3), ((64, 64), 803.3)])
def test_one_forward_costs_what_it_should(grid: tuple[int, int], gigaflop: float, known: StableDiffusion) -> None:
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        inputs = torch.empty(1, 4, *grid), torch.empty(1, dtype=torch.long)
        known.denoiser(*inputs, encoder_hidden_states=torch.empty(1, 77, 768))
    assert round(counter.get_total_flops() / 1e9, 1) == gigaflop


def test_the_codec_is_eight_times_coarser(known: StableDiffusion) -> None:
    with torch.device("meta"):
        latent = known.codec.encode(torch.empty(2, 3, 512, 352))
        assert latent.shape == (2, 4, 64, 44) and known.codec.decode(latent).shape == (2, 3, 512, 352)


def test_the_schedule_is_stable_diffusions(known: StableDiffusion) -> None:
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

    alphas = DDPMScheduler.from_config(dict(known.schedule)).alphas_cumprod
    assert alphas[0].item() == pytest.approx(0.99915, abs=1e-5) and alphas[-1].item() == pytest.approx(
        0.00466, abs=1e-5
    )


# ------------------------------------------------------------------------------------------- what trains
@pytest.mark.parametrize("train", ["frozen", "cross_attention", "all"])
def test_what_trains(train: str, original: Path, sd: Callable[..., StableDiffusion]) -> None:
    base = sd(original, train=train)
    training = {name for name, parameter in base.denoiser.named_parameters() if parameter.requires_grad}
    every = {name for name, _ in base.denoiser.named_parameters()}
    wanted = {"frozen": set(), "cross_attention": {name for name in every if ".attn2." in name}, "all": every}
    assert training == wanted[train] and len(wanted["cross_attention"]) > 0
    assert not any(parameter.requires_grad for parameter in base.codec.parameters())


# ------------------------------------------------------------------------------------------- a folder
def test_a_folder_is_loaded_with_its_own_shape_and_schedule(original: Path, sd: Callable[..., StableDiffusion]) -> None:
    base = sd(original)
    saved = UNet2DConditionModel.from_pretrained(original, subfolder="unet", use_safetensors=True)
    assert base.schedule == SCHEDULE | {"set_alpha_to_one": False, "clip_sample": False, "thresholding": False}
    for (name, ours), theirs in zip(base.denoiser.state_dict().items(), saved.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    image = torch.rand(2, 3, 64, 48) * 2 - 1
    mean = base.codec.vae.encode(image).latent_dist.mean
    assert torch.equal(base.codec.encode(image), mean * 0.5) and torch.equal(base.codec.encode(image), mean * 0.5)
    decoded = base.codec.vae.decode(mean).sample
    torch.testing.assert_close(base.codec.decode(mean * 0.5), decoded)


def test_half_precision_files_are_read_in_single_precision(
    tmp_path: Path, original: Path, sd: Callable[..., StableDiffusion]
) -> None:
    save_small_sd(tmp_path)
    UNet2DConditionModel.from_pretrained(original, subfolder="unet").half().save_pretrained(tmp_path / "unet")
    assert {parameter.dtype for parameter in sd(tmp_path).parameters()} == {torch.float32}


def problems(make: Callable[..., StableDiffusion], folder: Path, **options: Any) -> Iterator[str]:
    with pytest.raises(SpecError) as caught:
        make(folder, **options)
    return (str(problem) for problem in caught.value.problems)


def test_another_width_is_refused_with_its_architecture(
    tmp_path: Path, original: Path, sd: Callable[..., StableDiffusion]
) -> None:
    (message,) = problems(sd, original, architecture="sd2")
    assert "tokens 768 wide; architecture=sd2 has 1024" in message and "Set base.sd.architecture=sd15." in message
    (message,) = problems(sd, save_small_sd(tmp_path, unet={"cross_attention_dim": 32}))
    assert "tokens 32 wide" in message and "known width: sd15 768, sd2 1024" in message


def test_a_wrong_local_folder_is_refused_before_anything_is_loaded(
    original: Path, sd: Callable[..., StableDiffusion]
) -> None:
    own = sd(weights=str(original)).denoiser
    assert all(parameter.is_meta for parameter in own.parameters())
    assert own.config["block_out_channels"] == [8, 16], "what is proved is the folder's own shape"
    with pytest.raises(SpecError, match=r"Set base.sd.architecture=sd15"):
        sd(weights=str(original), architecture="sd2")


def test_everything_wrong_with_a_folder_is_said_at_once(tmp_path: Path, sd: Callable[..., StableDiffusion]) -> None:
    shallow = {"block_out_channels": (4, 4), "down_block_types": ("DownEncoderBlock2D",) * 2}
    save_small_sd(tmp_path, unet={"in_channels": 9}, vae=shallow | {"up_block_types": ("UpDecoderBlock2D",) * 2})
    (tmp_path / "scheduler/scheduler_config.json").unlink()
    missing, channels, stride = problems(sd, tmp_path)
    assert "there is no scheduler/scheduler_config.json" in missing
    assert "in_channels is 9; the latent has 4" in channels and "no inpainting" in channels
    assert "one latent cell is 2 pixels wide; architecture=sd15 has 8" in stride


def test_pickled_weights_and_an_empty_folder_are_refused(tmp_path: Path, sd: Callable[..., StableDiffusion]) -> None:
    (message,) = problems(sd, tmp_path / "nowhere")
    assert "no unet/config.json, no unet/diffusion_pytorch_model.safetensors" in message
    assert "Set base.sd.weights to a folder in diffusers layout" in message
    save_small_sd(tmp_path)
    weights = tmp_path / "unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    (message,) = problems(sd, tmp_path)
    assert message.startswith(f"{tmp_path}: there is no unet/diffusion_pytorch_model.safetensors.")


def test_weights_that_are_damaged_or_not_all_there_are_named(
    tmp_path: Path, sd: Callable[..., StableDiffusion]
) -> None:
    file = save_small_sd(tmp_path, unet={"cross_attention_dim": 768}) / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["conv_in.weight"]
    save_file(tensors, file)
    with pytest.raises(PartError, match=r"unet lacks 1 weights of the model, e\.g\. conv_in\.weight"):
        sd(tmp_path)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(PartError, match=r"unet: the weights cannot be read: .*Get the checkpoint again"):
        sd(tmp_path)


@pytest.mark.parametrize(("text", "said"), [("{", "cannot be read"), ("[]", "holds a list, not an object")])
def test_a_damaged_config_is_named(text: str, said: str, tmp_path: Path, sd: Callable[..., StableDiffusion]) -> None:
    save_small_sd(tmp_path)
    (tmp_path / "vae/config.json").write_text(text)
    (message,) = problems(sd, tmp_path)
    assert f"{tmp_path}/vae/config.json" in message and said in message


@pytest.mark.parametrize(
    ("network", "key", "value"),
    [
        ("unet", "class_embed_type", "projection"),
        ("unet", "addition_embed_type", "text_time"),
        ("unet", "time_cond_proj_dim", 256),
        ("unet", "out_channels", 8),
        ("vae", "latent_channels", 16),
        ("vae", "shift_factor", 0.1),
    ],
)
def test_what_nothing_here_feeds_is_refused(
    network: str, key: str, value: object, tmp_path: Path, sd: Callable[..., StableDiffusion]
) -> None:
    file = save_small_sd(tmp_path) / network / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    (message,) = problems(sd, tmp_path)
    assert key in message and str(value) in message and "text-to-image checkpoint of Stable Diffusion 1.x" in message


# ------------------------------------------------------------------------------------------- its schedule
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_latents_are_not_clipped_whatever_sampler_the_config_was_saved_from(
    sampler: str, tmp_path: Path, sd: Callable[..., StableDiffusion]
) -> None:
    from diffusers import EulerDiscreteScheduler

    folder = save_small_sd(tmp_path)
    EulerDiscreteScheduler(beta_schedule="scaled_linear").save_pretrained(folder / "scheduler")
    assert "clip_sample" not in (folder / "scheduler/scheduler_config.json").read_text()
    drawn = sampler_of(sampler, sd(folder).schedule)
    assert not drawn.config["clip_sample"] and not drawn.config["thresholding"]
    assert not drawn.config.get("set_alpha_to_one", False)
    drawn.set_timesteps(4)
    noise = torch.zeros(1, 4, 2, 2)
    assert drawn.step(noise, int(drawn.timesteps[-1]), noise + 3).prev_sample.min() > 2.5


# ------------------------------------------------------------------------------------------- a variant, a revision
@pytest.mark.parametrize("shard", ["10GB", "20KB"])
def test_where_there_is_only_half_precision_it_is_read(
    shard: str, tmp_path: Path, original: Path, sd: Callable[..., StableDiffusion]
) -> None:
    save_small_sd(tmp_path)
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()
    for kind, name in ((UNet2DConditionModel, "unet"), (AutoencoderKL, "vae")):
        network = kind.from_pretrained(original, subfolder=name).half()
        network.save_pretrained(tmp_path / name, variant="fp16", max_shard_size=shard)
    assert (len([*(tmp_path / "unet").glob("*.safetensors")]) > 1) == (shard == "20KB")
    asked: list[Sequence[str]] = []

    def find(weight_id: str, files: Sequence[str] = ()) -> str:
        asked.append(files)
        return str(tmp_path)

    ours, theirs = sd(find=find).denoiser.state_dict(), sd(original).denoiser.state_dict()
    assert all(torch.equal(ours[name], theirs[name].half().float()) for name in theirs)
    plain, half = asked
    assert not any("fp16" in name for name in plain)
    for file in tmp_path.rglob("*fp16*"):
        assert any(fnmatchcase(file.relative_to(tmp_path).as_posix(), name) for name in half), file


def test_plain_weights_are_asked_for_alone(original: Path, sd: Callable[..., StableDiffusion]) -> None:
    asked: list[str] = []
    sd(find=lambda weight_id, files=(): asked.append(weight_id) or str(original), weights="a/b", revision="v1")
    assert asked == ["a/b@v1"]


def test_a_folder_has_no_revision(original: Path, sd: Callable[..., StableDiffusion]) -> None:
    (message,) = problems(sd, original, weights=str(original), revision="main")
    assert "is a folder, which has no revisions" in message and "Leave base.sd.revision out." in message


def test_a_repository_of_other_blocks_than_proved_is_refused(
    tmp_path: Path, sd: Callable[..., StableDiffusion]
) -> None:
    (tmp_path / "snapshots").mkdir()
    (message,) = problems(sd, save_small_sd(tmp_path / "snapshots/abc"), weights="a/b")
    assert "a/b: its denoiser has other blocks" in message and "block_out_channels=[8, 16]" in message
    assert "hf download a/b --local-dir PATH - and set base.sd.weights=PATH" in message


# ------------------------------------------------------------------------------------------- options
@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (("base.sd.lora_rank=8", "base.sd.lora_targets=[to_q]"), ["lora_rank", "lora_targets"]),
        (("base.sd.lora_rank=8", "base.sd.train=all"), ["lora_rank"]),
        (("base.sd.lora_rank=8", "base.sd.train=lora"), []),
        (("base.sd.lora_rank=16",), []),
    ],
)
def test_what_is_said_of_lora_where_it_does_not_train_is_warned_of(words: tuple[str, ...], warned: list[str]) -> None:
    warnings = compose("base=sd", *words).warnings
    assert [
        name for name in ("lora_rank", "lora_targets") if any(f"{name} has no effect" in one for one in warnings)
    ] == warned
    assert len(warnings) == len(warned) and all("base.sd.train=lora" in one for one in warnings)
