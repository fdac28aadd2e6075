"""``pgsynth report``: one run, or several side by side, as one HTML page to look at, offline and for years."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pgsynth_core.cli.arguments import Parser, add_common, add_runs, at_least
from pgsynth_core.cli.compare import find_runs, read_runs
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.page_file import add_open, page_place, write_page
from pgsynth_core.cli.report import broken_facts, tell_note
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs.durable import amount

__all__ = ["COMMAND"]

_OUTPUTS: Final = Path("outputs")
"""Where `pgsynth inspect` leaves its pictures, by the run's id."""
_DESCRIPTION = """\
Write one HTML page of a run, or of several side by side: what they are, their numbers and
curves, the same pairs with error maps, attention, samples, settings."""

_EPILOG = """\
The page is one file that needs nothing else: no network, no other file. It is light or dark
as the reader's system is, and can be printed. A click, or Enter, enlarges a picture; arrows
go on to the next.

examples:
  pgsynth report latest --open
  pgsynth report 20260131-120405-qfft-pma latest -o ablation.html
  pgsynth report runs/20260131-* --limit 8

Pairs come from evaluations (pgsynth evaluate); pairs stand in one row where source and
target are the same pixel by pixel. Attention pictures are those that pgsynth inspect left
in the run's folder, or in outputs/RUN. Pictures are made smaller, and then left out, where
the page would be larger than 50 MB; that is said.

A page that is there is made anew; any other file of that name is never written over.

With --json: ok, file, bytes, runs (their ids), pairs, pictures, notes (what was left out or
could not be read), broken."""


def _parser() -> Parser:
    parser = Parser("report", _DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("run", nargs="+", metavar="RUN", help="one or more: id, the beginning of it, latest, or a path")
    parser.add_argument(
        "-o", "--output", metavar="FILE.html", help="the page; by default RUN.html, of several report.html"
    )
    add_open(parser)
    parser.add_argument("--limit", type=at_least(1), metavar="N", help="pairs of an evaluation, at most; by default 24")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.reports.page import PAIRS, make_page  # numpy and Pillow

    folders = find_runs(arguments.run, arguments.runs)
    name = f"{folders[0].id}.html" if len(folders) == 1 else "report.html"
    out = page_place(arguments.output, Path(name), made_by="pgsynth report")
    with progress("Reading the runs"):
        runs = read_runs(folders)
    looks = {run.id: [_OUTPUTS / run.id] for run in runs}
    with progress("Making the page"):
        page = make_page(
            runs,
            command=_command([run.id for run in runs], arguments.limit),
            limit=arguments.limit or PAIRS,
            looks=looks,
        )
    write_page(out, page.html, opened=arguments.open)
    facts: dict[str, Any] = {"file": str(out.absolute()), "bytes": page.bytes, "runs": [run.id for run in runs]}
    if arguments.json:
        facts |= {"pairs": page.pairs, "pictures": page.pictures, "notes": list(page.notes)}
        say_json({"ok": True, **facts, "broken": broken_facts(session.registry.broken)})
        return 0
    for note in page.notes:
        tell_note(note)
    count = f"{page.pairs} pair{'' if page.pairs == 1 else 's'}, {page.pictures} pictures"
    say(one_line(f"{out}: {amount(page.bytes)}, {count}"))
    return 0


def _command(runs: Sequence[str], limit: int | None) -> str:
    """The command that makes the page again where the runs are; whoever is sent it reads no paths of this machine."""
    return shlex.join(["pgsynth", "report", *runs, *(["--limit", str(limit)] if limit is not None else [])])


COMMAND = Command(_parser, _run, "words:several_run_words")
