"""Two GPUs over NCCL, whether each holds the whole model or half of it: the losses of one with twice the batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pgsynth_core import Run, compose
from pgsynth_core.training.processes import FSDP

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]

WORDS = (
    "tiny",
    "data=figures",
    "data.figures.identities=2",
    "data.figures.test_identities=1",
    "train.steps=4",
    "train.accumulate=2",
    "train.checkpoint_every=2",
    "train.warmup_steps=0",
    "train.workers=0",
    "sample.steps=2",
)
CLOSE = {"fp32": 1e-4, "bf16": 2e-2}
"""Relative: kernels of a GPU choose their order of sums by the size of the batch."""


@pytest.mark.parametrize("precision", [*CLOSE])
@pytest.mark.parametrize("how", ["--multi_gpu", FSDP], ids=["each all", "each half"])
def test_two_gpus_train_as_one_with_twice_the_batch(how: str, precision: str, tmp_path: Path, repository: Path) -> None:
    words = [*WORDS, f"train.precision={precision}"]
    places = ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
    settings = ["--mixed_precision", "no", "--dynamo_backend", "no"]
    launch = [sys.executable, "-m", "accelerate.commands.launch", *how.split(), *places, *settings]
    train = ["-m", "pgsynth_core", "train", *words, "train.batch_size=2", "--no-proof", "--runs", str(tmp_path / "two")]
    found = os.pathsep.join([str(repository), str(repository / "plugins")])
    told = subprocess.run(
        [*launch, *train], env={**os.environ, "PYTHONPATH": found}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    (folder,) = (tmp_path / "two").iterdir()
    one = compose(*words, "train.batch_size=4").train(runs=tmp_path / "one")
    two = Run.find(folder)
    assert two.losses() == pytest.approx(one.losses(), rel=CLOSE[precision])
