"""SIGKILL at random instants, half of them while a checkpoint is being written: the run always goes on, bitwise.

A run is trained in a process of its own, killed, resumed, killed again, until it has been killed often enough; then it
is let go to its end. Its losses are to be those of a run that nobody touched.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from pgsynth_core.cli.train import INTERRUPTED
from pgsynth_core.runs import RunFolder, latest_checkpoint, list_runs, read_losses
from pgsynth_core.runs.durable import read_json

from .smallest import SMALLEST

KILLS: Final = int(os.environ.get("PGSYNTH_KILLS", "26"))
"""Of each of the two runs."""

STEPS: Final = 400
PATIENCE: Final = 120
"""Seconds within which a process begins to train, or comes to its next checkpoint."""

WORDS: Final = (*SMALLEST, "train.keep_checkpoints=2", "train.validate_pairs=1")


def trainer(root: Path, *words: str) -> subprocess.Popen[bytes]:
    """A process that trains."""
    command = [sys.executable, "-m", "pgsynth_core", "train", *words, "--no-proof", "--runs", str(root)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def wait_for(what: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Until it is so, or the process has ended."""
    end = time.monotonic() + PATIENCE
    while not what() and process.poll() is None:
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.002)


def being_written(run: RunFolder) -> set[str]:
    """Checkpoints that are being written, or whose writer was killed; those that go have another name."""
    return {path.name for path in run.checkpoints.iterdir() if path.name.endswith(".tmp")}


def stopped(process: subprocess.Popen[bytes]) -> None:
    """It does nothing more, so that what is counted is what a kill will find."""
    os.kill(process.pid, signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), "it ended by itself"


def last_step(run: RunFolder) -> int:
    return max(read_losses(run.events_file), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [("train.workers=0",), ("train.workers=2", "train.accumulate=3")])
def test_kills_lose_nothing(settings: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("PGSYNTH_SEED", "0")) or random.SystemRandom().randrange(2**31)
    chance, while_saving, resumed_at = random.Random(seed), 0, list[int]()
    words = (*WORDS, *settings)
    process = trainer(tmp_path, *words, f"train.steps={STEPS}")
    wait_for(lambda: any(map(latest_checkpoint, list_runs(tmp_path))), process)
    (run,) = list_runs(tmp_path)
    for kill in range(KILLS):
        left, before = being_written(run), last_step(run)
        wait_for(lambda: (read_json(run.process_file) or {}).get("pid") == process.pid, process)  # noqa: B023
        wait_for(lambda: last_step(run) > before, process)  # noqa: B023
        time.sleep(chance.random())
        stopped(process)
        while kill % 2 and not being_written(run) - left:
            os.kill(process.pid, signal.SIGCONT)
            wait_for(lambda: being_written(run) - left, process)  # noqa: B023
            time.sleep(chance.random() * 0.02)
            stopped(process)
        while_saving += bool(being_written(run) - left)
        (os.kill if chance.random() < 0.5 else os.killpg)(process.pid, signal.SIGKILL)  # with its data workers, or not
        process.wait()
        checkpoint = latest_checkpoint(run)
        assert checkpoint is not None
        checkpoint.verify()
        resumed_at.append(checkpoint.step)
        process = trainer(tmp_path, "--resume", run.id)
    reached = last_step(run)
    wait_for(lambda: last_step(run) > reached, process)
    process.terminate()
    assert process.wait() == INTERRUPTED
    losses = read_losses(run.events_file)
    whole = trainer(tmp_path / "whole", *words, f"train.steps={max(losses)}")
    assert whole.wait() == 0
    (untouched,) = list_runs(tmp_path / "whole")
    with capsys.disabled():
        print(
            f"\n{' '.join(settings)}: {KILLS} kills, {while_saving} while a checkpoint was being written, seed {seed}; resumed "
            f"{len(resumed_at)} times, from steps {min(resumed_at)} to {max(resumed_at)}; {max(losses)} steps, "
            f"{reached} of them by the last kill"
        )
    assert while_saving >= KILLS // 2
    assert losses == read_losses(untouched.events_file)
    for name in ("weights.safetensors", "ema.safetensors", "optimizer.safetensors"):
        left, right = (one.checkpoints / f"step-{max(losses):08}" / name for one in (run, untouched))
        assert left.read_bytes() == right.read_bytes(), name
