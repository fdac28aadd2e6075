"""`pgsynth train --detach`, really: a launcher that is gone, a worker, a trainer, and the verbs that look after it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.api import detaching
from pgsynth_core.errors import UserError
from pgsynth_core.runs import EventLog, RunFolder, list_checkpoints, read_losses, status_of
from pgsynth_core.runs.queue import enqueue, waiting

from ..fixtures.queues import Queue, queue_of
from .conftest import SMALL, Made

Run = Callable[..., Any]
WORDS = [*(word for word in SMALL if word != "data=folder"), "data=figures", "data.figures.identities=2", "--no-proof"]


@pytest.fixture(autouse=True)
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: str) -> Iterator[Queue]:
    monkeypatch.setenv("PYTHONPATH", roots)
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    yield from queue_of(tmp_path, monkeypatch)


@pytest.mark.slow
def test_a_detached_run_outlives_its_launcher_stops_and_goes_on(run: Run, queue: Queue) -> None:
    command = [sys.executable, "-m", "pgsynth_core", "train", *WORDS, "train.steps=100000", "--detach", "--json"]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    said, _ = launcher.communicate()
    facts = json.loads(said)
    assert launcher.returncode == 0 and set(facts) == {"ok", "run", "path", "state", "position", "kind", "broken"}
    try:
        os.killpg(launcher.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nobody of its group is left, as it should be
    folder = RunFolder(Path(facts["path"]))
    assert folder.spec_file.is_file()
    queue.until_state(folder, "running")
    assert folder.lock_file.is_file(), "written when the weights were there"
    stopped = run("runs", "stop", folder.id)
    assert stopped.code == 0 and status_of(folder).state == "stopped"
    (saved,) = list_checkpoints(folder)
    log = folder.log_file.read_text("utf-8")
    assert log.count("asked to stop: step") == 1 and log.count("training from step") == 1, "nothing is told twice"
    assert "Traceback" not in log and not os.listdir(folder.control)

    went_on = run("runs", "resume", folder.id, f"train.steps={saved.step + 2}", "--detach")
    assert went_on.code == 0 and "pgsynth runs follow" in went_on.out
    followed = run("runs", "follow", folder.id)
    assert followed.code == 0 and f"finished after {saved.step + 2} steps" in followed.out
    assert [*read_losses(folder.events_file)] == list(range(1, saved.step + 3))
    queue.until(lambda: not queue.workers(), "for the worker to end")


def test_what_fails_before_training_is_told_by_the_run(run: Run, queue: Queue, tmp_path: Path) -> None:
    said = run("train", *WORDS, "train.steps=2", "train.precision=fp16", "--detach", "--json")
    assert said.code == 0, said.err
    folder = RunFolder(Path(said.facts["path"]))
    folder.spec_file.write_text(folder.spec_file.read_text("utf-8").replace("tiny", "tinny"), "utf-8")
    queue.until(lambda: status_of(folder).state in ("failed", "lost", "finished"), "for it to fail")
    found = run("runs", "follow", folder.id)
    assert found.code == 2 and "tinny" in found.out


def test_a_detached_run_is_checked_in_the_foreground(run: Run, tmp_path: Path) -> None:
    for words in (["tiny", "data=folder"], ["tiny", "data=none"], ["tiny", "data=figures", "--devices", "3"]):
        said = run("train", *words, "--detach", "--no-proof")
        assert said.code == 2 and not (tmp_path / "runs").exists(), said.err


def test_a_run_goes_on_with_as_many_processes_as_before(run: Run, queue: Queue, trained: Made) -> None:
    folder = RunFolder(shutil.copytree(trained.runs / trained.id, queue.root / trained.id))
    with EventLog(folder.events_file) as log:
        log.write("run", step=3, steps=3, processes=2)
    said = run("runs", "resume", folder.id, "train.steps=9", "--detach")
    assert said.code == 2 and "trained by 2 processes" in said.err, "there is one device, the CPU"
    queue.gpus(2)
    one = run("runs", "resume", folder.id, "train.steps=9", "--detach", "--devices", "1")
    assert one.code == 2 and "trained by 2 processes" in one.err
    assert waiting() == () and not queue.workers()


# ------------------------------------------------------------------------------------------- without a worker
@pytest.fixture
def idle(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run that may be enqueued, and nobody who works on the queue."""
    monkeypatch.setattr(detaching, "start_workers", lambda kind: 0)
    folder = queue.run()
    folder.spec_file.write_text("encoder: qfft\nattn: pma\ndata: figures\nbase: tiny\n", encoding="utf-8")
    return folder


@pytest.mark.usefixtures("idle")
def test_a_detached_run_is_called_by_its_name(run: Run) -> None:
    named, plain = (run("train", *WORDS, *more, "--detach", "--json").facts for more in (["--name", "Eq. 9"], []))
    assert named["run"][16:] == "Eq-9" and plain["run"][16:] == "tiny-qfft-controlnet-pma"
    first, second = (Path(facts["path"]) / "spec.yaml" for facts in (named, plain))
    assert first.read_bytes() == second.read_bytes() and len(waiting()) == 2


def test_a_run_that_waits_takes_what_is_said_anew(run: Run, queue: Queue, idle: RunFolder) -> None:
    queue.gpus(2)
    other = queue.run()
    assert run("runs", "resume", idle.id, "train.steps=5", "--devices", "2", "--detach").code == 0
    enqueue(other)
    for words, steps in ((["train.steps=9"], 9), ([], 9)):
        said = run("runs", "resume", idle.id, *words, "--detach")
        assert said.code == 0, said.err
        first, second = waiting()
        assert (first.folder, first.steps, first.devices, second.folder) == (idle, steps, 2, other)
    refused = run("runs", "resume", idle.id, "--devices", "3", "--detach")
    assert refused.code == 2 and waiting()[0].devices == 2


def test_what_fails_when_a_run_waits_is_taken_back_or_told(
    run: Run, idle: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise UserError("no more processes.")

    monkeypatch.setattr(detaching, "start_workers", fail)
    said = run("runs", "resume", idle.id, "--detach")
    assert said.code == 2 and "no more processes" in said.err and waiting() == ()
    monkeypatch.setattr(detaching, "forget", fail)
    said = run("runs", "resume", idle.id, "--detach")
    assert said.code == 2 and f"the run {idle.id} is queued now" in said.err and len(waiting()) == 1
    assert f"pgsynth runs resume {idle.path} --detach" in said.err


@pytest.mark.parametrize("flags", [[], ["--detach"]])
def test_a_run_that_cannot_be_written_in_may_be_copied(
    run: Run, idle: RunFolder, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    """As on a disk that is mounted for reading only."""

    def guarded(real: Callable[..., Any], name: str) -> None:
        def refuse(path: Any, *more: Any, **named: Any) -> Any:
            writes = name == "mkdir" or more[0] & (os.O_RDWR | os.O_CREAT)
            if writes and str(path).startswith(str(idle.path)):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return real(path, *more, **named)

        monkeypatch.setattr(os, name, refuse)

    guarded(os.open, "open")
    guarded(os.mkdir, "mkdir")
    said = run("runs", "resume", idle.id, *flags)
    assert said.code == 2 and "Read-only file system" in said.err and f"cp -r {idle.path} FOLDER" in said.err
    assert waiting() == ()


def test_a_job_of_slurm_is_told_what_ends_the_run(run: Run, idle: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    said = run("runs", "resume", idle.id, "--detach", "--json")
    assert said.code == 0 and "Slurm, 4711" in said.err and said.facts["position"] == 1
