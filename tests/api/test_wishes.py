"""What is wished of a run that trains is done at the end of a step; several processes learn of it at the same one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.commands.launch import launch_command_parser

from pgsynth_core import Run, compose
from pgsynth_core.api import continue_run
from pgsynth_core.runs import RunFolder, control, create_run, list_checkpoints
from pgsynth_core.runs.control import Wish
from pgsynth_core.runs.queue import Waiting
from pgsynth_core.runs.supervisor import trainer
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.marks import mark
from pgsynth_core.training.report import Report
from pgsynth_core.training.step import StepTaken

from .test_training_guard import FIGURES, events

SMALL = (*FIGURES, "train.checkpoint_every=0", "train.sample_every=0")
CPU = torch.device("cpu")


def test_wishes_are_granted_once_at_the_end_of_a_step(tmp_path: Path) -> None:
    def wish(event: Mapping[str, Any]) -> None:
        folder = RunFolder(Path(event["run"]))
        if event["kind"] == "step" and event["step"] == 1:
            control.wish(folder, "save")
            control.wish(folder, "sample")
        if event["kind"] == "step" and event["step"] == 4:
            assert not control.wishes(folder), "they are granted"
            control.wish(folder, "stop")

    run = compose(*SMALL).train(runs=tmp_path, steps=9, on_event=wish)
    last = run.status.step
    assert run.status.state == "stopped" and 4 < last < 7, "the step is finished and no more are taken"
    looked = {event["step"]: event.get("validation") for event in events(run, "checkpoint")}
    saved, end = looked
    assert 1 < saved < 4 and end == last
    (seconds, none) = [event.get("validation_seconds") for event in events(run, "checkpoint")]
    assert seconds > 0 and none is None
    assert looked[saved] is not None and looked[end] is None, "who asks for a stop may kill soon: nothing but saving"
    assert [event["step"] for event in events(run, "sample")] == [saved]
    assert not control.wishes(run.folder)
    assert [checkpoint.step for checkpoint in list_checkpoints(run.folder)] == [saved, last]


def test_a_stop_at_the_last_step_ends_the_run_as_any(tmp_path: Path) -> None:
    def wish(event: Mapping[str, Any]) -> None:
        if event["kind"] == "run":
            control.wish(RunFolder(Path(event["run"])), "stop")

    run = compose(*SMALL).train(runs=tmp_path, steps=1, on_event=wish)
    (saved,) = events(run, "checkpoint")
    assert run.status.state == "finished" and saved["validation"] and [*events(run, "sample")]


def test_a_folder_that_waits_is_trained_from_its_first_step(tmp_path: Path) -> None:
    composition = compose(*SMALL, "train.steps=2")
    folder = create_run(tmp_path, slug="x", spec_yaml=composition.to_yaml(), lock=None)
    assert Run(folder).status.state == "lost"
    run = continue_run(folder.path)
    assert run.status.state == "finished" and folder.lock_file.is_file()
    whole = compose(*SMALL, "train.steps=2").train(runs=tmp_path / "other")
    assert run.losses() == whole.losses()
    assert folder.lock_file.read_text("utf-8") == whole.folder.lock_file.read_text("utf-8")


# ------------------------------------------------------------------------------------------- several processes
@pytest.mark.slow
def test_two_processes_do_what_is_wished_of_the_first(tmp_path: Path, repository: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [*SMALL, "train.batch_size=1", "train.steps=100000", "--no-proof", "--runs", str(tmp_path)]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
    path = os.pathsep.join([str(repository), str(repository / "plugins")])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "pgsynth_core", "train", *words],
            env={**os.environ, **shared, "PYTHONPATH": path, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    assert processes[0].stderr
    for line in processes[0].stderr:
        if line.startswith("training"):
            control.wish(Run.find("latest", tmp_path).folder, "save")
        if ": saved " in line:
            control.wish(Run.find("latest", tmp_path).folder, "stop")
            break
    said = [process.communicate(timeout=120)[1] for process in processes]
    run = Run.find("latest", tmp_path)
    assert [process.returncode for process in processes] == [130, 130] and run.status.state == "stopped", said
    (saved, last) = [event["step"] for event in events(run, "checkpoint")]
    assert saved < last == run.status.step and not control.wishes(run.folder)


class Two(Accelerator):  # type: ignore[misc]  # it has no types
    """Stands for two processes; the mean over them comes from what both bring."""

    num_processes = 2
    device = CPU

    def __init__(self, other: list[float]) -> None:
        self.other = other

    def reduce(self, row: torch.Tensor, how: str) -> torch.Tensor:  # type: ignore[override]
        """The mean with the other process, which has our losses and other wishes."""
        assert how == "mean"
        theirs = row.clone()
        theirs[-3:] = torch.tensor(self.other)
        return (row + theirs) / 2


def taken() -> StepTaken:
    one = torch.tensor(1.0)
    return StepTaken(losses={"loss": one}, norm=one, skipped=(), pairs=())


def test_processes_learn_of_a_wish_at_the_same_step() -> None:
    stop: frozenset[Wish] = frozenset({"stop"})
    first = Report(TrainSettings(steps=9), Two([0.0, 0.0, 0.0]), lambda kind, data: None)
    second = Report(TrainSettings(steps=9), Two([1.0, 0.0, 0.0]), lambda kind, data: None)
    for report, asked in ((first, stop), (second, frozenset[Wish]())):
        report.step(1, taken(), mark(CPU), asked=asked)
        assert not report.stop, "the other cannot know yet"
        report.step(2, taken(), mark(CPU), asked=frozenset())
        assert report.wanted == {"stop"} and report.stop
        report.done({"stop"})
        assert not report.wanted


def test_the_launcher_understands_how_several_devices_are_asked_for(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    words = trainer(Waiting(run, 1, "gpu", 2, "/"))
    assert words[1:3] == ("-m", "accelerate.commands.launch")
    read = launch_command_parser().parse_args(words[3:])
    assert read.multi_gpu and read.num_processes == 2 and read.module and read.training_script == "pgsynth_core"
    assert read.training_script_args == ["train", "--resume", str(tmp_path)]
