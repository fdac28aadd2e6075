"""``pgsynth data pack``: the pairs of any dataset as shards that stream, with the index beside them."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pgsynth_core.cli.arguments import Parser, add_common, one_of
from pgsynth_core.cli.compose import split_words
from pgsynth_core.cli.console import one_line, say, say_json
from pgsynth_core.cli.data import SPLITS
from pgsynth_core.cli.progress import follow
from pgsynth_core.cli.report import broken_facts, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.spec import SPEC_KEYS

if TYPE_CHECKING:
    from pgsynth_core.api.data_pack import DataPack

__all__ = ["COMMAND"]

_SHOWN: Final = 20
_SIZE: Final = re.compile(r"([1-9]\d{0,8})(MB)?")

_DESCRIPTION = """\
Write the pairs of a dataset as shards: tar files after WebDataset's convention, which are read
from front to back, from a disk or over the network."""

_EPILOG = """\
words, in any order with the flags: SPEC and key=value as in pgsynth compose; of the spec,
only the dataset counts, and its size where the dataset draws.

examples:
  pgsynth data pack data=folder data.folder.root=photos -o shards
  pgsynth data pack method.yaml data.deepfashion.bad=skip -o shards --shard-size 300MB
  pgsynth train tiny data=shards data.shards.train=shards/train data.shards.test=shards/test
  pgsynth train tiny data=shards data.shards.train=https://HOST/shards/train

DIR/train and DIR/test hold the shards of each split and index.json, which says how many pairs
each has and what they are called. A shard should be small enough to be fetched in a minute
or two, and there should be at least as many as a step has pairs: then no two processes read
the same one. Photos are pixel for pixel those of the dataset: JPEG, PNG and WebP files are
taken as they are, all else becomes PNG. A photo is written for every pair it is in. A pair
that cannot be used ends it, or is left out with data.NAME.bad=skip.

The pairs of the training split are shuffled, the same way each time: pairs that stand beside
each other in a dataset are alike, and training mixes those of a few shards only. Those of the
test split keep the dataset's order.

DIR is new or empty, and stands whole or not at all: until then everything is in .DIR.part
beside it. Ctrl-C and SIGTERM remove that; what a SIGKILL leaves, the next start removes.

With --json: ok, dataset, folder, splits (split to folder, shards, pairs, bytes, shuffled,
left_out), absent (split to reason), words (what to train on them with), broken."""


def _parser() -> Parser:
    parser = Parser("data pack", _DESCRIPTION, epilog=_EPILOG, override_keys=SPEC_KEYS)
    parser.usage = "pgsynth data pack [SPEC] [key=value ...] -o DIR [flags]"
    parser.add_argument("words", nargs="*", metavar="SPEC, key=value", help="what names the dataset, see below")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="where the shards go; new or empty")
    split = parser.add_argument("--split", metavar="SPLIT", help=f"only this one: {', '.join(SPLITS)}")
    split.type, split.choices = one_of(SPLITS, "split", "splits"), SPLITS
    size = "pairs a shard holds, or megabytes, e.g. 300MB; by default 1000 pairs"
    parser.add_argument("--shard-size", metavar="N", type=_size, default=(1000, 0), help=size)
    add_common(parser)
    return parser


def _size(word: str) -> tuple[int, int]:
    """(pairs, bytes), one of them 0."""
    if found := _SIZE.fullmatch(word):
        return (0, int(found[1]) * 10**6) if found[2] else (int(found[1]), 0)
    raise argparse.ArgumentTypeError(f"{word!r} is no size of a shard: write a number of pairs, 1000, or 300MB.")


def _run(arguments: argparse.Namespace, session: Session) -> int:
    source, overrides = split_words(arguments.words)
    from pgsynth_core.api.data_pack import pack_data  # numpy and Pillow
    from pgsynth_core.data.shards import ShardSize

    with _ended_by_sigterm(), follow() as follower:
        done = pack_data(
            source,
            *overrides,
            output=arguments.output,
            splits=(arguments.split,) if arguments.split else (),
            size=ShardSize(*arguments.shard_size),
            registry=session.registry,
            on_event=follower.on_event,
        )
    _warn(done)
    if arguments.json:
        say_json({"ok": True, **done.facts(), "broken": broken_facts(session.registry.broken)})
        return 0
    for split, one in done.splits.items():
        size = f"{one.bytes / 10**6:,.1f} MB{', shuffled' if one.shuffled else ''}"
        say(one_line(f"{split}: {one.pairs:,} pairs in {len(one.shards):,} shards, {size}, in {one.folder}"))
    for split, reason in done.absent.items():
        say(f"{split}: none: {one_line(reason)}")
    say(f"train on them: pgsynth train SPEC {shlex.join(done.words)}")
    return 0


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, with what is unfinished removed; a job's manager sends it, and `kill`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _warn(done: DataPack) -> None:
    for split, one in done.splits.items():
        for record in one.left_out[:_SHOWN]:
            tell_warning(one_line(f"left out of {split}: {record}"))
        if (more := len(one.left_out) - _SHOWN) > 0:
            tell_warning(f"left out of {split}: {more:,} more; all of them with --json.")


COMMAND = Command(_parser, _run, "words:method_words")
