"""LoRA on Stable Diffusion: beside frozen layers, in no copy of them, the same before it has learned, small when saved."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from PIL import Image

from pgsynth_core import Run, compose, load
from pgsynth_core.api import Composition, continue_run
from pgsynth_core.api.exporting import export_diffusers
from pgsynth_core.composition.build import build
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.weights import trained_parameters
from pgsynth_core.errors import SpecError
from pgsynth_core.interfaces import Conditioning
from pgsynth_core.runs import latest_checkpoint, list_checkpoints
from pgsynth_core.training.checkpoint import read_tensors
from pgsynth_plugins.bases.sd import model

from ...fixtures.small_sd import UNET, VAE

pytest.importorskip("peft", reason="the extra lora is not installed")

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
FIGURES = ("data=figures", "data.figures.identities=1", "data.figures.test_identities=1", "data.figures.poses=3")
BRIEF = ("train.batch_size=2", "train.workers=0", "train.warmup_steps=0", "train.sample_every=0", "sample.steps=2")
NO_NETWORKS = ("vae", "text_encoder", "tokenizer", "scheduler", "safety_checker", "feature_extractor")
CHAINS = ("encoder=qfft+sourcenet", "attn=hpfa+pma", "pose=controlnet")
SMALL = ("encoder.qfft.backbone=conv4", "encoder.qfft.depth=1")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint in diffusers layout."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    UNet2DConditionModel(**UNET).save_pretrained(folder / "unet")
    AutoencoderKL(**VAE).save_pretrained(folder / "vae")
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps({"_class_name": "DDIMScheduler"}))
    return folder


@pytest.fixture(scope="module")
def composed(checkpoint: Path) -> Callable[..., Composition]:
    """The small checkpoint with LoRA."""

    def make(*words: str, train: str = "lora") -> Composition:
        given = ("base=sd", f"base.sd.weights={checkpoint}", f"base.sd.train={train}", "size=64x48", *FIGURES, *BRIEF)
        return compose(*given, *words)

    return make


def method_of(composition: Composition, checkpoint: Path) -> Method:
    spec, registry, verdict = composition.spec, composition.registry, composition.verdict
    torch.manual_seed(0)

    def find(weight_id: str, files: Any = (), /) -> str | None:
        return str(checkpoint) if weight_id == str(checkpoint) else None

    return build(spec, registry, verdict, device="cpu", weights=find)


def test_only_the_updates_train_at_the_layers_that_were_asked_for(
    composed: Callable[..., Composition], checkpoint: Path
) -> None:
    composition = composed("encoder=none", "pose=pose_encoder", "base.sd.lora_rank=3")
    method = method_of(composition, checkpoint)
    keys = [key for key in trained_parameters(method, "sd") if key.startswith("sd.")]
    layers = [path for path, _ in method.base.denoiser.named_modules() if path.endswith(TARGETS)]
    assert len(layers) == 4 * 2 * 4 and len(keys) == 2 * len(layers) and all(".lora_" in key for key in keys)
    assert {method.get_parameter(f"base.{key[3:]}").shape[0] for key in keys if ".lora_A." in key} == {3}
    cost = next(cost for cost in composition.proof().parts if cost.label == "sd")
    assert cost.trainable == sum(method.get_parameter(f"base.{key[3:]}").numel() for key in keys)


def test_before_it_has_learned_it_is_the_plain_denoiser_and_copies_are_plain(
    composed: Callable[..., Composition], checkpoint: Path
) -> None:
    words = (*CHAINS, *SMALL)
    lora, plain = (method_of(composed(*words, train=train), checkpoint) for train in ("lora", "frozen"))
    for network in (lora.encoders["sourcenet"], lora.poses["controlnet"]):
        assert not any("lora" in name for name, _ in network.named_parameters())
    chains = [name for name, _ in trained_parameters(lora, "sd").items() if name.startswith("hpfa.")]
    assert chains and all(".to_" not in name or "lora" not in name for name in chains)
    ours, theirs = (
        {name: value for name, value in method.named_parameters() if name.startswith(("encoders", "poses"))}
        for method in (lora, plain)
    )
    assert ours.keys() == theirs.keys()
    assert {name for name, value in ours.items() if value.requires_grad} == {
        name for name, value in theirs.items() if value.requires_grad
    }


def test_the_denoiser_is_the_plain_one_until_an_update_is_learned(
    composed: Callable[..., Composition], checkpoint: Path
) -> None:
    words = ("encoder=none", "pose=none")
    lora, plain = (method_of(composed(*words, train=train), checkpoint).eval() for train in ("lora", "frozen"))
    noisy, times, data = torch.randn(1, 4, 8, 6), torch.tensor([5]), Conditioning(latent_grid=(8, 6))
    with torch.no_grad():
        before, same = (method(noisy, times, method.joined({}, data)) for method in (lora, plain))
        for name, value in lora.named_parameters():
            if ".lora_B." in name:
                value.normal_()
        after = lora(noisy, times, lora.joined({}, data))
    assert torch.equal(before, same) and not torch.allclose(before, after)


def test_what_has_no_such_layer_and_an_empty_list_are_refused(
    composed: Callable[..., Composition], checkpoint: Path
) -> None:
    with pytest.raises(SpecError, match=r"lora_targets: 'to_kv' ends the path of no layer. Did you mean 'to_v'"):
        composed("encoder=none", "pose=none", "base.sd.lora_targets=[to_q, to_kv]").proof()
    with pytest.raises(SpecError, match="lora_targets is empty"):
        composed("encoder=none", "pose=none", "base.sd.lora_targets=[]").proof()


def test_without_peft_it_is_refused_with_what_to_install(
    composed: Callable[..., Composition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SpecError, match=r'pip install "pgsynth\[lora\]"'):
        composed("encoder=none", "pose=none").proof()
    monkeypatch.setattr(model, "_folder", lambda *given: pytest.fail("weights were looked for"))
    with pytest.raises(SpecError, match="is not installed"):
        composed("encoder=none", "pose=none").train(steps=1)


# ------------------------------------------------------------------------------------------- a run
@pytest.fixture(scope="module")
def run(composed: Callable[..., Composition], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three steps with processors, a copied source network and a copied pose branch."""
    words = ("train.learning_rate=0.01", "train.checkpoint_every=2", "train.ema=0", "encoder.sourcenet.train=false")
    words += ("base.sd.lora_alpha=24",)
    return composed(*CHAINS, *SMALL, *words).train(runs=tmp_path_factory.mktemp("runs"), steps=3)


