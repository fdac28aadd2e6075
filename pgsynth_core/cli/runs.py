"""``pgsynth runs list`` and ``runs resume``: which runs there are and how they stand; go on with one."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from pgsynth_core.cli import train
from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json
from pgsynth_core.cli.detached import add_detach
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs import STATES, list_runs, runs_root, status_of
from pgsynth_core.runs.queue import waiting

__all__ = ["LIST", "RESUME"]


def _table_of_states() -> str:
    rows = []
    for name, facts in STATES.items():
        code = "" if facts.code is None else f" ({facts.code})"
        rows.append(f"  {name:<9} {facts.meaning}{code}")
    return "\n".join(rows)


_EPILOG = f"""\
states, and the exit code of pgsynth runs follow where one has ended:
{_table_of_states()}

Everything is read from the run's folder; nothing is stored about it. A run that waits has
its place in the queue in brackets.

With --json: ok, root, runs (run, path, state, reason, step, steps, loss, when, in seconds
since 1970, position, in the queue or null), broken."""

_RESUME_EPILOG = """\
The same as pgsynth train --resume RUN. A run that has no checkpoint begins at its first
step again; one that waits in the queue keeps its place. What changes nothing that is
learned may be given for this time: train.steps, workers, checkpointing, cache,
checkpoint_every, sample_every, keep_checkpoints, trackers, tracker_project.

examples:
  pgsynth runs resume latest
  pgsynth runs resume latest train.steps=2000      further this time; the spec stays
  pgsynth runs resume latest train.workers=0       otherwise, for this time
  pgsynth runs resume latest data.folder.root=PATH its data were moved
  pgsynth runs resume latest --detach              by itself, when a device is free

With --json: as pgsynth train."""


def _parser() -> Parser:
    parser = Parser("runs list", "List runs, the newest last, and how they stand.", epilog=_EPILOG)
    add_runs(parser)
    add_common(parser)
    return parser


def _list(arguments: argparse.Namespace, session: Session) -> int:
    root = runs_root(arguments.runs)
    found = [(folder, status_of(folder)) for folder in list_runs(root)]
    places = _places() if any(status.state == "queued" for _, status in found) else {}
    if arguments.json:
        rows: list[dict[str, Any]] = [
            {"run": folder.id, "path": str(folder.path)}
            | {name: getattr(status, name) for name in _FIELDS}
            | {"position": places.get(str(folder.path))}
            for folder, status in found
        ]
        say_json({"ok": True, "root": str(root), "runs": rows, "broken": broken_facts(session.registry.broken)})
        return 0
    if not found:
        say(one_line(f"there is no run in {root}"))
        return 0
    cells = []
    for folder, status in found:
        steps = f"{status.step}/{status.steps}" if status.steps else str(status.step)
        loss = "" if status.loss is None else f"{status.loss:.4f}"
        place = places.get(str(folder.path))
        state = f"{status.state} ({place})" if place else status.state
        cells.append((folder.id, state, steps, loss, _when(status.when), status.reason))
    draw_table(Table("", ("run", "state", "steps", "loss", "last event", ""), cells))
    return 0


def _places() -> dict[str, int]:
    """Path of each run that waits to its place among those that wait for the same kind of device."""
    numbers: dict[str, int] = {}
    places = {}
    for run in waiting():
        places[str(run.folder.path)] = numbers[run.kind] = numbers.get(run.kind, 0) + 1
    return places


_FIELDS = ("state", "reason", "step", "steps", "loss", "when")


def _when(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


# ------------------------------------------------------------------------------------------- resume
def _resume_parser() -> Parser:
    parser = Parser("runs resume", "Go on with a run from its last checkpoint.", epilog=_RESUME_EPILOG)
    parser.usage = "pgsynth runs resume RUN [train.KEY=VALUE ...] [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    add_runs(parser)
    add_detach(parser)
    add_common(parser)
    return parser


def _resume(arguments: argparse.Namespace, session: Session) -> int:
    """`train` knows how; it is given the same words."""
    run, *more = sorted(arguments.words, key=lambda word: "=" in word)
    flags = {"--runs": arguments.runs, "--devices": arguments.devices}
    words = ["--resume", run, *more]
    words += [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
    words += [f"--{name}" for name in ("detach", "json", "debug") if getattr(arguments, name)]
    return train.COMMAND.run(train.COMMAND.parser().read(words), session)


LIST = Command(_parser, _list)
RESUME = Command(_resume_parser, _resume, "words:one_run_words")
