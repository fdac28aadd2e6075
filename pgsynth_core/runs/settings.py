"""The settings of a run, or of an evaluation, as path -> value. Floor 1, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.spec import KIND_OF_SLOT
from pgsynth_core.spec.nodes import Node, Problems
from pgsynth_core.spec.yaml_nodes import read_file

__all__ = ["SEED", "dotted", "read_settings"]

SEED: Final = "train.seed"
_IN_ORDER: Final = "sample.guidance"
"""A setting whose names count in their written order: one value, not several."""


def read_settings(file: Path) -> dict[str, Any]:
    """The frozen spec, dotted.

    Raises:
        UserError: If it cannot be read.
    """
    problems = Problems()
    node = read_file(file, str(file), problems)
    problems.raise_if_any()
    spec = _plain(node) if node else None
    if not isinstance(spec, dict):
        raise UserError([Problem("this is no spec.", str(file))])
    return dotted({name: value for name, value in spec.items() if name not in ("pgsynth", "lock")})


def _plain(node: Node) -> Any:
    value = node.value
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def dotted(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A spec in its canonical form, or a section of it, as path -> value, in its order."""
    found: dict[str, Any] = {}
    for name, value in spec.items():
        if name in KIND_OF_SLOT and isinstance(value, Mapping):
            found[name] = "+".join(value) or "none"
        found.update(_leaves(name, value))
    return found


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping) or path == _IN_ORDER:
        yield path, value
        return
    for name, inner in value.items():
        yield from _leaves(f"{path}.{name}", inner)
