"""The rehearsal: real steps of the real spec, measured; saved, loaded anew, the same; and nothing left behind."""

from __future__ import annotations

import os
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pgsynth_core import compose
from pgsynth_core.api import rehearsing
from pgsynth_core.api.rehearsing import STEPS, Rehearsal
from pgsynth_core.errors import PgsynthError, UserError
from pgsynth_core.runs import RunFolder
from pgsynth_core.training.checkpoint import Trained
from pgsynth_core.training.step import Stepper
from pgsynth_core.training.validation import Validation

from ..fixtures.memory import needs_peak
from .test_training_guard import FIGURES

LONG = (*FIGURES, "train.steps=1000", "train.checkpoint_every=100", "train.keep_checkpoints=2")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where runs would be made; not there yet."""
    return tmp_path / "deep" / "runs"


def facts(**changed: Any) -> Rehearsal:
    plain: dict[str, Any] = {
        "device": "cpu",
        "steps": STEPS,
        "seconds_per_step": 1.0,
        "hours": 1.0,
        "peak_bytes": 10**9,
        "estimated_bytes": 10**9,
        "checkpoint_bytes": 10**6,
        "free_bytes": 10**9,
        "needed_bytes": 3 * 10**6,
        "difference": 0.0,
    }
    return Rehearsal(**(plain | changed))


@needs_peak
def test_steps_are_taken_and_measured_and_nothing_stays(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    plain = Validation.loss

    def loss(self: Validation) -> float:
        time.sleep(0.5)
        return plain(self)

    monkeypatch.setattr(Validation, "loss", loss)
    composition = compose(*LONG)
    found = composition.rehearse(runs=runs, on_event=lambda event: told.append(event["step"]))
    assert told == [1, 2, 3] and [*tmp_path.iterdir()] == [], "no run, no folder, no checkpoint"
    assert (found.device, found.steps, found.difference) == ("cpu", STEPS, 0.0)
    assert found.seconds_per_step > 0
    assert 3600 * found.hours > 1000 * found.seconds_per_step + 10 * 0.5, "training waits for each look at unseen pairs"
    assert found.peak_bytes is not None and found.peak_bytes > 10**7
    assert found.estimated_bytes == composition.memory().total
    assert found.needed_bytes == 4 * found.checkpoint_bytes and found.free_bytes > found.checkpoint_bytes > 10**7
    after, alone = (made.train(runs=runs, steps=STEPS) for made in (composition, compose(*LONG)))
    assert len(after.losses()) == STEPS and after.losses() == alone.losses(), "a rehearsal is in nobody's way"


def test_what_a_killed_rehearsal_left_goes_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young, other = (tmp_path / name for name in (".rehearsal-a.tmp", ".rehearsal-b.tmp", "mine"))
    for folder in (old, young, other):
        folder.mkdir()
        (folder / "weights.safetensors").touch()
    for folder in (old, other):
        os.utime(folder, (time.time() - 90_000,) * 2)
    monkeypatch.setattr(rehearsing, "_taken", lambda *given: pytest.exit("far enough"))
    with pytest.raises(pytest.exit.Exception):
        compose(*LONG).rehearse(runs=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, other.name}


def test_a_part_that_does_not_load_what_it_saved_is_found(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Trained.weights

    def lossy(self: Trained) -> dict[str, Tensor]:
        return {key: value * 1.5 for key, value in plain(self).items()}

    monkeypatch.setattr(Trained, "weights", lossy)
    with pytest.raises(PgsynthError, match="saved and loaded again gives other losses"):
        compose(*LONG).rehearse(runs=runs)
    assert [*runs.parent.parent.iterdir()] == []


@pytest.mark.slow
@pytest.mark.usefixtures("short_advice")
def test_a_failure_leaves_nothing_either(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Stepper, batches: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Stepper, "take", fail)
    with pytest.raises(UserError, match=r"out of memory: 2.00 GiB more were asked for"):
        compose(*LONG).rehearse(runs=runs)
    assert [*runs.parent.parent.iterdir()] == []


def test_a_cache_on_another_disk_need_not_leave_room_for_checkpoints(tmp_path: Path) -> None:
    made = compose(*LONG)
    session = rehearsing._session(made.spec, made.registry, made.verdict)
    beside, elsewhere = (session._reserve(RunFolder(tmp_path), cache) for cache in (tmp_path / "new", Path("/proc")))
    assert beside - elsewhere == 4 * session.trained.size() > 0 and elsewhere > 0


def test_a_disk_without_room_is_refused_before_a_step(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(100, 0, 100))
    monkeypatch.setattr(rehearsing, "train", lambda job: pytest.fail("a step was taken"))
    with pytest.raises(UserError, match="a checkpoint needs"):
        compose(*LONG).rehearse(runs=runs)


def test_estimate_and_measurement_that_are_apart_get_a_word() -> None:
    assert [*facts().warnings()] == [] and [*facts(estimated_bytes=1_140_000_000).warnings()] == []
    (above,) = facts(estimated_bytes=1_300_000_000).warnings()
    (below,) = facts(estimated_bytes=700_000_000).warnings()
    assert "30 % above what was measured" in above and "30 % below" in below
    assert [*facts(peak_bytes=None, estimated_bytes=9 * 10**9).warnings()] == []


def test_a_disk_that_the_whole_run_will_fill_gets_a_word() -> None:
    (sentence,) = facts(free_bytes=2 * 10**6).warnings()
    assert "train.keep_checkpoints" in sentence
