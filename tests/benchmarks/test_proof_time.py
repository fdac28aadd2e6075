"""What the proof costs at Stable Diffusion 1.5 size, beside the bare imports it needs. Printed, not asserted."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

import pytest

SCRIPT = """
import sys, time
start = time.perf_counter()
import torch
torch_seconds = time.perf_counter() - start
from diffusers.models.controlnets.controlnet import ControlNetModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
diffusers_seconds = time.perf_counter() - start - torch_seconds
import timm
from torch.utils.flop_counter import FlopCounterMode
imported = time.perf_counter() - start
with torch.device("meta"):
    denoiser = UNet2DConditionModel(cross_attention_dim=768)
    branch = ControlNetModel.from_unet(denoiser)
    noisy, tokens = torch.zeros(2, 4, 64, 44), torch.zeros(2, 72, 768, requires_grad=True)
    times, picture = torch.zeros(2, dtype=torch.long), torch.zeros(2, 3, 512, 352)
    down, mid = branch(noisy, times, tokens, picture, return_dict=False)
    denoiser(noisy, times, tokens, down_block_additional_residuals=down, mid_block_additional_residual=mid,
             return_dict=False)[0].sum().backward()
bare = time.perf_counter() - start - imported
from pgsynth_core import compose
composition = compose("encoder=qfft", "attn=pma")
composed = time.perf_counter() - start - imported - bare
composition.proof()
print(torch_seconds, diffusers_seconds, imported - torch_seconds - diffusers_seconds, bare, composed,
      time.perf_counter() - start - imported - bare - composed)
"""
COLUMNS = ("import torch", "import diffusers' leaves", "import timm", "bare forward+backward", "compose", "proof")
RUNS = 5


@pytest.mark.bench
def test_proof_beside_its_imports() -> None:
    rows = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
        rows.append([float(value) for value in done.stdout.split()])
    print(f"\nmedian of {RUNS} processes, seconds")
    for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        print(f"  {name:<26}{median(column):6.2f}")
    print(f"  {'all together':<26}{median(sum(row) - row[3] for row in rows):6.2f}   (without the bare run)")
    assert all(len(row) == len(COLUMNS) for row in rows)
