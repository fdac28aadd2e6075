"""What is told of steps: their pace, spikes with their pairs, so many and no more; and never in the way of the run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier, local
from typing import Any, NamedTuple

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from pgsynth_core.errors import PgsynthError
from pgsynth_core.runs.control import Wish
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training import marks, report
from pgsynth_core.training.marks import mark
from pgsynth_core.training.report import MOST_NAMED, MOST_SPIKES, Report
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
    one = torch.tensor(1.0)
    taken = StepTaken(losses={"loss": one}, norm=one, pairs=(), skipped=())
    told.report.step(step, taken, began, asked=frozenset())


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
class Meeting:
    """Where two threads, which stand for two processes, exchange what they bring; who comes alone has failed."""

    def __init__(self) -> None:
        self._brought: dict[int, Any] = {}
        self._barrier = Barrier(2, timeout=10)
        self.number = local()

    def exchange(self, mine: Any) -> list[Any]:
        """What each brings."""
        self._brought[self.number.value] = mine
        self._barrier.wait()
        found = [self._brought[number] for number in range(2)]
        self._barrier.wait()
        return found


class Half(Accelerator):  # type: ignore[misc]  # it has no types
    """One of two processes."""

    num_processes = 2
    device = CPU

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    def reduce(self, row: Tensor, how: str) -> Tensor:  # type: ignore[override]
        """The mean of both."""
        assert how == "mean"
        return torch.stack(self._meeting.exchange(row)).mean(0)


class Ended(NamedTuple):
    """What one process told, how many steps it took, and the error that ended it."""

    warnings: list[str]
    steps: int
    error: str


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Ended]]:
    """Let two processes take steps with given losses; the first sees pairs a1, a2, ..., the other b1, b2, ..."""
    meeting = Meeting()
    monkeypatch.setattr(report, "gather_object", lambda given: [*chain(*meeting.exchange(given))])

    def one(number: int, losses: Sequence[float], asked: Mapping[int, Wish]) -> Ended:
        meeting.number.value = number
        told: list[str] = []
        made = Report(
            TrainSettings(steps=len(losses)),
            Half(meeting),
            lambda kind, data: told.append(data["message"]) if kind == "warning" else None,
        )
        for step, loss in enumerate(losses, 1):
            wish = frozenset({asked[step]}) if step in asked else frozenset[Wish]()
            figures = {"loss": torch.tensor(loss)}
            pairs = (f"{'ab'[number]}{step}",)
            shown = StepTaken(losses=figures, norm=torch.tensor(1.0), pairs=pairs, skipped=())
            try:
                made.step(step, shown, mark(CPU), asked=wish)
            except PgsynthError as error:
                return Ended(told, step, str(error))
            if step == 1 and 0 in asked:
                made.ask(frozenset({asked[0]}))
            if made.stop:
                return Ended(told, step, "")
        return Ended(told, len(losses), "")

    def run(*losses: Sequence[float], asked: Mapping[int, Wish] | None = None) -> list[Ended]:
        with ThreadPoolExecutor(2) as pool:
            return [*pool.map(one, range(2), losses, [{}, asked or {}])]

    return run


def test_the_pairs_of_every_bad_step_of_all_processes_are_named(both: Callable[..., list[Ended]]) -> None:
    fine, bad = [1.0] * 9, [1.0, NAN, 1.0, 1.0, NAN, NAN, NAN, 1.0, 1.0]
    first, other = both(fine, bad)
    assert first == other and first.steps == 8, "both learn one step late that the third in a row was bad"
    assert "3 steps in a row, 5 to 7," in first.error
    assert "of step 5 a5, b5; of step 6 a6, b6; of step 7 a7, b7." in first.error


def test_a_spike_is_told_with_the_pairs_of_all_processes(both: Callable[..., list[Ended]]) -> None:
    losses = [1.0] * 100
    first, other = both(losses, [*losses[:79], 30.0, *losses[80:]])
    assert first == other and first.steps == 100
    (said,) = first.warnings
    assert said.startswith("spike at step 80: the loss is 15.5, ") and "The batch: a80, b80." in said


@pytest.mark.parametrize(("asked", "stopped"), [({2: "stop"}, 3), ({0: "stop"}, 3), ({}, 9)])
def test_all_processes_stop_at_the_same_step(
    asked: Mapping[int, Wish], stopped: int, both: Callable[..., list[Ended]]
) -> None:
    """Whether one is asked while a step is taken, or (0) between the first and the second."""
    first, other = both([1.0] * 9, [1.0] * 9, asked=asked)
    assert first == other and first.steps == stopped
    assert len(first.warnings) == len(asked)


def test_so_many_pairs_are_named_and_the_others_counted() -> None:
    told, many = Told(), MOST_NAMED - 10
    for step in range(1, 4):
        pairs = tuple(f"s{step}-{number}" for number in range(many))
        shown = StepTaken(losses={"loss": torch.tensor(NAN)}, norm=torch.tensor(1.0), pairs=pairs, skipped=())
        told.report.step(step, shown, mark(CPU), asked=frozenset())
    with pytest.raises(PgsynthError, match=r"s1-0, .*s2-9; and \d+ more\.") as error:
        told.report.flush()
    assert "s2-10" not in str(error.value) and f"and {3 * many - MOST_NAMED} more." in str(error.value)
