"""The parts that a slot could hold: whether each fits the draft as it stands, why not, and what would mend it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal

from pgsynth_core.contract import Misfit, Verdict, fits
from pgsynth_core.registry import Entry, Registry
from pgsynth_core.spec import KIND_OF_SLOT, Spec
from pgsynth_tui.stores.draft_findings import Finding, guarded
from pgsynth_tui.stores.draft_reading import Reading
from pgsynth_tui.stores.draft_words import ADAPT, path_of

__all__ = ["Answer", "Candidate", "Fit", "candidates"]

Answer = Literal["fits", "adapts", "needs more", "does not fit"]


@dataclass(frozen=True)
class Fit:
    """Whether a part fits a draft.

    Attributes:
        answer: ``fits``; ``adapts``, with linear layers; ``needs more`` parts or other options, which `remedy` names;
            ``does not fit``.
        problems: What it would bring; what is wrong with the draft already is not among it.
        remedy: Words of a command line that make it fit.
        mends: Whether the draft has less problems with it than without.
    """

    answer: Answer = "fits"
    problems: tuple[Finding, ...] = ()
    remedy: tuple[str, ...] = ()
    mends: bool = False


@dataclass(frozen=True)
class Candidate:
    """A part that is installed.

    Attributes:
        slot: Where it would go.
        name: As it is written there: plain, or qualified where two packages use the name.
        entry: What the manifest says of it.
        chosen: Labels under which the draft has it.
        reading: The draft.
    """

    slot: str
    name: str
    entry: Entry
    chosen: tuple[str, ...]
    reading: Reading = field(repr=False, compare=False)

    @property
    def summary(self) -> str:
        """What it is."""
        return self.entry.component.summary

    @cached_property
    def fit(self) -> Fit:
        """Whether it fits; looked for when it is asked, since of many candidates a screen shows few."""
        if self.chosen or self.reading.spec is None:
            return Fit()
        return _fit(self.reading, self.reading.spec, self)


def candidates(reading: Reading, slot: str) -> tuple[Candidate, ...]:
    """Every part for a slot, in the order found: one that would join, or in `base` and `data` take the place."""
    kind = KIND_OF_SLOT[slot]
    there = reading.parts(slot)
    pairs = zip(reading.registry.names(kind), reading.registry.of_kind(kind), strict=True)
    return tuple(
        Candidate(slot, name, entry, tuple(one.label for one in there if one.part == entry.qualified), reading)
        for name, entry in pairs
    )


def _fit(reading: Reading, spec: Spec, part: Candidate) -> Fit:
    packages = (part.entry.origin.package, *(choice.part.partition(":")[0] for _, choice in spec.choices()))
    verdict = guarded(partial(_asked, spec, part.slot, part.name), reading.registry, packages)
    before = {_gist(misfit) for misfit in reading.verdict.problems}
    brought = tuple(misfit for misfit in verdict.problems if _gist(misfit) not in before)
    known = {(one.label, one.port) for one in reading.verdict.adapters}
    adapters = tuple(one for one in verdict.adapters if (one.label, one.port) not in known)
    if reading.draft.adapt:
        adapters = ()
    remedy = _remedy(verdict, brought) if brought else ()
    answer: Answer = "adapts" if adapters else "fits"
    if brought:
        answer = "needs more" if remedy else "does not fit"
    found = (*map(reading.places.of_misfit, brought), *map(reading.places.of_adapter, adapters))
    return Fit(
        answer,
        tuple(one if one.path else replace(one, path=part.slot) for one in found),
        (*remedy, *((ADAPT,) if adapters and answer != "does not fit" else ())),
        mends=not brought and len(verdict.problems) < len(reading.verdict.problems),
    )


def _asked(spec: Spec, slot: str, name: str, registry: Registry) -> Verdict:
    return fits(spec, slot, name, registry, mended=True)


def _gist(misfit: Misfit) -> str:
    """What a problem is about: its first clause, for the rest lists who else is there."""
    return re.split(r"[.;](?: |$)", misfit.message, maxsplit=1)[0]


def _remedy(verdict: Verdict, brought: Sequence[Misfit]) -> tuple[str, ...]:
    """What mends all of it; where the draft has problems that nothing mends, what mends those that the part brings."""
    if verdict.remedy:
        return verdict.remedy
    if not all(misfit.remedies for misfit in brought):
        return ()
    return tuple({path_of(word): word for misfit in brought for word in misfit.remedies[0]}.values())
