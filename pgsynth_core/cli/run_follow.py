"""``pgsynth runs follow``: a run's progress as its own process would show it, read from its events."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, say, say_json, tell
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.progress import Follower, follow
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs import STATES, RunFolder, RunStatus, find_run, runs_root, status_of
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.entry import entry_of
from pgsynth_core.runs.queue import position
from pgsynth_core.runs.tail import Tail
from pgsynth_core.runs.workers import worker_runs

__all__ = ["COMMAND", "exit_code"]

INTERRUPTED: Final = 130
_POLL: Final = 0.2
"""Seconds between two looks."""
_PLACES: Final = 3.0
"""Seconds between two looks at its place in the queue, for which every run that waits is read."""

_EPILOG = """\
Ctrl-C leaves the run training, and ends with 130. When the run ends, so does this, with
the exit code of the run: 0 finished, 130 stopped, 1 or 2 failed, 1 lost. A run that has
ended already shows how it went.

With --json: ok (finished), run, path, state, reason, step, steps, loss, code, broken."""


def _parser() -> Parser:
    parser = Parser("runs follow", "Show a run's progress until it ends; leaving does not stop it.", epilog=_EPILOG)
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    folder = find_run(arguments.run, runs_root(arguments.runs))
    with follow("Waiting for its first step", runs=arguments.runs) as follower:
        status = _until_it_ends(folder, follower, named(folder, arguments.runs))
    if status.live or status.state == "queued":  # left, by Ctrl-C
        name = named(folder, arguments.runs)
        how = "waits in the queue still" if status.state == "queued" else "goes on training"
        tell(f"{folder.id} {how}. See it again: pgsynth runs follow {name}; stop it: pgsynth runs stop {name}")
        return INTERRUPTED
    code = exit_code(folder, status)
    if arguments.json:
        facts: dict[str, Any] = {"ok": code == 0, "run": folder.id, "path": str(folder.path)}
        facts |= {name: getattr(status, name) for name in ("state", "reason", "step", "steps", "loss")}
        say_json({**facts, "code": code, "broken": broken_facts(session.registry.broken)})
        return code
    loss = "" if status.loss is None else f", loss {status.loss:.4f}"
    why = f": {status.reason}" if status.reason else ""
    say(one_line(f"{folder.id}: {status.state} after {status.step} steps{loss}{why}"))
    if code:
        follower.farewell()
    return code


def _until_it_ends(folder: RunFolder, follower: Follower, name: str) -> RunStatus:
    """Show what happens; the status at the end, or where it is left."""
    tail = Tail(folder.events_file)
    told, asked = "", 0.0
    try:
        _show(folder, follower, _so_far(tail.read()))
        while True:
            status = status_of(folder)  # before the events are read: what it says of its end stands in them
            _show(folder, follower, tail.read())
            if status.state == "queued" and time.monotonic() >= asked:
                asked = time.monotonic() + _PLACES
                line = _place(folder, status, name)
                if line != told:
                    told = line
                    tell(one_line(f"{folder.id} waits in the queue, {line}"))
            if not status.live and status.state != "queued":
                return status
            time.sleep(_POLL)
    except KeyboardInterrupt:
        return status_of(folder)
    finally:
        tail.close()


def _place(folder: RunFolder, status: RunStatus, name: str) -> str:
    """Of a run that waits: where in the queue, and whether anything moves there."""
    place, waits = position(folder), entry_of(folder)
    line = f"number {place}" if place else status.reason or "which nobody takes it from"
    if waits is None or not waits.is_from_here or (place and worker_runs(waits.kind)):
        return line
    return f"{line}; nothing takes it just now. Have the queue go on: pgsynth runs resume {name} --detach"


def _so_far(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of what happened before one came, what still says something: this session's, and of its steps the last.

    It stands where they began, before what they led to.
    """
    before: list[Mapping[str, Any]] = []
    step: list[Mapping[str, Any]] = []
    after: list[Mapping[str, Any]] = []
    for event in events:
        if event["kind"] == "run":
            before, step, after = [event], [], []
        elif event["kind"] == "step":
            step = [event]
        else:
            (after if step else before).append(event)
    return [*before, *step, *after]


def _show(folder: RunFolder, follower: Follower, events: Iterable[Mapping[str, Any]]) -> None:
    for event in events:
        if event["kind"] in ("step", "checkpoint", "sample") and not isinstance(event.get("step"), int):
            continue  # of no form we know
        more = {"steps": event.get("steps") or event.get("step")} if event["kind"] == "step" else {}
        follower.on_event({**event, **more, "run": str(folder.path)})


def exit_code(folder: RunFolder, status: RunStatus) -> int:
    """That of a run which has ended: by its state; a failure has its own, where it is known."""
    code = (read_json(folder.exit_file) or {}).get("code")
    if status.state == "failed" and isinstance(code, int) and 0 < code < 256:
        return code
    return STATES[status.state].code or 0


COMMAND = Command(_parser, _run, "words:one_run_words")
