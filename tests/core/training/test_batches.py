"""Data workers and signals: the first of a kind leaves them at work, however they were started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from pgsynth_core.data.order import Order
from pgsynth_core.data.tensors import Examples
from pgsynth_core.training import batches
from pgsynth_core.training.batches import Stream, leave_signals_alone

from .conftest import Stage


@pytest.fixture
def patient() -> Iterator[None]:
    """A handler of the trainer's that answers SIGTERM with patience, as the loop's does."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("method", ["fork", "spawn"])
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
