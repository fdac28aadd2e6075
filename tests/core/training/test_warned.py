"""Warnings of several processes: the first tells its own at once, and those of others once, when all are together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from accelerate import Accelerator

from pgsynth_core.training import warned
from pgsynth_core.training.warned import Warned


class Process(Accelerator):  # type: ignore[misc]  # it has no types
    """Of some number, of several."""

    process_index = 0
    is_main_process = False

    def __init__(self, number: int) -> None:
        self.process_index, self.is_main_process = number, number == 0


def gathered(processes: Sequence[Warned], monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them come together, each with what it brings."""
    brought: list[Any] = []
    monkeypatch.setattr(warned, "gather_object", lambda given: brought.extend(given) or [])
    for process in reversed(processes[1:]):
        process.gather()
    monkeypatch.setattr(warned, "gather_object", lambda given: [*given, *brought[::-1]])
    processes[0].gather()


def test_what_another_process_met_is_told_once_and_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    processes = [Warned(Process(number), lambda *event: told.append(event)) for number in range(3)]
    for process in processes:
        process.tell("warning", {"message": "all see this", "step": 1})
        process.tell("doing", {"doing": "something"})
    processes[1].tell("warning", {"message": "a record", "step": 2})
    processes[2].tell("warning", {"message": "a record", "step": 1})
    assert told == [("warning", {"message": "all see this", "step": 1}), ("doing", {"doing": "something"})]
    gathered(processes, monkeypatch)
    assert len(told) == 3 and told[2][1]["message"].endswith(": a record") and "process " in told[2][1]["message"]
    gathered(processes, monkeypatch)
    processes[1].tell("warning", {"message": "a record"})
    gathered(processes, monkeypatch)
    processes[0].tell("warning", {"message": "a record"})
    assert len(told) == 3, "it is known"
    processes[0].tell("warning", {"message": "all see this", "step": 9})
    assert len(told) == 4, "what the first says again, it means"


def test_one_process_has_nothing_to_gather() -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    alone = Warned(Accelerator(cpu=True), lambda *event: told.append(event))
    alone.tell("warning", {"message": "once"})
    alone.gather()
    assert len(told) == 1
