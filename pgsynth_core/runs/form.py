"""The form of ``events.jsonl`` for whoever reads it with other programs: as tables, and as a JSON Schema. No torch.

Both are made of the dataclasses of `schema` and what they say of their fields, so there is no second list to keep.
JSON Schema: draft 2020-12, https://json-schema.org/specification.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

from pgsynth_core.runs.schema import EVENTS, SCHEMA_VERSION

__all__ = ["FieldForm", "KindForm", "forms", "json_schema"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_NOT_FINITE: Final = ["NaN", "Infinity", "-Infinity"]

_TYPES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "bool": ("true or false", {"type": "boolean"}),
    "int": ("whole number", {"type": "integer"}),
    "float": ("number", {"anyOf": [{"type": "number"}, {"enum": _NOT_FINITE}]}),
    "str": ("text", {"type": "string"}),
}
"""Annotation to its name for people and its schema."""


@dataclass(frozen=True)
class FieldForm:
    """One field of an event.

    Attributes:
        name: Its key.
        type: In words.
        always: It is in every event of the kind; else it is left out where it says nothing.
        meaning: What it says, with its unit.
        schema: Of its value.
    """

    name: str
    type: str
    always: bool
    meaning: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class KindForm:
    """One kind of event.

    Attributes:
        kind: As it stands in the event.
        meaning: When it is written.
        fields: Its own, behind ``t`` and ``kind``, which every event has.
    """

    kind: str
    meaning: str
    fields: tuple[FieldForm, ...]


def forms() -> tuple[KindForm, ...]:
    """Every kind of event there is."""
    return tuple(_form(kind, event) for kind, event in EVENTS.items())


def json_schema() -> dict[str, Any]:
    """A JSON Schema of one event, that is, of one line of the file; as strict as the writer is."""
    kinds = forms()
    return {
        "$schema": _DIALECT,
        "title": f"An event of a pgsynth run, version {SCHEMA_VERSION}",
        "description": "One line of events.jsonl. Kinds and fields are only ever added: a reader of runs that a later "
        "pgsynth made passes over those it does not know.",
        "oneOf": [{"$ref": f"#/$defs/{form.kind}"} for form in kinds],
        "$defs": {form.kind: _schema(form) for form in kinds},
    }


def _schema(form: KindForm) -> dict[str, Any]:
    own = {field.name: {"description": field.meaning, **field.schema} for field in form.fields}
    if "schema" in own:
        own["schema"] = {"description": own["schema"]["description"], "const": SCHEMA_VERSION}
    return {
        "description": form.meaning,
        "type": "object",
        "properties": {
            "t": {"description": "When, in seconds since 1970 (UTC).", "type": "number"},
            "kind": {"const": form.kind},
            **own,
        },
        "required": ["t", "kind", *(field.name for field in form.fields if field.always)],
        "additionalProperties": False,
    }


def _form(kind: str, event: type) -> KindForm:
    meanings = _meanings(event)
    own = []
    for field in fields(event):
        words, schema = _TYPES[str(field.type).removesuffix(" | None")]
        always = field.default is MISSING or field.default not in (None, "")
        own.append(FieldForm(field.name, words, always, meanings.get(field.name, ""), schema))
    return KindForm(kind, _summary(event), tuple(own))


def _summary(event: type) -> str:
    return _plain((inspect.getdoc(event) or "").partition("\n\n")[0])


def _meanings(event: type) -> dict[str, str]:
    """Field to what the class says of it, or the one whose fields it has."""
    said: dict[str, str] = {}
    for one in reversed(event.__mro__):
        listed = (inspect.cleandoc(one.__doc__ or "")).partition("Attributes:\n")[2]
        found = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", listed, re.MULTILINE)
        said |= {name: _plain(text) for name, text in found}
    return said


def _plain(text: str) -> str:
    """On one line, without the marks of a docstring."""
    return " ".join(text.replace("``", "").replace("`", "").split())
