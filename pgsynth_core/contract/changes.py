"""Changes a user could make to a composition, each with the overrides that make it. They are tried on the plan."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pgsynth_core.contract.plan import CROSS, TOKENS, Placed, Plan, place
from pgsynth_core.contract.view import View
from pgsynth_core.manifest import SLOTS, Component, Condition
from pgsynth_core.registry import Entry
from pgsynth_core.spec import options_of
from pgsynth_core.spec.reserved import MEANINGS, MODULE_NAMES
from pgsynth_core.spec.scalars import scalar_value
from pgsynth_core.spec.values import TOKENS_TO, default_of

__all__ = [
    "Change",
    "defaults_of",
    "leave_out",
    "moved_before",
    "option_changes",
    "resized",
    "variants",
    "with_option",
    "with_options_of",
    "with_part",
]

_PLAIN: Final = re.compile(r"[\w*][\w.:*?/+-]*")
_ALONE: Final = frozenset({"base", "data"})
"""Slots where a suggested part takes the place of what is there; in the others it joins."""


@dataclass(frozen=True)
class Change:
    """A changed composition.

    Attributes:
        overrides: What to write on the command line, together.
        plan: The composition with them.
    """

    overrides: tuple[str, ...]
    plan: Plan

    def __str__(self) -> str:
        return " ".join(self.overrides)

    def then(self, later: Change) -> Change:
        """Both; where they write the same place, the later one knows of the earlier and stands."""
        places = {override.partition("=")[0]: override for override in (*self.overrides, *later.overrides)}
        return Change(tuple(places.values()), later.plan)


def defaults_of(component: Component) -> dict[str, Any]:
    """Every option at its default, core's own included."""
    return {name: default_of(option) for name, option in options_of(component).items()}


def _scalar(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(_scalar(item) for item in value)}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and isinstance(scalar_value(value), str):
        return value
    return json.dumps(value)


def _swapped(plan: Plan, old: Placed, new: Placed) -> Plan:
    return replace(plan, parts=tuple(new if part is old else part for part in plan.parts))


def with_option(plan: Plan, part: Placed, name: str, value: object) -> Change:
    """The plan with one option of a part changed."""
    changed = place(part.slot, part.label, part.entry, {**part.options, name: value})
    return Change((f"{part.key}.{name}={_scalar(value)}",), _swapped(plan, part, changed))


def _values(component: Component, name: str, clauses: Sequence[Condition]) -> tuple[object, ...]:
    option = component.options[name]
    if option.type == "bool":
        return (True, False)
    listed = [value for clause in clauses for value in clause.options.get(name, ())]
    return option.choices or tuple(dict.fromkeys([option.default, *listed]))


def variants(component: Component, clauses: Sequence[Condition]) -> Iterator[tuple[str, object]]:
    """Every value of every option that the clauses speak of: (name, value)."""
    for name in sorted({name for clause in clauses for name in clause.options}):
        for value in _values(component, name, clauses):
            yield name, value


def with_options_of(plan: Plan, part: Placed, clauses: Sequence[Condition]) -> Iterator[Change]:
    """The plan with one of the options changed that the clauses speak of."""
    for name, value in variants(part.component, clauses):
        if value != part.options.get(name):
            yield with_option(plan, part, name, value)


def option_changes(plan: Plan, part: Placed, port: str) -> Iterator[Change]:
    """Other values of the options that decide what the part reads or gives at a port.

    First those that leave the others what they read of it; in the manifest's order where none takes more away.
    """
    view = View(plan)
    read = {name for name in part.gives if name != port and view.readers_of(part, name)}
    yield from sorted(_option_changes(plan, part, port), key=lambda change: len(read - _gives(change.plan, part)))


def _gives(plan: Plan, part: Placed) -> set[str]:
    """What the part of this name gives in another plan."""
    return {name for each in plan.parts if each.key == part.key for name in each.gives}


def _option_changes(plan: Plan, part: Placed, port: str) -> Iterator[Change]:
    component = part.component
    declared = [ports[name] for ports, name in _places(part, port) if name in ports]
    yield from with_options_of(plan, part, [clause for one in declared for clause in one.when])
    gives_tokens = part.slot == "encoder" and TOKENS in component.provided(part.options)
    if gives_tokens and port in (TOKENS, part.tokens_to) and part.tokens_to != CROSS:
        yield with_option(plan, part, TOKENS_TO, CROSS)
    elif gives_tokens and ":" in port and port != part.tokens_to:
        yield with_option(plan, part, TOKENS_TO, port)


def _places(part: Placed, port: str) -> tuple[tuple[Mapping[str, Any], str], ...]:
    return ((part.component.needs, port), (part.component.provides, part.declared(port)))


def leave_out(plan: Plan, *parts: Placed) -> Change | None:
    """The plan without these parts; None if the base is among them, which cannot go."""
    slots = dict.fromkeys(part.slot for part in parts)
    if "base" in slots:
        return None
    changed = replace(plan, parts=tuple(part for part in plan.parts if part not in parts))
    return Change(tuple(_slot(changed, slot) for slot in slots), changed)


def moved_before(plan: Plan, part: Placed, other: Placed) -> Change:
    """The plan with a part put right before another of its slot."""
    there = [each for each in plan.of(part.slot) if each is not part]
    there.insert(there.index(other), part)
    changed = replace(plan, parts=_in_slots(plan, part.slot, there))
    return Change((_slot(changed, part.slot),), changed)


def with_part(
    plan: Plan, entry: Entry, *, written: str, before: Placed | None = None, options: Mapping[str, Any] | None = None
) -> Change:
    """The plan with a part more: last in its slot, or before another; the base and the data are replaced.

    Args:
        plan: The plan.
        entry: The part.
        written: Its name as the registry wants it written.
        before: A part of the same slot; a chain's order matters.
        options: Options that differ from the defaults.
    """
    slot = SLOTS[entry.kind]
    there = [] if slot in _ALONE else list(plan.of(slot))
    label = _free_label(entry.name, [part.label for part in plan.parts if part.slot != slot or part in there])
    part = place(slot, label, entry, {**defaults_of(entry.component), **(options or {})})
    there.insert(there.index(before) if before in there else len(there), part)
    changed = replace(plan, parts=_in_slots(plan, slot, there))
    extra = (f"{slot}.{label}.{name}={_scalar(value)}" for name, value in (options or {}).items())
    if label == entry.name:
        return Change((_slot(changed, slot, {label: written}), *extra), changed)
    return Change((f"{slot}.{label}={written}", _slot(changed, slot), *extra), changed)


def _free_label(name: str, taken: Sequence[str]) -> str:
    """The part's name, or the name with a number where a spec cannot have it as a label."""
    unusable = {*taken, *MEANINGS, *MODULE_NAMES}
    numbered = (f"{name}_{number}" for number in itertools.count(1))
    return next(label for label in itertools.chain([name], numbered) if label not in unusable)


def _in_slots(plan: Plan, slot: str, parts: Sequence[Placed]) -> tuple[Placed, ...]:
    return tuple(part for each in SLOTS.values() for part in (parts if each == slot else plan.of(each)))


def _slot(plan: Plan, slot: str, written: Mapping[str, str] | None = None) -> str:
    names = [(written or {}).get(part.label, part.label) for part in plan.of(slot)]
    return f"{slot}={'+'.join(names) or 'none'}"


def resized(plan: Plan, size: tuple[int, int]) -> Change:
    """The plan with another image size (height, width)."""
    return Change((f"size={size[0]}x{size[1]}",), replace(plan, size=size))
