"""The queue: who is next, who leaves, what is refused, and that no file spoils it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, create_run, start_session, status_of
from pgsynth_core.runs.devices import allowed_gpus, device_lock, devices, environment, kind_wanted, used
from pgsynth_core.runs.locks import hold, is_free, queue_held
from pgsynth_core.runs.queue import enqueue, forget, leave_queue, position, take, waiting

from ...fixtures.queues import Queue, queue_of, rewrite


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    yield from queue_of(tmp_path, monkeypatch)


def ids(kind: str | None = None) -> list[str]:
    return [run.folder.id for run in waiting(kind)]  # type: ignore[arg-type]


def test_who_comes_first_is_first(queue: Queue) -> None:
    runs = [queue.run() for _ in range(3)]
    for run in (runs[1], runs[2], runs[0]):
        enqueue(run)
    assert ids() == [runs[1].id, runs[2].id, runs[0].id]
    assert [position(run) for run in runs] == [3, 1, 2]


def test_who_leaves_makes_room_and_comes_back_last(queue: Queue) -> None:
    runs = [queue.run() for _ in range(3)]
    for run in runs:
        enqueue(run)
    assert leave_queue(runs[0]) and not leave_queue(runs[0])
    assert (status_of(runs[0]).state, status_of(runs[0]).reason) == ("stopped", "taken out of the queue.")
    enqueue(runs[0])
    assert ids() == [runs[1].id, runs[2].id, runs[0].id]


def test_runs_of_several_folders_wait_together(queue: Queue, tmp_path: Path) -> None:
    here = queue.run()
    there = create_run(tmp_path / "elsewhere", slug="x", spec_yaml="{}", lock=None)
    enqueue(there)
    enqueue(here)
    assert ids() == [there.id, here.id]
    assert leave_queue(there)
    enqueue(queue.run())
    state = next(queue.state.rglob("queue.json"))
    listed = json.loads(state.read_text("utf-8"))["runs"]
    assert str(there.path) not in listed and str(here.path) in listed, "who waits no more is forgotten in time"


def test_a_disk_that_is_away_for_a_while_keeps_its_place(queue: Queue, tmp_path: Path) -> None:
    there = create_run(tmp_path / "elsewhere", slug="x", spec_yaml="{}", lock=None)
    enqueue(there)
    (tmp_path / "elsewhere").rename(tmp_path / "away")
    here = queue.run()
    enqueue(here)
    assert ids() == [here.id]
    (tmp_path / "away").rename(tmp_path / "elsewhere")
    assert position(there) == 1, "it was enqueued first"


def test_a_link_to_the_folder_of_runs_is_that_folder(queue: Queue, tmp_path: Path) -> None:
    run = queue.run()
    (tmp_path / "link").symlink_to(queue.root, target_is_directory=True)
    linked = RunFolder(tmp_path / "link" / run.id)
    enqueue(linked)
    assert position(linked) == position(run) == 1 and status_of(linked).reason == ""
    assert leave_queue(linked) and position(run) is None


def test_what_was_not_enqueued_here_is_not_trained_whatever_its_folder_says(queue: Queue, tmp_path: Path) -> None:
    run = queue.run()
    enqueue(run)
    copy = RunFolder(shutil.copytree(run.path, queue.root / "20260101-000000-unpacked"))
    rewrite(copy.queued_file, order=-1, python=str(tmp_path / "evil"))
    assert ids() == [run.id] and position(copy) is None
    assert status_of(copy).state == "queued" and "nothing here takes it" in status_of(copy).reason
    enqueue(copy)
    assert [(one.folder, one.python) for one in waiting()][1] == (copy, sys.executable), "at the end, and as of now"


def test_an_entry_sets_nothing_that_we_would_not(queue: Queue) -> None:
    run = queue.run()
    enqueue(run)
    rewrite(run.queued_file, environment={"LD_PRELOAD": "evil.so", "HF_HOME": "hub"})
    assert waiting()[0].environment == {"HF_HOME": "hub"}


def test_gpus_and_the_cpu_have_a_queue_each(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.gpus(2)
    assert kind_wanted() == "gpu"
    on_gpu, on_cpu = queue.run(), queue.run()
    enqueue(on_gpu, wanted=2)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    enqueue(on_cpu)
    assert ids("gpu") == [on_gpu.id] and ids("cpu") == [on_cpu.id] and position(on_cpu) == 1


@pytest.mark.parametrize(("count", "cure"), [(0, "Leave --devices out"), (2, "at most --devices 2")])
def test_more_devices_than_there_are_are_refused(queue: Queue, count: int, cure: str) -> None:
    queue.gpus(count)
    run = queue.run()
    with pytest.raises(UserError, match="this machine has") as refused:
        enqueue(run, wanted=3)
    assert cure in refused.value.problems[0].cure and waiting() == ()


def test_nobody_waits_twice_or_while_being_trained(queue: Queue) -> None:
    run, other = queue.run(), queue.run()
    enqueue(run)
    enqueue(other)
    enqueue(run, steps=7, checkpoint="step-00000002")
    assert ids() == [run.id, other.id], "in its place, for what was asked last"
    assert (waiting()[0].steps, waiting()[0].checkpoint) == (7, "step-00000002")
    assert leave_queue(run)
    start_session(run)
    with pytest.raises(UserError, match="being trained already"):
        enqueue(run)
    assert not leave_queue(run)


def test_a_run_is_taken_once(queue: Queue) -> None:
    enqueue(queue.run())
    (run,) = waiting()
    with queue_held():
        assert take(run, ("cpu",)) is not None and take(run, ("cpu",)) is None
    assert waiting() == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"order": "1"}', "\0"])
def test_a_damaged_file_keeps_nobody_waiting(queue: Queue, text: str) -> None:
    damaged, sound = queue.run(), queue.run()
    enqueue(damaged)
    enqueue(sound)
    damaged.queued_file.write_text(text, encoding="utf-8")
    assert ids() == [sound.id] and position(damaged) is None
    assert (status_of(damaged).state, status_of(damaged).reason[:11]) == ("lost", "queued.json"), "nor does it seem to"
    next(queue.state.rglob("queue.json")).write_text(text, encoding="utf-8")
    assert waiting() == ()
    assert "nothing here takes it" in status_of(sound).reason
    enqueue(sound)
    enqueue(damaged)
    assert ids() == [sound.id, damaged.id]


@pytest.mark.parametrize("other", [{"host": "node7"}, {"uid": 2**16 - 3}])
def test_what_waits_elsewhere_is_not_trained_here_and_may_leave(queue: Queue, other: dict[str, Any]) -> None:
    run = queue.run()
    enqueue(run)
    rewrite(run.queued_file, **other)
    assert waiting() == () and status_of(run).state == "queued"
    assert str(*other.values()) in status_of(run).reason and "nothing here takes it" in status_of(run).reason
    assert leave_queue(run) and not leave_queue(run) and status_of(run).state == "stopped"
    enqueue(run)
    assert ids() == [run.id]
    rewrite(run.queued_file, **other)
    enqueue(run)
    assert ids() == [run.id], "it waits here from now on"


def test_a_file_of_another_user_is_not_trained_as_ours(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    run = queue.run()
    enqueue(run)
    facts = run.queued_file.stat()
    assert facts.st_mode & 0o077 == 0, "what stands there of an environment is nobody else's"
    theirs = os.stat_result((*facts[:4], facts.st_uid + 1, *facts[5:]))
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: theirs if path == run.queued_file else real(path, **how))
    assert waiting() == ()


def test_a_folder_that_was_moved_waits_again(queue: Queue) -> None:
    run = queue.run()
    enqueue(run)
    queue.root.rename(queue.root.with_name("moved"))
    moved = RunFolder(queue.root.with_name("moved") / run.id)
    assert waiting() == () and status_of(moved).state == "queued"
    enqueue(moved)
    assert ids() == [run.id] and leave_queue(moved)


def test_who_enqueues_says_by_what_it_is_trained(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("HF_HOME", "/weights")
    monkeypatch.setenv("PGSYNTH_CACHE", "/cache")
    run = queue.run()
    enqueue(run)
    (found,) = waiting()
    assert found.python == sys.executable
    assert {"HF_HOME": "/weights", "PGSYNTH_CACHE": "/cache"}.items() <= found.environment.items()
    assert "secret" not in run.queued_file.read_text("utf-8")


def test_whichever_bit_flips_the_run_can_be_trained(queue: Queue) -> None:
    """It waits, or it does not and may be enqueued again."""
    run = queue.run()
    enqueue(run)
    whole = run.queued_file.read_bytes()
    for place in range(len(whole)):
        run.queued_file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        waited = leave_queue(run)
        assert waited or status_of(run).state in ("lost", "stopped")
        enqueue(run)
        assert ids() == [run.id]


def test_what_was_enqueued_may_be_taken_back_on_a_full_disk(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    run = queue.run()
    enqueue(run)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match="cannot be taken out of the queue: No space left"):
        leave_queue(run)
    assert ids() == [run.id] and forget(run) and not forget(run) and ids() == []
    with pytest.raises(UserError, match="the queue cannot be kept here: No space left") as refused:
        enqueue(run)
    assert "XDG_STATE_HOME" in refused.value.problems[0].cure and str(queue.state) in refused.value.problems[0].where


# ------------------------------------------------------------------------------------------- devices
def test_gpus_are_those_that_may_be_used(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = queue.gpus(3)
    assert allowed_gpus() is None and devices("cpu") == ("cpu",)
    for words, expected in {
        "2,0": (third, first),
        second: (second,),
        "1,9,0": (second,),
        "": (),
        "-1": (),
        "GPU-": (),
    }.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", words)
        assert allowed_gpus() == expected, words
        assert devices("gpu") == (first, second, third), "the machine has them all the same"


def test_a_run_waits_for_the_gpus_that_it_may_use(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = queue.gpus(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    enqueue(queue.run())
    with pytest.raises(UserError, match="has 1 GPU, by CUDA_VISIBLE_DEVICES"):
        enqueue(queue.run(), wanted=2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    enqueue(queue.run(), wanted=2)
    narrow, wide = waiting()
    assert narrow.may_use(second) and not narrow.may_use(first) and wide.may_use(first) and wide.may_use(second)


def test_gpus_that_cannot_be_told_are_refused(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    uuids = queue.gpus(2, kinds=2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-7")
    with pytest.raises(UserError, match="part of a GPU"):
        kind_wanted()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(UserError, match="numbers them by speed") as refused:
        kind_wanted()
    assert "nvidia-smi -L" in refused.value.problems[0].cure
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert allowed_gpus() == uuids[1:]
    monkeypatch.delenv("CUDA_DEVICE_ORDER")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", uuids[1])
    assert allowed_gpus() == uuids[1:]


def test_no_driver_no_gpus_and_one_that_fails_is_told(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    program = queue.bin / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n", encoding="utf-8")
    assert devices("gpu") == () and kind_wanted() == "cpu"
    program.write_text("#!/bin/sh\necho Unable to determine the device handle\nexit 255\n", encoding="utf-8")
    with pytest.raises(UserError, match="Unable to determine") as refused:
        enqueue(queue.run())
    assert "ACCELERATE_USE_CPU=1" in refused.value.problems[0].cure and waiting() == ()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    assert kind_wanted() == "cpu"
    monkeypatch.delenv("ACCELERATE_USE_CPU")
    program.unlink()
    monkeypatch.setenv("PATH", str(queue.bin))
    assert kind_wanted() == "cpu" and devices("gpu") == ()


def test_a_trainer_sees_its_devices_and_no_other(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    uuids = queue.gpus(2)
    assert environment(("cpu",))["CUDA_VISIBLE_DEVICES"] == ""
    theirs = environment(uuids)
    assert theirs["CUDA_VISIBLE_DEVICES"] == ",".join(uuids) and "ACCELERATE_USE_CPU" not in theirs


def test_who_trains_in_the_foreground_has_the_device_meanwhile(queue: Queue) -> None:
    with used("GPU-1", run="/runs/a") as others:
        assert others == "" and not is_free(device_lock("GPU-1")) and is_free(device_lock("GPU-2"))
        with used("GPU-1", run="/runs/b") as others:
            assert "/runs/a" in others
        assert not is_free(device_lock("GPU-1")), "only its holder lets it go"
    assert is_free(device_lock("GPU-1"))


def test_who_looks_whether_a_device_is_free_does_not_keep_it_from_others(queue: Queue) -> None:
    looking, looked = threading.Event(), threading.Event()

    def look() -> None:
        """As `start_workers`, which looks at locks by taking them for an instant."""
        with queue_held():
            held = hold(device_lock("GPU-0"))
            assert held is not None
            looking.set()
            looked.wait(0.2)
            held.release()

    thread = threading.Thread(target=look)
    thread.start()
    assert looking.wait(30)
    with used("GPU-0", run="x") as others:
        assert others == "" and not is_free(device_lock("GPU-0"))
    thread.join()
