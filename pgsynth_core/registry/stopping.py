"""Hear signals for a while, so that whoever ends this process ends it in order. Floor 1, no torch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["heard", "stoppable"]


@contextmanager
def stoppable() -> Iterator[None]:
    """Have whoever ends this process (SIGTERM, a closed terminal) stop it like Ctrl-C: in order, leaving nothing.

    Only the main thread may; elsewhere nothing changes.
    """
    with heard(_stop, signal.SIGTERM, signal.SIGHUP):
        yield


@contextmanager
def heard(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    """Have the handler hear these signals. Only the main thread may; elsewhere nothing changes."""
    try:
        before = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"signal {number}")
