"""The values of a spec by their paths, as overrides would write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pgsynth_core.spec import KIND_OF_SLOT, PartChoice, Spec
from pgsynth_core.spec.write import in_one_line

__all__ = ["below", "leaves", "parts_in", "plain", "said", "values_of"]

_SECTIONS: Final = ("adapters", "train", "sample")


def values_of(spec: Spec) -> dict[str, Any]:
    """Path -> value of everything in a spec, as overrides would write it."""
    mapping = spec.to_mapping()
    found: dict[str, Any] = {}
    for slot in KIND_OF_SLOT:
        for label, options in ({} if mapping[slot] == "none" else mapping[slot]).items():
            found[f"{slot}.{label}"] = options.pop("part")
            found |= {f"{slot}.{label}.{name}": value for name, value in options.items()}
    found |= {"size": mapping["size"], "fit": mapping["fit"]}
    for section in _SECTIONS:
        found |= leaves(section, mapping.get(section, {}))
    return found


def leaves(path: str, value: Any) -> dict[str, Any]:
    """Path -> value of what a value holds, if it is a mapping; of itself, if not."""
    if not isinstance(value, dict):
        return {path: value}
    return {inner: leaf for key, item in value.items() for inner, leaf in leaves(f"{path}.{key}", item).items()}


def plain(value: Any) -> Any:
    """The value as a spec's mapping has it."""
    return list(value) if isinstance(value, tuple) else value


def said(value: Any) -> str:
    """A value as it would be typed; empty for none."""
    return "" if value is None else in_one_line(value)


def parts_in(spec: Spec, slot: str) -> tuple[PartChoice, ...]:
    """The parts in a slot, in order."""
    return tuple(choice for where, choice in spec.choices() if where == slot)


def below(values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The values at a path and below."""
    return {each: value for each, value in values.items() if each == path or each.startswith(f"{path}.")}
