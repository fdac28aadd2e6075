"""Runs that wait for a device: folders with a frozen spec and a ``queued.json`` (`entry`). Floor 1, no torch.

There is one queue for each user and machine, over every folder of runs; runs for GPUs and runs for the CPU do not wait
for each other. ``queue.json`` in the user's state folder (`locks`) lists the runs that were enqueued; that one waits,
and where in the order, stands in its own folder. What is not in the list is never trained: a folder that was copied or
unpacked from elsewhere may say what it likes.

The first in the queue is the next to be trained, and nobody overtakes it, also if it waits for several devices. Whoever
changes the queue, or decides upon what it sees there, holds its lock.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pgsynth_core.errors import UserError
from pgsynth_core.runs import control
from pgsynth_core.runs.devices import Kind, allowed_gpus, devices, kind_wanted
from pgsynth_core.runs.durable import json_text, read_json, refusing, replace_text
from pgsynth_core.runs.entry import QUEUE, Waiting, entry_of, listed, set_for_us
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.identity import this_process
from pgsynth_core.runs.locks import STATE_VARIABLE, queue_held, state_folder
from pgsynth_core.runs.sessions import Session, alone_with, refuse_running
from pgsynth_core.runs.status import base_state

__all__ = [
    "Taken",
    "Waiting",
    "drop",
    "enqueue",
    "forget",
    "leave_queue",
    "position",
    "refuse_devices",
    "take",
    "waiting",
]


@dataclass(frozen=True)
class Taken:
    """A run that a worker took out of the queue.

    Attributes:
        run: As it waited.
        session: Name of the session that its trainer is to begin.
        devices: On what.
    """

    run: Waiting
    session: str
    devices: tuple[str, ...]


def waiting(kind: Kind | None = None) -> tuple[Waiting, ...]:
    """Every run that waits on this machine, the next first; of one kind of device, or of all."""
    known = listed()
    found = [run for path in known if (run := _waiting(RunFolder(path), known))]
    return tuple(sorted((run for run in found if kind in (None, run.kind)), key=lambda run: run.order))


def position(folder: RunFolder) -> int | None:
    """The place of a run among those that wait for the same kind of device, from 1 on; None if it does not wait."""
    mine = _waiting(folder, listed())
    if mine is None:
        return None
    path = folder.path.resolve()
    return next((number for number, run in enumerate(waiting(mine.kind), 1) if run.folder.path == path), None)


def enqueue(  # noqa: PLR0913 - what stands in its entry
    folder: RunFolder,
    *,
    wanted: int = 1,
    checkpoint: str = "",
    steps: int | None = None,
    changes: Sequence[str] = (),
    kind: Kind | None = None,
) -> Waiting:
    """Put a run at the end of the queue; one that waits already keeps its place, and waits for this instead.

    Args:
        folder: The run; nobody trains it.
        wanted: On how many devices.
        checkpoint: As in `Waiting`.
        steps: As in `Waiting`.
        changes: As in `Waiting`.
        kind: GPU or CPU; None for GPUs where there are any.

    Raises:
        UserError: If it is being trained, there are not so many devices, or the system refuses.
    """
    chosen = kind or kind_wanted()
    allowed = refuse_devices(wanted, chosen)
    with queue_held(), refusing("the run cannot be enqueued", folder.path), alone_with(folder):
        there = _waiting(folder, listed())
        if base_state(folder) != "queued":
            refuse_running(folder)
        _remember(folder.path.resolve())
        orders = [entry.order for path in listed() if (entry := entry_of(RunFolder(path)))]  # of those taken, too
        order = there.order if there else 1 + max(orders, default=0)
        run = Waiting(folder, order, chosen, wanted, os.getcwd(), checkpoint, steps, socket.gethostname(), os.getuid())
        run = replace(run, allowed=allowed, python=sys.executable, environment=set_for_us(), changes=tuple(changes))
        facts = {name: value for name, value in vars(run).items() if name != "folder"}
        replace_text(folder.queued_file, json_text(facts | {"t": round(time.time(), 3)}), private=True)
        folder.worker_file.unlink(missing_ok=True)
        if not run.is_mine(listed()):
            folder.queued_file.unlink()
            message = "the run cannot be enqueued: files that are made here belong to another user."
            raise UserError(message, where=str(folder.path), cure="Keep runs on another disk: --runs FOLDER.")
    return run


def forget(folder: RunFolder) -> bool:
    """Take back `enqueue`, for which no word of the run's end has to be written; False if it does not wait any more.

    Raises:
        UserError: If the system refuses.
    """
    with queue_held(), refusing("the run cannot be taken out of the queue", folder.path), alone_with(folder):
        waits = base_state(folder) == "queued"
        if waits:
            folder.queued_file.unlink()
    return waits


def refuse_devices(wanted: int, kind: Kind) -> tuple[str, ...] | None:
    """Before a run is made: a run that wants more than there is would wait for ever, and all behind it.

    Returns:
        The uuids that it may use; None for any.

    Raises:
        UserError: If there are not so many devices.
    """
    allowed = allowed_gpus() if kind == "gpu" else None
    there = len(devices(kind) if allowed is None else allowed)
    if wanted > there:
        has = "no GPU that may be used" if kind == "cpu" else f"{there} GPU{'s' * (there > 1)}"
        cure = "Leave --devices out." if there < 2 else f"Give at most --devices {there}."
        has += ", by CUDA_VISIBLE_DEVICES" * bool(allowed)
        raise UserError(f"--devices {wanted}: this machine has {has}.", where="--devices", cure=cure)
    return allowed


def leave_queue(folder: RunFolder) -> bool:
    """Take a run out of the queue before it is trained, whoever's queue; False if it does not wait any more.

    Raises:
        UserError: If the system refuses.
    """
    with queue_held():
        return drop(folder, "taken out of the queue.")


def drop(folder: RunFolder, reason: str, *, failed: bool = False) -> bool:
    """As `leave_queue`, for who holds the queue.

    Args:
        folder: The run.
        reason: Why, in a sentence.
        failed: It can never be trained.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("the run cannot be taken out of the queue", folder.path), alone_with(folder):
        if base_state(folder) != "queued":
            return False
        name = _claim(folder, ())
        try:
            Session(folder, name).end("failed" if failed else "stopped", code=2 if failed else 130, reason=reason)
        except UserError:  # it goes on waiting
            folder.worker_file.unlink(missing_ok=True)
            raise
        folder.queued_file.unlink(missing_ok=True)
    return True


