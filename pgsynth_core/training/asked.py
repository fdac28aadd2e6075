"""What training is asked while it goes on: by Ctrl-C, SIGTERM, a terminal that is closed, and wishes from outside."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

from pgsynth_core.runs.control import Wish

__all__ = ["Asked", "asked_to_stop"]


@final
class Asked:
    """What a process is asked, each wish once until it is granted: of several processes all learn of it a step late.

    Args:
        interrupted: Whether a signal has come.
        wishes: From outside.
    """

    def __init__(self, interrupted: Callable[[], bool], wishes: Callable[[], frozenset[Wish]]) -> None:
        self._interrupted, self._wishes = interrupted, wishes
        self._passed_on: frozenset[Wish] = frozenset()

    def anew(self) -> frozenset[Wish]:
        """What was not asked before."""
        interrupted: frozenset[Wish] = frozenset({"stop"}) if self._interrupted() else frozenset()
        found = (self._wishes() | interrupted) - self._passed_on
        self._passed_on |= found
        return found

    def granted(self, names: Iterable[Wish]) -> None:
        """These may be asked again."""
        self._passed_on -= set(names)


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM has come, of which a second interrupts at once, or the terminal is gone.

    Of that a process hears more than once: from its shell, and from the system when the shell has ended. A signal may
    come while another is heard, so nothing here takes a lock.
    """
    asked = False
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number != signal.SIGHUP:
            raise KeyboardInterrupt
        asked = True

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        heard.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
