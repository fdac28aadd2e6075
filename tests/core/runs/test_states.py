"""Every state a run can be in, each made as it comes about; and what a worker that dies leaves behind."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import STATES, EventLog, RunFolder, Session, control, start_session, status_of
from pgsynth_core.runs.entry import ATTEMPT
from pgsynth_core.runs.locks import queue_held
from pgsynth_core.runs.queue import Taken, Waiting, enqueue, leave_queue, position, take, waiting
from pgsynth_core.runs.removing import remove_run
from pgsynth_core.runs.sessions import attempt_word, attempting
from pgsynth_core.runs.status import base_state

from ...fixtures.queues import Queue, queue_of, rewrite


@pytest.fixture(autouse=True)
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    yield from queue_of(tmp_path, monkeypatch)


def taken(run: RunFolder) -> Taken:
    """A worker, which this process is, has taken the run out of the queue."""
    one = enqueued(run)
    with queue_held():
        found = take(one, ("cpu",))
    assert found is not None
    return found


def enqueued(run: RunFolder) -> Waiting:
    return next((one for one in waiting() if one.folder == run), None) or enqueue(run)


@pytest.fixture
def dead() -> dict[str, Any]:
    """A process that has ended, as a file would name it."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return {"pid": process.pid, "started": "1"}


# ------------------------------------------------------------------------------------------- the table
def is_queued(run: RunFolder) -> None:
    enqueue(run)


def is_starting(run: RunFolder) -> None:
    start_session(run)


def is_running(run: RunFolder, *, ago: float = 0.0, pace: float = 0.1) -> None:
    start_session(run)
    with EventLog(run.events_file) as events:
        events.write("run", step=0, steps=9)
        events.write("step", step=1, loss=0.5, seconds_per_step=pace)
    for file in (run.events_file, run.process_file):
        os.utime(file, (time.time() - ago, time.time() - ago))


def is_stalled(run: RunFolder) -> None:
    is_running(run, ago=700)


def is_stopping(run: RunFolder) -> None:
    is_running(run)
    control.wish(run, "stop")


def is_finished(run: RunFolder) -> None:
    start_session(run).end("finished")


def is_stopped(run: RunFolder) -> None:
    enqueue(run)
    assert leave_queue(run)


def has_failed(run: RunFolder) -> None:
    start_session(run).end("failed", code=1, reason="x.")


def is_lost(run: RunFolder) -> None:
    start_session(run).lock.close()
    rewrite(run.process_file, pid=2**22 + 1)


