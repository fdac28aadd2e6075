"""``pgsynth plugins list | show``: what there is to choose from, read from manifests, importing nobody's code."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from typing import Any, Final, get_args

from pgsynth_core.cli.arguments import Parser, add_common, one_of
from pgsynth_core.cli.console import Table, draw_table, say, say_json, visible
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.manifest import Contribution, Kind
from pgsynth_core.packages import Counts, Fit, Record, Row, Shown, listing, read_records, record_of, show
from pgsynth_core.registry import NOUNS, OWN_NAME, Contributed, Entry, Registry

__all__ = ["LIST", "SHOW", "counted"]

KINDS = (*get_args(Kind), "preset")
STATES = ("installed", "disabled", "known", "broken")

_LIST_EPILOG = """\
examples:
  pgsynth plugins list --kind encoder
  pgsynth plugins list --status broken

Checked says what the last `pgsynth plugins check` of a part counted, if the part is still as
it was then.

With --json: ok, plugins (kind, name, qualified, package, version, status, summary,
first_party, paper, licence, checked), commands, panels and hooks (name, package, summary),
broken (package, version, problems). Status is installed, disabled (by you: plugins disable),
known (could be installed) or broken; checked is null, or counts ran, passed, failed, skipped."""

_SHOW_EPILOG = """\
examples:
  pgsynth plugins show pma
  pgsynth plugins show pgsynth:qfft     where two packages have a part of that name
  pgsynth plugins show qen              a preset

With --json: ok, shown (a list: kind, name, qualified, package, version, summary, stability,
licence, paper, bibtex, needs, provides, brings, sites, options, refuses, weights, install,
axes, file, text, checked, fits: a list of parts, answer, overrides, adapt, more, reasons),
broken. The first of fits is the part alone."""


# ------------------------------------------------------------------------------------------- list
def _list_parser() -> Parser:
    parser = Parser("plugins list", "List the parts, presets and packages there are.", epilog=_LIST_EPILOG)
    kind = parser.add_argument("--kind", metavar="KIND", help=f"only this kind: {', '.join(KINDS)}")
    kind.type, kind.choices = one_of(KINDS, "kind", "kinds"), KINDS
    status = parser.add_argument("--status", metavar="STATUS", help=f"only these: {', '.join(STATES)}")
    status.type, status.choices = one_of(STATES, "status", "states"), STATES
    add_common(parser)
    return parser


def _list(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    records = read_records()
    rows = [
        row
        for row in listing(registry, kind=arguments.kind or "", checked=partial(_counts, records))
        if arguments.status in (None, row.status)
    ]
    if arguments.json:
        say_json({"ok": True, "plugins": list(map(asdict, rows)), **_contributed(registry)})
        return 0
    tables = list(_tables(rows))
    for number, table in enumerate(tables):
        if number:
            say()
        draw_table(table)
    if not rows:
        of_kind = f" of kind {arguments.kind}" if arguments.kind else ""
        say(f"nothing{of_kind} is {arguments.status or 'installed'}")
    return 0


def _counts(records: Mapping[str, Record], entry: Entry) -> Counts | None:
    record = record_of(entry, records)
    return record.counts if record else None


def _tables(rows: Sequence[Row]) -> Iterator[Table]:
    here = [row for row in rows if row.status == "installed"]
    for kind, of_kind in groupby(here, key=lambda row: row.kind):
        yield _listed(kind, list(of_kind))
    for status, title in (
        ("disabled", "switched off by you (pgsynth plugins enable PACKAGE)"),
        ("known", "not installed (pgsynth plugins install PACKAGE)"),
    ):
        if others := [row for row in rows if row.status == status]:
            cells = [(f"{row.package} {row.version}".rstrip(), _added(row), row.summary) for row in others]
            yield Table(title, ("package", "adds", "summary"), cells)
    if broken := [row for row in rows if row.status == "broken"]:
        told = [(f"{row.package} {row.version}".rstrip(), row.summary) for row in broken]
        yield Table("broken", ("package", "what is wrong, and what to do"), told)


def _added(row: Row) -> str:
    return "" if row.kind == "package" else f"{NOUNS[row.kind][0] if row.kind in NOUNS else row.kind} {row.name}"


def _listed(kind: str, rows: Sequence[Row]) -> Table:
    title = next((plural for key, (_, plural) in NOUNS.items() if key == kind), "presets")
    names = [row.name for row in rows]
    cells = [
        (
            row.name if names.count(row.name) == 1 else row.qualified,
            row.summary,
            _short(row.paper),
            f"{row.package} {row.version}".rstrip(),
            row.licence,
            counted(row.checked),
        )
        for row in rows
    ]
    head = ("name", "summary", "paper", "package", "licence", "checked")
    filled = [place for place in range(len(head)) if any(row[place] for row in cells)]
    return Table(title, tuple(head[place] for place in filled), [tuple(row[at] for at in filled) for row in cells])


_PAPER_WIDTH: Final = 32


def _short(title: str) -> str:
    """A paper's title up to its colon, and not too long: enough to know it by."""
    first = title.partition(":")[0]
    return first if len(first) <= _PAPER_WIDTH else f"{first[: _PAPER_WIDTH - 1].rstrip()}…"


def counted(checked: Counts | None) -> str:
    """The counts of a conformance run in a few words; empty if there was none."""
    if checked is None:
        return ""
    words = [f"{checked.get(key, 0)} {key}" for key in ("passed", "failed", "skipped") if checked.get(key)]
    return ", ".join(words) or "nothing ran"


def _contributed(registry: Registry) -> dict[str, Any]:
    def rows(items: Sequence[Contributed[Contribution]]) -> list[dict[str, str]]:
        return [
            {"name": item.item.name, "package": item.origin.package, "summary": item.item.summary or item.item.title}
            for item in items
        ]

    hooks = [
        {"name": hook.item.target, "package": hook.origin.package, "summary": ", ".join(hook.item.implements)}
        for hook in registry.hooks
    ]
    return {
        "commands": rows(registry.commands),
        "panels": rows(registry.panels),
        "hooks": hooks,
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
    checked = partial(_counts, read_records())
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
