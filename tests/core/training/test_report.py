"""What is told of steps: spikes with their pairs, so many of them and no more, and never in the way of the run."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.report import MOST_SPIKES, Report
from pgsynth_core.training.step import StepTaken


class Told:
    """A report of steps whose figures are given."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        settings = TrainSettings(steps=10**6)
        self.report = Report(settings, Accelerator(cpu=True), lambda kind, data: self.events.append((kind, data)))

    def step(self, step: int, loss: float, norm: float = 1.0) -> None:
        losses: dict[str, Tensor] = {"loss": torch.tensor(loss)}
        taken = StepTaken(losses=losses, norm=torch.tensor(norm), pairs=(f"a{step}", f"b{step}"), skipped=())
        self.report.step(step, taken, 0.1, asked=frozenset())

    @property
    def spikes(self) -> list[Mapping[str, Any]]:
        return [data for kind, data in self.events if kind == "warning"]


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_spike_is_told_with_step_and_pairs_and_the_run_goes_on(told: Told) -> None:
    chance = random.Random(0)
    for step in range(1, 101):
        loss = 3.0 if step == 80 else 0.1 + 0.02 * chance.random()
        told.step(step, loss, norm=40.0 if step == 90 else 1 + 0.1 * chance.random())
    told.report.flush()
    first, second = told.spikes
    assert first["step"] == 80 and "the loss is 3, 26.8 times" in first["message"] and "a80, b80" in first["message"]
    assert second["step"] == 90 and "the norm of the gradients is 40" in second["message"]
    steps = [data["step"] for kind, data in told.events if kind == "step"]
    assert steps == [*range(1, 101)] and not told.report.stop


def test_so_many_are_told_and_the_last_says_so(told: Told) -> None:
    for step in range(1, 1001):
        told.step(step, 5.0 if step > 100 and step % 10 == 0 else 0.1)
    assert len(told.spikes) == MOST_SPIKES
    assert ["not told" in spike["message"] for spike in told.spikes] == [False] * (MOST_SPIKES - 1) + [True]


def test_a_step_without_a_number_is_no_spike(told: Told) -> None:
    for step in range(1, 101):
        told.step(step, 0.1, norm=float("inf") if step in (60, 70) else 1.0)
    told.report.flush()
    assert told.spikes == []


def test_memory_is_told_where_the_device_counts_it(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    told.step(1, 0.5)
    told.report.flush()
    monkeypatch.setattr(Accelerator, "device", torch.device("cuda:1"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 10**9 + device.index)
    told.step(2, 0.5)
    told.report.flush()
    (_, first), (_, second) = told.events
    assert "memory_bytes" not in first and second["memory_bytes"] == 10**9 + 1
