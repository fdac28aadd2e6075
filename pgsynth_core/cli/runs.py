"""``pgsynth runs list``: which runs there are and how they stand, from their folders alone."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs import list_runs, runs_root, status_of

__all__ = ["LIST"]

_EPILOG = """\
A run is running, finished, stopped (asked to), failed, or lost: its process is gone and
said nothing. Everything is read from the run's folder; nothing is stored about it.

With --json: ok, root, runs (run, path, state, reason, step, steps, loss, when, in seconds
since 1970), broken."""


def _parser() -> Parser:
    parser = Parser("runs list", "List runs, the newest last, and how they stand.", epilog=_EPILOG)
    add_runs(parser)
    add_common(parser)
    return parser


def _list(arguments: argparse.Namespace, session: Session) -> int:
    root = runs_root(arguments.runs)
    found = [(folder, status_of(folder)) for folder in list_runs(root)]
    if arguments.json:
        rows: list[dict[str, Any]] = [
            {"run": folder.id, "path": str(folder.path), **{name: getattr(status, name) for name in _FIELDS}}
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
        cells.append((folder.id, status.state, steps, loss, _when(status.when), status.reason))
    draw_table(Table("", ("run", "state", "steps", "loss", "last event", ""), cells))
    return 0


_FIELDS = ("state", "reason", "step", "steps", "loss", "when")


def _when(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


LIST = Command(_parser, _list)
