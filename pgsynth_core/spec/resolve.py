"""From what the user writes to a spec with nothing left open, or to every problem at once.

Order: the registry's defaults, what the file extends, the file, the overrides from left to right. Then names are
looked up, options and sections checked. Only after all of it is anything raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import OWN_NAME, Entry, Registry
from pgsynth_core.spec.draft import Draft
from pgsynth_core.spec.grammar import KIND_OF_SLOT, Override, parse_override
from pgsynth_core.spec.layers import read_layers
from pgsynth_core.spec.locked import Difference, SpecLock, differences
from pgsynth_core.spec.model import Spec
from pgsynth_core.spec.nodes import Problems
from pgsynth_core.spec.parts import choose
from pgsynth_core.spec.sections import read_sections


@dataclass(frozen=True)
class Resolved:
    """A spec, and how it came about.

    Attributes:
        spec: Complete.
        origins: Path, e.g. ``attn.pma.mask``, to where its value comes from: ``method.yaml:12``, ``preset qen:4``,
            ``argument 2``, ``mapping``, ``default``. Every value of the spec has one, and every empty slot.
        warnings: Settings without effect and names that are no more, one sentence each.
        lock: What its files say they were written with.
        differences: What of that is otherwise here.
        renamed: Of the warnings, those about names.
    """

    spec: Spec
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    lock: SpecLock = field(default_factory=SpecLock)
    differences: tuple[Difference, ...] = ()
    renamed: tuple[str, ...] = ()

    @property
    def changed_options(self) -> tuple[str, ...]:
        """What became of names and options since a run's spec was written; the rest its own lock says."""
        return (*self.renamed, *(f"{other.package}: {other.options}" for other in self.differences if other.options))


def resolve(
    source: str | Path | Mapping[str, Any] | None, overrides: Sequence[str | Override], registry: Registry
) -> Resolved:
    """Resolve a composition.

    Args:
        source: A path (ends in .yaml or .yml, or holds a separator), a preset's name, a mapping, or None for the
            defaults alone.
        overrides: ``path=value``, applied from left to right; `grammar` has the forms, and those that are no text.
        registry: What exists.

    Raises:
        SpecError: With every problem of every file, argument, part and section.
    """
    draft = _drafted(source, overrides, registry)
    chosen = choose(draft)
    sections = read_sections(draft, chosen)
    draft.problems.raise_if_any()
    slots: dict[str, Any] = {slot: tuple(choices) for slot, choices in chosen.slots.items()}
    spec = Spec.model_validate({**slots, **sections.values, "base": chosen.slots["base"][0]})
    warnings = (*draft.renamed, *draft.warnings, *sections.warnings)
    others = tuple(differences(draft.lock, chosen.placed(), chosen.unwritten))
    return Resolved(spec, {**chosen.origins, **sections.origins}, warnings, draft.lock, others, tuple(draft.renamed))


def parts_of(
    source: str | Path | Mapping[str, Any] | None, overrides: Sequence[str], registry: Registry
) -> dict[str, dict[str, Entry]]:
    """The parts of a composition that may still be half typed: whatever is wrong with it is passed over.

    Args:
        source: As in `resolve`.
        overrides: As in `resolve`.
        registry: What exists.

    Returns:
        Slot -> label -> part, of those that exist; slots about which nothing is known are left out.
    """
    draft = _drafted(source, overrides, registry)
    found: dict[str, dict[str, Entry]] = {slot: {} for slot in draft.slots if slot not in draft.unread}
    for slot, parts in found.items():
        for label, part in draft.slots[slot].items():
            with suppress(SpecError):
                parts[label] = part.found(slot, registry)
    return found


def _drafted(
    source: str | Path | Mapping[str, Any] | None, overrides: Sequence[str | Override], registry: Registry
) -> Draft:
    """Every layer and argument, laid on each other; what is wrong with them is among the draft's problems."""
    problems = Problems()
    layers, complete = read_layers(source, registry, problems)
    arguments = [parse_override(text, number, problems) for number, text in enumerate(overrides, 1)]
    draft = Draft(registry, problems)
    draft.lay_defaults(OWN_NAME)
    for layer in layers:
        draft.lay(layer.tree, layer.package)
        draft.lay_lock(layer.lock)
    if not complete:
        draft.unread |= set(KIND_OF_SLOT)
    read = [argument for argument in arguments if argument is not None]
    for place, argument in enumerate(read):
        draft.lay_override(argument, tuple(read[place + 1 :]))
    return draft
