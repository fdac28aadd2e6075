"""The value of a part's option as it is typed outside a spec, for parts that stand in none: metrics, annotators."""

from __future__ import annotations

from typing import Any

from pgsynth_core.errors import SpecError, suggestion
from pgsynth_core.registry import Entry
from pgsynth_core.spec.scalars import scalar_value

__all__ = ["option_value"]


def option_value(entry: Entry, option: str, text: str, *, where: str) -> Any:
    """An option's value as typed.

    Args:
        entry: The part.
        option: Of its options.
        text: What stands behind the ``=``.
        where: The flag, for messages.

    Raises:
        SpecError: If the part has no such option, or it takes no such value.
    """
    declared = entry.component.options.get(option)
    if declared is None:
        cure = suggestion(option, tuple(entry.component.options), what="options")
        raise SpecError(f"the {entry.kind} {entry.name} has no option {option!r}.", where=where, cure=cure)
    for value in (text, scalar_value(text)):
        if declared.allows(value):
            return value
    cure = suggestion(text, tuple(map(str, declared.choices)), what="values") if declared.choices else declared.help
    raise SpecError(f"{entry.name}.{option} = {text} is not what that option takes.", where=where, cure=cure)
