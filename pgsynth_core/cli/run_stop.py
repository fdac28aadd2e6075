"""``pgsynth runs stop``: ask a run to finish its step, save and stop; take it out of the queue; or kill it."""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, progress, say, say_json, tell
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.progress import duration
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import PgsynthError
from pgsynth_core.runs import RunFolder, RunStatus, find_run, latest_checkpoint, runs_root, status_of
from pgsynth_core.runs.control import wish
from pgsynth_core.runs.ending import kill
from pgsynth_core.runs.queue import leave_queue

__all__ = ["COMMAND"]

_POLL: Final = 0.1
_LONG: Final = 60.0
"""Seconds after which killing is offered."""
_BEGINS: Final = 10.0
"""Seconds in which a run that is being started must show a process to kill."""

_EPILOG = """\
The run finishes its step, saves a checkpoint, without a look at unseen pairs or a sheet,
and ends; it can be gone on with by pgsynth runs resume. This waits for it; Ctrl-C stops
waiting, not the stopping. A run that waits leaves the queue; for one that has ended there
is nothing to do, and the exit code is 0. With --kill its processes are killed at once: the
steps since its last checkpoint are lost, the checkpoint is not.

With --json: ok, run, path, before (the state it was in), state, reason, step, steps,
checkpoint_step (null: there is none), broken."""


def _parser() -> Parser:
    parser = Parser("runs stop", "Have a run finish its step, save and stop; or kill it.", epilog=_EPILOG)
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    parser.add_argument("--kill", action="store_true", help="kill its processes at once, without saving")
    parser.add_argument("--no-wait", action="store_true", help="ask, and do not wait until it has stopped")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.kill and arguments.no_wait:
        raise ArgumentsError("a run that is killed is waited for.", where="--kill --no-wait", cure="Leave one out.")
    folder = find_run(arguments.run, runs_root(arguments.runs))
    before = status_of(folder)
    left = before.state == "queued" and leave_queue(folder)
    if before.state == "queued" and not left:
        before = status_of(folder)  # a worker took it at this moment
    if before.live:
        _end(folder, before, arguments)
    after = status_of(folder)
    done = not after.live or arguments.no_wait
    ok = done and after.state != "queued" and (not before.live or after.state in ("stopping", "stopped", "finished"))
    if arguments.json:
        checkpoint = latest_checkpoint(folder)
        facts: dict[str, Any] = {"ok": ok, "run": folder.id, "path": str(folder.path), "before": before.state}
        facts |= {name: getattr(after, name) for name in ("state", "reason", "step", "steps")}
        facts |= {"checkpoint_step": checkpoint.step if checkpoint else None}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
    else:
        say(one_line(f"{folder.id}: taken out of the queue" if left else _sentence(folder, before, after)))
    return 0 if ok else 1


def _end(folder: RunFolder, before: RunStatus, arguments: argparse.Namespace) -> None:
    """Ask or kill, and wait."""
    of = f" of {before.steps}" if before.steps else ""
    tell(one_line(f"{folder.id} is {before.state}, at step {before.step}{of}; {_saved(folder, before)}"))
    if arguments.kill:
        _kill(folder)
        return
    wish(folder, "stop")
    if arguments.no_wait:
        return
    with progress("It finishes its step and saves"):
        _wait(folder, named(folder, arguments.runs))


def _saved(folder: RunFolder, status: RunStatus) -> str:
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        return "it has no checkpoint yet."
    try:
        age = duration(max(0.0, time.time() - checkpoint.path.stat().st_mtime))
    except OSError:  # it is replaced by the next at this moment
        return f"its last checkpoint is of step {checkpoint.step}."
    ahead = max(0, status.step - checkpoint.step)
    since = f", {ahead} steps are not saved" if ahead else ""
    return f"its last checkpoint is of step {checkpoint.step}, {age} old{since}."


def _kill(folder: RunFolder) -> None:
    """At once; of a run that is only being started, as soon as there is something to kill.

    Raises:
        PgsynthError: If nothing comes.
        UserError: As `ending.kill`.
    """
    deadline = time.monotonic() + _BEGINS
    while status_of(folder).live:
        if not kill(folder) and time.monotonic() > deadline:
            raise PgsynthError(f"{folder.id} is {status_of(folder).state}, and there is no process of it to kill.")
        time.sleep(_POLL)


def _wait(folder: RunFolder, name: str) -> None:
    patience = time.monotonic() + _LONG
    while status_of(folder).live:
        if time.monotonic() > patience:
            patience = float("inf")
            tell(one_line(f"still at it; to give up what is not saved: pgsynth runs stop {name} --kill"))
        time.sleep(_POLL)


def _sentence(folder: RunFolder, before: RunStatus, after: RunStatus) -> str:
    why = f": {after.reason}" if after.reason else ""
    if not before.live:
        return f"{folder.id}: nothing to stop, it is {after.state}{why}"
    if after.live:
        return f"{folder.id}: asked to stop"
    return f"{folder.id}: {after.state} after {after.step} steps{why}"


COMMAND = Command(_parser, _run, "words:one_run_words")
