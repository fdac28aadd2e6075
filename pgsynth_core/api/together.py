"""As much at once as memory holds: where it ends, half as much from then on, which changes no picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch
from accelerate.utils.memory import clear_device_cache

from pgsynth_core.api.shortage import shortage_of
from pgsynth_core.errors import UserError

__all__ = ["as_many_as_fit", "at_rest"]

T = TypeVar("T")
R = TypeVar("R")


def as_many_as_fit(
    wanted: Iterable[T],
    make: Callable[[Sequence[T]], Sequence[R]],
    size: int,
    *,
    most: int = 0,
    tell: Callable[[str], None] | None = None,
) -> Iterator[R]:
    """What is made of each thing, in order, several of them at once.

    Args:
        wanted: Taken as they are needed.
        make: Given some of them; of each it makes one, and the same among any others.
        size: How many at once, at least 1.
        most: Twice as many are tried each time that so many fitted, up to this; where memory ends then, those that
            fitted stay, without a word. None are added where it is at most `size`.
        tell: Told when memory ended, and how many are made together from then on.

    Raises:
        UserError: If there is not the memory for a single one.
    """
    waiting, fitted = iter(wanted), 0
    chunk = list(islice(waiting, size))
    while chunk:
        try:
            made = make(chunk[:size])
        except (MemoryError, RuntimeError) as error:
            lacking = shortage_of(error)
            if lacking is None:
                raise
        else:
            yield from made
            fitted = max(fitted, len(made))
            if size <= fitted < most:
                size = min(2 * size, most)
            chunk = chunk[len(made) :]
            chunk += islice(waiting, max(0, size - len(chunk)))
            continue
        clear_device_cache(garbage_collection=True)  # here, where no traceback holds what was made any more
        tried, most = min(size, len(chunk)), 0
        if fitted and fitted < tried:  # it was more than was asked for
            size = fitted
            continue
        if tried == 1:
            cure = "Draw on a device with more memory (--device cpu is slow and has most), or at a smaller size."
            raise UserError(f"{lacking}", where="one picture at a time", cure=cure)
        size = tried // 2
        if tell:
            tell(f"{lacking} {size} at a time from here on.")


@contextmanager
def at_rest(method: torch.nn.Module) -> Iterator[torch.device]:
    """The method as it is used, not trained; afterwards as before, whatever happened. Gives its device."""
    training = method.training
    method.eval()
    try:
        with torch.no_grad():
            yield next(method.parameters()).device
    finally:
        method.train(training)
