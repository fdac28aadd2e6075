"""``pgsynth plugins list``: what there is to choose from, read from manifests, importing nobody's code."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import groupby
from typing import Final, get_args

from pgsynth_core.cli.arguments import Parser, add_common, one_of
from pgsynth_core.cli.console import Table, draw_table, say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.manifest import Kind
from pgsynth_core.packages.listing import Counts, Row, listing
from pgsynth_core.packages.records import Record, read_records, record_of
from pgsynth_core.registry import NOUNS, Entry, PresetEntry

__all__ = ["KINDS", "LIST", "counted", "counts_of"]

KINDS = (*get_args(Kind), "preset")
LISTED = (*KINDS, "protocol", "sweep", "command", "panel", "hook")
STATES = ("installed", "disabled", "known", "broken")

_LIST_EPILOG = """\
examples:
  pgsynth plugins list --kind encoder
  pgsynth plugins list --status broken

Checked says what the last `pgsynth plugins check` of a part or preset counted, if the files
of its package are still as they were then.

With --json: ok, plugins (kind, name, qualified, package, version, status, summary,
first_party, paper, licence, checked), broken (package, version, problems). Status is
installed, disabled (by you: plugins disable), known (could be installed) or broken; checked
is null, or counts ran, passed, failed, skipped."""


# ------------------------------------------------------------------------------------------- list
def _list_parser() -> Parser:
    parser = Parser("plugins list", "List the parts, presets and packages there are.", epilog=_LIST_EPILOG)
    kind = parser.add_argument("--kind", metavar="KIND", help=f"only this kind: {', '.join(LISTED)}")
    kind.type, kind.choices = one_of(LISTED, "kind", "kinds"), LISTED
    status = parser.add_argument("--status", metavar="STATUS", help=f"only these: {', '.join(STATES)}")
    status.type, status.choices = one_of(STATES, "status", "states"), STATES
    add_common(parser)
    return parser


_PLURALS: Final = {"results": "published tables"}


def _list(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    records = read_records()
    rows = [
        row
        for row in listing(registry, kind=arguments.kind or "", checked=partial(counts_of, records))
        if arguments.status in (None, row.status)
    ]
    if arguments.json:
        say_json({"ok": True, "plugins": list(map(asdict, rows)), "broken": broken_facts(registry.broken)})
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


def counts_of(records: Mapping[str, Record], entry: Entry | PresetEntry) -> Counts | None:
    """What the last conformance run of a part or preset counted, if it is still as it was then."""
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
    title = NOUNS[kind][1] if kind in NOUNS else _PLURALS.get(kind, f"{kind}s")
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


LIST = Command(_list_parser, _list)
