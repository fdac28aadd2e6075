"""Start what trains the queue: one worker for each free device, as processes of their own. Floor 1, no torch.

A worker (`supervisor`) is in a session of its own, so that it outlives the terminal and whoever started it, and
torch-free, so that it costs nothing while its trainer has the memory.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs.devices import Kind, device_lock, devices, kind_of_device, worker_lock, worker_locks
from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.locks import STATE_VARIABLE, is_free, queue_held, state_folder
from pgsynth_core.runs.queue import waiting

__all__ = ["WORKER", "start_workers", "worker_runs"]

WORKER: Final = (sys.executable, "-P", "-m", "pgsynth_core.runs.supervisor")
"""What is started, with the device as its last word; nothing is imported from the folder one happens to be in."""


def start_workers(kind: Kind, command: Sequence[str] = WORKER) -> int:
    """Start workers on devices that have none: for each run that waits, on one that it may use.

    Args:
        kind: GPU or CPU.
        command: What to start; the device is added.

    Returns:
        How many were started.

    Raises:
        UserError: If the state folder cannot be used, or the system starts no process.
    """
    there = devices(kind)  # which takes a while
    with queue_held():  # no worker comes or goes meanwhile
        wanted = waiting(kind)
        without = [device for device in there if is_free(worker_lock(device))] if wanted else []
        without.sort(key=lambda device: not is_free(device_lock(device)))
        chosen: list[str] = []
        for run in wanted:
            chosen += [device for device in without if run.may_use(device) and device not in chosen][:1]
    for device in chosen:
        _start([*command, device], device)
    return len(chosen)


def worker_runs(kind: Kind) -> bool:
    """Whether any device of a kind has a worker: else the queue stands still."""
    with queue_held():
        return any(not is_free(lock) for device, lock in worker_locks() if kind_of_device(device) == kind)


def _start(words: list[str], device: str) -> None:
    """It leaves us by itself, at once: nobody has to wait for it later."""
    path = state_folder() / f"worker-{device}.log"
    with refusing("no worker can be started", path, elsewhere=STATE_VARIABLE), open(path, "ab") as log:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, check=False
        )
    if done.returncode:
        message = f"no worker can be started: it ended with code {done.returncode}."
        raise UserError(message, where=device, cure=f"See what it said: {path}.")
