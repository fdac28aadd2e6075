"""``pgsynth plugins sync``: the options that parts declare in code, written into their package's manifest."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common
from pgsynth_core.cli.console import say, say_json, visible
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.packages.syncing import Change, sync

__all__ = ["COMMAND"]

OUT_OF_STEP = 2

_EPILOG = """\
Only the lines of [component.options] change. With --check nothing is written, and the
exit code is 2 if something would be: for continuous integration.

With --json: ok (false if --check found differences), path, written, changes (part,
option, before, after), unannounced, broken."""


def _parser() -> Parser:
    parser = Parser(
        "plugins sync",
        "Write the options of a package's parts, as their Config declares them, into its\nmanifest.",
        epilog=_EPILOG,
    )
    parser.add_argument("path", nargs="?", metavar="PATH", help="a pgsynth.toml, or its folder; else that you are in")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 2 if something would change")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.path == "":  # which would be the folder one is in
        raise ArgumentsError("the path is empty.", where="pgsynth plugins sync", cure="Name a pgsynth.toml.")
    done = sync(None if arguments.path is None else Path(arguments.path), check=arguments.check)
    if done.unannounced:
        tell_warning(done.unannounced)
    code = OUT_OF_STEP if done.changes and not done.written else 0
    if arguments.json:
        facts = {"ok": not code, "path": str(done.path), "written": done.written}
        facts["unannounced"] = done.unannounced
        changes = [asdict(change) for change in done.changes]
        say_json({**facts, "changes": changes, "broken": broken_facts(session.registry.broken)})
        return code
    for change in done.changes:
        for line in _lines(change):
            say(line)
    if not done.changes:
        say(f"{visible(done.path)}: nothing to change")
    elif done.written:
        say(f"{visible(done.path)}: {_counted(done.changes)}")
    else:
        command = f"pgsynth plugins sync {arguments.path or ''}".rstrip()
        say(visible(f"{done.path}: {_counted(done.changes)}, nothing is written; to write it: {command}"))
    return code


def _counted(changes: Sequence[Change]) -> str:
    """``options: 2 new, 1 changed``."""
    signs = [(change.before is not None, change.after is not None) for change in changes]
    kinds = {"new": (False, True), "changed": (True, True), "gone": (True, False)}
    counts = [f"{signs.count(sign)} {word}" for word, sign in kinds.items() if sign in signs]
    return f"options: {', '.join(counts) or 'another order'}"


def _lines(change: Change) -> Iterator[str]:
    yield visible(f"{change.part}: {change.option}")
    for sign, row in (("-", change.before), ("+", change.after)):
        if row is not None:
            yield visible(f"  {sign} {_row(row)}")


def _row(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value!r}" for key, value in row.items())


COMMAND = Command(_parser, _run, "words:manifest_words")
