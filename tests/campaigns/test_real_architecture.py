"""Stable Diffusion 1.5 in its true shape, with random weights in diffusers layout: loaded, trained a step, sampled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from PIL import Image
from safetensors import safe_open

from pgsynth_core import Run, compose, load
from pgsynth_core.data.formats import write_pose
from pgsynth_core.data.records import DataContext
from pgsynth_core.options import PartConfig
from pgsynth_plugins.bases.sd.architectures import ARCHITECTURES

from ..fixtures.crowd import Crowd
from ..fixtures.memory import forget_peak, needs_peak, peak_bytes

LIMIT_GIB = 24


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint as `save_pretrained` leaves it."""
    known, folder = ARCHITECTURES["sd15"], tmp_path / "sd15"
    torch.manual_seed(0)
    UNet2DConditionModel(**known.unet).save_pretrained(folder / "unet")
    AutoencoderKL(**known.vae).save_pretrained(folder / "vae")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(dict(known.schedule)), encoding="utf-8")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two pairs in a folder."""
    root, rows = tmp_path / "photos", ["source,target,split"]
    root.mkdir()
    crowd = Crowd(PartConfig(), DataContext("train", (64, 48)), count=2)
    for index in range(2):
        pair = crowd.pair(index)
        for person in (pair.source, pair.target):
            Image.fromarray(person.image).save(root / f"{person.name}.png")
            write_pose(root / f"{person.name}.pose.json", person.keypoints)
        rows += [f"{pair.source.name}.png,{pair.target.name}.png,{split}" for split in ("train", "test")]
    (root / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def one_step_and_a_picture(runs: Path, *words: str) -> tuple[Run, Path]:
    """Compose, train a step, load, sample; the run and the weights that it keeps."""
    shape = ("size=64x48", "train.batch_size=1", "train.workers=0", "sample.steps=2")
    forget_peak()
    run = compose(*words, *shape).train(runs=runs, steps=1)
    peak = peak_bytes() / 2**30
    (one,) = list(load(run).sample_pairs(split="test", limit=1))
    (weights,) = (run.path / "checkpoints").rglob("weights.safetensors")
    print(f"\npeak {peak:.1f} GiB, loss {run.losses()[1]:.3f}, weights kept {weights.stat().st_size / 2**30:.2f} GiB")
    assert peak < LIMIT_GIB and one.output.shape == (64, 48, 3)
    return run, weights


@needs_peak
@pytest.mark.slow
def test_it_loads_trains_a_step_and_samples(checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    run, weights = one_step_and_a_picture(
        tmp_path / "runs",
        "encoder=qfft",
        "encoder.qfft.pretrained=false",
        "encoder.qfft.train_backbone=true",
        "attn=pma",
        f"base.sd.weights={checkpoint}",
        "data=folder",
        f"data.folder.root={photos}",
    )
    lock = json.loads(run.folder.lock_file.read_text(encoding="utf-8"))
    assert set(lock["weights"][str(checkpoint)]) >= {"unet/diffusion_pytorch_model.safetensors"}
    assert weights.stat().st_size < 2.5 * 2**30, "the frozen denoiser is not in the checkpoint"


@needs_peak
@pytest.mark.slow
def test_the_light_truepose_does_so_with_two_networks(checkpoint: Path, tmp_path: Path) -> None:
    _, weights = one_step_and_a_picture(
        tmp_path / "runs",
        "truepose-light",
        "encoder.clip.backbone=small",
        "encoder.clip.pretrained=false",
        "encoder.clip.train_backbone=true",
        f"base.sd.weights={checkpoint}",
        "data=figures",
        "train.accumulate=1",
        "train.precision=fp32",
    )
    with safe_open(weights, framework="pt") as kept:
        names = list(kept.keys())
    assert {name.partition(".")[0] for name in names} == {"sd", "clip", "pose_encoder", "hpfa", "caa"}
    assert all(".attn2." in name for name in names if name.startswith("sd."))
