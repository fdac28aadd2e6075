"""The draft of a method while it is composed: changed step by step, undone, saved, restored.

Every step gives a new immutable `Draft`; what it comes to is read from manifests alone.
"""

from __future__ import annotations

import os
import shlex
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Literal, TypeVar

from pgsynth_core.errors import UserError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, SINGLE_SLOTS
from pgsynth_tui.stores.draft_findings import SOURCE, Finding, Places
from pgsynth_tui.stores.draft_form import Field, Group, form, more_fields
from pgsynth_tui.stores.draft_parts import Candidate, candidates
from pgsynth_tui.stores.draft_reading import Reading, Source, read, read_source
from pgsynth_tui.stores.draft_slots import added, chosen, meant, slotted, swapped
from pgsynth_tui.stores.draft_sources import ablations
from pgsynth_tui.stores.draft_sweep import ablation_words
from pgsynth_tui.stores.draft_values import said
from pgsynth_tui.stores.draft_words import Draft, dropped, from_json, path_of, value_of

__all__ = ["Draft", "DraftStore"]

STEPS: Final = 200
"""Steps that can be undone."""

_READINGS: Final = 32
"""Readings that are remembered, for undoing and for cursors that come back."""

K = TypeVar("K")
V = TypeVar("V")


class DraftStore:
    """A draft, its history, and what it comes to.

    Args:
        registry: What is installed.
        draft: To begin with; by default the defaults alone.

    Attributes:
        draft: As it stands.
    """

    def __init__(self, registry: Registry, draft: Draft | None = None) -> None:
        self.registry = registry
        self.draft = draft or Draft()
        self._past: deque[Draft] = deque(maxlen=STEPS)
        self._future: list[Draft] = []
        self._typing = ""
        self._sources: dict[str | None, Source] = {}
        self._readings: dict[Draft, Reading] = {}
        self._candidates: dict[tuple[Draft, str], tuple[Candidate, ...]] = {}

    # ---------------------------------------------------------------------------------------- what there is
    @property
    def reading(self) -> Reading:
        """What the draft comes to."""
        return self._read(self.draft)

    def form(self) -> tuple[Group, ...]:
        """The fields of the draft, in groups."""
        return form(self.reading)

    def field(self, path: str) -> Field | None:
        """The field at a path; None if there is none."""
        return next((field for group in self.form() for field in group.fields if field.path == path), None)

    def more(self, group: Group) -> tuple[Field, ...]:
        """Fields of a group that nothing is set at yet: the drop of one condition, say."""
        return more_fields(self.reading, group)

    def faults_of(self, path: str, text: str) -> tuple[tuple[Finding, ...], bool]:
        """What would be wrong that is not now, if a field or slot were set to this.

        Returns:
            What; and whether the text itself cannot be read, so that there would be no such value.
        """
        known = {str(finding) for finding in self.reading.refusals}
        then = self._read(self._applied(self.draft, [f"{path}={text}"]))
        found = tuple(one for one in then.refusals if one.path == path or str(one) not in known)
        return found, path in then.wrong or (bool(then.problems) and not self.reading.problems)

    def candidates(self, slot: str) -> tuple[Candidate, ...]:
        """The parts for a slot, whether they fit or not."""
        key = self.draft.method, slot
        if key not in self._candidates:
            _remember(self._candidates, key, candidates(self.reading, slot))
        return self._candidates[key]

    @property
    def command(self) -> tuple[str, ...]:
        """What is typed behind ``pgsynth`` to train it: the ablation that is marked, if one is."""
        if self.draft.varied:
            return ablation_words(self.draft, self.reading)
        return tuple(shlex.split(self.reading.command("train"))[1:])

    def refresh(self) -> None:
        """Read the spec file again, which may have changed."""
        self._sources.clear()
        self._readings.clear()
        self._candidates.clear()

    # ---------------------------------------------------------------------------------------- where it starts
    def load(self, source: str | None) -> tuple[Finding, ...]:
        """Begin with a preset, an ablation, a spec file or the defaults; what was laid over the one before goes.

        Returns:
            What is wrong with it; then the draft is as before.
        """
        source = os.path.expanduser(source) if source else source  # no shell has done it
        table = ablations(self.registry).get(source or "")
        begun = Draft(table.preset, table.fixed, False, table.vary, source or "") if table else Draft(source)
        self._sources.pop(begun.source, None)
        found = self._source(begun.source)
        if found.problems:
            places = Places((), (), {})
            return tuple(places.of_resolving(problem) for problem in found.problems)
        self.refresh()
        self._step(begun)
        return ()

    def restore(self, text: str) -> tuple[Finding, ...]:
        """Take up a draft that was kept by `Draft.to_json`, whatever of it is gone since.

        Returns:
            What is wrong with it now; if it is no draft at all, the one before stays.
        """
        try:
            self._step(from_json(text))
        except UserError as error:
            return tuple(Finding("problem", SOURCE, one.message, one.cure) for one in error.problems)
        return self.reading.refusals

    # ---------------------------------------------------------------------------------------- parts
    def choose(self, slot: str, name: str) -> None:
        """Put a part in a slot in place of what it holds."""
        self.apply(f"{slot}={name}")

    def add(self, slot: str, name: str) -> None:
        """Put a part in a slot after what it holds, a second one under a new label; or replace the base or the data."""
        self._step(self._added(slot, name))

    def remove(self, slot: str, label: str) -> None:
        """Take a part out."""
        left = [part for part in chosen(self.reading, slot) if part[0] != label]
        self._lay(slotted(self.reading, slot, left))

    def swap(self, slot: str, label: str, name: str) -> None:
        """Put a part where another is."""
        self._lay(swapped(self.reading, slot, label, name))

    def move(self, slot: str, label: str, by: int) -> None:
        """Move a part in the order of its slot; of a chain of attention, the first is innermost."""
        there = chosen(self.reading, slot)
        place = next((number for number, part in enumerate(there) if part[0] == label), None)
        if place is not None:
            part = there.pop(place)
            there.insert(min(max(place + by, 0), len(there)), part)
            self._lay(slotted(self.reading, slot, there))

    def take(self, candidate: Candidate) -> None:
        """Add a part with all that makes it fit."""
        if not candidate.chosen:
            self._step(self._applied(self._added(candidate.slot, candidate.name), candidate.fit.remedy))

    def _added(self, slot: str, name: str) -> Draft:
        if slot in SINGLE_SLOTS:
            return self._applied(self.draft, [f"{slot}={name}"])
        return replace(self.draft, overrides=added(self.reading, slot, name))

    # ---------------------------------------------------------------------------------------- values
    def set(self, path: str, text: str, *, typing: bool = False) -> None:
        """Set an option, a setting, the size; or a slot. What is typed may be wrong: the field tells.

        Args:
            path: Of the field.
            text: As typed.
            typing: Whether it is one of several keystrokes, which are undone together.
        """
        self._step(self._applied(self.draft, [f"{path}={text}"]), typing=path if typing else "")

    def apply(self, *words: str) -> None:
        """Lay words of a command line over the draft, as one step: those of a remedy, say."""
        self._step(self._applied(self.draft, words))

    def reset(self, path: str, to: Literal["source", "default"] = "source") -> None:
        """Give a field, a part's options, a section or a slot the values of the source, or a field its default."""
        field = self.field(path) if to == "default" else None
        if field is not None:
            self.set(path, said(field.default))
        else:
            self._lay(dropped(self.draft.overrides, path))

    def adapt(self, taken: bool) -> None:
        """Take the adapters that the contract proposes, or none."""
        self._step(replace(self.draft, adapt=taken))

    # ---------------------------------------------------------------------------------------- an ablation
    def mark(self, path: str, values: str) -> None:
        """Vary a field or slot: values with commas between; an empty text varies it no more."""
        left = [word for word in self.draft.sweeps if path_of(word) != path]
        place = next((n for n, word in enumerate(self.draft.sweeps) if path_of(word) == path), len(left))
        if values.strip():
            left.insert(place, f"{path}={values.strip()}")
        table = ablations(self.registry).get(self.draft.ablation)
        ablation = self.draft.ablation if left or (table and table.row) else ""
        self._step(replace(self.draft, sweeps=tuple(left), ablation=ablation))

    # ---------------------------------------------------------------------------------------- history
    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._future)

    def undo(self) -> bool:
        """Undo a step; False if there is none."""
        if not self._past:
            return False
        self._future.append(self.draft)
        self.draft, self._typing = self._past.pop(), ""
        return True

    def redo(self) -> bool:
        """Do a step again that was undone; False if there is none."""
        if not self._future:
            return False
        self._past.append(self.draft)
        self.draft, self._typing = self._future.pop(), ""
        return True

    def _lay(self, overrides: tuple[str, ...]) -> None:
        self._step(replace(self.draft, overrides=overrides))

    def _step(self, draft: Draft, *, typing: str = "") -> None:
        if draft != self.draft:
            if not typing or typing != self._typing:
                self._past.append(self.draft)
            self._future.clear()
            self.draft = draft
        self._typing = typing

    # ---------------------------------------------------------------------------------------- reading
    def _source(self, name: str | None) -> Source:
        if name not in self._sources:
            self._sources[name] = read_source(name, self.registry)
        return self._sources[name]

    def _read(self, draft: Draft) -> Reading:
        draft = draft.method
        if draft not in self._readings:
            _remember(self._readings, draft, read(draft, self.registry, self._source(draft.source)))
        return self._readings[draft]

    def _applied(self, draft: Draft, words: Iterable[str]) -> Draft:
        for word in words:
            slot = path_of(word)
            reading = self._read(draft) if slot in KIND_OF_SLOT else None
            parts = meant(reading, slot, value_of(word)) if reading else None
            if reading is None or parts is None:
                draft = draft.with_words(word)
            else:
                draft = replace(draft, overrides=slotted(reading, slot, parts))
        return draft


def _remember(kept: dict[K, V], key: K, value: V) -> None:
    """Keep a value, and forget the oldest of too many."""
    kept[key] = value
    while len(kept) > _READINGS:
        del kept[next(iter(kept))]
