"""``pgsynth runs schema``: what stands in a run's ``events.jsonl``, for people or as a JSON Schema."""

from __future__ import annotations

import argparse

from pgsynth_core.cli.arguments import Parser, add_common
from pgsynth_core.cli.console import Table, draw_table, say, say_json
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.runs.form import KindForm, forms, json_schema
from pgsynth_core.runs.schema import SCHEMA_VERSION

__all__ = ["COMMAND"]

_EPILOG = """\
events.jsonl holds one JSON object a line, in the order in which things happened; it is only
ever appended to. Kinds and fields are only ever added: pass over those you do not know.

Each time a process begins to train the run, it writes an event of kind run. If that says
step S, the run went on from the checkpoint of step S, and whatever earlier events say of
steps after S is superseded.

With --json: a JSON Schema of one line (draft 2020-12), to check events or make readers of.

examples:
  pgsynth runs schema --json            as it is, into a file or a validator
  jq 'select(.kind == "step") | [.step, .loss]' RUN/events.jsonl"""


def _parser() -> Parser:
    parser = Parser("runs schema", "Say what stands in a run's events.jsonl.", epilog=_EPILOG)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.json:
        say_json(json_schema())
        return 0
    say(f"events.jsonl, version {SCHEMA_VERSION}: one JSON object a line. Every event has t, the seconds since 1970")
    say("(UTC), and kind. Fields without * are left out where they say nothing; a number that is")
    say('not finite is the text "NaN", "Infinity" or "-Infinity".')
    for form in forms():
        say()
        draw_table(_table(form))
    return 0


def _table(form: KindForm) -> Table:
    rows = [(f"{one.name}{'*' if one.always else ''}", one.type, one.meaning) for one in form.fields]
    return Table(f"{form.kind}: {form.meaning}", ("field", "type", "meaning"), rows)


COMMAND = Command(_parser, _run)
