"""Workers train the queue, whatever dies: nothing is trained twice, nothing is lost, nobody overtakes. Real processes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.runs import RunFolder, control, status_of
from pgsynth_core.runs.devices import device_lock
from pgsynth_core.runs.ending import kill
from pgsynth_core.runs.identity import is_alive, process_of
from pgsynth_core.runs.locks import holder_of, is_free
from pgsynth_core.runs.queue import Waiting, enqueue, waiting
from pgsynth_core.runs.supervisor import trainer
from pgsynth_core.runs.workers import start_workers, worker_runs

from ...fixtures.queues import WORKER, Queue, queue_of, rewrite


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path) -> Iterator[Queue]:
    roots = os.pathsep.join(map(str, (repository, repository / "plugins")))
    monkeypatch.setenv("PYTHONPATH", roots)
    yield from queue_of(tmp_path, monkeypatch)


def record(run: RunFolder) -> dict[str, Any]:
    """Its exit record."""
    facts: dict[str, Any] = json.loads(run.exit_file.read_text("utf-8"))
    return facts


def order(queue: Queue) -> list[str]:
    return [str(one["run"]) for one in queue.trained()]


def test_the_queue_is_trained_in_its_order_and_failures_do_not_end_it(queue: Queue) -> None:
    runs = [queue.run(do) for do in ("crash", "killed", "fail", "leave", "finish")]
    for run in runs:
        enqueue(run)
    assert start_workers("cpu", WORKER) == 1
    queue.until_state(runs[-1], "finished")
    assert order(queue) == [run.id for run in runs[2:]]
    found = [(status_of(run).state, record(run)["code"]) for run in runs]
    assert found == [("failed", 7), ("failed", 137), ("failed", 1), ("failed", 9), ("finished", 0)]
    reasons = [record(run)["reason"] for run in runs]
    assert "before it began to train with code 7" in reasons[0]
    assert reasons[1] == "killed by SIGKILL before it began to train; was memory short?"
    assert reasons[2] == "it was to fail." and "code 9 and left no word" in reasons[3]
    queue.until(lambda: not queue.workers(), "for the worker to end")
    assert is_free(device_lock("cpu")) and not list(queue.root.glob("*/queued.json"))
    assert {one["cwd"] for one in queue.trained()} == {os.getcwd()}, "paths in a spec mean what they meant"


def test_a_trainer_that_no_process_can_be_does_not_end_the_queue(queue: Queue) -> None:
    first, second = queue.run(), queue.run()
    enqueue(first)
    enqueue(second)
    rewrite(first.queued_file, environment={"PGSYNTH_A=B": "no name may hold that sign"})
    start_workers("cpu", WORKER)
    queue.until_state(second, "finished")
    assert status_of(first).state == "failed" and "its trainer cannot be started" in record(first)["reason"]


@pytest.mark.slow
def test_launchers_and_workers_that_race_train_each_run_once(queue: Queue) -> None:
    queue.gpus(2)
    for _ in range(6):
        enqueue(queue.run(pause=0.05))
    code = "import sys; from pgsynth_core.runs.workers import start_workers; start_workers('gpu', sys.argv[1:])"
    launchers = [subprocess.Popen([sys.executable, "-c", code, *WORKER]) for _ in range(4)]
    assert [launcher.wait() for launcher in launchers] == [0] * 4
    queue.until(lambda: len(queue.trained()) == 6 and not queue.workers(), "for six runs")
    assert len(set(order(queue))) == 6
    assert {status_of(RunFolder(path.parent)).state for path in queue.root.glob("*/spec.yaml")} == {"finished"}
    assert {one["devices"] for one in queue.trained()} <= {"GPU-00000000", "GPU-00000001"}


def test_a_killed_worker_leaves_its_trainer_and_the_queue(queue: Queue) -> None:
    first, second = queue.run(steps=10_000, pause=0.02), queue.run()
    enqueue(first)
    enqueue(second)
    start_workers("cpu", WORKER)
    queue.until_state(first, "running")
    (worker,) = queue.workers()
    assert holder_of(device_lock("cpu"))["run"] == str(first.path)
    os.kill(worker, signal.SIGKILL)
    queue.until(lambda: not queue.workers())
    assert status_of(first).state == "running" and not worker_runs("cpu")
    assert not is_free(device_lock("cpu")), "its trainer has the device"
    assert start_workers("cpu", WORKER) == 1
    time.sleep(0.5)
    assert status_of(second).state == "queued", "it is not trained beside the other"
    control.wish(first, "stop")
    queue.until_state(second, "finished")
    assert status_of(first).state == "stopped" and order(queue) == [first.id, second.id]


def test_a_killed_trainer_is_told_and_the_next_is_trained(queue: Queue) -> None:
    first, second = queue.run(steps=10_000, pause=0.02), queue.run()
    enqueue(first)
    start_workers("cpu", WORKER)
    queue.until_state(first, "running")
    enqueue(second)
    assert start_workers("cpu", WORKER) == 0, "there is one"
    os.kill(json.loads(first.process_file.read_text("utf-8"))["pid"], signal.SIGKILL)
    queue.until_state(second, "finished")
    assert status_of(first).state == "failed" and record(first)["step"] >= 1
    assert record(first)["reason"] == "killed by SIGKILL; was memory short?"


def test_a_run_is_killed_on_request_with_its_children(queue: Queue) -> None:
    run = queue.run(steps=10_000, pause=0.02)
    enqueue(run)
    start_workers("cpu", WORKER)
    queue.until_state(run, "running")
    assert kill(run) and not kill(run)
    queue.until_state(run, "stopped")
    assert (record(run)["code"], record(run)["reason"]) == (137, "killed on request.")
    assert not control.was_killed(run)


def test_training_outlives_the_terminal_of_who_began_it(queue: Queue) -> None:
    run = queue.run(steps=10_000, pause=0.02)
    enqueue(run)
    code = "import sys, time; from pgsynth_core.runs.workers import start_workers\n"
    code += "start_workers('cpu', sys.argv[1:]); print('started', flush=True); time.sleep(60)"
    master, slave = os.openpty()
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, *WORKER], stdin=slave, stdout=subprocess.PIPE, start_new_session=True
    )
    os.close(slave)
    assert launcher.stdout
    with launcher.stdout as said:
        assert said.readline() == b"started\n"
    queue.until_state(run, "running")
    os.killpg(launcher.pid, signal.SIGHUP)
    os.killpg(launcher.pid, signal.SIGKILL)
    os.close(master)
    launcher.wait()
    step = status_of(run).step
    queue.until(lambda: status_of(run).step > step + 3, "for more steps")
    assert len(queue.workers()) == 1
    control.wish(run, "stop")
    queue.until_state(run, "stopped")


def test_who_wants_several_devices_waits_for_them_and_is_not_overtaken(queue: Queue) -> None:
    uuids = queue.gpus(2)
    long, short, wide, last = queue.run(steps=10_000, pause=0.02), queue.run(), queue.run(), queue.run()
    for run, wanted in ((long, 1), (short, 1), (wide, 2), (last, 1)):
        enqueue(run, wanted=wanted)
    assert start_workers("gpu", WORKER) == 2
    queue.until_state(short, "finished")
    asked = queue.asked()
    time.sleep(1.5)
    assert queue.asked() <= asked + 1, "who gathers does not list them again and again"
    assert [run.folder for run in waiting("gpu")] == [wide, last], "a device is free, and nobody overtakes"
    control.wish(long, "stop")
    queue.until_state(last, "finished")
    assert order(queue)[2:] == [wide.id, last.id] and status_of(wide).state == "finished"
    assert set(queue.trained()[2]["devices"].split(",")) == set(uuids)
    queue.until(lambda: not queue.workers())
    assert all(is_free(device_lock(uuid)) for uuid in uuids)


def test_whose_worker_it_is_does_not_matter_to_a_run(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = queue.gpus(2)
    python = queue.bin / "python"
    python.symlink_to(sys.executable)
    narrow, wide = queue.run(), queue.run()
    with monkeypatch.context() as theirs:
        theirs.setenv("CUDA_VISIBLE_DEVICES", "1")
        theirs.setenv("HF_HOME", "/theirs")
        theirs.setattr(sys, "executable", str(python))
        enqueue(narrow)
    enqueue(wide, wanted=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("HF_HOME", "/ours")
    assert start_workers("gpu", WORKER) == 2
    queue.until_state(wide, "finished")
    queue.until_state(narrow, "finished")
    noted = {one["run"]: one for one in queue.trained()}
    assert (noted[narrow.id]["devices"], noted[narrow.id]["home"]) == (second, "/theirs")
    assert noted[narrow.id]["python"] == str(python)
    assert set(noted[wide.id]["devices"].split(",")) == {first, second} and noted[wide.id]["home"] is None


@pytest.mark.slow
def test_who_may_use_other_devices_is_not_waited_for(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that want several devices, one of them in common: neither keeps the other waiting for ever."""
    uuids = queue.gpus(3)
    long, left, right, one = queue.run(steps=10_000, pause=0.02), queue.run(), queue.run(), queue.run()
    for run, wanted, places in ((long, 1, (0,)), (left, 2, (0, 1)), (right, 2, (1, 2)), (one, 1, (2,))):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(uuids[place] for place in places))
        enqueue(run, wanted=wanted)
    start_workers("gpu", WORKER)
    queue.until_state(long, "running")
    time.sleep(1.0)
    assert [run.folder for run in waiting("gpu")] == [left, right, one], "nobody overtakes"
    control.wish(long, "stop")
    for run in (left, right, one):
        queue.until_state(run, "finished")
    assert order(queue)[1:] == [left.id, right.id, one.id]


