"""``pgsynth demo``: compose, train, sample, score and show a small method, on whatever machine this is."""

from __future__ import annotations

import argparse

from pgsynth_core import api
from pgsynth_core.cli.arguments import Parser, add_common, at_least
from pgsynth_core.cli.console import one_line, say, say_json
from pgsynth_core.cli.evaluate import say_scores
from pgsynth_core.cli.progress import duration, follow
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs import runs_root

__all__ = ["COMMAND"]

_DESCRIPTION = """\
Compose a small method, train it on drawn figures, sample and score it: no weights, no
download, no GPU, a few minutes on two cores."""

_EPILOG = """\
It leaves a run like any other, in ./runs or where -o says, and a sheet to look at:
source, pose, target, output. Then try, for example:
  pgsynth sample latest --split train --limit 4
  pgsynth train --resume latest train.steps=2000

With --json: ok, run, path, sheet, scores (its path), mean, copy_source, seconds, broken."""


def _parser() -> Parser:
    parser = Parser("demo", _DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("-o", "--output", metavar="DIR", help="where the run is made; by default where runs are")
    parser.add_argument("--steps", metavar="N", type=at_least(1), help="training steps, in place of the demo's own")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    with follow("Preparing: importing torch takes most of the time") as follower:
        done = api.demo(runs_root(arguments.output), steps=arguments.steps, on_event=follower.on_event)
    if arguments.json:
        table, pictures = done.evaluated.table.facts(rows=False), done.evaluated.pictures
        facts = {"ok": True, "run": done.run.id, "path": str(done.run.path), "sheet": str(pictures.sheet)}
        facts |= {"scores": str(done.evaluated.scores), "mean": table["mean"], "copy_source": table["copy_source"]}
        say_json({**facts, "seconds": round(done.seconds, 1), "broken": broken_facts(session.registry.broken)})
        return 0
    say(one_line(f"composed, trained, sampled and scored in {duration(done.seconds)}: {done.run.path}"))
    say()
    say_scores(done.evaluated)
    say()
    say("Look at the sheet: source, pose, target, output. Then: pgsynth demo --help")
    return 0


COMMAND = Command(_parser, _run)
