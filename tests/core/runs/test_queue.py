"""The queue: who is next, who leaves, what is refused, and that no file spoils it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import create_run, start_session, status_of
from pgsynth_core.runs.devices import device_lock, devices, environment, kind_wanted, used
from pgsynth_core.runs.locks import is_free
from pgsynth_core.runs.queue import enqueue, forget, leave_queue, position, queue_held, take, waiting

from ...fixtures.queues import Queue, queue_of


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
    assert json.loads(state.read_text("utf-8"))["roots"] == [str(queue.root)], "folders are forgotten in time"


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
    run = queue.run()
    enqueue(run)
    with pytest.raises(UserError, match="waits in the queue"):
        enqueue(run)
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
    enqueue(queue.run())
    assert ids()[0] == sound.id, "the folder is known again, and with it who waits there"
    enqueue(damaged)
    assert ids()[-1] == damaged.id


def test_what_waits_on_another_machine_is_not_ours(queue: Queue) -> None:
    run = queue.run()
    enqueue(run)
    run.queued_file.write_text(run.queued_file.read_text("utf-8").replace('"host": "', '"host": "not-'), "utf-8")
    assert waiting() == () and status_of(run).state == "queued"
    with pytest.raises(UserError, match="another machine, not-") as refused:
        leave_queue(run)
    assert str(run.queued_file) in refused.value.problems[0].cure
    run.queued_file.unlink()
    enqueue(run)
    assert ids() == [run.id]


def test_whichever_bit_flips_the_run_can_be_trained(queue: Queue) -> None:
    """It waits, or it does not and may be enqueued again, or the machine that it is said to wait on is named."""
    run = queue.run()
    enqueue(run)
    whole = run.queued_file.read_bytes()
    for place in range(len(whole)):
        run.queued_file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            waited = leave_queue(run)
        except UserError as error:
            assert "another machine" in str(error)
            continue
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
    assert devices("gpu") == (first, second, third) and devices("cpu") == ("cpu",)
    for words, expected in {
        "2,0": (third, first),
        second: (second,),
        "1,9,0": (second,),
        "": (),
        "-1": (),
        "GPU-": (),
    }.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", words)
        assert devices("gpu") == expected, words


def test_no_driver_no_gpus(queue: Queue) -> None:
    program = queue.bin / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n", encoding="utf-8")
    assert devices("gpu") == () and kind_wanted() == "cpu"
    program.unlink()
    assert kind_wanted() in ("cpu", "gpu"), "whatever this machine has"


def test_a_trainer_sees_its_devices_and_no_other(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert "CUDA_VISIBLE_DEVICES" not in environment(("cpu",))
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