def test_what_outlives_its_launcher_is_ended_before_the_next_has_its_device(queue: Queue) -> None:
    first, second = queue.run("launch", steps=10_000, pause=0.02), queue.run()
    enqueue(first)
    enqueue(second)
    start_workers("cpu", WORKER)
    queue.until_state(first, "running")
    rank = process_of(json.loads(first.process_file.read_text("utf-8")))
    launcher = json.loads(first.worker_file.read_text("utf-8"))["trainer"]["pid"]
    assert rank and rank.pid != launcher
    os.kill(launcher, signal.SIGKILL)
    queue.until_state(first, "failed")
    assert not is_alive(rank), "the end is written when nobody trains any more"
    queue.until_state(second, "finished")


def test_who_waits_for_devices_that_are_gone_does_not_hold_up_the_others(queue: Queue) -> None:
    queue.gpus(2)
    wide, other = queue.run(), queue.run()
    enqueue(wide, wanted=2)
    enqueue(other)
    queue.gpus(1)
    start_workers("gpu", WORKER)
    queue.until_state(other, "finished")
    assert status_of(wide).state == "failed" and "2 devices, and this machine has 1" in status_of(wide).reason


def test_a_driver_that_does_not_answer_fails_nobody(queue: Queue) -> None:
    queue.gpus(1)
    first, second = queue.run(pause=0.5), queue.run()
    enqueue(first)
    enqueue(second)
    start_workers("gpu", WORKER)
    queue.until_state(first, "running")
    (queue.bin / "nvidia-smi").write_text("#!/bin/sh\nexit 255\n", encoding="utf-8")
    queue.until_state(second, "finished")
    assert [one["devices"] for one in queue.trained()] == ["GPU-00000000"] * 2


