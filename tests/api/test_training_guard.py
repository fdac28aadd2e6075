"""What must not spoil a run: gradients that are no numbers, no test split, records passed over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from pgsynth_core import Run, compose
from pgsynth_core.api import continue_run, session
from pgsynth_core.api.journal import Listeners, journal
from pgsynth_core.api.occupying import occupying
from pgsynth_core.api.telling import Hooks
from pgsynth_core.data.formats import write_pose
from pgsynth_core.errors import PgsynthError, UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import (
    EventLog,
    RunFolder,
    create_run,
    find_run,
    latest_checkpoint,
    list_checkpoints,
    read_events,
    status_of,
)
from pgsynth_core.runs.devices import device_lock, used
from pgsynth_core.runs.entry import ATTEMPT
from pgsynth_core.runs.locks import is_free
from pgsynth_core.runs.sessions import Ending
from pgsynth_core.training.step import Stepper

from ..fixtures.people import standing, write_pairs, write_photo

FIGURES = (
    "tiny",
    "data=figures",
    "data.figures.identities=1",
    "data.figures.test_identities=1",
    "data.figures.poses=3",
    "encoder.qfft.depth=1",
    "train.batch_size=2",
    "train.warmup_steps=0",
    "train.workers=0",
    "train.sample_every=0",
    "sample.steps=1",
)


def events(run: Run, kind: str) -> Iterator[dict[str, Any]]:
    yield from (dict(event) for event in read_events(run.folder.events_file) if event["kind"] == kind)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Make the gradient of one parameter infinite in the steps for which a function says so."""

    def install(in_step: Callable[[int], bool]) -> None:
        plain, calls = Accelerator.clip_grad_norm_, []

        def clip(self: Accelerator, parameters: list[torch.nn.Parameter], *more: Any, **named: Any) -> Any:
            calls.append(1)
            if in_step(len(calls)):
                assert parameters[0].grad is not None
                parameters[0].grad.view(-1)[0] = float("inf")
            return plain(self, parameters, *more, **named)

        monkeypatch.setattr(Accelerator, "clip_grad_norm_", clip)

    return install


# ------------------------------------------------------------------------------------------- gradients
@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit"])
def test_a_gradient_that_is_no_number_leaves_everything_as_it_was(
    optimizer: str, poison: Callable[[Callable[[int], bool]], None], tmp_path: Path
) -> None:
    if optimizer == "adamw8bit":
        pytest.importorskip("bitsandbytes", reason="the extra bnb is not installed")
    poison(lambda step: step == 2)
    words = ("train.checkpoint_every=1", "train.ema=0", f"train.optimizer={optimizer}")
    run = compose(*FIGURES, *words).train(runs=tmp_path, steps=3)
    assert [event.get("skipped", False) for event in events(run, "step")] == [False, True, False]
    one, two, three = (checkpoint.path for checkpoint in list_checkpoints(run.folder))
    for name in ("weights.safetensors", "optimizer.safetensors"):
        before, after, later = (load_file(path / name) for path in (one, two, three))
        assert all(torch.equal(before[key], after[key]) for key in before), name
        assert any(not torch.equal(before[key], later[key]) for key in before), name
        assert all(torch.isfinite(tensor).all() for tensor in later.values())


