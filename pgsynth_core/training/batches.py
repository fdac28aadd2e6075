"""Batches by position: which pairs a step sees is a function of the seed, so a run resumes at any sample."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final

import torch
from torch.utils.data import DataLoader

from pgsynth_core.data.cache import cache_root, is_fetched
from pgsynth_core.data.order import positions
from pgsynth_core.data.tensors import Batch, Examples, Failed, checked, collate
from pgsynth_core.errors import UserError

TIMEOUT_SECONDS = 300
"""Of a data worker; a worker that hangs is an error and not a silence."""

GROWING_SECONDS: Final = 60.0
"""A worker that waits for what is fetched does not hang, if something of it has come since so long ago."""

PATIENCE_SECONDS: Final = 1.0
"""In which workers that are not needed any more may end by themselves."""

_HANGS: Final = "DataLoader timed out"
_ENDED: Final = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)(?: is killed by signal: ([\w ]+))?")
"""What torch says of its workers. The end of one may be told at any instant, wherever the process that trains is."""


def worker_failure(error: RuntimeError, where: str = "") -> UserError | None:
    """What to say if the error tells of a worker that hangs or has ended; else None.

    Args:
        error: What torch raised.
        where: The pairs that were waited for; empty if nobody knows.
    """
    text = str(error)
    if _HANGS in text:
        message = f"a data worker has given nothing for {TIMEOUT_SECONDS} seconds{where}: reading hangs."
        cure = (
            "Look at these files and the disk they are on; or read them in this process: resume with train.workers=0."
        )
        return UserError(message, cure=cure)
    if (said := _ENDED.search(text)) is None:
        return None
    how = f"was killed ({said[2].strip()})" if said[2] else "is gone"
    why = "" if said[2] and not said[2].startswith("Killed") else ": most likely the system ran out of memory"
    message = f"a data worker, process {said[1]}, {how}{where}{why}."
    cure = "Resume with fewer workers or none, train.workers=0, where an error shows itself."
    return UserError(message, cure=cure)


def leave_signals_alone(worker: int) -> None:
    """In a data worker: a stop is for the process that trains, which goes on reading to the end of its step.

    A terminal sends Ctrl-C to every process, and SIGHUP when it is closed; a job's manager sends SIGTERM. The first
    SIGTERM is therefore passed over; the second ends the worker, for one that hangs must end with its trainer.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _the_next_ends)


def _end(workers: Sequence[BaseProcess]) -> None:
    """None of them outlives their reader: who hangs in the system's code hears no SIGTERM, and Python waits at exit."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    for worker in workers:
        with suppress(RuntimeError):  # torch tells at any instant that one of its workers was killed
            worker.kill()
            worker.join(PATIENCE_SECONDS)


def _the_next_ends(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)


@dataclass(frozen=True, kw_only=True)
class Stream:
    """The endless stream of one process' batches.

    Attributes:
        examples: Pairs as tensors, by position.
        batch_size: Pairs of this process in one batch.
        accumulate: Batches of one step.
        rank: Number of this process.
        world: How many there are.
        workers: Processes that load data; 0: this one.
    """

    examples: Examples
    batch_size: int
    accumulate: int = 1
    rank: int = 0
    world: int = 1
    workers: int = 0

    def since(self, step: int) -> Generator[tuple[list[int], Batch], None, None]:
        """Positions and batches of every step after the given one; close it, and no worker is left.

        Raises:
            DataError: If a pair cannot be used and the dataset does not pass over it.
            UserError: If a worker hangs, or is gone.
        """
        self._prefetch(step)
        loader = DataLoader(
            self.examples,
            batch_sampler=_Endless(self, step),
            collate_fn=collate,
            num_workers=self.workers,
            worker_init_fn=leave_signals_alone,
            pin_memory=torch.cuda.is_available(),
            timeout=TIMEOUT_SECONDS if self.workers else 0,
        )
        others = active_children()
        batches = iter(loader)
        workers = [child for child in active_children() if child not in others]
        try:
            for taken in _Endless(self, step):
                yield taken, checked(self._next(batches, taken))
        finally:
            del batches  # where nothing else holds it, it tells its workers that they may end
            _end(workers)

    def _next(self, batches: Iterator[Batch | Failed], taken: list[int]) -> Batch | Failed:
        while True:
            try:
                return next(batches)
            except RuntimeError as error:
                if _HANGS in str(error) and self._is_fetching():
                    continue  # torch's iterator is as it was, and can be asked again
                if failure := worker_failure(error, f" when it was to read {self._said(taken)}"):
                    raise failure from error
                raise

    def _is_fetching(self) -> bool:
        order = self.examples.order
        far = order is not None and bool(order.blocks)
        return far and is_fetched(cache_root(), since=time.time() - GROWING_SECONDS)

    def _prefetch(self, step: int) -> None:
        """Have fetched what is far away of a step's pairs: here, where it may take longer than a worker may."""
        if (order := self.examples.order) is not None and order.blocks:
            taken = islice(_Endless(self, step), self.accumulate)
            self.examples.dataset.prefetch([order.at(one)[1] for batch in taken for one in batch], wait=True)

    def _said(self, taken: list[int]) -> str:
        """Positions as a person finds them: the numbers of the pairs in their dataset."""
        order = self.examples.order
        numbers = [position if order is None else order.at(position)[1] for position in taken]
        return f"the pairs {', '.join(map(str, numbers))} of the training split"

    def first(self) -> Batch:
        """The first batch of the run, made in this process.

        Raises:
            DataError: If a pair of it cannot be used and the dataset does not pass over it.
        """
        self._prefetch(0)
        return checked(collate([self.examples[position] for position in next(iter(_Endless(self, 0)))]))


@dataclass(frozen=True)
class _Endless:
    """The positions of each batch of this process, without end; what the loader takes as its batch sampler."""

    stream: Stream
    step: int

    def __iter__(self) -> Iterator[list[int]]:
        stream, batch = self.stream, self.step * self.stream.accumulate
        while True:
            yield list(positions(batch, stream.batch_size, rank=stream.rank, world=stream.world))
            batch += 1
