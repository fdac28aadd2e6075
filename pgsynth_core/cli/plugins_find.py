"""``pgsynth plugins search | why``: which parts are there for a purpose, and can these be composed?"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import Table, draw_table, painted, say, say_json, visible
from pgsynth_core.cli.report import broken_facts, problem_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import nearest
from pgsynth_core.packages.fitting import Fit, fit_of, parts_named
from pgsynth_core.packages.searching import Hit, search
from pgsynth_core.registry import NOUNS

__all__ = ["SEARCH", "WHY"]

REFUSED = 2

_SEARCH_EPILOG = """\
Every word must be found: in names, summaries, papers, ports, options or weights, of what is
installed, switched off, or known and not installed.

examples:
  pgsynth plugins search parsing
  pgsynth plugins search attention mask

With --json: ok, hits (the keys of plugins list, and places: where the words were found),
broken."""

_WHY_EPILOG = """\
The answer is a command that composes them, with what else they need and why; or why they
cannot be composed, and then the exit code is 2. Asked of manifests alone: no part is
imported. SLOT=NAME tells parts of one name apart, e.g. attn=reference.

examples:
  pgsynth plugins why qfft pma
  pgsynth plugins why dinov2 hpfa caa

With --json: ok (whether they can be composed), parts, answer (fits, adapts, needs more, does
not fit), command, overrides, adapt, more, reasons (where, message, cure), broken."""


# ------------------------------------------------------------------------------------------- search
def _search_parser() -> Parser:
    parser = Parser("plugins search", "Find parts and presets by words.", epilog=_SEARCH_EPILOG)
    parser.add_argument("words", nargs="+", metavar="WORD", help="what to look for")
    add_common(parser)
    return parser


def _search(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    hits = search(registry, arguments.words)
    if arguments.json:
        facts = [asdict(hit.row) | {"places": list(hit.places)} for hit in hits]
        say_json({"ok": True, "hits": facts, "broken": broken_facts(registry.broken)})
        return 0
    if hits:
        draw_table(Table("", ("part", "summary", "found in", "package"), [_cells(hit) for hit in hits]))
        return 0
    names = {entry.name for entry in registry.entries} | {preset.name for preset in registry.presets}
    close = nearest(arguments.words[0], sorted(names))
    hint = f"did you mean {close!r}? " if close else ""
    say(visible(f"nothing is found for {' '.join(arguments.words)!r}; {hint}all there is: pgsynth plugins list"))
    return 0


def _cells(hit: Hit) -> tuple[str, ...]:
    row = hit.row
    noun = NOUNS[row.kind][0] if row.kind in NOUNS else row.kind
    state = "" if row.status == "installed" else f" ({'not installed' if row.status == 'known' else row.status})"
    package = f"{row.package} {row.version}".rstrip() + state
    return f"{noun} {row.name}", row.summary, "; ".join(hit.places[:2]), package


# ------------------------------------------------------------------------------------------- why
def _why_parser() -> Parser:
    parser = Parser("plugins why", "Say whether parts can be composed, how, and why not.", epilog=_WHY_EPILOG)
    parser.add_argument("names", nargs="+", metavar="NAME", help="parts: NAME, package:NAME or SLOT=NAME")
    add_common(parser)
    return parser


def _why(arguments: argparse.Namespace, session: Session) -> int:
    registry = session.registry
    parts = parts_named(registry, arguments.names, where=f"plugins why {' '.join(arguments.names)}")
    fit = fit_of(registry, parts)
    if arguments.json:
        facts = asdict(fit) | {"command": fit.command, "reasons": problem_facts(fit.reasons)}
        say_json({"ok": bool(fit.command), **facts, "broken": broken_facts(registry.broken)})
    else:
        _tell(fit)
    return 0 if fit.command else REFUSED


_SAID = {
    "fits": "they fit as they are",
    "adapts": "they fit, with a linear layer where only widths differ",
    "needs more": "they fit, and need more:",
    "does not fit": "they cannot be composed:",
}


def _tell(fit: Fit) -> None:
    said = (
        _SAID[fit.answer]
        if len(fit.parts) > 1
        else _SAID[fit.answer]
        .replace("they fit as they are", "it fits as it is")
        .replace("they fit", "it fits")
        .replace("need more", "needs more")
        .replace("they cannot", "it cannot")
    )
    say(painted(said, "good" if fit.command else "error", "stdout"))
    for reason in fit.reasons:
        say(visible(f"  {reason}"))
    if fit.command:
        say(visible(fit.command))


SEARCH = Command(_search_parser, _search)
WHY = Command(_why_parser, _why, "words:several_part_words")