def take(run: Waiting, held: tuple[str, ...]) -> Taken | None:
    """Take a run for a trainer that is about to be started; None if it does not wait any more.

    Until that trainer has begun, the run is still in the queue: if this process dies, the next worker takes it. Call
    it with the queue held.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("the run cannot be begun", run.folder.path), alone_with(run.folder):
        if _waiting(run.folder, listed()) is None:
            return None
        control.clear(run.folder)
        return Taken(run, _claim(run.folder, held), held)


def _claim(folder: RunFolder, held: tuple[str, ...]) -> str:
    name = secrets.token_hex(8)
    before = (read_json(folder.exit_file) or {}).get("session")
    facts = {"session": name, "before": before} | asdict(this_process())
    facts |= {"devices": held, "t": round(time.time(), 3)}
    replace_text(folder.worker_file, json_text(facts))
    return name


# ------------------------------------------------------------------------------------------- files
def _waiting(folder: RunFolder, known: Sequence[Path]) -> Waiting | None:
    """None if it does not wait, or on another machine or for another user, or for what nobody can read."""
    found = entry_of(folder)
    if found is None or not found.is_mine(known):
        return None
    return found if base_state(folder) == "queued" else None


def _remember(run: Path) -> None:
    """Add a run to the list, and forget those that do not wait any more; of a disk that is not there nobody knows.

    A run that was taken has its entry until its trainer begins: if its worker dies before, it waits again.
    """
    kept = {path for path in listed() if entry_of(RunFolder(path)) or not path.parent.exists()} | {run}
    file = state_folder() / QUEUE
    with refusing("the queue cannot be kept here", file.parent, elsewhere=STATE_VARIABLE):
        replace_text(file, json_text({"runs": sorted(map(str, kept))}), private=True)
