"""``pgsynth plugins disable | enable``: leave a package out, and take it in again, without uninstalling anything."""

from __future__ import annotations

import argparse

from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import say, say_json, visible
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.packages.switching import Switched, disable, enable
from pgsynth_core.registry import discover, user_list_file

__all__ = ["DISABLE", "ENABLE"]

_EPILOG = """\
It works whatever is broken in the package, and holds for every command of yours until it is
switched back. For one command alone, a variable says which packages are looked at, none if it
is empty: PGSYNTH_PLUGINS= pgsynth ...

With --json: ok, changed, already, file, broken."""


def _disable_parser() -> Parser:
    return _parser("disable", "Leave packages out of every command; nothing is uninstalled.")


def _enable_parser() -> Parser:
    return _parser("enable", "Take packages in again that were switched off.")


def _parser(word: str, says: str) -> Parser:
    parser = Parser(f"plugins {word}", says, epilog=_EPILOG)
    parser.add_argument("names", nargs="+", metavar="PACKAGE", help="a distribution, e.g. pgsynth-plugin-x")
    add_common(parser)
    return parser


def _disable(arguments: argparse.Namespace, session: Session) -> int:
    return _tell(disable(session.registry, arguments.names), "off", "enable", arguments)


def _enable(arguments: argparse.Namespace, session: Session) -> int:
    return _tell(enable(session.registry, arguments.names), "on", "disable", arguments)


def _tell(done: Switched, state: str, back: str, arguments: argparse.Namespace) -> int:
    if arguments.json:
        facts = {"changed": list(done.changed), "already": list(done.already), "file": str(user_list_file())}
        say_json({"ok": True, **facts, "broken": broken_facts(discover().broken)})
        return 0
    for package in done.changed:
        say(visible(f"{package} is switched {state}; back: pgsynth plugins {back} {package}"))
    for package in done.already:
        say(visible(f"{package} was switched {state} before"))
    return 0


DISABLE = Command(_disable_parser, _disable, "words:package_words")
ENABLE = Command(_enable_parser, _enable, "words:disabled_words")
