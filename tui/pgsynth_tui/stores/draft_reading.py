"""What a draft comes to: the spec, what the contract says of it, what is wrong, what differs, how it is written.

What is wrong is told and left out, so that the rest can be shown and mended. Manifests say all of it: no torch, and no
part is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

from pgsynth_core.api import Composition
from pgsynth_core.contract import Verdict, check, with_adapters
from pgsynth_core.errors import Problem, SpecError, UserError
from pgsynth_core.manifest import Component, Kind
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, PLAIN_OPTIONS, TABLES, PartChoice, Resolved, Spec, other_axes, resolve
from pgsynth_core.spec.values import default_of, options_of
from pgsynth_tui.stores.draft_findings import Finding, Places, argument_of, guarded
from pgsynth_tui.stores.draft_shortest import command_of, shortest
from pgsynth_tui.stores.draft_values import below, parts_in, plain, said, values_of
from pgsynth_tui.stores.draft_words import Draft, path_of, value_of

__all__ = ["Change", "Reading", "Source", "read", "read_source"]


MAPPINGS: Final = {
    f"{section}.{key}" for section in TABLES for key, one in TABLES[section].items() if one.names is not None
}
"""Settings that hold several values, each with a path of its own."""


class Change(NamedTuple):
    """A difference to the source.

    Attributes:
        path: Of a slot, part, option or setting.
        before: The source's value in one line; ``none`` for an empty slot, empty where there was none.
        after: The draft's.
    """

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class Source:
    """What a draft starts from.

    Attributes:
        name: A preset, a path, or None.
        resolved: It alone; None if it cannot be read.
        problems: Why.
    """

    name: str | None
    resolved: Resolved | None
    problems: tuple[Problem, ...] = ()

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """Path -> value of everything in it."""
        return values_of(self.resolved.spec) if self.resolved else {}

    def parts(self, slot: str) -> tuple[PartChoice, ...]:
        """The parts it has in a slot."""
        return parts_in(self.resolved.spec, slot) if self.resolved else ()


def read_source(name: str | None, registry: Registry) -> Source:
    """A preset, a file or the defaults, alone."""
    try:
        return Source(name, resolve(name, [], registry))
    except SpecError as error:
        return Source(name, None, error.problems)


@dataclass(frozen=True)
class Reading:
    """A draft, read.

    Attributes:
        draft: The draft.
        registry: What was installed.
        source: What it starts from.
        resolved: What can be shown: the draft without what is wrong in it; None if nothing can.
        plain: Its spec before adapters were taken; None if nothing can be shown.
        problems: What is wrong with what was written; what the contract refuses is in `verdict`.
        verdict: Of what is shown.
        kept: The overrides in what is shown.
    """

    draft: Draft
    registry: Registry
    source: Source
    resolved: Resolved | None
    plain: Spec | None
    problems: tuple[Problem, ...]
    verdict: Verdict
    kept: tuple[str, ...] = ()

    # ---------------------------------------------------------------------------------------- the spec
    @property
    def spec(self) -> Spec | None:
        """What is shown."""
        return self.resolved.spec if self.resolved else None

    @property
    def sound(self) -> bool:
        """Whether what is shown is all of the draft."""
        return self.resolved is not None and not self.problems

    @property
    def ok(self) -> bool:
        """Whether it can be trained: nothing is wrong, and the contract refuses nothing."""
        return self.sound and self.verdict.ok

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """Path -> value of everything that is shown."""
        return values_of(self.spec) if self.spec else {}

    def parts(self, slot: str) -> tuple[PartChoice, ...]:
        """The parts in a slot, in order."""
        return parts_in(self.spec, slot) if self.spec else ()

    @cached_property
    def wrong(self) -> Mapping[str, str]:
        """Path -> value as typed, of the overrides that are not in what is shown."""
        return {path_of(word): value_of(word) for word in self.draft.overrides if word not in self.kept}

    @property
    def slots(self) -> Mapping[str, tuple[PartChoice, ...]]:
        """Slot -> its parts, in the order of a spec; of `attn` the first is innermost."""
        return {slot: self.parts(slot) for slot in KIND_OF_SLOT}

    def component(self, slot: str, choice: PartChoice) -> Component:
        """What the manifest says of a part that was chosen."""
        return self.registry.find(KIND_OF_SLOT[slot], choice.part).component

    # ---------------------------------------------------------------------------------------- what is told
    @cached_property
    def composition(self) -> Composition | None:
        """What is shown, as Python's `compose` gives it; None if nothing can be."""
        return Composition(self.resolved, self.verdict, self.registry) if self.resolved else None

    @cached_property
    def places(self) -> Places:
        """Where findings point to."""
        slots = {choice.label: slot for slot, choices in self.slots.items() for choice in choices}
        of_mappings = (path for path in self.wrong if ".".join(path.split(".")[:2]) in MAPPINGS)
        return Places(self.draft.overrides, {*self.values, *of_mappings}, slots)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Everything wrong, then warnings, then notes; what was written first, then what the contract says."""
        places, composed = self.places, self.composition
        found = [*map(places.of_resolving, self.problems)]
        found += [*map(places.of_misfit, self.verdict.problems), *map(places.of_adapter, self.verdict.adapters)]
        if composed:
            warnings = composed.warnings if self.sound else ()  # else they speak of overrides by other numbers
            found += [places.of_text("warning", text) for text in warnings]
            found += [places.of_text("note", text) for text in composed.notes]
        return tuple(dict.fromkeys(found))

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The problems among the findings."""
        return tuple(finding for finding in self.findings if finding.level == "problem")

    @property
    def sentence(self) -> str:
        """What stands in the way, or that nothing does, in one sentence."""
        problems, adapters = self.refusals, self.verdict.adapters
        if not problems:
            return "The parts fit together."
        if self.sound and self.verdict.needs_adapt:
            taken = ", ".join(f"{one.label} ({one.given} to {one.wanted})" for one in adapters)
            return f"The parts fit with --adapt, which puts a linear layer behind {taken}."
        what = "The parts do not fit together" if self.sound else "It cannot be composed"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"{what}: {problems[0].message.split('. ')[0].rstrip('.')}{more}."

    # ---------------------------------------------------------------------------------------- how it is written
    @cached_property
    def yaml(self) -> str:
        """What is shown, as YAML with its lock; empty if nothing can be."""
        return self.composition.to_yaml() if self.composition else ""

    def saved(self) -> str:
        """The YAML that ``pgsynth compose -o`` writes.

        Raises:
            UserError: With every problem, if there is any.
        """
        if refusals := self.refusals:
            raise UserError([Problem(one.message, one.where, one.cure) for one in refusals])
        return self.yaml

    @cached_property
    def overrides(self) -> tuple[str, ...]:
        """Those of the draft that change something; all of them while something is wrong."""
        if not self.sound or self.plain is None:
            return self.draft.overrides
        return shortest(self.draft, self.plain, self.source.resolved, self.registry)

    def command(self, verb: str = "compose") -> str:
        """What to type in a shell, as short as it can be."""
        adapted = bool(self.verdict.adapters) or self.spec != self.plain or not self.sound
        return command_of(replace(self.draft, overrides=self.overrides, adapt=self.draft.adapt and adapted), verb)

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """What differs from the source, if that can be read; of a part more, what is not at its default."""
        return tuple(self._changes())

    def _changes(self) -> Iterator[Change]:
        if not self.source.resolved:
            return
        before, after = {**self.source.values}, self.values
        for slot, choices in self.slots.items():
            old, new = ("+".join(one.label for one in some) for some in (self.source.parts(slot), choices))
            if old != new:
                yield Change(slot, old or "none", new or "none")
            for choice in choices:
                before |= self._begun(slot, choice, before)
                yield from _differing(before, after, f"{slot}.{choice.label}")
        for root in (*PLAIN_OPTIONS, "adapters", *TABLES):
            yield from _differing(before, after, root)

    def _begun(self, slot: str, choice: PartChoice, before: Mapping[str, Any]) -> dict[str, Any]:
        """For a part that the source does not have: itself, and its options at their defaults."""
        path = f"{slot}.{choice.label}"
        if path in before:
            return {}
        table = options_of(self.component(slot, choice))
        return {path: choice.part} | {f"{path}.{name}": plain(default_of(option)) for name, option in table.items()}


