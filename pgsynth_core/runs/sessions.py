"""Who trains a run: how a process begins to, and says how it ended. Floor 1, no torch.

    process.json   {"session", "pid", "started", "boot", "host", "t"}      written when a process begins to train
    exit.json      {"session", "state", "code", "step", "reason", "t"}     written when it stops; missing after a kill
    worker.json    {"session", "before", "pid", ..., "devices", "trainer", "t"}    when a worker takes it from the queue

`session` tells one beginning from the next, so that the end of an earlier one is never taken for the end of this:
exit.json is never deleted, process.json only where there is no room to write the end. `before` is the session that
exit.json named when the worker took the run: what it says of another is newer. `t` is in seconds since 1970 (UTC), by
the clock of who wrote it.

While it trains, a process holds a lock on process.lock, which goes with it: whoever takes it for dead by its files
(`status`) is still refused by the lock, as far as the file system has locks.

A worker draws the session's name when it takes the run and hands it to the trainer it starts. The trainer begins
under that name, and only if no other worker has taken the run since: a trainer whose worker was killed before it had
read its weights cannot begin a run that somebody else trains by now.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pgsynth_core.errors import UserError
from pgsynth_core.runs import control
from pgsynth_core.runs.durable import json_text, read_json, refusing, replace_text
from pgsynth_core.runs.entry import ATTEMPT
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.holding import flock, hold
from pgsynth_core.runs.identity import is_alive, process_of, this_process
from pgsynth_core.runs.states import STATES, Ended
from pgsynth_core.runs.status import state_of

__all__ = [
    "Ending",
    "Session",
    "alone_with",
    "attempt_word",
    "attempting",
    "refuse_held",
    "refuse_running",
    "session",
    "session_of",
    "start_session",
]


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
    """One process training one run, from `start_session` to `end`.

    Attributes:
        folder: The run.
        id: The session's name.
        lock: Closed where it ends.
    """

    folder: RunFolder
    id: str
    lock: ExitStack = field(default_factory=ExitStack, repr=False, compare=False)

    def end(self, state: Ended, *, code: int = 0, step: int | None = None, reason: str = "") -> None:
        """Say how it ended, in the words of an `Ending`; only the first word counts.

        Raises:
            UserError: If the system refuses to write it; that this process trains it is taken back all the same, for
                which no disk is too full.
        """
        said = read_json(self.folder.exit_file) or {}
        if said.get("session") == self.id:
            return
        try:
            self._say(state, code, step, reason)
        finally:
            if session_of(self.folder) in (self.id, ""):
                control.clear(self.folder)  # as long as nobody else can begin, of whom more may be wished
            self.lock.close()

    def _say(self, state: Ended, code: int, step: int | None, reason: str) -> None:
        facts = {"session": self.id, "state": state, "code": code, "step": step, "reason": reason, "t": _now()}
        try:
            _write(self.folder.exit_file, facts, "how the run ended")
        except UserError:
            begun, claim = (read_json(file) or {} for file in (self.folder.process_file, self.folder.worker_file))
            if begun.get("session") == self.id != claim.get("session"):  # a worker's trainer ends with its process
                with suppress(OSError):
                    self.folder.process_file.unlink()
            raise

    def beat(self) -> None:
        """Show that it lives, also where nothing can be written, to those who cannot see the process."""
        with suppress(OSError):
            os.utime(self.folder.process_file)


def session_of(folder: RunFolder) -> str:
    """Name of the session that trains a run, or did last; empty if nobody can tell."""
    return str((read_json(folder.process_file) or {}).get("session") or "")


def attempt_word(session: str, folder: RunFolder) -> str:
    """What a worker writes into the environment of the trainer it starts; see `ATTEMPT`."""
    return f"{session}:{folder.path}"


def _attempt(folder: RunFolder) -> str:
    """The session that a worker started this process for; empty if none did, or for another run.

    Raises:
        UserError: If the run is somebody else's by now.
    """
    name, _, path = os.environ.get(ATTEMPT, "").partition(":")
    if not name or path != str(folder.path):
        return ""
    if (read_json(folder.worker_file) or {}).get("session") != name:
        message = "the run was taken out of the queue, or by another worker, before this process could begin it."
        raise UserError(message, where=folder.id, cure=f"See: pgsynth runs show {shlex.quote(str(folder.path))}.")
    return name


@contextmanager
def attempting(folder: RunFolder) -> Iterator[None]:
    """Prepare a session inside: what is raised before it begins is written down, if a worker waits for it.

    Raises:
        UserError: As `Session.end`; and whatever the block raises.
    """
    try:
        yield
    except BaseException as error:
        with suppress(UserError):  # the first error is the one to tell
            first = os.environ.get("RANK", "0") == "0"  # of several processes, whose errors follow from one another
            if first and (name := _attempt(folder)):
                Session(folder, name).end(**asdict(Ending.of(error)))
        raise


def refuse_running(folder: RunFolder) -> None:
    """Before much work is done for a run: `start_session` asks again.

    Raises:
        UserError: If somebody else trains it, or is about to.
    """
    if not _attempt(folder):
        _refuse_live(folder)
    refuse_held(folder)


def _refuse_live(folder: RunFolder) -> None:
    """By its files."""
    state, reason = state_of(folder)
    if state == "queued":
        cure = f"Wait for it, or take it out first: pgsynth runs stop {shlex.quote(str(folder.path))}."
        raise UserError("the run waits in the queue.", where=str(folder.path), cure=cure)
    if not STATES[state].live:
        return
    begun = state == "running"
    held = read_json(folder.process_file if begun else folder.worker_file) or {}
    process = process_of(held)
    who = f", by process {held['pid']} on {held.get('host')}" if process else ""
    message = f"the run is being trained already{who}. {reason}"
    cure = f"Wait for it, or stop it: pgsynth runs stop {shlex.quote(str(folder.path))}."
    if process is None or not is_alive(process):  # it may be on another machine
        file = folder.process_file if begun else folder.worker_file
        cure += f" If you know that it is gone, delete {file}."
    raise UserError(message.strip(), where=str(folder.path), cure=cure)


def start_session(folder: RunFolder) -> Session:
    """Note that this process trains the run now, which takes it out of the queue.

    Raises:
        UserError: If another session still does, or the system refuses to write.
    """
    with refusing("the run cannot be begun", folder.path), alone_with(folder):
        refuse_running(folder)
        name, lock = _attempt(folder), _held(folder)
        if not name:  # the worker has done it, and what was wished since is wished of this session
            control.clear(folder)
            folder.worker_file.unlink(missing_ok=True)
        begun = Session(folder, name or secrets.token_hex(8), lock)
        facts = {"session": begun.id} | asdict(this_process()) | {"t": _now()}
        try:
            _write(folder.process_file, facts, "who trains the run")
            folder.queued_file.unlink(missing_ok=True)
        except BaseException:
            begun.lock.close()
            raise
    return begun


def refuse_held(folder: RunFolder) -> None:
    """Refuse a run that a process holds, whatever its files say.

    Raises:
        UserError: If somebody does, or the system refuses to say.
    """
    with refusing("it cannot be told who trains the run", folder.process_lock):
        if folder.process_lock.exists():
            _held(folder).close()


def _held(folder: RunFolder) -> ExitStack:
    """Lock the run for who trains it, until this is closed or the process is gone.

    What a process that was killed had started may hold it still, and is waited for.

    Raises:
        UserError: If another process has it locked, whatever its files say.
    """
    held = hold(folder.process_lock, left_behind=lambda: _left_behind(folder))
    if held is None:
        raise _is_held(folder)
    return held


def _left_behind(folder: RunFolder) -> bool:
    """Whether who holds the run is what a process had started that is gone."""
    begun = process_of(read_json(folder.process_file) or {})
    return begun is not None and is_alive(begun) is False


def _is_held(folder: RunFolder) -> UserError:
    facts = read_json(folder.process_file) or {}
    who = f"process {facts['pid']} on {facts.get('host')}" if process_of(facts) else "a process"
    message = f"the run is being trained already: {who} holds it, or what that had started, though it seems gone."
    cure = "Stop it where it runs; it is let go as soon as that process and its children are gone."
    return UserError(message, where=str(folder.path), cure=cure)


@contextmanager
def session(folder: RunFolder) -> Iterator[Session]:
    """Train a run inside: whatever happens there, how it ended is written down.

    Reaching the end is ``finished``, an interrupt ``stopped``, any other exception ``failed`` with its text; what the
    block says itself with `Session.end` comes first.

    Raises:
        UserError: As `start_session`; and whatever the block raises.
    """
    begun = start_session(folder)
    with begun.lock:
        try:
            yield begun
        except BaseException as error:
            with suppress(UserError):  # the first error is the one to tell
                begun.end(**asdict(Ending.of(error)))
            raise
        begun.end("finished")


@contextmanager
def alone_with(folder: RunFolder) -> Iterator[None]:
    """Nobody else looks at who trains the run, and decides, at the same moment.

    Raises:
        OSError: If the system refuses.
    """
    descriptor = os.open(folder.deciding_lock, os.O_RDWR | os.O_CREAT, 0o666)  # NFS locks only what may be written
    try:
        flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, facts: dict[str, Any], what: str) -> None:
    with refusing(f"{what} cannot be written", file):
        replace_text(file, json_text(facts))


def _now() -> float:
    return round(time.time(), 3)
