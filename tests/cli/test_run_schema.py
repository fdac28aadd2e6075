"""`pgsynth runs schema`: the form of events for people, and for programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgsynth_core.runs import EVENTS
from pgsynth_core.runs.form import json_schema

Run = Callable[..., Any]


def test_as_tables_it_names_every_kind_and_field(run: Run) -> None:
    said = run("runs", "schema")
    assert said.code == 0 and all(f"\n{kind}: " in said.out for kind in EVENTS)
    assert "  memory_bytes " in said.out and "  loss* " in said.out


def test_as_data_it_is_the_schema_and_nothing_else(run: Run) -> None:
    assert run("runs", "schema", "--json").facts == json_schema()