# ------------------------------------------------------------------------------------------- reading
def _differing(before: Mapping[str, Any], after: Mapping[str, Any], root: str) -> Iterator[Change]:
    old, new = below(before, root), below(after, root)
    for path in dict.fromkeys((*old, *new)):
        if old.get(path) != new.get(path):
            yield Change(path, said(old.get(path)), said(new.get(path)))


def read(draft: Draft, registry: Registry, source: Source | None = None) -> Reading:
    """Read a draft.

    Args:
        draft: The draft; whatever may be wrong with it.
        registry: What is installed.
        source: Its source, if that is read already.
    """
    source = source or read_source(draft.source, registry)
    problems: tuple[Problem, ...] = ()
    resolved, kept = None, draft.overrides
    try:
        resolved = resolve(draft.source, draft.overrides, registry)
    except SpecError as error:
        problems = error.problems
        resolved, kept = _without_faults(draft, problems, registry, source)
    if resolved is None:
        return Reading(draft, registry, source, None, None, problems, Verdict())
    packages = [choice.part.partition(":")[0] for _, choice in resolved.spec.choices()]
    verdict = guarded(partial(check, resolved.spec), registry, packages)
    plain_spec = resolved.spec
    if draft.adapt and verdict.adapters:
        resolved = replace(resolved, spec=with_adapters(plain_spec, verdict.adapters))
        verdict = guarded(partial(check, resolved.spec), registry, packages)
    origins = (origin for path, origin in resolved.origins.items() if path.startswith("base"))
    others = other_axes(resolved.lock, verdict.axes, origins)
    resolved = replace(resolved, differences=(*resolved.differences, *others))
    return Reading(draft, registry, source, resolved, plain_spec, problems, verdict, kept)


