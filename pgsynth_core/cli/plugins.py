"""``pgsynth plugins list | show``: what there is to choose from, read from manifests, importing nobody's code."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, get_args

from pgsynth_core.cli.arguments import Parser, add_common, one_of
from pgsynth_core.cli.console import Table, draw_table, say, say_json, visible
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.manifest import Kind
from pgsynth_core.packages import Row, Shown, listing, show
from pgsynth_core.registry import NOUNS, Registry

__all__ = ["LIST", "SHOW"]

KINDS = (*get_args(Kind), "preset")

_LIST_EPILOG = """\
With --json: ok, plugins (kind, name, qualified, package, version, status, summary, paper,
licence), commands and panels (name, package, summary), broken (package, version, problems).
Status is installed, or known: could be installed."""

_SHOW_EPILOG = """\
examples:
  pgsynth plugins show pma
  pgsynth plugins show pgsynth:qfft     where two packages have a part of that name
  pgsynth plugins show qen              a preset

With --json: ok, shown (a list: kind, name, qualified, package, version, summary, stability,
licence, paper, bibtex, needs, provides, brings, sites, options, refuses, weights, install,
axes, file, text), broken."""


# ------------------------------------------------------------------------------------------- list
def _list_parser() -> Parser:
    parser = Parser("plugins list", "List the parts, presets and packages there are.", epilog=_LIST_EPILOG)
    kind = parser.add_argument("--kind", metavar="KIND", help=f"only this kind: {', '.join(KINDS)}")
    kind.type, kind.choices = one_of(KINDS, "kind", "kinds"), KINDS
    add_common(parser)
    return parser


def _list(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    rows = [row for row in listing(registry, kind=arguments.kind or "") if row.kind != "package"]
    if arguments.json:
        say_json({"ok": True, "plugins": list(map(asdict, rows)), **_contributed(registry)})
        return 0
    for number, (kind, of_kind) in enumerate(groupby(rows, key=lambda row: row.kind)):
        if number:
            say()
        draw_table(_listed(kind, list(of_kind)))
    if not rows:
        say(f"nothing of kind {arguments.kind} is installed")
    return 0


def _listed(kind: str, rows: Sequence[Row]) -> Table:
    title = next((plural for key, (_, plural) in NOUNS.items() if key == kind), "presets")
    names = [row.name for row in rows]
    cells = []
    for row in rows:
        name = row.name if names.count(row.name) == 1 else row.qualified
        package = f"{row.package} {row.version}".rstrip()
        state = "" if row.status == "installed" else " (not installed)"
        cells.append((name, row.summary, package + state))
    return Table(title, ("name", "summary", "package"), cells)


def _contributed(registry: Registry) -> dict[str, Any]:
    def rows(items: Sequence[Any]) -> list[dict[str, str]]:
        return [
            {"name": item.item.name, "package": item.origin.package, "summary": item.item.summary or item.item.title}
            for item in items
        ]

    return {
        "commands": rows(registry.commands),
        "panels": rows(registry.panels),
        "broken": broken_facts(registry.broken),
    }


# ------------------------------------------------------------------------------------------- show
def _show_parser() -> Parser:
    parser = Parser("plugins show", "Show a part or a preset: what it needs, gives and takes.", epilog=_SHOW_EPILOG)
    parser.add_argument("name", metavar="NAME", help="a part or preset, plain or package:name")
    kind = parser.add_argument("--kind", metavar="KIND", help="only this kind, where a name is used by several")
    kind.type, kind.choices = one_of(KINDS, "kind", "kinds"), KINDS
    add_common(parser)
    return parser


def _show(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    found = show(registry, arguments.name, kind=arguments.kind or "", where=f"plugins show {arguments.name}")
    if arguments.json:
        say_json({"ok": True, "shown": list(map(asdict, found)), "broken": broken_facts(registry.broken)})
        return 0
    for number, item in enumerate(found):
        if number:
            say()
        for line in _described(item):
            say(line)
        if item.options:
            say()
            rows = [(row.name, row.type, _value(row.default), row.range, row.help) for row in item.options]
            draw_table(Table("options", ("name", "type", "default", "range", "what it does"), rows))
    return 0


def _described(item: Shown) -> Iterator[str]:
    noun = NOUNS[item.kind][0] if item.kind in NOUNS else item.kind
    yield visible(f"{noun} {item.name} ({item.package} {item.version})")
    yield f"  {visible(item.summary)}"
    single = {
        "status": "" if item.stability == "stable" else item.stability,
        "paper": item.paper,
        "licence": item.licence,
        "needs also": item.install,
        "file": item.file,
    }
    yield from (f"  {name}: {visible(text)}" for name, text in single.items() if text)
    several = {
        "needs": item.needs,
        "provides": item.provides,
        "brings": item.brings,
        "sites": item.sites,
        "refuses": item.refuses,
        "weights": item.weights,
        "axes": item.axes,
    }
    for name, lines in several.items():
        if lines:
            yield f"  {name}:"
            yield from (f"    {visible(line)}" for line in lines)
    if item.bibtex:
        yield visible(item.bibtex)
    if item.text:
        yield ""
        yield from map(visible, item.text.splitlines())
        yield ""
        yield f"With every option: pgsynth compose {item.name} --no-proof -o -"


def _value(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ", ".join(map(str, default)) if isinstance(default, list | tuple) else str(default)


LIST = Command(_list_parser, _list)
SHOW = Command(_show_parser, _show, "words:part_words")
