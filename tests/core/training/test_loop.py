"""The order of what happens between steps: who asks for a stop while something long is done is heard behind it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from pgsynth_core.data.records import DataError
from pgsynth_core.data.tensors import Batch
from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.control import Wish
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.batches import Stream
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.loop import Done, Job, train
from pgsynth_core.training.saving import Saver
from pgsynth_core.training.step import Stepper, StepTaken


class Nothing(Stream):
    """Batches that nobody looks at."""

    def __init__(self) -> None:
        pass

    def since(self, step: int) -> Generator[tuple[list[int], Batch], None, None]:
        """None at all."""
        yield from ()


class Idle(Stepper):
    """Takes steps that do nothing."""

    def take(self, batches: Any) -> StepTaken:
        """One."""
        one = torch.tensor(1.0)
        return StepTaken(losses={"loss": one}, norm=one, pairs=(), skipped=())


class Trained:
    """A job of idle steps, with what was done written down; `during` is called with each thing before it is noted."""

    def __init__(self, folder: Path, during: Callable[[str], None], **settings: Any) -> None:
        self.log: list[str] = []
        self.wished: set[Wish] = set()
        weight = torch.nn.Linear(1, 1)

        def noted(what: str) -> None:
            during(what)
            self.log.append(what)

        self.job = Job(
            settings=TrainSettings(**{"steps": 6, "checkpoint_every": 0, "sample_every": 0, **settings}),
            stepper=Idle(
                accelerator=Accelerator(cpu=True),
                objective=weight,
                parameters=[*weight.parameters()],
                optimizer=torch.optim.SGD(weight.parameters(), lr=0.1),
                chance=Chance(seed=0, times=2, shape=(1, 1, 1), drop={}, groups={}, halves=1),
                accumulate=1,
                max_norm=0.0,
            ),
            parameters={},
            average=None,
            stream=Nothing(),
            start=0,
            tell=lambda kind, data: self.log.append(f"{kind} {data['step']}") if kind == "warning" else None,
            begin=lambda step: noted(f"step {step}"),
            saver=Saver(RunFolder(folder), keep=1, bytes_needed=0, tell=lambda kind, data: None),
            save=lambda step, hurried: noted(f"{'hurried save' if hurried else 'save'} {step}"),
            sample=lambda step: noted(f"sheet {step}"),
            wishes=lambda: frozenset(self.wished),
            grant=lambda names: self.wished.difference_update(names),
        )

    def train(self) -> Done:
        """Do it."""
        return train(self.job)


def at(place: str) -> Callable[[str], None]:
    """Send this process SIGTERM where it does that."""
    return lambda what: os.kill(os.getpid(), signal.SIGTERM) if what == place else None


def test_a_stop_while_a_checkpoint_is_made_is_the_end(tmp_path: Path) -> None:
    run = Trained(tmp_path, at("save 2"), checkpoint_every=2, sample_every=2)
    assert run.train() == Done(2, stopped=True)
    assert run.log == ["step 1", "step 2", "save 2", "warning 2"], "no sheet, no step, no second checkpoint"


def test_a_stop_while_a_sheet_is_drawn_is_the_end(tmp_path: Path) -> None:
    run = Trained(tmp_path, at("sheet 2"), checkpoint_every=2, sample_every=2)
    assert run.train() == Done(2, stopped=True)
    assert run.log == ["step 1", "step 2", "save 2", "sheet 2", "warning 2"]


def test_a_stop_while_a_sheet_is_drawn_saves_a_step_that_is_not_saved_yet(tmp_path: Path) -> None:
    run = Trained(tmp_path, at("sheet 2"), sample_every=2)
    assert run.train() == Done(2, stopped=True)
    assert run.log == ["step 1", "step 2", "sheet 2", "warning 2", "hurried save 2"]


def test_a_stop_while_a_step_is_taken_saves_in_a_hurry(tmp_path: Path) -> None:
    run = Trained(tmp_path, at("step 2"), checkpoint_every=2, sample_every=2)
    assert run.train() == Done(2, stopped=True)
    assert run.log == ["step 1", "step 2", "warning 2", "hurried save 2"]


def test_a_stop_leaves_no_time_for_a_sheet_that_was_wished(tmp_path: Path) -> None:
    run = Trained(tmp_path, at("step 2"))
    run.wished.add("sample")
    run.job = replace(run.job, wishes=lambda: frozenset(run.wished if "step 2" in run.log else ()))
    assert run.train() == Done(2, stopped=True)
    assert run.log == ["step 1", "step 2", "warning 2", "hurried save 2"]


def test_a_step_is_timed_with_what_the_host_does_between_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    costs = {"step": 3.0, "save": 100.0, "sheet": 100.0}
    paces: list[float] = []

    def during(what: str) -> None:
        clock[0] += costs[what.split()[0]]

    run = Trained(tmp_path, during, steps=9, checkpoint_every=3, sample_every=3)
    run.job = replace(
        run.job, tell=lambda kind, data: paces.append(data["seconds_per_step"]) if kind == "step" else None
    )
    run.train()
    assert paces == [3.0] * 9, "the host's 3 seconds before each step, and nothing of checkpoints and sheets"


def test_a_stop_while_the_last_checkpoint_is_made_ends_as_any(tmp_path: Path) -> None:
    run = Trained(tmp_path, at("save 2"), steps=2)
    assert run.train() == Done(2, stopped=False)
    assert run.log == ["step 1", "step 2", "save 2", "warning 2", "sheet 2"]


@pytest.mark.parametrize("order", [("save", "sample"), ("sample", "save")])
def test_what_is_wished_while_something_is_made_is_granted_once(order: tuple[Wish, Wish], tmp_path: Path) -> None:
    first, second = order
    did: dict[Wish, str] = {"save": "save", "sample": "sheet"}

    def during(what: str) -> None:
        if what == "step 1":
            run.wished.add(first)
        if what == f"{did[first]} 1":
            run.wished.add(second)

    run = Trained(tmp_path, during, steps=4)
    run.train()
    done = [what for what in run.log if not what.startswith("step")]
    assert done == [f"{did[first]} 1", f"{did[second]} {1 if second == 'sample' else 2}", "save 4", "sheet 4"]
    assert not run.wished


@pytest.mark.parametrize(
    ("fails", "log"),
    [
        (4, ["step 1", "step 2", "save 2", "step 3", "step 4", "hurried save 3"]),
        (3, ["step 1", "step 2", "save 2", "step 3"]),
        (1, ["step 1"]),
    ],
)
def test_data_that_cannot_be_read_cost_no_step_that_was_taken(fails: int, log: list[str], tmp_path: Path) -> None:
    run = Trained(tmp_path, lambda what: None, checkpoint_every=2)
    steps = iter(range(1, fails))

    class Ending(Idle):
        def take(self, batches: Any) -> StepTaken:
            if next(steps, None) is None:
                raise DataError("a pair is gone")
            return super().take(batches)

    stepper = Ending(**{field.name: getattr(run.job.stepper, field.name) for field in fields(Stepper)})
    with pytest.raises(DataError):
        train(replace(run.job, stepper=stepper))
    assert run.log == log
