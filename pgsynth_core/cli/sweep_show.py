"""``pgsynth sweep list``, ``show`` and ``resume``: which ablations there are, how they stand, go on with one."""

from __future__ import annotations

import argparse
from typing import Any

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json, tell
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.sweep import add_doing, asked_of, slurm_words
from pgsynth_core.cli.sweep_end import Asked, carry_out, draw_standings, follow_up, row_facts, standings_now
from pgsynth_core.cli.sweep_said import summary
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError
from pgsynth_core.runs import runs_root
from pgsynth_core.sweeps import find_sweep, list_sweeps, read_sweep, standings

__all__ = ["LIST", "RESUME", "SHOW"]

_LIST_EPILOG = """\
examples:
  pgsynth sweep list
  pgsynth sweep list --presets        ablations of the papers, to be begun by their names

With --json: ok, root, sweeps (sweep, path, words, states: how many combinations of each);
with --presets: ok, presets (name, package, summary, preset, fixed, vary, rows, paper). broken."""

_SHOW_EPILOG = """\
examples:
  pgsynth sweep show latest
  pgsynth sweep show qen-table3       by its name, if only one is called so

With --json: ok, sweep, path, words, factors, evaluate (flags, or null), combinations, as in
pgsynth sweep, next (commands), broken."""

_RESUME_EPILOG = """\
Begins what has no run, goes on with what stopped or failed from its last checkpoint, leaves
what is finished or waits already. Specs stay as they were frozen. What was begun with
--evaluate is scored so again with --wait or --slurm, unless other flags say how. With --wait
in a second shell, two runs are trained at a time: each takes what the other has not begun.

examples:
  pgsynth sweep resume latest
  pgsynth sweep resume latest --wait --evaluate --limit 64

Exit codes and --json as in pgsynth sweep."""

_ID = "its id, the beginning of it, its name, latest, or a path"


def _list_parser() -> Parser:
    parser = Parser("sweep list", "List ablations, the newest last, and how they stand.", epilog=_LIST_EPILOG)
    parser.add_argument("--presets", action="store_true", help="instead: those that packages bring, ready to begin")
    add_runs(parser)
    add_common(parser)
    return parser


def _list(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.presets:
        return _presets(arguments, session)
    root = runs_root(arguments.runs)
    sweeps, damaged = [], []
    for path in list_sweeps(root):
        try:
            sweeps.append(read_sweep(path))
        except UserError as error:
            damaged.append((path.name, str(error)))
    found = [(sweep, standings(sweep)) for sweep in sweeps]
    if arguments.json:
        rows: list[dict[str, Any]] = []
        for sweep, now in found:
            states: dict[str, int] = {}
            for one in now:
                states[one.state] = states.get(one.state, 0) + 1
            rows.append({"sweep": sweep.id, "path": str(sweep.path), "words": sweep.words, "states": states})
        damaged_rows = [{"sweep": name, "problem": problem} for name, problem in damaged]
        facts = {"ok": True, "root": str(root), "sweeps": rows, "damaged": damaged_rows}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    if not found and not damaged:
        say(one_line(f"there is no sweep in {root}"))
        return 0
    cells = [(sweep.id, summary(now), " ".join(sweep.words)) for sweep, now in found]
    draw_table(Table("", ("sweep", "runs", "of"), [*cells, *((name, "damaged", why) for name, why in damaged)]))
    return 0


def _presets(arguments: argparse.Namespace, session: Session) -> int:
    entries = session.registry.sweeps
    if arguments.json:
        rows = [
            {"name": entry.name, "package": entry.origin.package, **entry.table.model_dump(include=_SHOWN)}
            | {"rows": {row.name: row.words for row in entry.table.row}}
            | {"paper": entry.table.paper.title if entry.table.paper else ""}
            for entry in entries
        ]
        say_json({"ok": True, "presets": rows, "broken": broken_facts(session.registry.broken)})
        return 0
    cells = []
    for entry in entries:
        table = entry.table
        named = [", ".join(row.name for row in table.row)] if table.row else []
        cells.append((entry.name, table.preset, " ".join([*named, *table.fixed, *table.vary]), table.summary))
    draw_table(Table("", ("name", "of", "varied", ""), cells))
    return 0


_SHOWN = {"summary", "preset", "fixed", "vary"}


# ------------------------------------------------------------------------------------------- one
def _show_parser() -> Parser:
    parser = Parser("sweep show", "Show an ablation: how each combination stands, scores.", epilog=_SHOW_EPILOG)
    parser.add_argument("sweep", metavar="ID", help=_ID)
    add_runs(parser)
    add_common(parser)
    return parser


def _show(arguments: argparse.Namespace, session: Session) -> int:
    sweep = find_sweep(arguments.sweep, runs_root(arguments.runs))
    now = standings_now(sweep)
    next_ = follow_up(sweep, now, arguments.runs)
    if arguments.json:
        facts: dict[str, Any] = {"ok": True, "sweep": sweep.id, "path": str(sweep.path), "words": sweep.words}
        facts |= {"factors": dict(sweep.factors), "evaluate": sweep.evaluate}
        facts |= {"combinations": [row_facts(sweep, one) for one in now], "next": next_}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    say(one_line(f"{sweep.id}: pgsynth sweep {' '.join(sweep.words)}"))
    draw_standings(sweep, now)
    say(summary(now))
    for command in next_:
        say(f"  {command}")
    return 0


def _resume_parser() -> Parser:
    parser = Parser("sweep resume", "Go on with an ablation, whatever ended it.", epilog=_RESUME_EPILOG)
    parser.usage = "pgsynth sweep resume ID [slurm.KEY=VALUE ...] [flags]"
    parser.add_argument("words", nargs="+", metavar="ID", help=_ID)
    add_doing(parser)
    add_runs(parser)
    add_common(parser)
    return parser


def _resume(arguments: argparse.Namespace, session: Session) -> int:
    slurm, words = slurm_words(arguments.words)
    if len(words) != 1:
        message = f"one sweep is resumed at a time; {len(words)} words are given."
        raise ArgumentsError(message, where="pgsynth sweep resume", cure="Write its id. Its specs stay as they are.")
    asked = asked_of(arguments, session, slurm)
    sweep = find_sweep(words[0], runs_root(arguments.runs))
    evaluate = asked.evaluate
    if evaluate is None and (arguments.wait or arguments.slurm):
        evaluate = sweep.evaluate
    if evaluate is not None:
        said = " ".join(evaluate) or "no flags: all pairs, by the default protocol"
        tell(f"what is finished is scored by pgsynth evaluate with {said}")
    return carry_out(sweep, Asked(asked.wait, evaluate, asked.slurm), arguments, session)


LIST = Command(_list_parser, _list)
SHOW = Command(_show_parser, _show, "words:sweep_ids")
RESUME = Command(_resume_parser, _resume, "words:sweep_ids")
