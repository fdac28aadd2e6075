"""The form of events as others read it: made of what the writer keeps to, as strict, with a meaning for every field."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.runs import EVENTS, EventLog
from pgsynth_core.runs.form import forms, json_schema

VALUES = {"int": 3, "float": 0.5, "str": "x", "bool": True}


def event(kind: str, **more: Any) -> dict[str, Any]:
    """An event with every field."""
    types = {field.name: str(field.type).removesuffix(" | None") for field in fields(EVENTS[kind])}
    return {name: 1 if name == "schema" else VALUES[text] for name, text in types.items()} | more


def test_every_kind_and_field_is_there_with_its_meaning() -> None:
    found = {form.kind: [field.name for field in form.fields] for form in forms()}
    assert found == {kind: [field.name for field in fields(one)] for kind, one in EVENTS.items()}
    assert all(form.meaning and all(field.meaning for field in form.fields) for form in forms())
    assert not [form for form in forms() if "`" in str(form) or "\n" in str(form)]


@pytest.fixture(scope="module")
def validator() -> Any:
    """Of the schema, which is one itself."""
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed; make install takes it")
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("kind", EVENTS)
def test_what_the_writer_writes_is_valid(kind: str, validator: Any, tmp_path: Path) -> None:
    required = {field.name for form in forms() if form.kind == kind for field in form.fields if field.always}
    with EventLog(tmp_path / "events.jsonl") as log:
        log.write(kind, **event(kind))
        log.write(kind, **{name: value for name, value in event(kind).items() if name in required})
        if kind == "step":
            log.write(kind, **event(kind, loss=float("nan"), mse=float("-inf")))
    for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines():
        validator.validate(json.loads(line))


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("step", {"loss": "much"}),
        ("step", {"step": 1.5}),
        ("step", {"loss": None}),
        ("step", {"lost": 1.0}),
        ("run", {"schema": 2}),
        ("exit", {"state": 3}),
        ("stepp", {}),
    ],
)
def test_what_it_refuses_is_not(kind: str, wrong: dict[str, Any], validator: Any) -> None:
    whole = {"t": 1.0, "kind": kind, **event(kind if kind in EVENTS else "step")}
    assert validator.is_valid(whole) == (kind in EVENTS)
    assert not validator.is_valid(whole | wrong)
    assert not validator.is_valid({name: value for name, value in whole.items() if name != "t"})
