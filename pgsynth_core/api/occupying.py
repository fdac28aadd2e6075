"""While a run trains outside the queue it holds its GPU's lock, so that runs of the queue wait for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.devices import used
from pgsynth_core.runs.entry import ATTEMPT

__all__ = ["occupying"]


@contextmanager
def occupying(device: torch.device, folder: RunFolder) -> Iterator[tuple[str, ...]]:
    """Train on a device inside; a trainer that a worker started holds the worker's lock already.

    Args:
        device: What this process trains on.
        folder: The run.

    Returns:
        Warnings: who else of this user uses it, by the locks of this machine.
    """
    uuid = _uuid(device)
    if not uuid or ATTEMPT in os.environ:
        yield ()
        return
    with used(uuid, run=str(folder.path)) as others:
        yield (others,) if others else ()


def _uuid(device: torch.device) -> str:
    """As NVIDIA's program writes it; empty for what is no GPU of theirs, or where torch does not tell."""
    if device.type != "cuda":
        return ""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return f"GPU-{uuid}" if uuid else ""
