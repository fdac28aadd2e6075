"""``pgsynth leaderboard``: the numbers of papers, and yours beside them where they may be compared."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from pgsynth_core.cli.arguments import Parser, add_common, add_runs, path_given
from pgsynth_core.cli.console import Table, draw_table, one_line, progress, say, say_json
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.reports.board import Board, Wanted, boards
from pgsynth_core.reports.board_text import (
    BOARD_FORMATS,
    board_cells,
    board_facts,
    board_head,
    board_title,
    board_told,
    boards_text,
)
from pgsynth_core.reports.own_scores import OwnScores, read_scores
from pgsynth_core.reports.published import Published, published, tables_named
from pgsynth_core.runs import find_run, runs_root
from pgsynth_core.runs.scores import score_files, tables_in

__all__ = ["COMMAND"]

_TABLE = "table"
_LIST = "list"
_EPILOG = """\
words:
  RUN, scores.json     a run with evaluations (pgsynth evaluate RUN --protocol cfld), a file
                       of scores, or a folder that holds some; none: the papers alone

Ranked are only numbers that were made in one way: by the protocol of the table, of as many
pairs, by the same definition with the published weights, and for sets (FID) against as many
training photos. All others stand below them, each with a note that says
what differs. > marks your rows. Without --table, the comparisons of all papers are shown;
with it also preference shares and ablations: pgsynth leaderboard --table list names them.

examples:
  pgsynth leaderboard
  pgsynth leaderboard latest --size 256x176 --metric lpips
  pgsynth leaderboard --table qen-table3 --format latex

With --json: ok, boards (dataset, size, protocol, metric, columns, ranked and apart, both
lists of: name, rank, yours, way, implied, own, venue, mark, copied, reevaluated, pairs,
source, settings, values, notes, value_notes; notes, of which 1 is the first; remarks),
broken; with --table list: tables (name, kind, dataset, title, source)."""


def _parser() -> Parser:
    parser = Parser("leaderboard", "Show the numbers of papers, and yours beside them.", epilog=_EPILOG)
    parser.add_argument("words", nargs="*", metavar="RUN, scores.json", help="yours, see below")
    parser.add_argument("--dataset", metavar="WORDS", default="", help="only of this one, e.g. deepfashion")
    parser.add_argument("--size", metavar="WORDS", default="", help="only at this height x width, e.g. 256x176")
    parser.add_argument("--metric", metavar="WORDS", default="", help="what to rank by; by default the first column")
    parser.add_argument("--table", metavar="WORDS", default="", help="one table of one paper; list names them")
    parser.add_argument("--protocol", metavar="WORDS", default="", help="rank what is scored by this; cfld is papers'")
    add_runs(parser)
    add_common(parser, forms=(_TABLE, *BOARD_FORMATS))
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    tables = published(session.registry)
    if arguments.table == _LIST:
        return _list(tables, arguments, session)
    if arguments.table:
        tables = (tables_named(tables, arguments.table),)
    else:
        tables = tuple(one for one in tables if one.table.kind == "comparison")
    with progress("Reading scores"):
        own = _own(arguments.words, arguments.runs)
    wanted = Wanted(arguments.dataset, arguments.size, arguments.metric, arguments.protocol)
    each = {scores.file: scores for some in own.values() for scores in some}
    found = boards(tables, [*each.values()], wanted)
    _require_shown(own, found, wanted)
    if arguments.json:
        say_json({"ok": True, "boards": list(map(board_facts, found)), "broken": broken_facts(session.registry.broken)})
    elif arguments.format in BOARD_FORMATS:
        say(boards_text(found, arguments.format))
    else:
        for number, board in enumerate(found):
            if number:
                say()
            _draw(board)
    return 0


def _list(tables: Sequence[Published], arguments: argparse.Namespace, session: Session) -> int:
    """Name every table there is."""
    if arguments.json:
        keys = ("name", "kind", "dataset", "title")
        facts = [{**{key: getattr(one.table, key) for key in keys}, "source": one.cited} for one in tables]
        say_json({"ok": True, "tables": facts, "broken": broken_facts(session.registry.broken)})
        return 0
    rows = [(one.table.name, one.table.kind, one.table.title, one.cited) for one in tables]
    draw_table(Table("", ("table", "kind", "what", "source"), rows))
    return 0


def _draw(board: Board) -> None:
    head = board_head(board)
    rows = [board_cells(board, line) for line in board.ranked]
    if board.apart:
        rows += [("", "not comparable:", *[""] * (len(head) - 2))]
        rows += [board_cells(board, line) for line in board.apart]
    draw_table(Table(board_title(board), head, rows))
    for text in board_told(board):
        say(f"  {one_line(text)}")


# ------------------------------------------------------------------------------------------- yours
def _own(words: list[str], runs: str | None) -> dict[str, list[OwnScores]]:
    """Each word, and what it means; each file is read once.

    Raises:
        UserError: With every word that means nothing, and every file that is no scores.
    """
    files, read, problems = dict[str, list[Path]](), dict[Path, OwnScores](), list[Problem]()
    for word in words:
        try:
            files[word] = [file.resolve() for file in _files(word, runs)]
        except UserError as error:
            problems += error.problems
    for file in dict.fromkeys(file for some in files.values() for file in some):
        try:
            read[file] = read_scores(file)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return {word: [read[file] for file in some] for word, some in files.items()}


def _require_shown(own: Mapping[str, Sequence[OwnScores]], found: Sequence[Board], wanted: Wanted) -> None:
    """Whoever names scores wants to see them.

    Raises:
        UserError: With every word of whose scores no table has any.
    """
    shown = {line.source for board in found for line in (*board.ranked, *board.apart) if line.yours}
    limits = {"--dataset": wanted.dataset, "--size": wanted.size}
    given = shlex.join(part for flag, value in limits.items() if value for part in (flag, value))
    problems = []
    for word, some in own.items():
        if not any(str(scores.file) in shown for scores in some):
            places = dict.fromkeys(f"{scores.dataset or 'a folder'} at {scores.size}" for scores in some)
            message = f"its scores, of {', '.join(places)}, stand in no table that {given} shows."
            problems.append(Problem(message, word, f"Leave {given} out, or the scores."))
    if problems:
        raise UserError(problems)


def _files(word: str, runs: str | None) -> list[Path]:
    path = path_given(word, "pgsynth leaderboard")
    if path.suffix == ".json" and (path.is_file() or not path.is_dir()):
        if not path.is_file():
            raise UserError("there is no such file.", where=word, cure="Give a scores.json of pgsynth evaluate.")
        return [path]
    if path.is_dir() and (held := tables_in(path)):
        return held
    try:
        folder = find_run(word, runs_root(runs))
    except UserError as error:
        beside = Path(f"{path.absolute()}.scores")
        if not path.is_dir() or not tables_in(beside):
            raise
        cure = f"Give the folder beside it: pgsynth leaderboard {shlex.quote(str(beside))}."
        raise UserError("its scores are not in it.", where=word, cure=cure) from error
    if held := score_files(folder):
        return held
    raise UserError(
        "the run has no evaluation.", where=folder.id, cure=f"Make one: pgsynth evaluate {named(folder, runs)}."
    )


COMMAND = Command(_parser, _run, "words:board_words")
