"""``pgsynth cache show`` and ``clear``: what is kept on disk of frozen networks and fetched shards, and removing it."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import amount

__all__ = ["CLEAR", "SHOW"]

_EPILOG = """\
With train.cache=latents, features or all, a run keeps results of its frozen networks, by the
content of each image and of each network. Runs share them: in $PGSYNTH_CACHE, else in the
folder pgsynth of the user's caches. Shards that data=shards fetches are there too: those not
read for longest go where data.shards.keep_gb or the disk leaves no room for another. Nothing
there is ever wrong to remove: what is missing, or cannot be read, is made or fetched anew. A
shard that a run is fetching stays.
Latents are bitwise those of a run without a cache; encoders' features are so to rounding,
which depends on how many photos are encoded at once.

With --json: ok, root, kinds (kind: latents, the name of an encoder, or shards; entries;
bytes), broken."""


def _show_parser() -> Parser:
    parser = Parser(
        "cache show", "Say what is kept on disk of frozen networks and fetched shards, and where.", epilog=_EPILOG
    )
    add_common(parser)
    return parser


def _clear_parser() -> Parser:
    parser = Parser("cache clear", "Remove what is kept on disk of frozen networks and fetched shards.", epilog=_EPILOG)
    parser.add_argument("--yes", action="store_true", help="remove it; without this nothing is")
    add_common(parser)
    return parser


def _show(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.data.cache import cache_root, held_in  # numpy

    root = cache_root()
    held = held_in(root)
    if arguments.json:
        kinds = [asdict(one) for one in held]
        say_json({"ok": True, "root": str(root), "kinds": kinds, "broken": broken_facts(session.registry.broken)})
        return 0
    if not held:
        say(one_line(f"nothing is kept in {root}"))
        return 0
    rows = [(one.kind, f"{one.entries:,}", amount(one.bytes)) for one in held]
    draw_table(Table(str(root), ("kind", "entries", "size"), rows))
    return 0


def _clear(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.data.cache import cache_root, clear_cache, held_in

    root = cache_root()
    if not arguments.yes and (held := held_in(root)):
        what = f"{sum(one.entries for one in held):,} entries, {amount(sum(one.bytes for one in held))}"
        raise UserError(f"{what}, would be removed.", where=str(root), cure="To do it: pgsynth cache clear --yes")
    cleared = clear_cache(root)
    if arguments.json:
        kinds = [asdict(one) for one in cleared]
        say_json({"ok": True, "root": str(root), "kinds": kinds, "broken": broken_facts(session.registry.broken)})
        return 0
    size = amount(sum(one.bytes for one in cleared))
    say(one_line(f"removed {size} from {root}" if cleared else f"nothing is kept in {root}"))
    return 0


SHOW = Command(_show_parser, _show)
CLEAR = Command(_clear_parser, _clear)
