"""``pgsynth runs rm``: delete runs, after asking."""

from __future__ import annotations

import argparse
import sys

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, say, say_json, tell
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs import RunFolder, find_run, runs_root
from pgsynth_core.runs.durable import amount
from pgsynth_core.runs.removing import refuse_needed, remove_run, size_of

__all__ = ["COMMAND"]

_EPILOG = """\
Nothing is deleted if any of them cannot be: an unknown name, a run that is being trained
or waits, the folder you are in, a folder that no run was made in. Links are deleted,
never what they lead to.

examples:
  pgsynth runs rm 20260131-120405-qfft-pma
  pgsynth runs rm --yes runs/2026013*          without being asked, for scripts

With --json: ok, runs (run, path, bytes), bytes (freed), broken."""


def _parser() -> Parser:
    parser = Parser("runs rm", "Delete runs with everything in them.", epilog=_EPILOG)
    parser.add_argument("run", nargs="+", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    folders = _found(arguments)
    if not arguments.yes and not _agreed(folders):
        tell("nothing is deleted")
        folders = []
    rows, total = [], 0
    for folder in folders:
        freed = remove_run(folder)
        total += freed
        rows.append({"run": folder.id, "path": str(folder.path), "bytes": freed})
        if not arguments.json:
            say(one_line(f"{folder.id}: deleted, {amount(freed)} freed"))
    if arguments.json:
        say_json({"ok": True, "runs": rows, "bytes": total, "broken": broken_facts(session.registry.broken)})
    return 0


def _found(arguments: argparse.Namespace) -> list[RunFolder]:
    """Every run that is meant, once.

    Raises:
        UserError: With every reason why one cannot be deleted.
    """
    root, found, problems = runs_root(arguments.runs), dict[RunFolder, None](), list[Problem]()
    for word in arguments.run:
        try:
            folder = find_run(word, root)
            refuse_needed(folder, root)
            found[folder] = None
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return list(found)


def _agreed(folders: list[RunFolder]) -> bool:
    """Ask.

    Raises:
        ArgumentsError: If nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise ArgumentsError("nobody is here to be asked.", where="pgsynth runs rm", cure="Add --yes.")
    for folder in folders:
        tell(one_line(f"{folder.path}  {amount(size_of(folder.path))}"))
    tell(f"Delete {'it' if len(folders) == 1 else f'these {len(folders)} runs'}? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


COMMAND = Command(_parser, _run, "words:several_run_words")
