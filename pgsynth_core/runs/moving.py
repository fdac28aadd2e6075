"""Move a run within the queue: first, last, or by one place. Floor 1, no torch.

Places count among runs that wait for the same kind of device. Each entry is written by itself, and after each of these
writes every other run stands as it stood, or as it is to stand: a kill in between loses no run and shuffles none.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from pgsynth_core.errors import UserError
from pgsynth_core.runs.devices import Kind
from pgsynth_core.runs.durable import json_text, read_json, refusing, replace_text
from pgsynth_core.runs.entry import Waiting
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.locks import queue_held
from pgsynth_core.runs.queue import waiting
from pgsynth_core.runs.sessions import alone_with
from pgsynth_core.runs.states import STATES
from pgsynth_core.runs.status import base_state, status_of

__all__ = ["MOVES", "Move", "Moved", "move"]

Move = Literal["first", "last", "up", "down"]
MOVES: Final[tuple[Move, ...]] = get_args(Move)

_ROOM: Final = 1024
"""Orders left free where there was none between two runs, so that the next has room."""


@dataclass(frozen=True)
class Moved:
    """Where a run waits now.

    Attributes:
        kind: What it waits for; places count among runs that wait for the same.
        before: Its place until then, from 1 on.
        position: Its place now; the same, where there was nowhere to go.
        waiting: How many wait.
    """

    kind: Kind
    before: int
    position: int
    waiting: int


def move(folder: RunFolder, to: Move) -> Moved:
    """Move a run within the queue of this user and machine.

    Args:
        folder: The run.
        to: The first or last place, or by one towards the first (up) or the last (down).

    Raises:
        UserError: If it does not wait there, or the system refuses.
    """
    with queue_held():
        path = folder.path.resolve()
        mine = next((run for run in waiting() if run.folder.path == path), None)
        if mine is None:
            raise _not_waiting(folder)
        queue = waiting(mine.kind)
        before = [run.folder.path for run in queue].index(path)
        last = len(queue) - 1
        after = {"first": 0, "last": last, "up": max(0, before - 1), "down": min(last, before + 1)}[to]
        if after != before and not _put(queue[before], [*queue[:before], *queue[before + 1 :]], after):
            raise _not_waiting(folder)
        return Moved(mine.kind, before + 1, after + 1, len(queue))


def _put(run: Waiting, others: Sequence[Waiting], place: int) -> bool:
    """Write the run's order, so that so many of the others are before it; False if it does not wait any more."""
    ahead, behind = others[:place], others[place:]
    if not ahead:
        return _write(run, behind[0].order - 1)
    if behind and behind[0].order - ahead[-1].order < 2:
        for other in reversed(behind):  # the last first: nobody is overtaken
            _write(other, other.order + _ROOM)
    return _write(run, ahead[-1].order + 1)


def _write(run: Waiting, order: int) -> bool:
    """Write an entry's order; False if the run does not wait any more, for who began it took the entry away."""
    folder = run.folder
    with refusing("the run cannot be moved in the queue", folder.path), alone_with(folder):
        facts = read_json(folder.queued_file)
        if facts is None or base_state(folder) != "queued":
            return False
        replace_text(folder.queued_file, json_text(facts | {"order": order}), private=True)
    return True


def _not_waiting(folder: RunFolder) -> UserError:
    status, name = status_of(folder), shlex.quote(str(folder.path))
    enqueue = f"pgsynth runs resume {name} --detach"
    if status.state == "queued":
        message = f"the run waits, but not in your queue on this machine: {status.reason}"
        cure = f"To have it wait here: {enqueue}."
        return UserError(message, where=str(folder.path), cure=cure)
    message = f"the run does not wait in the queue, it is {status.state}."
    cure = f"Enqueue it, which is at the end, and move it then: {enqueue}."
    if STATES[status.state].live:
        cure = f"It has had its turn. To have it wait again, stop it first: pgsynth runs stop {name}; then {enqueue}."
    elif status.state == "finished":
        cure = f"It has all its steps. To train it further: pgsynth runs resume {name} train.steps=STEPS --detach."
    return UserError(message, where=str(folder.path), cure=cure)
