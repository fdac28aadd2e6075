"""How a run ends and goes on: the same words in its exit record, events and log; what is refused before any work."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from pgsynth_core import Run, compose
from pgsynth_core.api import continue_run
from pgsynth_core.api.session import TrainingSession
from pgsynth_core.errors import UserError
from pgsynth_core.runs import Checkpoint, RunFolder, read_events, start_session
from pgsynth_core.training.checkpoint import Trained
from pgsynth_core.training.step import Stepper

from .test_training_guard import FIGURES, events

SMALL = (*FIGURES, "train.checkpoint_every=2")
EXIT = ("state", "code", "step", "reason")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four steps, never interrupted."""
    return compose(*SMALL).train(runs=tmp_path_factory.mktemp("runs"), steps=4)


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run."""
    return Run(RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.id))))


def ending(run: Run) -> tuple[Any, ...]:
    """State, code, step and reason, of the exit record; those of the event are the same."""
    record = json.loads(run.folder.exit_file.read_text(encoding="utf-8"))
    event = [*events(run, "exit")][-1]
    assert [event.get(name, "") for name in EXIT] == [record[name] for name in EXIT]
    return tuple(record[name] for name in EXIT)


def log_of(run: Run) -> str:
    return run.folder.log_file.read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------- ends
def test_a_run_that_finishes_says_so_everywhere(finished: Run) -> None:
    assert ending(finished) == ("finished", 0, 4, "") and not [*events(finished, "problem")]
    told = log_of(finished)
    assert "INFO pgsynth: training from step 0 to 4: device " in told
    assert "step 4: saved checkpoints/step-00000004" in told and told.endswith("finished after 4 steps\n")


def listener_that_raises(error: BaseException, step: int) -> Callable[[Mapping[str, Any]], None]:
    def listen(event: Mapping[str, Any]) -> None:
        if event["kind"] == "step" and event["step"] == step:
            raise error

    return listen


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("no room.", where="/disk", cure="Make some."), 2, {"message": "no room.", "where": "/disk"}),
        (ZeroDivisionError("of no use"), 1, {"message": "ZeroDivisionError: of no use"}),
    ],
)
def test_a_run_that_fails_says_why_everywhere(
    tmp_path: Path, error: Exception, code: int, said: dict[str, str]
) -> None:
    with pytest.raises(type(error)):
        compose(*SMALL).train(runs=tmp_path, steps=4, on_event=listener_that_raises(error, 2))
    run = Run.find("latest", tmp_path)
    assert ending(run) == ("failed", code, 2, str(error))
    (problem,) = events(run, "problem")
    assert said.items() <= problem.items() and problem["step"] == 2
    told = log_of(run)
    assert "Traceback (most recent call last):" in told and said["message"] in told
    assert told.splitlines()[-1].endswith(f"failed after 2 steps: {error}")


def test_an_interrupt_is_a_stop_everywhere(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        compose(*SMALL).train(runs=tmp_path, steps=4, on_event=listener_that_raises(KeyboardInterrupt(), 1))
    run = Run.find("latest", tmp_path)
    assert ending(run) == ("stopped", 130, 1, "interrupted.") and not [*events(run, "problem")]


def test_whoever_raises_at_the_end_does_not_end_it_twice(tmp_path: Path) -> None:
    def listen(event: Mapping[str, Any]) -> None:
        if event["kind"] == "exit":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        compose(*SMALL).train(runs=tmp_path, steps=1, on_event=listen)
    run = Run.find("latest", tmp_path)
    assert ending(run)[0] == "finished" and len([*events(run, "exit")]) == 1


# ------------------------------------------------------------------------------------------- sheets
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        pytest.param(ValueError("no such scheduler."), marks=pytest.mark.slow),
    ],
)
def test_a_sheet_that_cannot_be_drawn_costs_the_sheet_only(
    error: Exception, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(assembly: Any, *given: Any, **named: Any) -> None:
        assembly.method.eval()
        raise error

    monkeypatch.setattr("pgsynth_core.api.session.sampled_sheet", drawn)
    words = [word for word in SMALL if "sample_every" not in word]
    run = compose(*words, "train.sample_every=2").train(runs=tmp_path, steps=4)
    assert run.status.state == "finished" and run.losses() == finished.losses()
    warned = [event["message"] for event in events(run, "warning") if "no sheet" in event["message"]]
    assert warned == [f"no sheet: {type(error).__name__}: {error}"] * 2
    order = [(event["kind"], event["step"]) for event in read_events(run.folder.events_file) if "step" in event]
    assert ("checkpoint", 2) in order and ("checkpoint", 4) in order, "it is written meanwhile"
    left, right = (one.path / "checkpoints/step-00000004/weights.safetensors" for one in (run, finished))
    assert left.read_bytes() == right.read_bytes()


# ------------------------------------------------------------------------------------------- ended at its end
def test_a_run_ended_behind_its_last_step_is_finished_by_going_on(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any, **named: Any) -> None:
        while not (Run.find("latest", tmp_path).path / "checkpoints/step-00000004").exists():
            time.sleep(0.01)  # it is written meanwhile
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("pgsynth_core.api.session.sampled_sheet", interrupted)
        compose(*SMALL).train(runs=tmp_path, steps=4)
    run = Run.find("latest", tmp_path)
    assert ending(run) == ("stopped", 130, 4, "interrupted.") and not [*events(run, "sample")]
    weights = (run.path / "checkpoints/step-00000004/weights.safetensors").read_bytes()
    with pytest.raises(UserError, match="nothing left to do"):
        continue_run(run, steps=3)
    continue_run(run)
    assert ending(run) == ("finished", 0, 4, "") and run.losses() == finished.losses()
    assert [event["step"] for event in events(run, "sample")] == [4]
    assert (run.path / "samples/00000004/sheet.png").is_file()
    assert (run.path / "checkpoints/step-00000004/weights.safetensors").read_bytes() == weights
    with pytest.raises(UserError, match="nothing left to do"):
        continue_run(run)


# ------------------------------------------------------------------------------------------- goes on
def begun_with(run: Run, **facts: Any) -> None:
    """Rewrite what its `run` event says."""
    told = [json.loads(line) for line in run.folder.events_file.read_text(encoding="utf-8").splitlines()]
    told[0] |= facts
    run.folder.events_file.write_text("".join(json.dumps(event) + "\n" for event in told), encoding="utf-8")


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither hashes nor weights are read."""

    def refuse(*given: Any) -> None:
        raise AssertionError("work was done first")

    monkeypatch.setattr(Checkpoint, "verify", refuse)
    monkeypatch.setattr(TrainingSession, "open", refuse)