def test_a_run_with_moments_in_eight_bits_resumes_bitwise(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra bnb is not installed")
    words = ("train.checkpoint_every=2", "train.optimizer=adamw8bit", "train.learning_rate=0.001")
    run = compose(*FIGURES, *words).train(runs=tmp_path, steps=4)
    losses, whole = run.losses(), [one.path for one in list_checkpoints(run.folder)]
    before = {name: load_file(whole[1] / name) for name in ("weights.safetensors", "optimizer.safetensors")}
    again = continue_run(whole[0], steps=4)
    after = {name: load_file(list_checkpoints(again.folder)[-1].path / name) for name in before}
    assert again.losses() == losses
    assert all(torch.equal(after[name][key], value) for name in before for key, value in before[name].items())


def test_gradients_that_stay_no_numbers_end_the_run_with_the_pairs_named(
    poison: Callable[[Callable[[int], bool]], None], tmp_path: Path
) -> None:
    poison(lambda step: step > 2)
    with pytest.raises(
        PgsynthError,
        match=r"3 steps in a row, 3 to 5, .* Their batches: of step 3 train-00000-0.*; of step 5 train-00000-0",
    ):
        compose(*FIGURES, "train.checkpoint_every=2").train(runs=tmp_path, steps=20)
    folder = find_run("latest", tmp_path)
    checkpoint = latest_checkpoint(folder)
    assert status_of(folder).state == "failed" and checkpoint is not None
    assert all(torch.isfinite(tensor).all() for tensor in load_file(checkpoint.path / "ema.safetensors").values())


# ------------------------------------------------------------------------------------------- data
def test_a_worker_s_end_in_the_middle_of_a_step_ends_the_run_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(self: Stepper, batches: object) -> None:
        raise RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed. ")

    monkeypatch.setattr(Stepper, "take", take)
    with pytest.raises(UserError, match=r"a data worker, process 12, was killed .* train.workers=0"):
        compose(*FIGURES).train(runs=tmp_path, steps=2)
    assert status_of(find_run("latest", tmp_path)).state == "failed"


def test_a_dataset_without_a_test_split_trains_and_shows_pairs_it_knows(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for number, name in enumerate("abc"):
        write_photo(photos / f"{name}.png", seed=number)
        write_pose(photos / f"{name}.pose.json", standing())
    (photos / "c.png").write_bytes(b"no photo")
    rows = [("a.png", "b.png", "train"), ("a.png", "c.png", "train")]
    write_pairs(photos / "pairs.csv", rows, "source,target,split")
    words = [word for word in FIGURES if "figures" not in word]
    data = ("data=folder", f"data.folder.root={photos}", "data.folder.bad=skip")
    run = compose(*words, *data).train(runs=tmp_path / "runs", steps=3)
    (sheet,) = events(run, "sample")
    assert (run.path / sheet["path"]).is_file() and run.status.state == "finished"
    warnings = [event["message"] for event in events(run, "warning")]
    assert any("no test split" in message for message in warnings)
    assert sum("c.png" in message for message in warnings) == 1, warnings


# ------------------------------------------------------------------------------------------- the GPU
@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What every process seems to train on."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(ATTEMPT, raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="0000-1"))
    return "GPU-0000-1"


def test_who_trains_outside_the_queue_holds_its_gpu(tmp_path: Path, gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    device, run = torch.device("cuda", 0), RunFolder(tmp_path / "a")
    with occupying(device, run) as warnings:
        assert warnings == () and not is_free(device_lock(gpu)), "runs of the queue wait"
        with occupying(device, RunFolder(tmp_path / "b")) as warnings:
            assert len(warnings) == 1 and str(run.path) in warnings[0]
    with occupying(torch.device("cpu"), run):
        assert is_free(device_lock(gpu))
    monkeypatch.setenv(ATTEMPT, "0123:/runs/a")
    with occupying(device, run):
        assert is_free(device_lock(gpu)), "its worker holds it"
    monkeypatch.delenv(ATTEMPT)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace())
    with occupying(device, run) as warnings:
        assert warnings == (), "torch does not tell which it is"


def test_training_holds_the_gpu_and_warns_of_others(tmp_path: Path, gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, free = occupying, list[bool]()
    monkeypatch.setattr(session, "occupying", lambda device, folder: real(torch.device("cuda", 0), folder))
    method = compose(*FIGURES)
    with used(gpu, run="/runs/other"):
        run = method.train(steps=1, runs=tmp_path / "runs")
    assert any("/runs/other" in event["message"] for event in events(run, "warning"))
    method.train(steps=1, runs=tmp_path / "runs", on_event=lambda event: free.append(is_free(device_lock(gpu))))
    assert free and not any(free) and is_free(device_lock(gpu))


def test_a_run_whose_disk_is_full_still_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path / "runs", slug="x", spec_yaml="{}", lock=None)

    def refuse(*_: object, **__: object) -> None:
        raise UserError("no space.")

    with journal(run, Listeners(Hooks(Registry()))) as kept:
        os.utime(run.process_file, (1.0, 1.0))
        monkeypatch.setattr(EventLog, "write", refuse)
        kept.tell("step", {"step": 1, "loss": 0.5, "steps": 9})
        assert run.process_file.stat().st_mtime > 1.0
        kept.end(Ending("finished", 0, 1))
