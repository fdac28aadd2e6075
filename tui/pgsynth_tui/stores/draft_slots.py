"""Parts put in a slot, as words of a command line that find each of them again under its label."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT
from pgsynth_core.spec.reserved import MEANINGS, MODULE_NAMES
from pgsynth_tui.stores.draft_reading import Reading
from pgsynth_tui.stores.draft_words import labels_of, put, unchosen

__all__ = ["Chosen", "added", "chosen", "meant", "slotted", "swapped"]

Chosen = tuple[str, str]
"""A part of a slot: its label, and its qualified name."""


def chosen(reading: Reading, slot: str) -> list[Chosen]:
    """The parts in a slot, in order."""
    return [(choice.label, choice.part) for choice in reading.parts(slot)]


def slotted(reading: Reading, slot: str, parts: Sequence[Chosen]) -> tuple[str, ...]:
    """The overrides with these parts in a slot, in this order; options of those that stay are kept."""
    given = _given(reading, slot)
    names: list[str] = []
    labelled: list[str] = []
    for label, part in parts:
        own = part.rpartition(":")[2] == label
        written = _written(reading.registry, slot, part)
        if given.get(label) == part:
            names.append(label)
        elif own:  # qualified where the label alone would be the source's part
            names.append(part if label in given else written)
        else:
            names.append(label)
            labelled.append(f"{slot}.{label}={written}")
    words = unchosen(reading.draft.overrides, slot)
    for word in (*labelled, f"{slot}={'+'.join(names) or 'none'}"):
        words = put(words, word)
    return words


def added(reading: Reading, slot: str, name: str) -> tuple[str, ...]:
    """The overrides with a part more, under a label that nothing has; as typed where there is no such part."""
    there = chosen(reading, slot)
    try:
        part = reading.registry.find(KIND_OF_SLOT[slot], name)
    except SpecError:
        return put(reading.draft.overrides, f"{slot}={'+'.join((*(label for label, _ in there), name))}")
    return slotted(reading, slot, [*there, (_free_label(reading, part.name), part.qualified)])


def swapped(reading: Reading, slot: str, label: str, name: str) -> tuple[str, ...]:
    """The overrides with a part where another is; as they are if there is no such part, or it is the same."""
    there = dict(chosen(reading, slot))
    try:
        part = reading.registry.find(KIND_OF_SLOT[slot], name)
    except SpecError:
        return reading.draft.overrides
    if there.get(label) in (None, part.qualified):
        return reading.draft.overrides
    new = part.name if part.name == label else _free_label(reading, part.name)
    parts = [(new, part.qualified) if old == label else (old, what) for old, what in there.items()]
    return slotted(reading, slot, parts)


def _free_label(reading: Reading, name: str) -> str:
    """The name, or the name with a number where a spec cannot have it as a label once more."""
    taken = (choice.label for choices in reading.slots.values() for choice in choices)
    unusable = {*taken, *MEANINGS, *MODULE_NAMES}
    labels = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(label for label in labels if label not in unusable)


def meant(reading: Reading, slot: str, value: str) -> list[Chosen] | None:
    """The parts that are written at a slot by name or label; None if one is unknown or written twice."""
    names = [name.strip() for name in value.split("+")] if labels_of(value) else []
    there = dict(chosen(reading, slot))
    parts: list[Chosen] = []
    for name in names:
        try:
            part = there.get(name) or reading.registry.find(KIND_OF_SLOT[slot], name).qualified
        except SpecError:
            return None
        parts.append((name.rpartition(":")[2], part))
    return parts if len(dict(parts)) == len(parts) else None


def _given(reading: Reading, slot: str) -> dict[str, str]:
    """Label -> part of what the source writes; to a default, nothing that is laid over it refers."""
    resolved = reading.source.resolved
    origins = resolved.origins if resolved else {}
    return {
        choice.label: choice.part
        for choice in reading.source.parts(slot)
        if origins[f"{slot}.{choice.label}"] != "default"
    }


def _written(registry: Registry, slot: str, part: str) -> str:
    """How a part is named: plainly, where no other package has the name."""
    kind = KIND_OF_SLOT[slot]
    pairs = zip(registry.of_kind(kind), registry.names(kind), strict=True)
    return next((name for entry, name in pairs if entry.qualified == part), part)
