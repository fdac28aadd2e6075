"""What is told of steps: their pace, spikes with their pairs, so many and no more; and never in the way of the run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from pgsynth_core.errors import PgsynthError
from pgsynth_core.runs.control import Wish
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training import marks, report
from pgsynth_core.training.marks import mark
from pgsynth_core.training.report import MOST_NAMED, MOST_SPIKES, PATIENCE, Report
from pgsynth_core.training.step import StepTaken

CPU = torch.device("cpu")
NAN = float("nan")


class Told:
    """A report of steps whose figures are given."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        settings = TrainSettings(steps=10**6)
        self.report = Report(settings, Accelerator(cpu=True), lambda kind, data: self.events.append((kind, data)))

    def step(self, step: int, loss: float, norm: float = 1.0) -> None:
        losses: dict[str, Tensor] = {"loss": torch.tensor(loss)}
        taken = StepTaken(losses=losses, norm=torch.tensor(norm), pairs=(f"a{step}", f"b{step}"), skipped=())
        self.report.step(step, taken, mark(CPU), asked=frozenset())

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


# ------------------------------------------------------------------------------------------- a device's time
class Device:
    """Stands for a GPU: what it is told to do, it does later, one thing after the other. Seconds, none of them real."""

    def __init__(self) -> None:
        self.host, self.busy_until = 0.0, 0.0

    def queue(self, *, launch: float, work: float) -> None:
        """The host takes a while to tell it, the device to do it."""
        began = self.host
        self.host += launch
        self.busy_until = max(self.busy_until, began) + work

    def mark(self, device: torch.device) -> DeviceMark:
        """Behind what is queued."""
        return DeviceMark(self, max(self.host, self.busy_until))


class DeviceMark:
    """Reached at some time of the device."""

    def __init__(self, device: Device, at: float) -> None:
        self.device, self.at = device, at

    def synchronize(self) -> None:
        """The host waits."""
        self.device.host = max(self.device.host, self.at)

    def elapsed_time(self, end_event: DeviceMark) -> float:
        """In milliseconds."""
        return 1000 * (end_event.at - self.at)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    made = Device()
    monkeypatch.setattr(marks, "mark", made.mark)
    return made


def queued(told: Told, device: Device, step: int) -> None:
    """A step that is launched in 0.1 s and takes the device 0.5 s."""
    began = device.mark(CPU)
    device.queue(launch=0.1, work=0.5)
    told.report.step(step, taken(step), began, asked=frozenset())


def taken(step: int, loss: float = 1.0) -> StepTaken:
    pairs = (f"a{step}", f"b{step}")
    return StepTaken(losses={"loss": torch.tensor(loss)}, norm=torch.tensor(1.0), pairs=pairs, skipped=())


def test_the_pace_is_that_of_the_device_and_without_what_is_done_between(told: Told, device: Device) -> None:
    for step in range(1, 31):
        queued(told, device, step)
        if step % 10 == 0:
            told.report.flush()
            device.queue(launch=20.0, work=1.0)  # unseen pairs, a checkpoint, a sheet
    paces = [data["seconds_per_step"] for _, data in told.events]
    assert paces == [pytest.approx(0.5)] * 30
    assert told.events[-1][1]["eta_seconds"] == pytest.approx(0.5 * (10**6 - 30))


def test_the_device_has_a_step_to_do_whenever_the_host_waits(told: Told, device: Device) -> None:
    for step in range(1, 21):
        queued(told, device, step)
        assert device.busy_until - device.host > 0.3, "the host waits for the step before"
        assert [data["step"] for _, data in told.events] == [*range(1, step)]


# ------------------------------------------------------------------------------------------- several processes
class Half(Accelerator):  # type: ignore[misc]  # it has no types
    """One of two processes; what the other brings to the mean is given."""

    num_processes = 2
    device = CPU

    def __init__(self, *, first: bool) -> None:
        self.is_main_process, self.theirs = first, 1.0
        self.rows: list[Tensor] = []

    def reduce(self, row: Tensor, how: str) -> Tensor:  # type: ignore[override]
        """The mean with the other process, which has another loss and our wishes."""
        assert how == "mean"
        self.rows.append(row)
        other = row.clone()
        other[0] = self.theirs
        return (row + other) / 2


class Both:
    """Two reports, of the first process and of the other, whose losses are given: each holds its own pairs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[list[tuple[str, Mapping[str, Any]]]] = [[], []]
        self.halves = [Half(first=True), Half(first=False)]
        self.reports = [self._report(one) for one in range(2)]
        self.brought: list[list[Any]] = [[], []]
        self.monkeypatch = monkeypatch

    def _report(self, one: int) -> Report:
        return Report(TrainSettings(steps=10**6), self.halves[one], lambda *event: self.events[one].append(event))

    def step(self, step: int, *losses: float) -> list[str]:
        """Both take a step. What went wrong in each, which first goes alone, to learn what it brings."""
        for half, theirs in zip(self.halves, reversed(losses), strict=True):
            half.theirs = theirs
        self._gather(lambda one, given: self.brought[one].append(given) or given)
        return [self._one(one, step, loss) for one, loss in enumerate(losses)]

    def _gather(self, gather: Callable[[int, Any], Any]) -> None:
        self.gather = gather

    def _one(self, one: int, step: int, loss: float) -> str:
        pairs = (f"{'ab'[one]}{step}",)
        made = StepTaken(losses={"loss": torch.tensor(loss)}, norm=torch.tensor(1.0), pairs=pairs, skipped=())
        self.monkeypatch.setattr(report, "gather_object", lambda given: self.gather(one, given))
        try:
            self.reports[one].step(step, made, mark(CPU), asked=frozenset())
        except PgsynthError as error:
            return str(error)
        return ""
