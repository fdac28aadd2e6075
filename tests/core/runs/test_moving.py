"""Moving a run within the queue: the order, who is not touched, several at once, and a kill at any write."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, moving, start_session, status_of
from pgsynth_core.runs.locks import queue_held
from pgsynth_core.runs.moving import MOVES, Moved, move
from pgsynth_core.runs.queue import enqueue, leave_queue, position, take, waiting
from pgsynth_core.runs.workers import start_workers

from ...fixtures.queues import WORKER, Queue, queue_of, rewrite


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    yield from queue_of(tmp_path, monkeypatch)


def enqueued(queue: Queue, count: int, **how: Any) -> list[RunFolder]:
    """Runs that wait, in this order."""
    runs = [queue.run(**how) for _ in range(count)]
    for run in runs:
        enqueue(run)
    return runs


def order(runs: list[RunFolder]) -> list[int]:
    """The numbers of the runs as they wait."""
    return [runs.index(run.folder) for run in waiting() if run.folder in runs]


def moved(names: list[int], place: int, to: str) -> list[int]:
    """What a move is: a list without the run, and the run put in again."""
    run, others = names[place], [*names[:place], *names[place + 1 :]]
    where = {"first": 0, "last": len(others), "up": max(0, place - 1), "down": min(len(others), place + 1)}[to]
    return [*others[:where], run, *others[where:]]


@pytest.mark.parametrize("to", MOVES)
def test_every_move_from_every_place(queue: Queue, to: Any) -> None:
    runs = enqueued(queue, 4)
    for place in range(4):
        names = order(runs)
        expected = moved(names, place, to)
        now = expected.index(names[place]) + 1
        assert move(runs[names[place]], to) == Moved("cpu", place + 1, now, 4)
        assert order(runs) == expected and position(runs[names[place]]) == now


def test_many_moves_are_as_many_moves_of_a_list(queue: Queue) -> None:
    runs = enqueued(queue, 4)
    names = [0, 1, 2, 3]
    for number in range(40):
        place, to = (7 * number) % 4, MOVES[(3 * number) % 5 % 4]
        run = names[place]
        names = moved(names, place, to)
        move(runs[run], to)
        assert order(runs) == names, number


def test_all_but_the_place_stays_and_who_comes_is_last(queue: Queue) -> None:
    runs = enqueued(queue, 3)
    before = json.loads(runs[0].queued_file.read_text("utf-8"))
    move(runs[0], "last")
    after = json.loads(runs[0].queued_file.read_text("utf-8"))
    assert after.pop("order") != before.pop("order") and after == before
    assert runs[0].queued_file.stat().st_mode & 0o077 == 0
    (more,) = enqueued(queue, 1)
    assert [run.folder for run in waiting()] == [runs[1], runs[2], runs[0], more]


def test_runs_for_another_kind_of_device_are_not_passed(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.gpus(1)
    runs = []
    for cpu in ("", "true", "", "true"):
        monkeypatch.setenv("ACCELERATE_USE_CPU", cpu)
        runs += enqueued(queue, 1)
    assert move(runs[2], "up") == Moved("gpu", 2, 1, 2)
    assert [run.folder for run in waiting("gpu")] == [runs[2], runs[0]]
    assert [run.folder for run in waiting("cpu")] == [runs[1], runs[3]]


def test_runs_that_share_a_place_are_parted(queue: Queue) -> None:
    runs = sorted(enqueued(queue, 4), key=lambda run: run.path)
    for run in runs:
        rewrite(run.queued_file, order=5)
    before = [run.folder for run in waiting()]
    move(before[2], "up")
    assert [run.folder for run in waiting()] == [before[0], before[2], before[1], before[3]]


# ------------------------------------------------------------------------------------------- refused
def refused(run: RunFolder) -> str:
    with pytest.raises(UserError) as error:
        move(run, "first")
    (problem,) = error.value.problems
    assert problem.where == str(run.path) and f"{run.path}" in problem.cure
    return f"{problem.message} {problem.cure}"


def test_what_does_not_wait_is_refused_with_its_state_and_a_cure(queue: Queue) -> None:
    runs = enqueued(queue, 2)
    made = queue.run()
    assert "it is lost" in refused(made) and "--detach" in refused(made)
    assert leave_queue(runs[0]) and "it is stopped" in refused(runs[0])
    assert leave_queue(runs[1])
    held = start_session(runs[1])
    assert "it is starting" in refused(runs[1]) and "runs stop" in refused(runs[1])
    held.end("finished")
    assert "it is finished" in refused(runs[1]) and "train.steps=" in refused(runs[1])


@pytest.mark.parametrize("other", [{"host": "node7"}, {"uid": 2**16 - 3}])
def test_what_waits_elsewhere_is_not_ours_to_move(queue: Queue, other: dict[str, Any]) -> None:
    runs = enqueued(queue, 2)
    rewrite(runs[1].queued_file, **other)
    before = runs[1].queued_file.read_text("utf-8")
    assert str(*other.values()) in refused(runs[1]) and runs[1].queued_file.read_text("utf-8") == before
    runs[0].queued_file.write_text("{", encoding="utf-8")
    assert "it is lost" in refused(runs[0])


def test_a_run_that_was_taken_is_not_put_back(queue: Queue) -> None:
    runs = enqueued(queue, 3)
    with queue_held():
        assert take(waiting()[0], ("cpu",))
    before = runs[0].queued_file.read_text("utf-8")
    assert "it is starting" in refused(runs[0])
    assert move(runs[2], "first") == Moved("cpu", 2, 1, 2)
    assert runs[0].queued_file.read_text("utf-8") == before
    found = waiting()[0]
    assert leave_queue(runs[2]) and not moving._write(found, 1) and not runs[2].queued_file.exists()


# ------------------------------------------------------------------------------------------- kills
class _Killed(Exception):
    pass


@pytest.mark.parametrize(("place", "to"), [(3, "up"), (1, "down"), (2, "up"), (3, "first"), (0, "last")])
def test_a_kill_before_any_write_shuffles_nobody(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, place: int, to: Any
) -> None:
    real: Callable[..., bool] = moving._write
    runs = enqueued(queue, 5)
    orders = {run: run.queued_file.read_text("utf-8") for run in runs}
    allowed = (list(range(5)), moved(list(range(5)), place, to))
    for left in range(9):
        count = 0

        def dies(*words: Any, left: int = left) -> bool:
            nonlocal count
            count += 1
            if count > left:
                raise _Killed
            return real(*words)

        monkeypatch.setattr(moving, "_write", dies)
        try:
            move(runs[place], to)
        except _Killed:
            assert order(runs) in allowed, left
        else:
            assert order(runs) == allowed[1] and left
            break
        for run, text in orders.items():
            run.queued_file.write_text(text, encoding="utf-8")
    else:
        pytest.fail("it never ended")


# ------------------------------------------------------------------------------------------- several at once
MOVER = """\
import sys
from pathlib import Path
from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.moving import MOVES, move
for number in range(int(sys.argv[1])):
    run = RunFolder(Path(sys.argv[2 + number * 5 % (len(sys.argv) - 2)]))
    try:
        moved = move(run, MOVES[number * 3 % 4])
    except UserError as error:
        if "does not wait" not in str(error):
            raise
    else:
        assert 1 <= moved.position <= moved.waiting