TABLE: dict[str, Callable[[RunFolder], None]] = {
    "queued": is_queued,
    "starting": is_starting,
    "running": is_running,
    "stalled": is_stalled,
    "stopping": is_stopping,
    "finished": is_finished,
    "stopped": is_stopped,
    "failed": has_failed,
    "lost": is_lost,
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_comes_about(run: RunFolder, state: str) -> None:
    TABLE[state](run)
    found = status_of(run)
    assert found.state == state
    assert found.live == (state in ("starting", "running", "stalled", "stopping"))
    assert (STATES[found.state].code is None) == (found.live or state == "queued")


@pytest.mark.parametrize("state", STATES)
def test_who_may_begin_a_run(run: RunFolder, state: str) -> None:
    TABLE[state](run)
    if status_of(run).live or state == "queued":
        with pytest.raises(UserError, match="being trained already|waits in the queue"):
            start_session(run)
    else:
        start_session(run).end("finished")
        assert status_of(run).state == "finished" and not run.worker_file.exists()


def test_who_is_slow_is_not_stalled(run: RunFolder) -> None:
    is_running(run, ago=700, pace=100.0)
    assert status_of(run).state == "running"


def test_who_hangs_before_the_first_step_is_stalled(run: RunFolder) -> None:
    long_ago = time.time() - 700
    taken(run)
    assert status_of(run).state == "starting"
    os.utime(run.worker_file, (long_ago, long_ago))
    assert status_of(run).state == "stalled" and base_state(run) == "starting"
    run.log_file.write_text("it loads weights\n", encoding="utf-8")
    assert status_of(run).state == "starting", "it says something"
    start_session(run_of_nobody(run))
    os.utime(run.process_file, (long_ago, long_ago))
    assert status_of(run).state == "stalled" and status_of(run).live


def run_of_nobody(run: RunFolder) -> RunFolder:
    """It was taken by nobody after all."""
    run.worker_file.unlink()
    run.queued_file.unlink()
    return run


def test_a_session_that_goes_on_starts_anew(run: RunFolder) -> None:
    is_running(run)
    with EventLog(run.events_file) as events:
        events.write("exit", state="finished", code=0)
        assert status_of(run).state == "starting", "what stands there is of an earlier session"
        events.write("run", step=1, steps=9)
        events.write("warning", message="x")
        assert status_of(run).state == "starting"


# ------------------------------------------------------------------------------------------- workers
def test_a_run_that_was_taken_starts_until_its_worker_dies(run: RunFolder, dead: dict[str, Any]) -> None:
    taken(run)
    assert status_of(run).state == "starting" and position(run) is None
    control.wish(run, "stop")
    assert status_of(run).state == "stopping"
    rewrite(run.worker_file, **dead)
    assert status_of(run).state == "queued" and position(run) == 1, "nothing is lost"


def test_who_waits_behind_a_run_that_was_taken_does_not_push_it_out(
    run: RunFolder, queue: Queue, dead: dict[str, Any]
) -> None:
    taken(run)
    other = queue.run()
    enqueue(other)
    assert position(other) == 1
    rewrite(run.worker_file, **dead)
    assert [position(run), position(other)] == [1, 2] and taken(run)


@pytest.mark.parametrize("ahead", [3.0, -3.0])
def test_a_run_that_ended_by_another_clock_waits_and_starts(run: RunFolder, dead: dict[str, Any], ahead: float) -> None:
    start_session(run).end("stopped", code=130)
    rewrite(run.exit_file, t=time.time() + ahead)
    taken(run)
    assert status_of(run).state == "starting"
    with pytest.raises(UserError, match="is being trained"):
        remove_run(run)
    rewrite(run.worker_file, **dead)
    assert status_of(run).state == "queued" and position(run) == 1


@pytest.mark.parametrize("ahead", [3.0, -3.0])
def test_who_was_taken_for_dead_and_ends_by_another_clock_is_believed(run: RunFolder, ahead: float) -> None:
    begun = start_session(run)
    begun.lock.close()  # as where the file system has no locks
    rewrite(run.process_file, started="1")
    taken(run)
    assert status_of(run).state == "starting"
    begun.end("finished")
    rewrite(run.exit_file, t=time.time() + ahead)
    assert status_of(run).state == "finished"


def test_a_trainer_that_is_refused_takes_no_wish_from_who_trains(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = start_session(run)
    rewrite(run.process_file, started="1")  # it is taken for dead
    control.wish(run, "stop")
    claim = {**json.loads(run.process_file.read_text("utf-8")), "session": "0123"}
    run.worker_file.write_text(json.dumps(claim), encoding="utf-8")
    monkeypatch.setenv(ATTEMPT, attempt_word("0123", run))
    monkeypatch.setattr("pgsynth_core.runs.holding._DYING", 0.0)
    with pytest.raises(UserError, match="holds it"), attempting(run):
        start_session(run)
    assert run.exit_file.exists() and control.wishes(run) == {"stop"}
    begun.end("stopped")
    assert not control.wishes(run)


@pytest.mark.parametrize("fact", [{"started": "1"}, {"boot": "before the power went"}])
def test_a_number_used_again_is_not_the_worker(run: RunFolder, fact: dict[str, str]) -> None:
    taken(run)
    rewrite(run.worker_file, **fact)
    assert status_of(run).state == "queued"


def test_the_trainer_of_a_worker_begins_its_session(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = taken(run)
    monkeypatch.setenv(ATTEMPT, attempt_word(found.session, run))
    control.wish(run, "stop")
    begun = start_session(run)
    assert begun.id == found.session and not run.queued_file.exists()
    assert status_of(run).state == "stopping", "what was wished while it started is wished of it"
    begun.end("stopped")
    assert status_of(run).state == "stopped"


def test_a_trainer_whose_run_was_taken_by_another_cannot_begin_it(
    run: RunFolder, dead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(run)
    rewrite(run.worker_file, **dead)
    second = taken(run)
    monkeypatch.setenv(ATTEMPT, attempt_word(first.session, run))
    with pytest.raises(UserError, match="taken out of the queue, or by another worker"), attempting(run):
        start_session(run)
    assert status_of(run).state == "starting" and not run.exit_file.exists()
    monkeypatch.setenv(ATTEMPT, attempt_word(second.session, run))
    start_session(run)
    assert base_state(run) == "running"


def test_nor_one_whose_run_left_the_queue(
    run: RunFolder, dead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(run)
    rewrite(run.worker_file, **dead)
    assert leave_queue(run)
    monkeypatch.setenv(ATTEMPT, attempt_word(first.session, run))
    with pytest.raises(UserError, match="taken out of the queue"):
        start_session(run)
    assert status_of(run).state == "stopped"


def test_what_is_raised_before_a_session_begins_is_its_end(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError), attempting(run):
        raise UserError("nobody waits for this.")
    assert not run.exit_file.exists()
    monkeypatch.setenv(ATTEMPT, attempt_word(taken(run).session, run))
    with pytest.raises(UserError), attempting(run):
        raise UserError("no weights.")
    assert (status_of(run).state, status_of(run).reason) == ("failed", "no weights.")
    assert position(run) is None, "what cannot begin is not tried for ever"


def test_a_kill_between_beginning_and_leaving_the_queue_trains_nothing_twice(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = taken(run)
    left = run.queued_file.read_bytes()
    monkeypatch.setenv(ATTEMPT, attempt_word(found.session, run))
    start_session(run)
    run.queued_file.write_bytes(left)
    assert base_state(run) == "running"
    rewrite(run.process_file, pid=2**22 + 1)
    assert status_of(run).state == "lost" and waiting() == ()


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "lost"])
def test_a_run_that_has_ended_may_wait_again(run: RunFolder, state: str) -> None:
    TABLE[state](run)
    enqueue(run)
    assert status_of(run).state == "queued" and position(run) == 1
    Session(run, taken(run).session).end("failed", code=1)
    assert status_of(run).state == "failed"


def test_a_worker_s_trainer_that_cannot_write_its_end_is_lost_when_it_is_gone(
    run: RunFolder, dead: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ATTEMPT, attempt_word(taken(run).session, run))
    begun = start_session(run)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch, pytest.raises(UserError, match="how the run ended cannot be written"):
        patch.setattr(os, "replace", refuse)
        begun.end("finished")
    rewrite(run.process_file, **dead)
    assert status_of(run).state == "lost", "though its worker lives on"
