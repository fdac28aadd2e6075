"""Who trains a run is written when it begins and when it ends; the status follows, and is never stored."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import PgsynthError, UserError
from pgsynth_core.runs import (
    EventLog,
    RunFolder,
    control,
    holding,
    session,
    sessions,
    start_session,
    status_of,
    this_process,
)
from pgsynth_core.runs.ending import kill
from pgsynth_core.runs.queue import enqueue
from pgsynth_core.runs.removing import remove_run
from pgsynth_core.runs.sessions import refuse_running

TRAINER = """
import sys, time
from pathlib import Path
from pgsynth_core.runs import EventLog, RunFolder, session
run = RunFolder(Path(sys.argv[1]))
with session(run), EventLog(run.events_file) as events:
    events.write("run", step=0, steps=10)
    events.write("step", step=1, loss=0.25, steps=10)
    print("trains", flush=True)
    time.sleep(60)
"""


CHILD = """
import fcntl, sys, time
with open(sys.argv[1]) as lock:
    print("waits", flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    print("holds", flush=True)
    time.sleep(0.7)
"""


@contextmanager
def trainer(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """A process that trains the run, at its first step."""
    command = [sys.executable, "-c", TRAINER, str(run.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "trains\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def rewrite(file: Path, **facts: Any) -> None:
    """Change facts in a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | facts), encoding="utf-8")


def test_a_run_that_nobody_began_is_lost(run: RunFolder) -> None:
    found = status_of(run)
    assert (found.state, found.step, found.loss, found.when) == ("lost", 0, None, None)
    assert "no process has begun" in found.reason


def test_running_then_killed_then_gone_on_with(run: RunFolder) -> None:
    with trainer(run) as process:
        found = status_of(run)
        assert (found.state, found.step, found.steps, found.loss) == ("running", 1, 10, 0.25)
        assert found.when is not None and abs(time.time() - found.when) < 30
        with pytest.raises(UserError, match=f"trained already, by process {process.pid} on ") as refused:
            start_session(run)
        assert f"pgsynth runs stop {run.path}" in refused.value.problems[0].cure
        process.kill()
        process.wait()
        assert status_of(run).state == "lost"
        assert "killed" in status_of(run).reason
    with session(run):
        assert status_of(run).live
    assert status_of(run).state == "finished"


def test_an_interrupt_is_a_stop(run: RunFolder) -> None:
    with trainer(run) as process:
        process.send_signal(signal.SIGINT)
        process.wait()
    assert status_of(run).state == "stopped"
    assert json.loads(run.exit_file.read_text(encoding="utf-8"))["code"] == 130


@pytest.mark.parametrize(
    ("error", "code"),
    [(UserError("no such file."), 2), (PgsynthError("broken."), 1), (ValueError(), 1), (SystemExit("x"), 1)],
)
def test_an_error_is_a_failure_with_its_reason(run: RunFolder, error: BaseException, code: int) -> None:
    with pytest.raises(type(error)), session(run):
        raise error
    found = status_of(run)
    assert (found.state, found.reason) == ("failed", str(error) or type(error).__name__)
    assert json.loads(run.exit_file.read_text(encoding="utf-8"))["code"] == code


def test_what_the_trainer_says_itself_comes_first(run: RunFolder) -> None:
    with session(run) as mine:
        mine.end("stopped", step=40, reason="asked to.")
    assert (status_of(run).state, status_of(run).reason) == ("stopped", "asked to.")
    assert json.loads(run.exit_file.read_text(encoding="utf-8"))["step"] == 40


def test_a_process_may_train_again_and_outlive_its_runs(run: RunFolder) -> None:
    with session(run):
        pass
    assert status_of(run).state == "finished"  # this very process lives on
    with pytest.raises(KeyError), session(run):
        assert status_of(run).state == "starting"  # the end of the first is not the end of the second
        raise KeyError("x")
    assert status_of(run).state == "failed"


def test_the_end_of_an_earlier_session_is_not_the_end_of_a_killed_one(run: RunFolder) -> None:
    with session(run):
        pass
    start_session(run)
    rewrite(run.process_file, pid=2**22 + 1)
    assert run.exit_file.exists()
    assert status_of(run).state == "lost"


