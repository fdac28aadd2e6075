"""`pgsynth runs show | follow | stop | move | rm | resume`: what they say and do about runs in every state."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.runs import EventLog, RunFolder, control, session, start_session, status_of, write_checkpoint
from pgsynth_core.runs.queue import enqueue
from pgsynth_core.runs.workers import start_workers

from ..fixtures.queues import WORKER, Queue, queue_of, rewrite

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: str) -> Iterator[Queue]:
    monkeypatch.setenv("PYTHONPATH", roots)
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    yield from queue_of(tmp_path, monkeypatch)


def touch(path: Path) -> None:
    path.touch()


@pytest.fixture
def ended(queue: Queue) -> RunFolder:
    """A run that was stopped after 3 of 9 steps, with a checkpoint, a sheet and a warning."""
    folder = queue.run()
    folder.spec_file.write_text("encoder: qfft\nattn: pma\ndata: figures\nbase: tiny\n", encoding="utf-8")
    folder.lock_file.write_text('{"packages": {"pgsynth": {"version": "9"}}, "libraries": {"torch": "8"}}', "utf-8")
    with session(folder) as held, EventLog(folder.events_file) as log:
        log.write("run", step=0, steps=9)
        log.write("step", step=3, loss=0.25, steps=9)
        path = write_checkpoint(folder, 3, {"weights.safetensors": touch}, bytes_needed=1, keep=1)
        log.write("checkpoint", step=3, path=path.relative_to(folder.path).as_posix())
        log.write("sample", step=3, path="samples/00000003/sheet.png")
        log.write("warning", message="mind the gap.", step=2)
        held.end("stopped", code=130, step=3, reason="asked to.")
    return folder


@pytest.fixture
def training(queue: Queue) -> RunFolder:
    """A run that a stand-in trains for long."""
    folder = queue.run(steps=100_000, pause=0.02)
    enqueue(folder)
    start_workers("cpu", WORKER)
    queue.until_state(folder, "running")
    return folder


# ------------------------------------------------------------------------------------------- show
def test_a_run_is_shown(run: Run, ended: RunFolder) -> None:
    said = run("runs", "show", ended.id[:15])
    assert said.code == 0, said.err
    assert said.out.startswith(f"{ended.id}: stopped, step 3 of 9, loss 0.2500: asked to.")
    for part in ("encoder qfft", "attn pma", "step-00000003", "complete", "sheet.png", "mind the gap.", "torch 8"):
        assert part in said.out, part
    assert f"pgsynth runs resume {ended.id}" in said.out


def test_what_is_proposed_means_this_run_wherever_it_is(run: Run, ended: RunFolder, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(ended.path, tmp_path / "back up" / ended.id))
    said = run("runs", "show", str(copy))
    assert f"pgsynth runs rm '{copy}'" in said.out and f"pgsynth runs resume '{copy}'" in said.out
    assert f"pgsynth train --resume '{copy}'" in run("runs", "follow", str(copy)).err
    elsewhere = run("runs", "show", ended.id, "--runs", str(ended.path.parent)).out
    assert f"pgsynth runs rm {ended.id} --runs {ended.path.parent}" in elsewhere


def test_a_run_as_data(run: Run, ended: RunFolder) -> None:
    facts = run("runs", "show", "latest", "--json").facts
    assert facts["spec"]["parts"]["attn"] == ["pma"] and facts["made_with"]["libraries"] == {"torch": "8"}
    (checkpoint,) = facts["checkpoints"]
    assert checkpoint["whole"] and checkpoint["bytes"] > 0 and facts["warnings"][0]["message"] == "mind the gap."


def test_a_checkpoint_that_is_not_whole_is_told(run: Run, ended: RunFolder) -> None:
    weights = ended.checkpoints / "step-00000003" / "weights.safetensors"
    weights.write_text("other", encoding="utf-8")
    (unread,) = run("runs", "show", "latest", "--json").facts["checkpoints"]
    assert unread["whole"] and not unread["verified"] and unread["validation"] is None and not unread["best"]
    (damaged,) = run("runs", "show", "latest", "--verify", "--json").facts["checkpoints"]
    assert not damaged["whole"] and damaged["verified"] and "hash" in damaged["problem"]
    weights.unlink()
    said = run("runs", "show", "latest").out
    assert "DAMAGED" in said and f"pgsynth train {ended.spec_file}" in said and "runs resume" not in said
    write_checkpoint(ended, 2, {"weights.safetensors": touch}, bytes_needed=1, keep=1)
    (ended.checkpoints / "step-00000003.superseded").rename(ended.checkpoints / "step-00000003")
    assert f"pgsynth runs resume {ended.checkpoints / 'step-00000002'}" in run("runs", "show", "latest").out


def test_a_spec_that_is_not_what_it_was_is_told_with_how_to_put_it_back(run: Run, ended: RunFolder) -> None:
    ended.spec_file.write_text("pgsynth: 1\n", encoding="utf-8")
    said = run("runs", "show", "latest").out
    assert "spec.yaml is damaged" in said and f"cp {ended.checkpoints}" in said and "512x352" not in said


def test_what_is_told_of_steps_that_were_taken_anew_is_superseded(run: Run, ended: RunFolder) -> None:
    with EventLog(ended.events_file) as log:
        log.write("warning", message="step 4 is not saved.", step=4)
        log.write("run", step=3, steps=9)
        log.write("sample", step=4, path="samples/00000004/sheet.png")
    with EventLog(ended.events_file) as log:
        log.write("run", step=3, steps=9)
        log.write("sample", step=4, path="samples/00000004/sheet.png")
    facts = run("runs", "show", "latest", "--json").facts
    assert [Path(path).parent.name for path in facts["samples"]] == ["00000003", "00000004"]
    assert [one["message"] for one in facts["warnings"]] == ["mind the gap."]


def test_a_run_without_lock_or_parts_is_shown_all_the_same(run: Run, queue: Queue) -> None:
    folder = queue.run()
    enqueue(folder)
    said = run("runs", "show", folder.id)
    assert said.code == 0 and "number 1 in the queue" in said.out and "cannot be read here" in said.out
    facts = run("runs", "show", folder.id, "--json").facts
    assert facts["made_with"] is None and facts["position"] == 1
    assert f"pgsynth runs resume {folder.id} --detach" in facts["next"], "no worker is there: the queue stands still"
    listed = run("runs", "list")
    assert "queued (1)" in listed.out
    rewrite(folder.queued_file, host="node7")
    assert not [one for one in run("runs", "show", folder.id, "--json").facts["next"] if "--detach" in one], "not ours"


# ------------------------------------------------------------------------------------------- follow
@pytest.mark.parametrize(("state", "code"), [("finished", 0), ("stopped", 130), ("failed", 1), ("failed", 2)])
def test_a_run_that_has_ended_is_followed_to_its_end(run: Run, ended: RunFolder, state: str, code: int) -> None:
    with EventLog(ended.events_file) as log:
        log.write("step", step=9, loss=0.125, steps=9)
    start_session(ended).end(state, code=code, step=9, reason="so it was.")  # type: ignore[arg-type]
    said = run("runs", "follow", "latest")
    assert said.code == code and 0 <= said.err.find("training 9/9") < said.err.find("step 3: saved")
    assert said.out == f"{ended.id}: {state} after 9 steps, loss 0.1250: so it was.\n"
    facts = run("runs", "follow", "latest", "--json").facts
    assert (facts["ok"], facts["code"], facts["state"]) == (code == 0, code, state)


def test_a_run_that_waits_is_followed_through_its_training(run: Run, queue: Queue) -> None:
    folder = queue.run(steps=3, pause=0.05)
    enqueue(folder)
    starter = threading.Timer(0.5, start_workers, ["cpu", WORKER])
    starter.start()
    said = run("runs", "follow", folder.id)
    starter.join()
    assert said.code == 0 and "waits in the queue, number 1" in said.err and "training 3/3" in said.err
    assert f"pgsynth runs resume {folder.id} --detach" in said.err, "there was no worker at first"


def test_leaving_does_not_stop_a_run(training: RunFolder) -> None:
    command = [sys.executable, "-u", "-m", "pgsynth_core", "runs", "follow", training.id]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr
    with process.stderr as said:
        lines = []
        for line in said:
            lines.append(line)
            if line.startswith("training"):
                os.killpg(process.pid, signal.SIGINT)
    assert process.wait() == 130 and "goes on training" in lines[-1], lines
    assert f"pgsynth runs stop {training.id}" in lines[-1] and "Traceback" not in "".join(lines)
    assert status_of(training).state == "running"


# ------------------------------------------------------------------------------------------- stop
def test_a_run_finishes_its_step_and_stops(run: Run, training: RunFolder) -> None:
    said = run("runs", "stop", training.id)
    assert said.code == 0 and "is running, at step " in said.err and "it has no checkpoint yet" in said.err
    assert said.out.startswith(f"{training.id}: stopped after ") and status_of(training).state == "stopped"
    again = run("runs", "stop", training.id)
    assert again.code == 0 and "nothing to stop, it is stopped" in again.out


def test_stopping_may_be_left_alone(run: Run, queue: Queue, training: RunFolder) -> None:
    said = run("runs", "stop", training.id, "--no-wait", "--json")
    assert said.code == 0 and said.facts["ok"] and said.facts["before"] == "running"
    queue.until_state(training, "stopped")


def test_a_run_is_killed_and_what_is_lost_is_said(run: Run, training: RunFolder) -> None:
    write_checkpoint(training, 1, {"weights": touch}, bytes_needed=1, keep=1)
    began = time.monotonic()
    said = run("runs", "stop", training.id, "--kill", "--json")
    assert said.code == 0 and (said.facts["state"], said.facts["checkpoint_step"]) == ("stopped", 1)
    assert "its last checkpoint is of step 1" in said.err and "steps are not saved" in said.err
    assert said.facts["reason"] == "killed on request." and time.monotonic() - began < 30


def test_a_run_in_the_foreground_is_killed_too(run: Run, queue: Queue) -> None:
    folder = queue.run(steps=100_000, pause=0.02)
    standin = Path(WORKER[1]).with_name("standin_trainer.py")
    with subprocess.Popen([sys.executable, str(standin), str(folder.path)]) as process:
        queue.until_state(folder, "running")
        killer = threading.Thread(target=process.wait)
        killer.start()
        said = run("runs", "stop", folder.id, "--kill")
        killer.join()
    assert said.code == 0 and status_of(folder).reason == "killed on request."


def test_a_run_that_waits_leaves_the_queue(run: Run, queue: Queue) -> None:
    folder = queue.run()
    enqueue(folder)
    said = run("runs", "stop", folder.id)
    assert said.code == 0 and "taken out of the queue" in said.out and status_of(folder).state == "stopped"


def test_a_run_that_waits_under_another_name_of_the_machine_can_go(run: Run, queue: Queue) -> None:
    folder = queue.run()
    enqueue(folder)
    rewrite(folder.queued_file, host="container-1")
    assert "container-1" in run("runs", "show", folder.id).out
    said = run("runs", "stop", folder.id)
    assert said.code == 0 and "taken out of the queue" in said.out and not folder.queued_file.exists()
    assert run("runs", "rm", "--yes", folder.id).code == 0


def test_a_run_whose_entry_is_damaged_is_not_said_to_leave_the_queue(run: Run, queue: Queue) -> None:
    folder = queue.run()
    enqueue(folder)
    folder.queued_file.write_text("{", encoding="utf-8")
    said = run("runs", "stop", folder.id)
    assert said.code == 0 and "nothing to stop, it is lost" in said.out
    assert run("runs", "follow", folder.id).code == 1 and run("runs", "rm", "--yes", folder.id).code == 0


# ------------------------------------------------------------------------------------------- move
def test_a_run_is_moved_within_the_queue(run: Run, queue: Queue) -> None:
    first, second, third = (queue.run() for _ in range(3))
    for folder in (first, second, third):
        enqueue(folder)
    said = run("runs", "move", third.id, "--first")
    assert said.code == 0 and said.out == f"{third.id}: number 1 of 3 in the queue, it was number 3\n"
    facts = run("runs", "move", "--down", third.id, "--json").facts
    assert (facts["ok"], facts["run"], facts["path"]) == (True, third.id, str(third.path))
    assert (facts["kind"], facts["before"], facts["position"], facts["waiting"]) == ("cpu", 1, 2, 3)
    assert "number 3 of 3 in the queue, as before" in run("runs", "move", second.id, "--last").out
    assert [run("runs", "show", one.id, "--json").facts["position"] for one in (first, third, second)] == [1, 2, 3]
    assert queue.workers() == [], "a queue that stands still goes on standing still"


def test_the_order_changes_while_a_run_trains(run: Run, queue: Queue, training: RunFolder) -> None:
    first, second = queue.run(), queue.run()
    enqueue(first)
    enqueue(second)
    assert run("runs", "move", second.id, "--up", "--json").facts["position"] == 1
    said = run("runs", "move", training.id, "--last")
    assert said.code == 2 and "it is running" in said.err and f"pgsynth runs stop {training.path}" in said.err
    assert run("runs", "stop", training.id).code == 0
    queue.until_state(first, "finished")
    assert [one["run"] for one in queue.trained()] == [training.id, second.id, first.id]


# ------------------------------------------------------------------------------------------- rm
def test_runs_are_deleted(run: Run, queue: Queue, ended: RunFolder) -> None:
    other = queue.run()
    said = run("runs", "rm", ended.id, str(other.path), ended.id, "--yes", "--json")
    assert said.code == 0 and [row["run"] for row in said.facts["runs"]] == [ended.id, other.id]
    assert said.facts["bytes"] > 0 and not ended.path.exists() and not other.path.exists()


def test_nothing_is_deleted_unasked(run: Run, ended: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run("runs", "rm", ended.id)
    assert said.code == 2 and "--yes" in said.err and ended.path.exists()

    class Terminal:
        def __init__(self, answer: str) -> None:
            self.answer = answer

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return self.answer

    for answer in ("\n", "no\n", ""):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        said = run("runs", "rm", ended.id, "--json")
        assert said.code == 0 and said.facts["runs"] == [] and ended.path.exists()
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    said = run("runs", "rm", ended.id)
    assert said.code == 0 and "freed" in said.out and not ended.path.exists()


def test_one_that_cannot_go_keeps_all(run: Run, queue: Queue, ended: RunFolder) -> None:
    waits, trains = queue.run(), queue.run()
    enqueue(waits)
    held = start_session(trains)
    said = run("runs", "rm", ended.id, waits.id, trains.id, "nothing", "--yes")
    assert said.code == 2 and "3 problems" in said.err and said.err.count("pgsynth runs stop") == 2
    assert ended.path.exists() and waits.path.exists() and trains.path.exists()
    held.end("finished")


# ------------------------------------------------------------------------------------------- refused
@pytest.mark.parametrize("verb", ["show", "follow", "stop", "move", "rm", "resume"])
@pytest.mark.parametrize(("name", "expected"), [("nothing", "there is no run"), ("./x", "there is no such folder")])
def test_a_run_that_is_not_there(run: Run, ended: RunFolder, verb: str, name: str, expected: str) -> None:
    said = run("runs", verb, name, *{"rm": ["--yes"], "move": ["--up"]}.get(verb, []))
    assert said.code == 2 and expected in said.err and "cure: " in said.err and said.out == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["show"], "RUN"),
        (["stop", "latest", "--kill", "--no-wait"], "Leave one out"),
        (["move", "latest", "--first"], "it is stopped"),
        (["move", "latest"], "--first"),
        (["move", "latest", "--first", "--up"], "not allowed with"),
        (["resume", "latest", "--devices", "2"], "Add --detach"),
        (["resume", "latest", "--devices", "0", "--detach"], "from 1 on"),
        (["resume", "latest", "--devices", "2", "--detach"], "no GPU"),
        (["resume", "latest", "train.batch_size=3"], "keeps its spec"),
        (["resume", "latest", "train.steps=2", "--detach"], "nothing left to do"),
        (["follow", "latest", "other"], "too many"),
    ],
)
def test_what_is_refused(run: Run, ended: RunFolder, words: list[str], expected: str) -> None:
    said = run("runs", *words)
    assert said.code == 2 and expected in said.err and not list(ended.path.glob("queued.json"))


def test_damaged_files_are_shown_and_followed(run: Run, ended: RunFolder) -> None:
    for name in ("lock.json", "process.json", "exit.json", "worker.json"):
        (ended.path / name).write_text("{", encoding="utf-8")
    with open(ended.events_file, "a", encoding="utf-8") as file:
        file.write('{"kind": "step", "step": "x"}\n{"kind": "sample"}\nno\n')
    assert run("runs", "show", ended.id, "--json").facts["state"] == "running", "who writes events may be there still"
    os.utime(ended.events_file, (time.time() - 700,) * 2)
    assert run("runs", "show", ended.id).code == 0
    assert run("runs", "follow", ended.id).code == 1, "lost"
    assert run("runs", "stop", ended.id).code == 0
    control.wish(ended, "stop")
    assert json.loads(json.dumps(run("runs", "list", "--json").facts))["runs"][0]["state"] == "lost"