def test_a_checkpoint_holds_of_the_denoiser_the_updates_alone(run: Run) -> None:
    checkpoint = latest_checkpoint(run.folder)
    assert checkpoint is not None
    kept = read_tensors(checkpoint.path / "weights.safetensors")
    of_base = [key for key in kept if key.startswith("sd.")]
    assert of_base and all(".lora_" in key for key in of_base)
    assert any(kept[key].any() for key in of_base if ".lora_B." in key), "they have learned"


def test_what_is_loaded_paints_what_the_run_painted(run: Run) -> None:
    pictures = sorted((run.path / "samples" / "00000003").glob("[0-9]*.png"))
    shown = [*load(run).sample_pairs(split="test", limit=len(pictures))]
    assert pictures and len(shown) == len(pictures)
    assert all(
        np.array_equal(np.asarray(Image.open(one)), other.output) for one, other in zip(pictures, shown, strict=True)
    )


def test_a_resumed_run_joins_the_uninterrupted_one(run: Run) -> None:
    losses, weights = run.losses(), read_tensors(list_checkpoints(run.folder)[-1].path / "weights.safetensors")
    again = continue_run(list_checkpoints(run.folder)[0].path, steps=3)
    after = read_tensors(list_checkpoints(again.folder)[-1].path / "weights.safetensors")
    assert again.losses() == losses and all(torch.equal(after[key], value) for key, value in weights.items())


def test_a_pipeline_of_diffusers_reads_the_updates(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    model = load(run)
    made = export_diffusers(model, tmp_path / "out")
    assert not (made.folder / "unet").exists() and not (made.folder / "sd").exists()
    readme = (made.folder / "README.md").read_text(encoding="utf-8")
    assert (
        "needs torch, diffusers and peft,\n" in readme and "`pipe.load_lora_weights`; that needs peft, too." in readme
    )
    ours = model.assembly.method.base.denoiser
    ours.set_attn_processor(AttnProcessor2_0())
    theirs = UNet2DConditionModel.from_pretrained(checkpoint / "unet")
    inputs = torch.randn(1, 4, 8, 6), torch.tensor([5]), torch.randn(1, 3, 768)
    with torch.no_grad():
        wanted, plain = ours.eval()(*inputs).sample, theirs(*inputs).sample
        pipe = StableDiffusionPipeline(**dict.fromkeys(NO_NETWORKS), unet=theirs, requires_safety_checker=False)
        pipe.load_lora_weights(made.folder)
        torch.testing.assert_close(theirs(*inputs).sample, wanted)
        script = runpy.run_path(str(made.folder / "run.py"))  # as anybody would who has no pgsynth
        torch.testing.assert_close(script["denoiser_of"]({}, str(checkpoint), made.folder)(*inputs).sample, wanted)
    assert not torch.allclose(plain, wanted), "canary: they have learned"
