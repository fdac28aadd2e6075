"""Out of memory: on whatever device, it is told in words, with what would save some, and the run stands."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pgsynth_core import compose
from pgsynth_core.api.shortage import shortage_of, within_memory
from pgsynth_core.errors import UserError
from pgsynth_core.runs import find_run, read_events, status_of
from pgsynth_core.training.memory import TrainingMemory
from pgsynth_core.training.savings import Saving
from pgsynth_core.training.step import Stepper

from .test_training_guard import FIGURES

ON_A_GPU = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.20 GiB is "
    "free. Including non-PyTorch memory, this process has 77.89 GiB memory in use."
)
MUCH = 2**50


def on_a_gpu() -> None:
    raise torch.OutOfMemoryError(ON_A_GPU)


def on_the_cpu() -> None:
    torch.empty(MUCH, dtype=torch.uint8)


def in_numpy() -> None:
    np.empty(MUCH, dtype=np.uint8)


def error_of(fail: Callable[[], None]) -> BaseException:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        fail()
    return caught.value


@pytest.mark.parametrize(
    ("fail", "asked", "there"),
    [
        (on_a_gpu, "2.50 GiB", "of the device's 79.10 GiB, 1.20 GiB are free"),
        (on_the_cpu, "1048576.0 GiB", "free on this machine"),
        (in_numpy, "1.00 PiB", "free on this machine"),
    ],
)
def test_what_was_asked_for_and_what_there_is(fail: Callable[[], None], asked: str, there: str) -> None:
    found = shortage_of(error_of(fail))
    assert found is not None and found.asked == asked and there in found.there


def test_other_errors_are_none_of_memory() -> None:
    assert shortage_of(RuntimeError("shapes do not fit")) is None
    assert str(shortage_of(MemoryError())).startswith("out of memory: ")


@pytest.mark.parametrize(
    "saving",
    [
        pytest.param(("train.checkpointing=true", "train.batch_size=4 train.accumulate=2"), marks=pytest.mark.slow),
        ("train.checkpointing=true",),
    ],
    ids=["reckoned out", "given"],
)
def test_a_run_that_runs_out_says_what_would_save_how_much(
    saving: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if len(saving) == 1:
        request.getfixturevalue("short_advice")
    plain, steps = Stepper.take, []

    def take(self: Stepper, batches: object) -> object:
        steps.append(1)
        if len(steps) == 3:
            on_the_cpu()
        return plain(self, batches)  # type: ignore[arg-type]

    monkeypatch.setattr(Stepper, "take", take)
    with pytest.raises(UserError) as caught:
        compose(*FIGURES, "train.batch_size=8", "train.checkpoint_every=2").train(runs=tmp_path, steps=9)
    text, folder = str(caught.value), find_run("latest", tmp_path)
    assert "out of memory" in text and f"The last checkpoint stands: {folder.path}/checkpoints/step-00000002" in text
    assert all(f"{words} saves " in text for words in saving)
    assert f"pgsynth train {folder.path}/spec.yaml train." in text and caught.value.exit_code == 2
    assert f"Go on with this run: pgsynth train --resume {folder.path} {saving[0]}." in text
    assert status_of(folder).state == "failed"
    (problem,) = [event for event in read_events(folder.events_file) if event["kind"] == "problem"]
    assert problem["message"] in text and problem["step"] == 2
    assert caught.value.__context__ is None, "no traceback of torch's beside it"


def test_nothing_takes_the_place_of_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*given: object, **named: object) -> None:
        raise NotImplementedError("Could not run 'mine::attend' with arguments from the 'Meta' backend.")

    monkeypatch.setattr("pgsynth_core.api.shortage.savings", refuses)
    made = compose(*FIGURES)
    with pytest.raises(UserError, match=r"(?s)out of memory: 1048576.0 GiB more.*train\.checkpointing=true"):
        within_memory(on_the_cpu, made.spec, made.registry, made.verdict)


def test_less_to_train_is_not_what_to_try_first(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = TrainingMemory(weights=2**30, moments=2**30, average=2**30, step=2**30)
    found = (Saving("base.sd.train=frozen", 2**30, alike=False),)
    monkeypatch.setattr("pgsynth_core.api.shortage.savings", lambda *given, **named: (memory, found))
    made, told = compose(*FIGURES), []
    with pytest.raises(UserError, match="base.sd.train=frozen saves 1.0 GiB") as caught:
        within_memory(on_the_cpu, made.spec, made.registry, made.verdict, tell=lambda kind, data: told.append(kind))
    assert "--rehearse" not in str(caught.value) and told == ["doing"]


@pytest.mark.usefixtures("short_advice")
def test_weights_that_do_not_fit_are_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgsynth_core.api.session.Average", lambda *_: on_a_gpu())
    with pytest.raises(UserError, match="train.checkpointing=true saves 1.0 GiB"):
        compose(*FIGURES).train(runs=tmp_path)
    assert os.listdir(tmp_path) == []
