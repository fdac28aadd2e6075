"""Where every value of a resolved spec came from: the rows of ``compose --explain``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pgsynth_core.spec.model import Spec
from pgsynth_core.spec.resolve import Resolved
from pgsynth_core.spec.write import in_one_line


class Explained(NamedTuple):
    """One value.

    Attributes:
        path: As an override would write it, e.g. ``attn.pma.mask``.
        value: In one line.
        origin: ``method.yaml:12``, ``preset qen:4``, ``argument 2``, ``mapping`` or ``default``.
    """

    path: str
    value: str
    origin: str


def explain(resolved: Resolved) -> tuple[Explained, ...]:
    """Every value of a resolved spec with its origin, in the order of the canonical form."""
    return tuple(Explained(path, in_one_line(value), resolved.origins[path]) for path, value in _values(resolved.spec))


def _values(spec: Spec) -> Iterator[tuple[str, Any]]:
    mapping = spec.to_mapping()
    for slot in ("base", "encoder", "pose", "attn", "data"):
        parts = mapping[slot]
        if parts == "none":
            yield slot, parts
            continue
        for label, options in parts.items():
            yield f"{slot}.{label}", options.pop("part")
            yield from ((f"{slot}.{label}.{name}", value) for name, value in options.items())
    yield "size", mapping["size"]
    yield "fit", mapping["fit"]
    for section in ("adapters", "train", "sample"):
        yield from _leaves(section, mapping.get(section, {}))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values in a section; an empty mapping inside one is a value, a section that is not there is none."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif "." in path:
        yield path, value
