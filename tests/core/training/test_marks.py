"""What is sent to and from a device arrives as it was; on a CPU, moments are those of the host."""

from __future__ import annotations

import time

import torch

from pgsynth_core.training.marks import mark, placed, sent

CPU = torch.device("cpu")


def test_on_a_cpu_milliseconds_go_by() -> None:
    began = mark(CPU)
    time.sleep(0.01)
    ended = mark(CPU)
    ended.synchronize()
    assert began.elapsed_time(ended) >= 10 and ended.elapsed_time(began) <= -10


def test_figures_come_and_go() -> None:
    assert sent(placed([1.0, 0.5], CPU)).wait() == [1.0, 0.5]
