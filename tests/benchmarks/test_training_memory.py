"""The estimate of what training holds beside what it held, each setting in a process of its own.

There, what is freed goes back to the system at once: glibc keeps freed memory in its heap, up to half of what training
with recomputed activations then seems to hold, and a GPU's figure, what is allocated, has none of that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from ..fixtures.memory import needs_peak
from ..fixtures.small_sd import UNET, VAE

PROGRAM = """
import json, sys
from pgsynth_core import compose
found = compose(*sys.argv[2:]).rehearse(runs=sys.argv[1])
print(json.dumps(found.facts()))
"""
DATA = ("data=figures", "data.figures.identities=2", "data.figures.test_identities=1", "data.figures.poses=3")
TINY = ("tiny", *DATA, "size=64x48", "train.batch_size=16", "train.workers=0")
WIDER = {"block_out_channels": (128, 256), "norm_num_groups": 16, "attention_head_dim": 8}
SMALL_SD = ("base=sd", "base.sd.train=all", "pose=controlnet", "encoder=none", *DATA)
SMALL_SD_RUN = ("size=256x192", "train.batch_size=6", "train.workers=0")
BAR = 0.15


def rehearsed(folder: Path, *words: str) -> tuple[int, int, float]:
    """Estimated and measured bytes, and seconds a step."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(128 * 1024)}
    command = [sys.executable, "-c", PROGRAM, str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    return facts["estimated_bytes"], facts["peak_bytes"], facts["seconds_per_step"]


def small_sd(folder: Path) -> Path:
    """A checkpoint in Stable Diffusion's form, wide enough that weights and activations both count."""
    UNet2DConditionModel(**(UNET | WIDER)).save_pretrained(folder / "unet")
    AutoencoderKL(**VAE).save_pretrained(folder / "vae")
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps({"_class_name": "DDIMScheduler"}))
    return folder


@needs_peak
@pytest.mark.bench
def test_the_estimate_is_near_what_is_measured(tmp_path: Path) -> None:
    settings = {
        "tiny, 64x48, batch 16": TINY,
        "the same, activations recomputed": (*TINY, "train.checkpointing=true"),
        "small Stable Diffusion, 256x192": (*SMALL_SD, f"base.sd.weights={small_sd(tmp_path / 'sd')}", *SMALL_SD_RUN),
    }
    print(f"\n{'':<36}{'estimated':>12}{'measured':>12}{'apart':>8}{'a step':>9}")
    worst = 0.0
    for name, words in settings.items():
        estimated, measured, seconds = rehearsed(tmp_path, *words)
        apart = estimated / measured - 1
        print(f"{name:<36}{estimated / 2**20:>8.0f} MiB{measured / 2**20:>8.0f} MiB{apart:>8.1%}{seconds:>7.2f} s")
        worst = max(worst, abs(apart))
    assert worst < BAR
