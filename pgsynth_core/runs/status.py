"""Who trains a run, how it ended, and the status that follows; the status itself is never stored. Floor 1, no torch.

    process.json   {"session", "pid", "started", "boot", "host", "t"}      written when a process begins to train
    exit.json      {"session", "state", "code", "step", "reason", "t"}     written when it stops; missing after a kill

`session` tells one beginning from the next, so that the end of an earlier one is never taken for the end of this:
neither file is ever deleted. `t` is in seconds since 1970 (UTC).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import json_text, read_json, refusing, replace_text
from pgsynth_core.runs.events import last_events
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.identity import is_alive, process_of, this_process

__all__ = [
    "Ended",
    "Ending",
    "RunStatus",
    "Session",
    "State",
    "refuse_running",
    "session",
    "start_session",
    "status_of",
]

State = Literal["running", "finished", "stopped", "failed", "lost"]
Ended = Literal["finished", "stopped", "failed"]
_ENDED: Final = get_args(Ended)
_SILENCE: Final = 600
"""Seconds without an event after which a process of another machine counts as gone."""


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes:
        state: ``running``; ``finished``, ``stopped`` (asked to) or ``failed``, as its process said at the end;
            ``lost``: its process is gone and said nothing, or there never was one.
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


def status_of(folder: RunFolder) -> RunStatus:
    """Derive how a run stands. Files that are missing or damaged make it ``lost``, never an error."""
    state, reason = _state(folder)
    step, steps, loss, when = 0, None, None, None
    with suppress(UserError):
        for event in last_events(folder.events_file):
            when = event.get("t") if when is None else when
            if event["kind"] in ("run", "step"):
                step, steps, loss = event.get("step", 0), event.get("steps"), event.get("loss")
                break
    return RunStatus(state, step, steps, loss, when, reason)


def _state(folder: RunFolder) -> tuple[State, str]:
    held = read_json(folder.process_file) or {}
    process = process_of(held)
    if process is None:
        return "lost", "no process has begun to train it." if not folder.process_file.exists() else _damaged(folder)
    ended = read_json(folder.exit_file) or {}
    if ended.get("session") == held.get("session") and ended.get("state") in _ENDED:
        return ended["state"], str(ended.get("reason", ""))
    alive = is_alive(process)
    if alive:
        return "running", ""
    if alive is None:
        silent = _silence(folder)
        if silent < _SILENCE:
            return "running", f"on another machine, {process.host}: judged by its last event."
        return "lost", f"it was on another machine, {process.host}, and has said nothing for {silent:.0f} seconds."
    return "lost", f"its process {process.pid} is gone and left no word: killed, or the machine went down."


def _damaged(folder: RunFolder) -> str:
    return f"{folder.process_file.name} cannot be read."


def _silence(folder: RunFolder) -> float:
    heard = [file.stat().st_mtime for file in (folder.events_file, folder.process_file) if file.exists()]
    return time.time() - max(heard)


# ------------------------------------------------------------------------------------------- sessions
@dataclass(frozen=True)
class Ending:
    """How a session ended; what `exit.json` and the `exit` event say.

    Attributes:
        state: How.
        code: Exit code: 0, 1 failed, 2 the user can mend it, 130 interrupted.
        step: Steps taken; None if nobody knows.
        reason: Why, in a sentence.
    """

    state: Ended
    code: int = 0
    step: int | None = None
    reason: str = ""

    @staticmethod
    def of(error: BaseException, step: int | None = None) -> Ending:
        """By an exception: an interrupt is a stop, any other a failure with its text."""
        if isinstance(error, KeyboardInterrupt):
            return Ending("stopped", 130, step, "interrupted.")
        return Ending("failed", getattr(error, "exit_code", 1), step, str(error) or type(error).__name__)


@dataclass(frozen=True)
class Session:
    """One process training one run, from `start_session` to `end`."""

    folder: RunFolder
    id: str

    def end(self, state: Ended, *, code: int = 0, step: int | None = None, reason: str = "") -> None:
        """Say how it ended, in the words of an `Ending`; only the first word counts.

        Raises:
            UserError: If the system refuses to write it.
        """
        said = read_json(self.folder.exit_file) or {}
        if said.get("session") == self.id:
            return
        facts = {"session": self.id, "state": state, "code": code, "step": step, "reason": reason, "t": _now()}
        _write(self.folder.exit_file, facts)


def refuse_running(folder: RunFolder) -> None:
    """Before much work is done for a run: `start_session` asks again.

    Raises:
        UserError: If a session trains it.
    """
    state, reason = _state(folder)
    if state == "running":
        held = read_json(folder.process_file) or {}
        message = f"the run is being trained already, by process {held.get('pid')} on {held.get('host')}. {reason}"
        cure = f"Wait for it or stop it; if you know that it is gone, delete {folder.process_file}."
        raise UserError(message.strip(), where=str(folder.path), cure=cure)


def start_session(folder: RunFolder) -> Session:
    """Note that this process trains the run now.

    Raises:
        UserError: If another session still does, or the system refuses to write.
    """
    with refusing("the run cannot be begun", folder.path), _alone(folder.path):
        refuse_running(folder)
        begun = Session(folder, secrets.token_hex(8))
        _write(folder.process_file, {"session": begun.id} | asdict(this_process()) | {"t": _now()})
    return begun


@contextmanager
def session(folder: RunFolder) -> Iterator[Session]:
    """Train a run inside: whatever happens there, how it ended is written down.

    Reaching the end is ``finished``, an interrupt ``stopped``, any other exception ``failed`` with its text; what the
    block says itself with `Session.end` comes first.

    Raises:
        UserError: As `start_session`; and whatever the block raises.
    """
    begun = start_session(folder)
    try:
        yield begun
    except BaseException as error:
        with suppress(UserError):  # the first error is the one to tell
            begun.end(**asdict(Ending.of(error)))
        raise
    begun.end("finished")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else looks at who trains the run, and decides, at the same moment."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, facts: dict[str, Any]) -> None:
    with refusing("it cannot be written", file):
        replace_text(file, json_text(facts))


def _now() -> float:
    return round(time.time(), 3)
