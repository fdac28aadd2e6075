"""How a run ends that cannot say so itself: killed, out of memory, crashed before it began. Floor 1, no torch."""

from __future__ import annotations

import os
import shlex
import signal
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs import control
from pgsynth_core.runs.durable import json_text, read_json, refusing, replace_text
from pgsynth_core.runs.entry import ATTEMPT
from pgsynth_core.runs.events import last_events
from pgsynth_core.runs.folder import RunFolder
from pgsynth_core.runs.identity import Process, bearing, descendants, is_alive, process_of, process_with
from pgsynth_core.runs.sessions import Session, alone_with, attempt_word
from pgsynth_core.runs.status import base_state

__all__ = ["end_rest", "kill", "note_trainer", "settle"]

_PATIENCE: Final = 20.0
"""Seconds that a process may take to be gone after SIGTERM, and after SIGKILL."""
_POLL: Final = 0.05


def settle(folder: RunFolder, session: str, code: int, reason: str = "") -> None:
    """Write down the end of a trainer that has been waited for, if it left no word itself.

    Args:
        folder: The run.
        session: That was begun, or was to be.
        code: As `subprocess.Popen.returncode`: negative for a signal.
        reason: Why it ended, if that is known.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("how the run ended cannot be written", folder.path), alone_with(folder):
        held, claim = (read_json(file) or {} for file in (folder.process_file, folder.worker_file))
        if session not in (held.get("session"), claim.get("session")):
            return  # somebody else's by now
        begun = held.get("session") == session
        asked = control.was_killed(folder)
        number = 128 - code if code < 0 else code or 1
        reason = "killed on request." if asked else reason or _reason(code, begun=begun)
        Session(folder, session).end(
            "stopped" if asked else "failed", code=number, step=_step(folder) if begun else None, reason=reason
        )
        if claim.get("session") == session:
            folder.queued_file.unlink(missing_ok=True)


def end_rest(folder: RunFolder, session: str) -> None:
    """End what is left of a trainer that has been waited for, unless it said itself how it ended; then nobody trains.

    Of several processes, a launcher that is killed leaves the others, which are sessions of their own: they are found
    by what a worker wrote into their environment. They may end by themselves, and are killed if they do not. It returns
    when they are gone, so that their devices are not given to the next run before.
    """
    if (read_json(folder.exit_file) or {}).get("session") == session:
        return
    asked, deadline = set[Process](), time.monotonic() + _PATIENCE
    while rest := _rest(folder, session):
        late = time.monotonic() > deadline
        for process in rest:
            if late or process not in asked:
                with suppress(OSError):  # gone meanwhile
                    os.kill(process.pid, signal.SIGKILL if late else signal.SIGTERM)
        asked.update(rest)
        time.sleep(_POLL)


def _rest(folder: RunFolder, session: str) -> list[Process]:
    """The processes of a session that live, by their environment and by what it wrote when it began."""
    held = read_json(folder.process_file) or {}
    begun = process_of(held) if held.get("session") == session else None
    found = dict.fromkeys([*bearing(ATTEMPT, attempt_word(session, folder)), *([begun] if begun else [])])
    return [process for process in found if is_alive(process) and process.pid != os.getpid()]


def _reason(code: int, *, begun: bool) -> str:
    when = "" if begun else " before it began to train"
    if code >= 0:
        return f"its process ended{when} with code {code} and left no word; train.log may say why."
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    guess = {"SIGKILL": "; was memory short?", "SIGTERM": ""}.get(name, "; a library crashed?")
    return f"killed by {name}{when}{guess}"


def _step(folder: RunFolder) -> int | None:
    with suppress(UserError):
        for event in last_events(folder.events_file):
            if event["kind"] in ("run", "step") and isinstance(event.get("step"), int):
                return int(event["step"])
    return None


def note_trainer(folder: RunFolder, session: str, pid: int) -> None:
    """Write down which process a worker has started; it leads a process group of its own.

    Raises:
        UserError: If the system refuses.
    """
    with refusing("it cannot be written who trains the run", folder.path), alone_with(folder):
        claim = read_json(folder.worker_file) or {}
        if claim.get("session") == session:
            replace_text(folder.worker_file, json_text(claim | {"trainer": asdict(process_with(pid))}))


def kill(folder: RunFolder) -> bool:
    """Kill the processes that train a run, at once; False if there is none any more.

    Raises:
        UserError: If they are another machine's, the system refuses, or they will not go.
    """
    targets = _targets(folder)
    if not targets:
        return False
    with suppress(UserError):  # a disk that takes no word is no reason to let it run
        control.mark_killed(folder)
    session = str((read_json(folder.process_file) or {}).get("session", ""))
    found = [process for target in targets for process in (target, *descendants(target))]
    every = [*dict.fromkeys([*found, *(_rest(folder, session) if session else ())])]
    try:
        for process in every:
            _kill(process)
    except UserError:
        control.unmark_killed(folder)
        raise
    deadline = time.monotonic() + _PATIENCE
    while any(is_alive(process) for process in every):
        if time.monotonic() > deadline:
            message = f"{len(every)} processes were killed, and some will not go: the system holds them."
            raise UserError(message, where=folder.id, cure="Look at them: ps -o pid,stat,wchan,cmd.")
        time.sleep(_POLL)
    if base_state(folder) == "lost":  # nobody waited for it
        with suppress(UserError):  # it is gone all the same
            settle(folder, session, -signal.SIGKILL)
    return True


def _targets(folder: RunFolder) -> list[Process]:
    """Who trains: the process that a worker started, and the one that began the session.

    Raises:
        UserError: If they are another machine's.
    """
    if base_state(folder) not in ("running", "starting"):
        return []
    trainer = (read_json(folder.worker_file) or {}).get("trainer")
    facts = [read_json(folder.process_file) or {}, trainer if isinstance(trainer, dict) else {}]
    found = [process for process in map(process_of, facts) if process]
    if far := [process.place for process in found if is_alive(process) is None]:
        cure = f"Kill it there: pgsynth runs stop {shlex.quote(str(folder.path))} --kill."
        raise UserError(f"it is trained on {far[0]}.", where=folder.id, cure=cure)
    return [process for process in found if is_alive(process)]


def _kill(process: Process) -> None:
    if not is_alive(process):
        return
    try:
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        message = f"process {process.pid} is another user's."
        raise UserError(message, cure="Ask who started it, or the machine's administrator.") from error