def test_a_folder_that_is_gone_is_a_reason(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, here = queue.run(), tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    enqueue(run)
    monkeypatch.chdir(tmp_path)
    here.rmdir()
    start_workers("cpu", WORKER)
    queue.until_state(run, "failed")
    assert "cannot be started" in record(run)["reason"] and str(here) in record(run)["reason"]


# ------------------------------------------------------------------------------------------- what is started
def test_the_command_that_trains(queue: Queue) -> None:
    run = queue.run()
    alone = Waiting(run, 1, "cpu", 1, "/")
    assert list(trainer(alone)[1:]) == ["-m", "pgsynth_core", "train", "--resume", str(run.path)]
    several = trainer(Waiting(run, 1, "gpu", 2, "/", "step-00000002", 9))
    assert several[1:6] == ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2")
    changed = Waiting(run, 1, "cpu", 1, "", changes=("train.workers=0",))
    assert [*trainer(changed)][-3:] == ["--resume", str(run.path), "train.workers=0"]
    assert several[-3:] == ("--resume", str(run.checkpoints / "step-00000002"), "train.steps=9")


def test_a_worker_loads_no_torch(repository: Path) -> None:
    code = "import sys, pgsynth_core.runs.supervisor as s; print(*{name.partition('.')[0] for name in sys.modules})"
    held = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "accelerate", "safetensors"} & set(held)


@pytest.mark.slow
def test_workers_killed_at_any_instant_lose_nothing_and_train_nothing_twice(queue: Queue) -> None:
    """At random, whatever workers live then, of two devices; nobody but us starts others."""
    queue.gpus(2)
    chance, kills = random.Random(5), 0
    runs = [queue.run(pause=0.1) for _ in range(60)]
    for run in runs:
        enqueue(run)
    while kills < 40 and len(queue.trained()) < len(runs):
        start_workers("gpu", WORKER)
        time.sleep(chance.uniform(0.0, 0.8))
        for pid in queue.workers():
            os.kill(pid, signal.SIGKILL)
            kills += 1
    queue.until(lambda: not queue.workers())
    start_workers("gpu", WORKER)
    queue.until(lambda: all(status_of(run).state == "finished" for run in runs), "for all to be trained")
    assert sorted(order(queue)) == sorted(run.id for run in runs), "each once"
    assert kills >= 20
    print(f"\n{kills} kills, {len(runs)} runs, each trained once")
