"""Disks that are full for a while or to the end, and files that a disk spoilt: what is trained is not lost."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core import Run, compose, load
from pgsynth_core.api import continue_run, detach, detach_run
from pgsynth_core.api.exporting import export
from pgsynth_core.api.pictures import write_picture
from pgsynth_core.errors import UserError
from pgsynth_core.runs import EventLog, RunFolder, list_checkpoints, read_events, status_of
from pgsynth_core.runs.durable import refused
from pgsynth_core.runs.queue import waiting

from ..fixtures.queues import Queue, queue_of
from .test_training_guard import FIGURES, events

SMALL = (*FIGURES, "train.checkpoint_every=2", "train.validate_pairs=0")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Six steps that nothing disturbed."""
    return compose(*SMALL).train(runs=tmp_path_factory.mktemp("runs"), steps=6)


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy of it."""
    return Run(RunFolder(Path(shutil.copytree(finished.path, tmp_path / finished.id))))


class Disk:
    """One that fills up before the step that is given, and has room again before another; it also hears of the run."""

    def __init__(self) -> None:
        self.full_from, self.room_from = 99, 99
        self.step = 0
        self.told: list[Mapping[str, Any]] = []

    @property
    def full(self) -> bool:
        return self.full_from <= self.step < self.room_from

    def listen(self, event: Mapping[str, Any]) -> None:
        self.told.append(event)
        if event["kind"] == "step":
            self.step = event["step"]

    def warned(self) -> list[str]:
        return [event["message"] for event in self.told if event["kind"] == "warning"]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """For checkpoints and events."""
    disk, flush = Disk(), EventLog._flush

    def refusing(log: EventLog) -> None:
        if disk.full:
            raise refused(FULL, "an event cannot be written", log.path)
        flush(log)

    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if disk.full else 2**40))
    monkeypatch.setattr(EventLog, "_flush", refusing)
    return disk


# ------------------------------------------------------------------------------------------- a full disk
def test_a_disk_that_is_full_for_a_while_costs_a_checkpoint_and_nothing_else(
    disk: Disk, finished: Run, tmp_path: Path
) -> None:
    disk.full_from, disk.room_from = 3, 5
    run = compose(*SMALL).train(runs=tmp_path, steps=6, on_event=disk.listen)
    assert run.status.state == "finished" and run.losses() == finished.losses()
    assert [one.step for one in list_checkpoints(run.folder)] == [2, 6]
    assert sum("Training goes on; events wait" in message for message in disk.warned()) == 1
    (unsaved,) = [event for event in disk.told if event["kind"] == "warning" and "is not saved" in event["message"]]
    assert unsaved["step"] == 4 and "the last that is saved is step 2" in unsaved["message"]
    assert "Make room" in unsaved["cure"]
    written = [event for event in read_events(run.folder.events_file)]
    assert [event["kind"] for event in written] == [event["kind"] for event in disk.told if event["kind"] != "doing"]


def test_a_disk_that_stays_full_ends_the_run_with_what_stands_and_it_goes_on_from_there(
    disk: Disk, finished: Run, tmp_path: Path
) -> None:
    disk.full_from = 3
    with pytest.raises(UserError, match="step 6 is not saved, the last that is saved is step 2: ") as raised:
        compose(*SMALL).train(runs=tmp_path, steps=6, on_event=disk.listen)
    assert raised.value.exit_code == 2 and raised.value.problems[0].cure
    (path,) = tmp_path.iterdir()
    run = Run(RunFolder(path))
    assert [one.name for one in run.folder.checkpoints.iterdir()] == ["step-00000002"]
    assert run.status.state == "failed" and "step 6 is not saved" in run.status.reason
    assert [event["kind"] for event in disk.told][-2:] == ["problem", "exit"], "who listens is told"
    disk.step = 0
    assert continue_run(run, steps=6).losses() == finished.losses()


# ------------------------------------------------------------------------------------------- what never changes
def flipped(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "batch_size: 2" in text or '"lock": 1' in text
    file.write_text(text.replace("batch_size: 2", "batch_size: 3").replace('"lock": 1', '"lock": 3'), encoding="utf-8")


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("spec.yaml", flipped),
        ("spec.yaml", cut),
        ("lock.json", flipped),
        ("lock.json", cut),
        ("lock.json", Path.unlink),
    ],
)
def test_a_spec_or_lock_that_is_another_is_told_with_what_puts_it_back(
    run: Run, name: str, damage: Callable[[Path], None]
) -> None:
    whole = (run.path / name).read_bytes()
    damage(run.path / name)
    for go_on in (continue_run, detach_run):
        with pytest.raises(UserError, match=f"the run's {name} is ") as refused:
            go_on(run, steps=8)
    (problem,) = refused.value.problems
    assert problem.where == str(run.path / name)
    command, source, target = shlex.split(problem.cure.partition(": ")[2].removesuffix("."))
    assert command == "cp" and shutil.copyfile(source, target)
    assert (run.path / name).read_bytes() == whole
    if (name, damage) == ("spec.yaml", flipped):
        assert continue_run(run, steps=7).status.step == 7


def test_of_a_checkpoint_that_is_damaged_too_that_is_told(run: Run) -> None:
    last = list_checkpoints(run.folder)[-1].path
    for file in (run.folder.lock_file, last / "lock.json"):
        cut(file)
    with pytest.raises(UserError, match=r"lock\.json.*the file is damaged") as refused:
        continue_run(run, steps=8)
    assert "checkpoints/step-00000004" in refused.value.problems[0].cure


# ------------------------------------------------------------------------------------------- what is made of a run
def test_a_picture_is_written_whole_or_the_old_one_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0000.png"
    write_picture(Image.fromarray(np.zeros((4, 4, 3), np.uint8)), path)
    whole = path.read_bytes()

    def refuse(beside: Path, _: Path) -> None:
        assert beside.stat().st_size
        raise FULL

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_picture(Image.fromarray(np.ones((4, 4, 3), np.uint8)), path)
    assert path.read_bytes() == whole and [*tmp_path.iterdir()] == [path]


def test_a_copy_for_which_there_is_no_room_names_where_else_to(
    disk: Disk, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.full_from = disk.step
    with pytest.raises(UserError, match="a copy needs") as refused:
        export(load(run), tmp_path / "person")
    assert "-o FOLDER" in refused.value.problems[0].cure and not (tmp_path / "person").exists()


# ------------------------------------------------------------------------------------------- the queue
@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    yield from queue_of(tmp_path, monkeypatch)


def test_a_run_for_which_no_worker_can_be_started_does_not_wait(
    run: Run, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(kind: str) -> None:
        raise refused(FULL, "no worker can be started", queue.state)

    monkeypatch.setattr("pgsynth_core.api.detaching.start_workers", refuse)
    before = status_of(run.folder)
    with pytest.raises(UserError, match="no worker can be started"):
        detach(compose(*SMALL), runs=queue.root)
    with pytest.raises(UserError, match="no worker can be started"):
        detach_run(run, steps=8)
    assert waiting() == () and not [*queue.root.iterdir()] and status_of(run.folder) == before


def test_a_checkpoint_that_is_not_whole_is_not_enqueued(run: Run, queue: Queue) -> None:
    (list_checkpoints(run.folder)[-1].path / "optimizer.safetensors").unlink()
    with pytest.raises(UserError, match="the file is missing.*step-00000004"):
        detach_run(run, steps=8)
    assert waiting() == ()


def test_a_log_that_a_disk_spoilt_joins_what_can_be_read(run: Run, finished: Run) -> None:
    lines = run.folder.events_file.read_bytes().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if b'"step", "step": 3' in line)
    spoilt = [*lines[:place], b"\0" * len(lines[place]), *lines[place + 1 :], lines[-1][:20]]
    run.folder.events_file.write_bytes(b"".join(spoilt))
    joined = continue_run(run, steps=7)
    assert [*joined.losses()] == [1, 2, 5, 6, 7] or [*joined.losses()] == [1, 2, 4, 5, 6, 7]
    assert finished.losses().items() >= {step: loss for step, loss in joined.losses().items() if step < 7}.items()
    assert len([*events(joined, "damaged")]) == 2
