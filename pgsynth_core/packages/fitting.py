"""Can these parts be composed, and if not, why? Asked of the contract, so of manifests alone. Floor 2, no torch."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from pgsynth_core.contract import Verdict, check, fits, with_adapters
from pgsynth_core.errors import Problem, SpecError, UserError, suggestion
from pgsynth_core.manifest import SLOTS
from pgsynth_core.registry import FOREIGN_FAULTS, NOUNS, OWN_NAME, Entry, Registry, reason_of, removal
from pgsynth_core.spec import SINGLE_SLOTS, Spec, resolve

__all__ = ["Fit", "fit_of", "fits_of", "parts_named"]

Answer = Literal["fits", "adapts", "needs more", "does not fit"]

MOST_FITS: Final = 150
"""Pairs that are tried for one part: a user reads no more, and a full registry must not make it slow."""


@dataclass(frozen=True)
class Fit:
    """Whether some parts can be in one composition.

    Attributes:
        parts: Their qualified names, as asked.
        answer: ``fits`` as they are; ``adapts`` with linear layers, for only widths differ; ``needs more``: together
            with further parts or other options; ``does not fit``.
        overrides: What composes them, as words of ``pgsynth compose``; empty if nothing does, or nobody asked.
        adapt: Whether that takes ``--adapt`` too.
        more: Overrides that had to be added.
        reasons: Why more is needed, or why they do not fit, each with its cure.
    """

    parts: tuple[str, ...]
    answer: Answer
    overrides: tuple[str, ...] = ()
    adapt: bool = False
    more: tuple[str, ...] = ()
    reasons: tuple[Problem, ...] = ()

    @property
    def command(self) -> str:
        """What composes them, to copy; empty if nothing does."""
        words = ("pgsynth", "compose", *self.overrides, *(("--adapt",) if self.adapt else ()))
        return shlex.join(words) if self.overrides else ""


def parts_named(registry: Registry, names: Sequence[str], *, where: str) -> tuple[Entry, ...]:
    """The parts of these names, which may be of any kind.

    Args:
        registry: What is installed.
        names: ``NAME``, ``package:NAME``, or ``SLOT=NAME`` where a name is used by several kinds.
        where: The place in the user's input, for messages.

    Raises:
        SpecError: If one is unknown, named twice, in several packages or kinds, or is a preset; says how to write it.
    """
    problems: list[Problem] = []
    found: list[Entry] = []
    for name in names:
        try:
            found.append(_part_named(registry, name, where))
        except SpecError as error:
            problems += error.problems
    if twice := [entry.qualified for number, entry in enumerate(found) if entry in found[:number]]:
        problems.append(Problem(f"{twice[0]} is named twice.", where, "Name it once, alone or with others."))
    if problems:
        raise SpecError(problems)
    return tuple(found)


def _part_named(registry: Registry, written: str, where: str) -> Entry:
    slot, equals, name = written.rpartition("=")
    kinds = {slot: kind for kind, slot in SLOTS.items()} | {kind: kind for kind in NOUNS}
    if equals and slot not in kinds:
        raise SpecError(
            f"there is no slot or kind {slot!r}.", where=where, cure=suggestion(slot, tuple(kinds), what="slots")
        )
    hits = registry.find_all(name, kind=kinds[slot] if equals else "", where=where)
    parts = [hit for hit in hits if isinstance(hit, Entry)]
    if not parts:
        cure = f"See what it is made of: pgsynth plugins show {name}."
        raise SpecError(f"{name!r} is a preset: a whole composition, no part.", where=where, cure=cure)
    if len(parts) > 1:
        several = " and ".join(f"{NOUNS[part.kind][0]} {part.qualified}" for part in parts)
        choices = " or ".join(f"{SLOTS.get(part.kind, part.kind)}={part.qualified}" for part in parts)
        raise SpecError(f"{name!r} is several parts: {several}.", where=where, cure=f"Write {choices}.")
    return parts[0]


def fit_of(registry: Registry, parts: Sequence[Entry]) -> Fit:
    """Whether these parts can be in one composition: on the default base, unless a base is among them."""
    names = tuple(part.qualified for part in parts)
    if fault := _uncomposable(parts):
        return Fit(names, "does not fit", reasons=(fault,))
    return _guarded(partial(_fit, parts=parts), registry, names, [part.origin.package for part in parts])


def _fit(registry: Registry, *, parts: Sequence[Entry]) -> Fit:
    names, overrides = tuple(part.qualified for part in parts), _overrides(registry, parts)
    verdict = check(resolve(None, [*_NOTHING, *overrides], registry).spec, registry)
    return _judged(names, overrides, verdict, registry)


def _guarded(
    ask: Callable[[Registry], Fit],
    registry: Registry,
    names: tuple[str, ...],
    suspects: Sequence[str],
    beside: Sequence[str] = (),
) -> Fit:
    """The answer; a manifest of which the contract makes nothing is the fault of its package, and stops nobody's.

    Cures try the parts of every package: what fails among all is asked again among pgsynth's and those in question.
    `suspects` are the packages to blame if that fails too, before those `beside` them.
    """
    near = tuple(entry for entry in registry.entries if entry.origin.package in (OWN_NAME, *suspects, *beside))
    for among in (registry, replace(registry, entries=near)):
        try:
            return ask(among)
        except UserError as error:
            return Fit(names, "does not fit", reasons=error.problems)
        except FOREIGN_FAULTS as error:
            said = reason_of(error)
    blamed = sorted({*suspects} - {OWN_NAME}) or sorted({*beside} - {OWN_NAME}) or [OWN_NAME]
    cure = removal(blamed[0]) if len(blamed) == 1 else "See which alone: pgsynth plugins show PART."
    message = f"the contract cannot be checked with the manifest of {' or '.join(blamed)}: {said}"
    return Fit(names, "does not fit", reasons=(Problem(message, cure=cure),))


def _judged(names: tuple[str, ...], overrides: tuple[str, ...], verdict: Verdict, registry: Registry) -> Fit:
    reasons = tuple(Problem(misfit.message, cure=misfit.cure) for misfit in verdict.problems)
    adapters = tuple(Problem(f"{adapter}.") for adapter in verdict.adapters)
    if reasons and not verdict.remedy:
        return Fit(names, "does not fit", reasons=reasons)
    whole = _complete(_merged(overrides, verdict.remedy), registry)
    answer: Answer = "needs more" if reasons else "adapts" if adapters else "fits"
    return Fit(names, answer, whole, bool(adapters), verdict.remedy, (*reasons, *adapters))


def _complete(overrides: tuple[str, ...], registry: Registry) -> tuple[str, ...]:
    """As they are, if they compose beside the defaults too; else with the defaults taken out that they do not name."""
    verdict = check(resolve(None, overrides, registry).spec, registry)
    if verdict.ok or verdict.needs_adapt:
        return overrides
    named = {override.partition("=")[0] for override in overrides}
    return (*(nothing for nothing in _NOTHING if nothing.partition("=")[0] not in named), *overrides)


_NOTHING: Final = ("encoder=none", "pose=none", "attn=none", "data=none")
"""Only the default base stands beside what is asked about: what else is needed, the cures bring."""


def _merged(overrides: Sequence[str], remedy: Sequence[str]) -> tuple[str, ...]:
    """Both; where they write the same place, the remedy stands, for it knows of the other."""
    return tuple({override.partition("=")[0]: override for override in (*overrides, *remedy)}.values())


def _overrides(registry: Registry, parts: Sequence[Entry]) -> tuple[str, ...]:
    slots: dict[str, list[str]] = {}
    for part in parts:
        written = part.name if part.name in registry.names(part.kind) else part.qualified
        slots.setdefault(SLOTS[part.kind], []).append(written)
    return tuple(f"{slot}={'+'.join(names)}" for slot, names in slots.items())


def _uncomposable(parts: Sequence[Entry]) -> Problem | None:
    """What no composition can hold, whatever the contract says."""
    for part in parts:
        if part.kind not in SLOTS:
            return Problem(f"{part.qualified} is {_a(part)}, which no composition has: it works on pictures.")
    for slot in SINGLE_SLOTS:
        same = [part for part in parts if SLOTS[part.kind] == slot]
        if len(same) > 1:
            names = " and ".join(part.qualified for part in same)
            return Problem(f"{names} are both {NOUNS[same[0].kind][1]}, and a composition has one.")
    return None


def _a(part: Entry) -> str:
    noun = NOUNS[part.kind][0]
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def fits_of(registry: Registry, part: Entry) -> tuple[Fit, ...]:
    """How a part is composed, then what fits with it and what not: every other part, one at a time.

    The others are put beside the part and what it needs itself, so that what they are told for is their own.

    Returns:
        First the part alone; then for each other part both names. Empty for a part that no composition has. At most
        `MOST_FITS` others are tried, pgsynth's own first.
    """
    if part.kind not in SLOTS:
        return ()
    alone = fit_of(registry, (part,))
    if not alone.command:
        return (alone,)
    spec = resolve(None, [*_NOTHING, *alone.overrides], registry).spec
    spec = with_adapters(spec, check(spec, registry).adapters)
    here = {choice.part for _, choice in spec.choices()}
    others = [other for other in registry.entries if other.kind in SLOTS and other.qualified != part.qualified]
    singles = [other for other in others if other.kind == part.kind and SLOTS[part.kind] in SINGLE_SLOTS]
    told = [other for other in others if other not in singles][:MOST_FITS]
    packages = tuple(name.partition(":")[0] for name in here)
    fits_beside: list[Fit] = []
    for other in told:
        names = (part.qualified, other.qualified)
        if other.qualified in here:  # the part needs it, or one like it
            fits_beside.append(Fit(names, "fits", alone.overrides))
            continue
        ask = partial(_beside, spec=spec, other=other, names=names)
        fits_beside.append(_guarded(ask, registry, names, (other.origin.package,), packages))
    return (alone, *fits_beside)


def _beside(registry: Registry, *, spec: Spec, other: Entry, names: tuple[str, ...]) -> Fit:
    written = other.name if other.name in registry.names(other.kind) else other.qualified
    verdict = fits(spec, SLOTS[other.kind], written, registry, mended=True)
    reasons = tuple(Problem(misfit.message, cure=misfit.cure) for misfit in verdict.problems)
    adapters = tuple(Problem(f"{adapter}.") for adapter in verdict.adapters)
    answer: Answer = "adapts" if adapters else "fits"
    if reasons:
        answer = "needs more" if verdict.remedy else "does not fit"
    return Fit(names, answer, more=verdict.remedy, reasons=(*reasons, *adapters))
