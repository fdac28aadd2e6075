"""``pgsynth plugins times``: what importing each part costs, measured in processes of their own."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pgsynth_core.cli.arguments import Parser, add_common, at_least
from pgsynth_core.cli.console import Table, draw_table, progress, say, say_json, visible
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError, suggestion
from pgsynth_core.packages.timing import Imported, import_times
from pgsynth_core.registry import OWN_NAME, normalised

__all__ = ["TIMES"]

_FAST = 0.05

_EPILOG = """\
Options are read without torch; code is timed beyond torch, diffusers and pgsynth's own
interfaces, which every part imports. Nothing is imported to list or explain a part: what it
costs is paid when it is built.

With --json: ok (everything could be imported), times (package, part, stage, module, seconds,
fault, brought), broken. Stage is config (its options) or target (its code)."""


def _parser() -> Parser:
    parser = Parser("plugins times", "Say how long importing each part takes, the slowest first.", epilog=_EPILOG)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="only these packages; all by default")
    parser.add_argument(
        "--timeout", type=at_least(1), default=60, metavar="SECONDS", help="give one import up after that (60)"
    )
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    here = tuple(dict.fromkeys([OWN_NAME, *(origin.package for origin in registry.origins)]))
    asked = tuple(normalised(name) for name in arguments.packages)
    if unknown := [name for name in asked if name not in here]:
        raise UserError(
            f"nothing of {unknown[0]!r} is here that could be timed.",
            cure=suggestion(unknown[0], here, what="packages"),
        )
    with progress("Importing every part in a process of its own"):
        rows = import_times(registry, patience=float(arguments.timeout), packages=asked)
    if arguments.json:
        ok = not any(row.fault for row in rows)
        say_json({"ok": ok, "times": list(map(asdict, rows)), "broken": broken_facts(registry.broken)})
        return 0
    shown = [row for row in rows if row.seconds is None or row.seconds >= _FAST]
    draw_table(
        Table("", ("seconds", "part", "of it", "package", "brought, or what went wrong"), list(map(_cells, shown)))
    )
    quick = len(rows) - len(shown)
    say(
        visible(
            f"{quick} more take less than {_FAST * 1000:g} ms each"
            if shown
            else f"all {quick}: below {_FAST * 1000:g} ms"
        )
    )
    return 0


def _cells(row: Imported) -> tuple[str, ...]:
    seconds = "-" if row.seconds is None else f"{row.seconds:.2f}"
    told = row.fault or ", ".join(f"{name} modules)".replace(" modules)", "") for name in row.brought)
    return seconds, row.part, "options" if row.stage == "config" else "code", row.package, told


TIMES = Command(_parser, _run, "words:package_words")