def test_a_number_used_again_is_not_the_trainer(run: RunFolder) -> None:
    start_session(run)
    if this_process().started:
        rewrite(run.process_file, started="1")
        assert status_of(run).state == "lost"
    rewrite(run.process_file, boot="another")
    assert status_of(run).state == "lost"


def test_a_run_on_another_machine_is_judged_by_its_last_event(run: RunFolder) -> None:
    start_session(run)
    rewrite(run.process_file, host="node7")
    found = status_of(run)
    assert found.state == "starting" and "node7" in found.reason
    with EventLog(run.events_file) as events:
        events.write("step", step=3, loss=0.5)
    long_ago = time.time() - 700
    os.utime(run.process_file, (long_ago, long_ago))
    assert status_of(run).state == "running"
    os.utime(run.events_file, (long_ago, long_ago))
    assert status_of(run).state == "lost" and "700 seconds" in status_of(run).reason


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\0", "[" * 100_000])
def test_damaged_files_are_no_error(run: RunFolder, text: str) -> None:
    run.process_file.write_text(text, encoding="utf-8")
    run.exit_file.write_text(text, encoding="utf-8")
    run.events_file.write_text(text, encoding="utf-8")
    long_ago = time.time() - 700
    os.utime(run.events_file, (long_ago, long_ago))
    assert status_of(run).state == "lost"
    assert status_of(run).reason == "process.json cannot be read."
    with session(run):
        pass
    assert status_of(run).state == "finished"


def test_the_step_is_that_of_the_last_event_of_this_session(run: RunFolder) -> None:
    with EventLog(run.events_file) as events:
        events.write("run", step=0, steps=10)
        events.write("step", step=7, loss=0.5)
        events.write("warning", message="x")
        assert (status_of(run).step, status_of(run).loss) == (7, 0.5)
        events.write("run", step=5, steps=20)
    found = status_of(run)
    assert (found.step, found.steps, found.loss) == (5, 20, None)


def test_two_that_begin_at_once_do_not_both_begin(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real, outcomes, together = sessions.state_of, [], threading.Barrier(6)

    def slow(folder: RunFolder) -> Any:
        found = real(folder)
        time.sleep(0.05)
        return found

    def begin() -> None:
        together.wait()
        try:
            start_session(run)
            outcomes.append("begun")
        except UserError:
            outcomes.append("refused")

    monkeypatch.setattr(sessions, "state_of", slow)
    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["begun", *["refused"] * 5]


def test_who_trains_holds_the_run_whatever_its_files_say(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(holding, "_DYING", 0.2)
    with trainer(run) as process:
        rewrite(run.process_file, started="1")
        assert status_of(run).state == "lost"
        for decide in (start_session, refuse_running, remove_run, lambda run: enqueue(run, kind="cpu")):
            with pytest.raises(UserError, match=f"process {process.pid} on .* holds it"):
                decide(run)
        assert run.spec_file.exists() and not run.queued_file.exists()
        process.kill()
        process.wait()
        with session(run):
            pass
    assert status_of(run).state == "finished"


def test_what_a_killed_trainer_had_started_is_waited_for(run: RunFolder) -> None:
    """Its data workers, which see only after some seconds that they are alone, hold the run meanwhile."""
    with trainer(run) as process:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(run.process_lock)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None and child.stdout.readline() == "waits\n"
        process.kill()
        process.wait()
        assert child.stdout.readline() == "holds\n"
        assert status_of(run).state == "lost"
        with session(run):
            assert child.poll() is not None or child.wait(5) is not None
        child.stdout.close()


def test_wishes_end_with_the_session_they_were_of(run: RunFolder) -> None:
    begun = start_session(run)
    control.wish(run, "stop")
    begun.end("finished")
    assert not control.wishes(run)


def test_who_was_taken_for_dead_and_ends_is_believed(run: RunFolder) -> None:
    begun = start_session(run)
    claim = {"session": "0123", "pid": 2**22 + 1, "started": "1", "t": time.time() - 1}
    run.worker_file.write_text(json.dumps(json.loads(run.process_file.read_text("utf-8")) | claim), encoding="utf-8")
    assert status_of(run).state == "lost", "the claim is the newer"
    begun.end("finished")
    assert status_of(run).state == "finished"


def test_two_that_begin_at_once_where_only_files_to_write_are_locked(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with NFS."""
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    test_two_that_begin_at_once_do_not_both_begin(run, monkeypatch)


def test_without_locks_a_run_is_trained(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with session(run):
        assert status_of(run).live
    assert status_of(run).state == "finished"


def test_who_is_slow_on_another_machine_is_not_lost(run: RunFolder) -> None:
    begun = start_session(run)
    rewrite(run.process_file, host="node7")
    with EventLog(run.events_file) as events:
        events.write("step", step=3, loss=0.5, seconds_per_step=100.0)
    for ago, state in ((700, "running"), (1100, "lost")):
        for file in (run.events_file, run.process_file):
            os.utime(file, (time.time() - ago, time.time() - ago))
        assert status_of(run).state == state
    begun.beat()
    assert status_of(run).state == "running", "it lives, though it could write no event"


@pytest.mark.parametrize("host", ["", "node7"])
def test_only_who_cannot_be_seen_may_be_taken_for_gone(run: RunFolder, host: str) -> None:
    start_session(run)
    if host:
        rewrite(run.process_file, host=host)
    with pytest.raises(UserError) as refused:
        start_session(run)
    cure = refused.value.problems[0].cure
    assert f"pgsynth runs stop {run.path}" in cure and ("delete" in cure) == bool(host)


def test_a_folder_that_is_gone_is_told(run: RunFolder) -> None:
    with pytest.raises(UserError, match="the run cannot be begun: No such file"):
        start_session(replace(run, path=run.path / "gone"))


def test_the_first_error_is_told_even_if_the_end_cannot_be(run: RunFolder) -> None:
    with pytest.raises(ZeroDivisionError), session(run):
        run.exit_file.mkdir()
        raise ZeroDivisionError


def test_who_cannot_be_named_and_goes_on_writing_is_not_joined(run: RunFolder) -> None:
    with trainer(run):
        run.process_file.write_text("{", encoding="utf-8")
        assert status_of(run).state == "running" and "judged by its last event" in status_of(run).reason
        with pytest.raises(UserError, match="being trained already. process.json cannot be read") as refused:
            start_session(run)
        assert str(run.process_file) in refused.value.problems[0].cure


def test_who_cannot_be_named_and_has_said_how_it_ended_has_ended(run: RunFolder) -> None:
    with session(run), EventLog(run.events_file) as events:
        events.write("step", step=1, loss=0.5)
    begun = run.process_file.stat().st_mtime - 1.0  # a session of less than a millisecond is within rounding
    run.process_file.write_text("{", encoding="utf-8")
    os.utime(run.process_file, (begun, begun))
    assert status_of(run).state == "finished"


def test_a_run_that_cannot_be_begun_is_as_it_was(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError), session(run):
        raise KeyError("x")
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}

    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(UserError, match="who trains the run cannot be written: No space left") as refused, session(run):
        raise AssertionError("it was begun")
    assert refused.value.problems[0].where == str(run.process_file)
    assert {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before
    assert status_of(run).state == "failed"


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_after_an_end_that_could_not_be_written_the_run_may_be_begun(run: RunFolder) -> None:
    """By the same process too, which lives on: in a notebook, for one."""
    refused = pytest.raises(UserError, match="how the run ended cannot be written: No space left")
    with pytest.MonkeyPatch.context() as patch, refused, session(run), EventLog(run.events_file):
        patch.setattr(os, "replace", no_room)
    assert (status_of(run).state, status_of(run).reason) == ("lost", "its process ended and could not write how.")
    with session(run):
        pass
    assert status_of(run).state == "finished"


def test_a_disk_that_takes_no_word_keeps_nobody_from_killing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with trainer(run) as process:
        monkeypatch.setattr(os, "replace", no_room)
        monkeypatch.setattr(Path, "touch", no_room)
        assert kill(run) and process.wait() == -signal.SIGKILL
    assert status_of(run).state == "lost"