"""


def mover(runs: list[RunFolder], times: int) -> subprocess.Popen[str]:
    """A process that moves runs so many times."""
    words = [sys.executable, "-c", MOVER, str(times), *(str(run.path) for run in runs)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def ended(*processes: subprocess.Popen[str]) -> None:
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said


def test_two_move_at_once_and_nobody_is_lost(queue: Queue) -> None:
    runs = enqueued(queue, 4)
    ended(mover(runs, 60), mover(runs[::-1], 60))
    assert tuple(order(runs)) in set(permutations(range(4)))
    assert len({run.order for run in waiting()}) == 4


def test_a_worker_takes_runs_while_two_move_them_and_trains_each_once(queue: Queue) -> None:
    runs = enqueued(queue, 6, pause=0.02)
    movers = [mover(runs, 80), mover(runs[::-1], 80)]
    start_workers("cpu", WORKER)
    ended(*movers)
    for run in runs:
        queue.until_state(run, "finished")
    assert sorted(one["run"] for one in queue.trained()) == sorted(run.id for run in runs)
    assert waiting() == () and not any(run.queued_file.exists() for run in runs)


def test_a_worker_takes_the_run_that_was_moved_to_the_front(queue: Queue) -> None:
    runs = enqueued(queue, 3)
    move(runs[2], "first")
    move(runs[0], "last")
    start_workers("cpu", WORKER)
    for run in runs:
        queue.until_state(run, "finished")
    assert [one["run"] for one in queue.trained()] == [runs[2].id, runs[1].id, runs[0].id]
    assert status_of(runs[2]).state == "finished"
