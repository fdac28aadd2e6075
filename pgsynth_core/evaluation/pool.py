"""Threads that work ahead on pairs, a few at a time, so that memory is the same for any number of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

__all__ = ["BATCH", "OnScored", "Pool"]

BATCH: Final = 32
"""Pictures that a metric on a device looks at together."""

_AHEAD: Final = 4
"""Pairs that are read ahead of the one that is wanted, for each thread."""

T = TypeVar("T")
R = TypeVar("R")
OnScored = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""


@dataclass(frozen=True)
class Pool:
    """Threads, and how many."""

    executor: ThreadPoolExecutor
    threads: int

    def in_order(self, of: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What a function gives of each item, in order; a few are worked on ahead, so that memory stays the same."""
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(self.executor.submit(of, item))
                if len(waiting) > _AHEAD * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
