"""What is sent to and from a device arrives as it was; on a CPU, moments are those of the host."""

from __future__ import annotations

import time

import pytest
import torch

from pgsynth_core.training.marks import mark, placed, sent

CPU = torch.device("cpu")


def test_on_a_cpu_a_moment_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([1.0, 1.25])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    began, ended = mark(CPU), mark(CPU)
    ended.synchronize()
    assert began.elapsed_time(ended) == 250


def test_figures_come_and_go() -> None:
    assert sent(placed([1.0, 0.5], CPU)).wait() == [1.0, 0.5]
