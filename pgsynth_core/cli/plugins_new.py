"""``pgsynth plugins new``: a package of one's own, complete, to be changed from there."""

from __future__ import annotations

import argparse
from pathlib import Path

from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import one_line, say, say_json, visible
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import VERBS, Command, Session
from pgsynth_core.packages.scaffold import FORMS, scaffold

__all__ = ["COMMAND"]

_DESCRIPTION = """\
Write a new package: small, complete and working. It installs, composes and passes its tests
as it is written; change it from there."""

_EPILOG = """\
KIND is a kind of part: {parts};
or what a package adds besides: hook (told of what happens to runs), command (pgsynth NAME),
panel (of the terminal UI).
NAME is the part's. The distribution becomes pgsynth-plugin-NAME, the package
pgsynth_plugin_NAME, the folder is called like the distribution.

examples:
  pgsynth plugins new encoder resnet
  pgsynth plugins new attention my_gate -o ~/plugins/gate

Nothing is written over, and nothing is written by halves.

With --json: ok, kind, name, distribution, package, folder, files, next (commands to go on
with), broken."""

_BESIDES = ("hook", "command", "panel")


def _parser() -> Parser:
    parts = ", ".join(kind for kind in FORMS if kind not in _BESIDES)
    parser = Parser("plugins new", _DESCRIPTION, epilog=_EPILOG.format(parts=parts))
    parser.add_argument("kind", metavar="KIND", help="what to write")
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and _")
    parser.add_argument("-o", "--output", metavar="DIR", help="the folder, which is made")
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    made = scaffold(
        arguments.kind,
        arguments.name,
        session.registry,
        folder=None if arguments.output is None else Path(arguments.output),
        taken=[verb.words[0] for verb in VERBS],
    )
    if arguments.json:
        facts = {"ok": True, "kind": made.kind, "name": made.name, "distribution": made.distribution}
        facts |= {"package": made.package, "folder": str(made.folder), "files": list(made.files)}
        say_json({**facts, "next": list(made.next), "broken": broken_facts(session.registry.broken)})
        return 0
    for file in made.files:
        say(one_line(made.folder / file))
    say()
    say("Next:")
    for command in made.next:
        say(visible(f"  {command}"))
    return 0


COMMAND = Command(_parser, _run, "words:new_words")