def _without_faults(
    draft: Draft, problems: Sequence[Problem], registry: Registry, source: Source
) -> tuple[Resolved | None, tuple[str, ...]]:
    """The draft without the overrides at fault, and what is left of them; if that is not enough, each that can stay."""
    name = draft.source if source.resolved else None
    words = list(draft.overrides)
    for _ in draft.overrides:
        bad = {argument_of(problem) for problem in problems} - {None}
        if not bad:
            break
        mended = ((_known(word, registry) if number in bad else word) for number, word in enumerate(words))
        words = [word for word in mended if word]
        try:
            return resolve(name, words, registry), tuple(words)
        except SpecError as error:
            problems = error.problems
    found: Resolved | None = None
    kept: list[str] = []
    for word in ("", *words):
        try:
            found = resolve(name, [*kept, word] if word else [], registry)
        except SpecError:
            continue
        kept += [word] if word else []
    return found, tuple(kept)


def _known(word: str, registry: Registry) -> str:
    """Of what is written at a slot, the parts that there are; empty if that is no less, or nothing."""
    kind = KIND_OF_SLOT.get(path_of(word))
    names = [name.strip() for name in value_of(word).split("+")]
    there = [name for name in names if kind and _found(kind, name, registry)]
    return f"{path_of(word)}={'+'.join(there)}" if there and len(there) < len(names) else ""


def _found(kind: Kind, name: str, registry: Registry) -> bool:
    try:
        registry.find(kind, name)
    except SpecError:
        return False
    return True
