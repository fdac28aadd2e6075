"""Data workers and signals: the first of a kind leaves them at work, however they were started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from pgsynth_core.data.order import Order
from pgsynth_core.data.tensors import Batch, Examples, Failed
from pgsynth_core.errors import UserError
from pgsynth_core.training import batches
from pgsynth_core.training.batches import Stream, leave_signals_alone, worker_failure

from .conftest import Stage


@pytest.fixture
def patient() -> Iterator[None]:
    """A handler of the trainer's that answers SIGTERM with patience, as the loop's does."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_a_worker_outlives_interrupts_and_one_termination(method: str, patient: None) -> None:
    numbers = TensorDataset(torch.arange(64))
    loader = DataLoader(numbers, num_workers=1, worker_init_fn=leave_signals_alone, multiprocessing_context=method)
    taken = iter(loader)
    assert next(taken)[0].item() == 0
    worker = taken._workers[0].pid  # type: ignore[attr-defined]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        os.kill(worker, number)
    assert [one.item() for (one,) in taken] == [*range(1, 64)]
    again = iter(loader)
    next(again)
    with pytest.raises(RuntimeError, match="killed by signal: Terminated"):  # torch says so as soon as it ends
        for _ in range(2):
            os.kill(again._workers[0].pid, signal.SIGTERM)  # type: ignore[attr-defined]
            time.sleep(1)
        time.sleep(4)


def test_the_stream_keeps_its_workers_through_an_interrupt(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DataLoader[object]] = []

    class Seen(DataLoader):  # type: ignore[type-arg]
        def __init__(self, *given: object, **named: object) -> None:
            super().__init__(*given, **named)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(batches, "DataLoader", Seen)
    scene = stage("encoder=toy_tokens")
    examples = Examples(scene.people, scene.plan, order=Order(len(scene.people), 0))
    next(Stream(examples=examples, batch_size=1, workers=1).since(0))
    assert made[0].worker_init_fn is leave_signals_alone


# ------------------------------------------------------------------------------------------- workers that fail
class Deaf(Examples):
    """That hangs where no handler of Python's runs: the signal never comes through."""

    def __getitem__(self, position: int) -> Batch | Failed:
        if position == 1:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            time.sleep(60)
        return super().__getitem__(position)


class Hanging(Examples):
    """That never gives the third pair, as on a network's disk that is gone."""

    def __getitem__(self, position: int) -> Batch | Failed:
        if position == 2:
            time.sleep(60)
        return super().__getitem__(position)


class Slow(Examples):
    """The second pair takes longer than a worker may."""

    def __getitem__(self, position: int) -> Batch | Failed:
        time.sleep(1.3 * (position == 1))
        return super().__getitem__(position)


def stream(stage: Stage, kind: type[Examples]) -> Stream:
    scene = stage("encoder=toy_tokens")
    return Stream(examples=kind(scene.people, scene.plan), batch_size=1, workers=1)


def test_a_worker_that_hangs_is_told_with_the_pair(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "TIMEOUT_SECONDS", 2)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.5)  # it is let go of sooner too
    with pytest.raises(UserError, match=r"nothing for 2 seconds when it was to read the pairs 2 of the training"):
        for _ in zip(range(5), stream(stage, Hanging).since(0), strict=False):
            pass


def test_a_worker_that_waits_for_a_shard_that_comes_does_not_hang(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(batches, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)
    monkeypatch.setenv("PGSYNTH_CACHE", str(tmp_path))
    half = tmp_path / "shards/00" / f"{'0' * 32}.tar.tmp"
    half.parent.mkdir(parents=True)
    half.touch()
    scene = stage("encoder=toy_tokens")
    order = Order(len(scene.people), 1, blocks=(len(scene.people),), batch=1)
    reading = Stream(examples=Slow(scene.people, scene.plan, order=order), batch_size=1, workers=1).since(0)
    assert [next(reading)[0] for _ in range(2)] == [[0], [1]]
    reading.close()


@pytest.mark.parametrize("kind", [Deaf, Examples])
def test_no_worker_outlives_what_it_reads_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: type[Examples]
) -> None:
    monkeypatch.setattr(batches, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)
    before, reading = multiprocessing.active_children(), stream(stage, kind).since(0)
    next(reading)
    assert len(multiprocessing.active_children()) == len(before) + 1
    if kind is Deaf:
        with pytest.raises(UserError, match="the pairs 1 of the training"):
            next(reading)
    else:
        reading.close()
    assert multiprocessing.active_children() == before


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "DataLoader worker (pid 12) is killed by signal: Killed. ",
            "process 12, was killed (Killed): most likely the",
        ),
        ("DataLoader worker (pid 12) is killed by signal: Segmentation fault. ", "was killed (Segmentation fault)."),
        ("DataLoader worker (pid(s) 12, 13) exited unexpectedly", "process 12, 13, is gone: most likely the system"),
    ],
)
def test_the_end_of_a_worker_is_known_wherever_it_is_told(said: str, told: str) -> None:
    assert told in str(worker_failure(RuntimeError(said)))


def test_any_other_error_is_let_be(stage: Stage) -> None:
    assert worker_failure(RuntimeError("shapes do not fit")) is None
