"""What a checkpoint of 2 GB costs: on the disk beside dd, and of the time of whoever trains beside one copy.

Timed is what a run does at each save: `Saver.save`, which takes the copy, and before it the exchange of the weights
for their average and back. Not timed is what is done with the average then, the look at unseen pairs
(`train.validate_pairs`, 0 for none): training waits for that too, and its checkpoint says how long.

Run: make bench.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import Tensor

from pgsynth_core.runs import RunFolder, create_run
from pgsynth_core.training.average import Average
from pgsynth_core.training.checkpoint import tensor_writers
from pgsynth_core.training.saving import Saver

pytestmark = pytest.mark.bench

ROUNDS = 5
SHAPE, TENSORS = (1024, 1024), 128
"""Half a gibibyte of weights; with their average and Adam's two moments, four times as much."""


@pytest.fixture
def state() -> dict[str, Mapping[str, Tensor]]:
    """Files of a checkpoint."""

    def tensors(count: int) -> dict[str, Tensor]:
        return {f"part.{number}": torch.randn(SHAPE) for number in range(count)}

    return {
        "weights.safetensors": tensors(TENSORS),
        "ema.safetensors": tensors(TENSORS),
        "optimizer.safetensors": tensors(2 * TENSORS),
    }


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def test_the_average_comes_in_without_a_copy(capsys: pytest.CaptureFixture[str]) -> None:
    weights = {f"part.{number}": torch.nn.Parameter(torch.randn(SHAPE)) for number in range(TENSORS)}
    average = Average(weights, 0.999)

    def exchange() -> None:
        with average.in_place_of(weights):
            pass

    copied = median(seconds(lambda: [value.detach().clone() for value in weights.values()]) for _ in range(ROUNDS))
    exchanged = median(seconds(exchange) for _ in range(ROUNDS))
    with capsys.disabled():
        print(f"\nthe average in and out: {1e3 * exchanged:.2f} ms; a copy of the weights: {1e3 * copied:.0f} ms")
    assert exchanged <= 0.1 * copied


def memory_at_hand(size: int) -> None:
    """Touch as many bytes and let them go: a virtual machine's first touch of a page can cost more than the disk."""
    torch.ones(size, dtype=torch.uint8)


def test_a_checkpoint_costs_a_copy_and_the_disk(
    state: dict[str, Mapping[str, Tensor]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run: RunFolder = create_run(tmp_path / "runs", slug="x", spec_yaml="pgsynth: 1\n", lock={"lock": 1})
    saver = Saver(run, keep=1, bytes_needed=2**31, tell=lambda kind, data: None)
    size = sum(value.nbytes for tensors in state.values() for value in tensors.values())
    copied, blocked, written, plain = [], [], [], []
    for step in range(1, ROUNDS + 1):
        memory_at_hand(2 * size)  # for the copy and the file
        copied.append(seconds(lambda: [value.clone() for tensors in state.values() for value in tensors.values()]))
        began = time.perf_counter()
        blocked.append(seconds(lambda: saver.save(step, lambda: tensor_writers(state))))  # noqa: B023
        saver.wait()
        written.append(time.perf_counter() - began - blocked[-1])
        checkpoint = run.checkpoints / f"step-{step:08}"
        beside = tmp_path / f"dd-{step}"  # as many bytes in as many files
        beside.mkdir()
        plain.append(0.0)
        memory_at_hand(size)
        for file in checkpoint.glob("*.safetensors"):
            command = ["dd", f"if={file}", f"of={beside / file.name}", "bs=4M", "conv=fsync"]
            plain[-1] += seconds(lambda: subprocess.run(command, check=True, capture_output=True))  # noqa: B023
        shutil.rmtree(beside)
    shutil.rmtree(run.path)
    # of each round by itself: the machine differs more from one to another than the two do within
    speed = median(one / other for one, other in zip(plain, written, strict=True))
    waits = median(one / other for one, other in zip(blocked, copied, strict=True))
    with capsys.disabled():
        print(
            f"\na checkpoint of {size / 1e9:.2f} GB, medians of {ROUNDS}: written, flushed and hashed in "
            f"{median(written):.2f} s ({min(written):.2f} to {max(written):.2f}), at {speed:.2f} of the speed of dd "
            f"conv=fsync ({median(plain):.2f} s); training waits {median(blocked):.2f} s, {waits:.2f} x a copy of the state"
        )
    assert size >= 2e9
    assert speed >= 0.6
    assert waits <= 1.1
