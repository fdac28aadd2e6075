"""Work beside whoever wants it done, in a thread that holds up no program that is told to end. Floor 1, no torch.

The threads of `concurrent.futures` are waited for when Python exits, with all that they are still to do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["beside"]

T = TypeVar("T")


def beside(work: Callable[[], T], name: str) -> Future[T]:
    """Begin work in a thread of its own.

    Args:
        work: What to do.
        name: Of the thread.

    Returns:
        What it gives or raises, once it is done.
    """
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            done.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return done
