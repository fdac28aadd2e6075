"""When something is done on the device, without waiting for it: marks among its work, and figures on their way from it.

A GPU is told what to do long before it does it. A clock of the host shows when it was told; whoever asks the GPU for a
number waits until everything that it was told before is done. So the number is sent off behind the work that makes it,
into page-locked memory, with a mark behind it, and is looked at when the next step's work has been queued.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Mark", "Sent", "mark", "placed", "sent"]


@runtime_checkable
class Mark(Protocol):
    """A moment in a device's work; an event of CUDA is one."""

    def synchronize(self) -> object:
        """Wait until the device has got there."""

    def elapsed_time(self, end_event: Any) -> float:
        """Milliseconds from here to another mark of the device, which has got to both."""


@final
class _Now:
    """A moment of a device that has done what it was told before the next line runs."""

    def __init__(self) -> None:
        self._at = time.perf_counter()

    def synchronize(self) -> None:
        """Nothing is to be waited for."""

    def elapsed_time(self, end_event: _Now) -> float:
        """In milliseconds."""
        return 1000 * (end_event._at - self._at)


def mark(device: torch.device) -> Mark:
    """Behind all that the device was told so far."""
    if device.type != "cuda":
        return _Now()
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # it has no types
    event.record(torch.cuda.current_stream(device))
    return event


@dataclass(frozen=True)
class Sent:
    """Figures on their way to the host.

    Attributes:
        figures: On the host; nothing yet, before the mark.
        arrived: Behind the copy, and so behind the work that makes them.
    """

    figures: Float[Tensor, " n"]
    arrived: Mark

    def wait(self) -> list[float]:
        """The figures, once they are there; for what the device was told later nobody waits."""
        self.arrived.synchronize()
        found: list[float] = self.figures.tolist()
        return found


def sent(figures: Float[Tensor, " n"]) -> Sent:
    """Send figures of a device to the host."""
    device = figures.device
    if device.type == "cuda":
        there = torch.empty(figures.shape, dtype=figures.dtype, pin_memory=True)
        figures = there.copy_(figures, non_blocking=True)
    return Sent(figures, mark(device))


def placed(figures: Sequence[float], device: torch.device) -> Float[Tensor, " n"]:
    """Figures of the host on the device; from page-locked memory, or the host would wait for all the device's work."""
    pinned = device.type == "cuda"
    return torch.tensor(figures, pin_memory=pinned).to(device, non_blocking=pinned)
