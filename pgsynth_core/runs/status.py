"""How a run stands, by what its files say; it is never stored. Floor 1, no torch.

Who trains it, how that ended and which worker took it is written by `sessions` and `queue`. Where it cannot be seen
whether a process lives, on another machine or in another container, it is judged by what it writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs import control
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.entry import entry_of, listed
from pgsynth_core.runs.events import last_events
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.identity import Process, is_alive, process_of
from pgsynth_core.runs.states import ENDED, STATES, State

__all__ = ["RunStatus", "State", "base_state", "state_of", "status_of"]

_SILENCE: Final = 600.0
"""Seconds without an event after which a process of another machine counts as gone, and one of this as stalled."""
_STEPS_OF_SILENCE: Final = 10
"""Steps that must have had the time besides."""


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes:
        state: One of `states.STATES`.
        step: Steps taken, by the last event.
        steps: Steps it is to have; None if no event says.
        loss: Of the last step; None if this process has taken none.
        when: Time of the last event, seconds since 1970; None if there is none.
        reason: Why it ended, or what is not as usual; may be empty.
    """

    state: State
    step: int
    steps: int | None
    loss: float | None
    when: float | None
    reason: str

    @property
    def live(self) -> bool:
        """Whether a process trains it, or is about to."""
        return STATES[self.state].live


def status_of(folder: RunFolder) -> RunStatus:
    """Derive how a run stands. Files that are missing or damaged make it ``lost``, never an error."""
    state, reason = state_of(folder)
    newest: dict[str, Any] = {}
    last: Mapping[str, Any] = {}
    stepped: Mapping[str, Any] = {}
    with suppress(UserError):
        for event in last_events(folder.events_file):
            newest = newest or dict(event)
            if event["kind"] in ("run", "step", "exit"):
                last = last or event
            if event["kind"] in ("run", "step"):
                stepped = event
                break
    if state == "queued":
        reason = _elsewhere(folder)
    if state == "running":
        state, reason = _working(folder, last, reason)
    elif state == "starting" and (silent := _silence(folder, folder.worker_file, folder.log_file)) > _SILENCE:
        state, reason = "stalled", f"it was taken {silent:.0f} seconds ago or more, and has not begun to train."
    if STATES[state].live and control.is_wished(folder, "stop"):
        state = "stopping"
    step, steps = (value if isinstance(value := stepped.get(name), int) else None for name in ("step", "steps"))
    return RunStatus(state, step or 0, steps, _number(stepped, "loss"), _number(newest, "t"), reason)


def _elsewhere(folder: RunFolder) -> str:
    """Why no worker of this user and machine takes a run that waits; empty if one does."""
    found = entry_of(folder)
    if found is None or found.is_mine(listed()):
        return ""
    if found.is_from_here:
        why = "its folder was copied or moved since, or the queue's list was lost"
        return f"the queue does not know it ({why}): nothing here takes it."
    return f"it was enqueued on {found.host or 'no machine'} by user {found.uid}: nothing here takes it."


def _number(event: Mapping[str, Any], name: str) -> float | None:
    """A fact of an event; None if it says nothing, or what is no number."""
    value = event.get(name)
    return value if isinstance(value, int | float) else None


def base_state(folder: RunFolder) -> State:
    """The state of `state_of`."""
    return state_of(folder)[0]


def _working(folder: RunFolder, last: Mapping[str, Any], reason: str) -> tuple[State, str]:
    """What a session that has begun does: the newest event that says so is of a step, or it has taken none."""
    stepped, silent = last.get("kind") == "step", _silence(folder)
    if silent > _patience(last if stepped else {}):
        return "stalled", f"no event for {silent:.0f} seconds."
    return "running" if stepped else "starting", reason


def _patience(step: Mapping[str, Any]) -> float:
    """Seconds of silence that mean nothing yet, by the last event of a step."""
    return max(_SILENCE, _STEPS_OF_SILENCE * (_number(step, "seconds_per_step") or 0.0))


def _last_step(folder: RunFolder) -> Mapping[str, Any]:
    with suppress(UserError):
        return next((event for event in last_events(folder.events_file) if event["kind"] == "step"), {})
    return {}


def state_of(folder: RunFolder) -> tuple[State, str]:
    """As `status_of` says, without a look at events, and why; ``running`` for a run that trains, whatever it does.

    The claim of a worker is newer than process.json as long as its session has not begun.
    """
    held, claim = read_json(folder.process_file) or {}, read_json(folder.worker_file)
    ended = read_json(folder.exit_file) or {}
    queued = entry_of(folder) is not None
    if claim is not None and claim.get("session") != held.get("session"):
        if ended.get("session") != claim.get("before") and (said := _said(ended, held)):
            return said  # by who trained it all along, and was taken for dead when the worker took the run
        return _claimed(folder, claim, ended, queued=queued)
    process = process_of(held)
    if process is None:
        return ("queued", "") if queued else _unknown(folder, ended)
    if said := _said(ended, held):
        return ("queued", "") if queued and claim is None else said
    state, reason = _judged(folder, process)
    return ("queued", "") if state == "lost" and queued and claim is None else (state, reason)


def _claimed(
    folder: RunFolder, claim: Mapping[str, Any], ended: Mapping[str, Any], *, queued: bool
) -> tuple[State, str]:
    """A worker has taken the run, and its trainer has not begun."""
    if said := _said(ended, claim):
        return said
    worker = process_of(claim)
    alive = is_alive(worker) if worker else False
    if alive or (alive is None and _age(folder.worker_file) < _SILENCE):
        return "starting", ""
    if queued:
        return "queued", ""
    return "lost", f"its worker {claim.get('pid')} is gone, and no process has begun to train it."


def _said(ended: Mapping[str, Any], session: Mapping[str, Any]) -> tuple[State, str] | None:
    """What exit.json says of a session; None if it is of another, or there is none."""
    state: Any = ended.get("state")
    if ended.get("session") != session.get("session") or state not in ENDED:
        return None
    return state, str(ended.get("reason", ""))


def _judged(folder: RunFolder, process: Process) -> tuple[State, str]:
    alive = is_alive(process)
    if alive:
        return "running", ""
    if alive is None:
        silent = _silence(folder)
        if silent < _SILENCE or silent < _patience(_last_step(folder)):
            return "running", f"on {process.place}: judged by its last event."
        return "lost", f"it was on {process.place}, and has said nothing for {silent:.0f} seconds."
    return "lost", f"its process {process.pid} is gone and left no word: killed, or the machine went down."


def _unknown(folder: RunFolder, ended: Mapping[str, Any]) -> tuple[State, str]:
    """No file says who trains it; where one is damaged, it is judged by its end and its events, as from far away."""
    if folder.process_file.exists():
        why = f"{folder.process_file.name} cannot be read"
        if (when := _number(ended, "t")) and time.time() - when < _age(folder.process_file):
            return _said(ended, ended) or ("lost", f"{why}.")
        if _age(folder.events_file) < _SILENCE:
            return "running", f"{why}: judged by its last event."
        return "lost", f"{why}."
    if folder.queued_file.exists():
        return "lost", f"{folder.queued_file.name} cannot be read: it waits for nothing."
    if folder.events_file.exists():
        return "lost", "its process ended and could not write how."
    return "lost", "no process has begun to train it."


def _silence(folder: RunFolder, *files: Path) -> float:
    return min(map(_age, files or (folder.events_file, folder.process_file)))


def _age(file: Path) -> float:
    """Seconds since it was written; of none, for ever."""
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return math.inf
