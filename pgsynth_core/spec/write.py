"""Nodes' other direction: plain values to YAML that reads back as the very same values.

PyYAML decides by YAML 1.1 which text needs quotes, and its reader is not ours: ``1e-4`` as text would come back a
number. So text that `scalar_value` would not leave alone is quoted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from pgsynth_core.spec.scalars import scalar_value


class _Dumper(yaml.SafeDumper):
    """Mappings in block style, lists in one line, no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = None if isinstance(scalar_value(value), str) and value.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: yaml.SafeDumper, value: list[Any] | tuple[Any, ...]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(tuple, _list)


def to_yaml(mapping: Mapping[str, Any]) -> str:
    """The mapping as YAML, in its own order."""
    text: str = yaml.dump(
        dict(mapping), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100_000, default_flow_style=False
    )
    return text


def in_one_line(value: object) -> str:
    """A value in one line, as a person would type it."""
    text: str = yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=100_000, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")
