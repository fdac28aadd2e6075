"""``pgsynth runs move``: change the order in which runs that wait are trained."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs import find_run, runs_root
from pgsynth_core.runs.moving import move
from pgsynth_core.runs.workers import start_workers, worker_runs

__all__ = ["COMMAND"]

_EPILOG = """\
Runs for GPUs and runs for the CPU do not wait for each other, so places count among those
of one kind; runs list has them in brackets. A run that is being trained is not
interrupted. One that is where it is to go stays there, and the exit code is 0.

examples:
  pgsynth runs move latest --first
  pgsynth runs move 20260131-120405-qfft-pma --down

With --json: ok, run, path, kind (gpu or cpu), before, position (its place until then and
now, from 1 on), waiting (how many wait for that kind), broken."""


def _parser() -> Parser:
    parser = Parser("runs move", "Move a run within the queue: first, last, up or down.", epilog=_EPILOG)
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    places = parser.add_mutually_exclusive_group(required=True)
    for name, text in (
        ("first", "the next to be trained"),
        ("last", "behind all others"),
        ("up", "one place towards the first"),
        ("down", "one place towards the last"),
    ):
        places.add_argument(f"--{name}", dest="to", action="store_const", const=name, help=text)
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    folder = find_run(arguments.run, runs_root(arguments.runs))
    moved = move(folder, arguments.to)
    if moved.before != moved.position and worker_runs(moved.kind):
        start_workers(moved.kind)  # of a device that none of those before could use, and the run that leads now can
    if arguments.json:
        facts = {"ok": True, "run": folder.id, "path": str(folder.path), **asdict(moved)}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    place = f"number {moved.position} of {moved.waiting} in the queue"
    was = "as before" if moved.before == moved.position else f"it was number {moved.before}"
    say(one_line(f"{folder.id}: {place}, {was}"))
    return 0


COMMAND = Command(_parser, _run, "words:one_run_words")
