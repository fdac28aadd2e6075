"""``pgsynth evaluate``: sample a split of a run's dataset and score it, beside showing the source unchanged."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pgsynth_core import api
from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json
from pgsynth_core.cli.progress import follow
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.sample import add_sampling, add_split, chosen_split, loaded
from pgsynth_core.cli.verbs import Command, Session

if TYPE_CHECKING:
    from pgsynth_core.api.evaluating import Evaluated
    from pgsynth_core.evaluation import ScoreTable

__all__ = ["COMMAND", "say_scores", "score_rows"]

_DESCRIPTION = """\
Sample the pairs of a split with a trained run and score them: SSIM, PSNR, L1 against the
target, beside the same scores of the source shown unchanged."""

_EPILOG = """\
RUN and key=value are as in pgsynth sample.

examples:
  pgsynth evaluate latest
  pgsynth evaluate latest --split train --limit 8
  pgsynth evaluate latest --json > scores.json

Pictures, a sheet, scores.json and scores.csv go into the run's folder. Scores are of 8-bit
pictures at the size the method works at; scores.json says the exact definition of each.

An evaluation with other settings is never written over: the new one gets a number.

With --json: ok, and everything of scores.json: schema, about (run, step, ema, split, limit,
seed, sample, data, skipped), images, mean, copy_source, measures, libraries, rows (name, size,
the scores, copy_source); pictures and sheet (paths), scores (its path), warnings, broken."""


def _parser() -> Parser:
    parser = Parser("evaluate", _DESCRIPTION, epilog=_EPILOG, override_keys=("sample", "data"))
    parser.usage = "pgsynth evaluate RUN [key=value ...] [flags]"
    parser.add_argument("words", nargs="+", metavar="RUN, key=value", help="which run, and what is to be different")
    add_split(parser)
    add_sampling(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    split = chosen_split(arguments)
    model = loaded(arguments, session, "evaluate", split)
    with follow("Drawing the first pictures") as follower:

        def counted(done: int) -> None:
            follower.on_event({"kind": "count", "doing": "drawing and scoring", "done": done, "of": arguments.limit})

        found = api.evaluate(model, split=split, limit=arguments.limit, on_picture=counted)
    for sentence in found.pictures.warnings:
        tell_warning(sentence)
    if arguments.json:
        facts = {"ok": True, **found.table.facts()}
        facts |= {
            "pictures": str(found.pictures.folder),
            "sheet": str(found.pictures.sheet),
            "scores": str(found.scores),
        }
        warnings = [*model.warnings, *found.pictures.warnings]
        say_json({**facts, "warnings": warnings, "broken": broken_facts(session.registry.broken)})
        return 0
    say_scores(found)
    return 0


def say_scores(found: Evaluated) -> None:
    """The means, and where everything is."""
    table = found.table
    about = table.about
    where = ", ".join(f"{name} {about[name]}" for name in ("split", "step", "seed") if name in about)
    say(one_line(f"{about.get('run', '')}: {len(table.rows):,} pair{'' if len(table.rows) == 1 else 's'}, {where}"))
    draw_table(Table("", ("score", "output", "source unchanged", "better"), score_rows(table)))
    if worse := below_source(table):
        say(f"The source shown unchanged scores better on {', '.join(worse)}: the method has yet to learn.")
    say(f"sheet   {one_line(found.pictures.sheet)}")
    say(f"scores  {one_line(found.scores)}")


def below_source(table: ScoreTable) -> list[str]:
    """The measures on which doing nothing would have been better."""
    measures: Mapping[str, Mapping[str, str]] = table.facts(rows=False)["measures"]
    signs = {name: 1 if facts["better"] == "higher" else -1 for name, facts in measures.items()}
    return [name for name, baseline in table.copy_source.items() if signs[name] * (table.mean[name] - baseline) < 0]


def score_rows(table: ScoreTable) -> list[tuple[str, ...]]:
    """One row a measure: its name, the mean, that of the baseline, which way is better."""
    measures: Mapping[str, Mapping[str, str]] = table.facts(rows=False)["measures"]
    rows: list[tuple[str, ...]] = []
    for name, facts in measures.items():
        unit = facts["unit"]
        baseline = _written(table.copy_source[name], unit) if table.copy_source else ""
        title = f"{name} ({unit})" if unit else name
        rows.append((title, _written(table.mean[name], unit), baseline, facts["better"]))
    return rows


def _written(value: float, unit: str) -> str:
    return (f"{value:.2f}" if unit else f"{value:.4f}") if math.isfinite(value) else "infinite"


COMMAND = Command(_parser, _run, "words:run_words")
