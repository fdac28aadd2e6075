"""``pgsynth plugins show``: a part's contract in words, its options, and what it fits with; imports nobody's code."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from pgsynth_core.cli.arguments import Parser, add_common, one_of
from pgsynth_core.cli.console import Table, draw_table, say, say_json, visible
from pgsynth_core.cli.plugins import KINDS, counted, counts_of
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.packages.fitting import Fit
from pgsynth_core.packages.records import read_records
from pgsynth_core.packages.showing import Shown, show
from pgsynth_core.registry import NOUNS, OWN_NAME

__all__ = ["COMMAND", "lines_of"]

_SHOW_EPILOG = """\
examples:
  pgsynth plugins show pma
  pgsynth plugins show pgsynth:qfft     where two packages have a part of that name
  pgsynth plugins show qen              a preset

With --json: ok, shown (a list: kind, name, qualified, package, version, summary, stability,
licence, paper, bibtex, needs, provides, brings, sites, scores, options, refuses, weights,
install, axes, file, text, checked, fits: a list of parts, answer, overrides, adapt, more,
reasons), broken. The first of fits is the part alone."""


def _show_parser() -> Parser:
    parser = Parser("plugins show", "Show a part or a preset: what it needs, gives and takes.", epilog=_SHOW_EPILOG)
    parser.add_argument("name", metavar="NAME", help="a part or preset, plain or package:name")
    kind = parser.add_argument("--kind", metavar="KIND", help="only this kind, where a name is used by several")
    kind.type, kind.choices = one_of(KINDS, "kind", "kinds"), KINDS
    add_common(parser)
    return parser


def _show(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    checked = partial(counts_of, read_records())
    found = show(
        registry, arguments.name, kind=arguments.kind or "", where=f"plugins show {arguments.name}", checked=checked
    )
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
        for line in _fitting(item):
            say(line)
    return 0


def lines_of(item: Shown) -> Iterator[str]:
    """All that is shown of a part or preset, for whoever draws it elsewhere."""
    yield from _described(item)
    if item.options:
        yield "  options:"
    for row in item.options:
        allowed = f", {row.range}" if row.range else ""
        yield visible(f"    {row.name}={_value(row.default)}  ({row.type}{allowed}) {row.help}")
    yield from _fitting(item)


def _fitting(item: Shown) -> Iterator[str]:
    """How it is composed, what fits with it, what needs more, what does not fit, each with its reason."""
    if not item.fits:
        return
    alone, *others = item.fits
    yield ""
    if not alone.command:
        yield "it cannot be composed here:"
        yield from (f"  {visible(reason)}" for reason in alone.reasons)
        return
    yield f"composes as: {visible(alone.command)}"
    if well := [_plain(fit) for fit in others if fit.answer == "fits"]:
        yield f"fits with: {', '.join(well)}"
    for answer, title in (
        ("adapts", "fits with a linear layer between (--adapt):"),
        ("needs more", "fits with, given more:"),
        ("does not fit", "does not fit with:"),
    ):
        if told := [fit for fit in others if fit.answer == answer]:
            yield title
        for fit in told:
            given = f" ({shlex.join(fit.more)})" if fit.more else ""
            yield f"  {_plain(fit)}{given}: {visible(fit.reasons[0].message)}"
    yield "More of two: pgsynth plugins why A B"


def _plain(fit: Fit) -> str:
    """The other's name without `pgsynth:`, which a plain name means anyway."""
    return visible(fit.parts[-1].removeprefix(f"{OWN_NAME}:"))


def _described(item: Shown) -> Iterator[str]:
    noun = NOUNS[item.kind][0] if item.kind in NOUNS else item.kind
    yield visible(f"{noun} {item.name} ({item.package} {item.version})")
    yield f"  {visible(item.summary)}"
    single = {
        "status": "" if item.stability == "stable" else item.stability,
        "paper": item.paper,
        "licence": item.licence,
        "checked": counted(item.checked),
        "needs also": item.install,
        "file": item.file,
    }
    yield from (f"  {name}: {visible(text)}" for name, text in single.items() if text)
    several = {
        "needs": item.needs,
        "provides": item.provides,
        "brings": item.brings,
        "sites": item.sites,
        "scores": item.scores,
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


COMMAND = Command(_show_parser, _show, "words:part_words")