@pytest.mark.usefixtures("no_work")
def test_a_run_in_other_hands_is_refused_before_anything_is_read(run: Run) -> None:
    start_session(run.folder)
    with pytest.raises(UserError, match="the run is being trained already"):
        continue_run(run, steps=6)


@pytest.mark.usefixtures("no_work")
def test_another_number_of_processes_is_refused_with_how_to_go_on(run: Run) -> None:
    begun_with(run, processes=2)
    before = run.folder.exit_file.read_bytes()
    with pytest.raises(UserError, match="was trained by 2 processes, and now 1 would") as refused:
        continue_run(run, steps=6)
    cure = refused.value.problems[0].cure
    assert f"start its 2 processes as you did, with this in place of the spec: --resume {run.path};" in cure
    assert "torchrun" not in cure, "on which machines, and whether sharded, nobody knows here"
    assert f"pgsynth train {run.folder.spec_file}" in cure
    assert run.folder.exit_file.read_bytes() == before and len([*events(run, "run")]) == 1


def test_another_number_of_pairs_is_told(run: Run) -> None:
    pairs = next(events(run, "run"))["pairs"]
    begun_with(run, pairs=pairs + 1)
    continue_run(run, steps=5)
    warned = [event["message"] for event in events(run, "warning")]
    assert any(f"had {pairs + 1} pairs when the run was trained last and has {pairs} now" in said for said in warned)
    assert log_of(run).count("training from step") == 2, "the log goes on"
    continue_run(run, steps=6)
    assert len([*events(run, "warning")]) == len(warned), "told once: both trained on the same pairs"


def test_the_start_over_of_a_run_that_several_processes_began_is_told(run: Run) -> None:
    begun_with(run, processes=2)
    for checkpoint in run.folder.checkpoints.iterdir():
        shutil.rmtree(checkpoint)
    continue_run(run)
    assert any(
        "was trained by 2 processes, and now 1 would" in str(event["message"]) for event in events(run, "warning")
    )


@pytest.mark.slow
def test_moments_that_do_not_fit_are_told_with_what_helps(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(self: Trained, moments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB.")

    monkeypatch.setattr(Trained, "_restore_moments", lacking)
    with pytest.raises(UserError, match="out of memory: 2.50 GiB more"):
        continue_run(run, steps=5)


@pytest.mark.parametrize(
    ("seven", "said"),
    [(True, r"6 \| 7 pairs, in process 2 "), (False, "pairs of other names, in process 2 ")],
)
def test_processes_that_see_other_data_do_not_train(
    seven: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gathered(found: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return [found[0], found[0], (7 if seven else found[0][0], "0123")]

    monkeypatch.setattr("pgsynth_core.api.session.gather_object", gathered)
    with pytest.raises(UserError, match=f"processes see different data: {said}"):
        compose(*SMALL).train(runs=tmp_path, steps=1)
    assert not [*tmp_path.iterdir()]


def test_what_a_part_draws_by_itself_follows_from_seed_and_step(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As dropout does: of torch's own stream, which nobody saves."""
    drawn: list[float] = []
    plain = Stepper.take

    def take(self: Stepper, batches: Any) -> Any:
        drawn.append(float(torch.rand(())))
        return plain(self, batches)

    monkeypatch.setattr(Stepper, "take", take)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    whole = compose(*SMALL).train(runs=tmp_path / "whole", steps=4)
    assert torch.equal(torch.random.get_rng_state(), before), "whoever trains in a notebook has their own stream"
    half = compose(*SMALL).train(runs=tmp_path / "half", steps=2)
    continue_run(half, steps=4)
    assert drawn[:4] == drawn[4:] and len(set(drawn)) == 4 and whole.losses() == finished.losses()


def test_as_many_pairs_in_another_order_are_told(run: Run) -> None:
    begun_with(run, data="0123")
    continue_run(run, steps=5)
    assert any("pairs of other names" in str(event["message"]) for event in events(run, "warning"))
