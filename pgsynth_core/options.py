"""How a part declares its options: one pydantic `PartConfig`, no torch. Floor 0.

`option_table(Config)` gives the options as the manifest writes them; `pgsynth plugins sync` puts them there, and a
test holds both equal. So options are known, completed and checked without importing anyone's code. `of_type` holds a
value against a type of the manifest.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, WithJsonSchema

__all__ = ["PartConfig", "PathText", "SitePatterns", "option_table"]

SitePatterns = Annotated[str | tuple[str, ...], WithJsonSchema({"type": "sites"})]
"""One or several ``NETWORK:KIND[:GLOB over the diffusers path]``."""

PathText = Annotated[str, WithJsonSchema({"type": "path"})]
"""A path on the user's disk, relative to where the command runs; never inside a part's package."""


class PartConfig(BaseModel):
    """Base of every part's `Config`: frozen, unknown options refused, every field with a default and a help text.

    Allowed field types: bool, int, float, str, `Literal` of strings, `PathText`, `SitePatterns`, and tuples of one of
    bool, int, float or str. Ranges by ``Field(ge=…, le=…)``. An option that changes something only while others have
    certain values says so by ``json_schema_extra={"when": {"other": ["value"]}}``; written in vain, it is warned of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


SITE: Final = re.compile(r"[\w*?.\[\]!-]+:(self|cross|\*)(:\S+)?")
"""The form of a site pattern, ``NETWORK:KIND[:GLOB over the diffusers path]``."""

_SCALARS: Final = {"boolean": "bool", "integer": "int", "number": "float", "string": "str"}


def _option_type(name: str, schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if "enum" in schema or "const" in schema:
        return "choice"
    if kind in ("sites", "path"):
        return str(kind)
    if kind == "array" and (item := schema.get("items", {}).get("type")) in _SCALARS:
        return f"list[{_SCALARS[item]}]"
    if kind in _SCALARS:
        return _SCALARS[kind]
    raise TypeError(
        f"option {name!r} has a type no manifest can hold: {schema}. "
        "Allowed: bool, int, float, str, Literal of strings, PathText, SitePatterns, tuple[bool|int|float|str, ...]"
    )


def option_table(config: type[PartConfig]) -> dict[str, dict[str, Any]]:
    """The options of a Config as the manifest's ``[component.options]`` table.

    Returns:
        For each field, in order: `type`, `choices`, `default`, `ge`, `le`, `when`, `help`, those that apply.

    Raises:
        TypeError: If a field has no default, no help text, or a type outside the allowed ones.
    """
    table: dict[str, dict[str, Any]] = {}
    for name, schema in config.model_json_schema(mode="serialization").get("properties", {}).items():
        if "default" not in schema or not schema.get("description"):
            raise TypeError(f"option {name!r} of {config.__module__} needs a default and Field(description=...)")
        row: dict[str, Any] = {"type": _option_type(name, schema)}
        if row["type"] == "choice":
            row["choices"] = list(schema.get("enum", [schema.get("const")]))
        default = schema["default"]
        row["default"] = list(default) if isinstance(default, list | tuple) else default
        for ours, theirs in (("ge", "minimum"), ("le", "maximum")):
            if theirs in schema:
                row[ours] = schema[theirs]
        if "when" in schema:
            row["when"] = schema["when"]
        row["help"] = schema["description"]
        table[name] = row
    return table


# ------------------------------------------------------------------------------------------- the manifest's types
def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max  # neither inf nor nan


def _is_sites(value: Any) -> bool:
    patterns = value if isinstance(value, list | tuple) else [value]
    return bool(patterns) and all(isinstance(text, str) and SITE.fullmatch(text) for text in patterns)


_FORMS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: type(value) is int,
    "float": _is_number,
    "str": lambda value: isinstance(value, str),
    "path": lambda value: isinstance(value, str),
    "choice": lambda value: isinstance(value, bool | int | float | str),
    "sites": _is_sites,
}


def of_type(kind: str, value: object) -> bool:
    """Whether a value has the form of an option's type, e.g. ``list[int]``; a whole number may stand for a float."""
    if kind.startswith("list["):
        form = _FORMS[kind.removeprefix("list[").removesuffix("]")]
        return isinstance(value, list | tuple) and all(map(form, value))
    return _FORMS[kind](value)
