"""Findings and their cures. An override is suggested only after it was tried: it must remove the problem it is for
and bring no new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgsynth_core.contract.catalogue import Catalogue
from pgsynth_core.contract.changes import Change
from pgsynth_core.contract.plan import Placed, Plan
from pgsynth_core.contract.verdict import Adapter, Misfit

__all__ = ["Clinic", "Cure", "Finding", "Symptom", "key_of", "listed", "one_of"]

_MOST_TRIALS: Final = 40
"""Changes tried for one problem: above any real need, so that a large registry cannot make a check slow."""

_MOST_STEPS: Final = 4
"""Changes that one suggestion may be made of."""


@dataclass(frozen=True)
class Cure:
    """What to do, in words and as overrides.

    Attributes:
        text: One or a few sentences.
        changes: The changes it suggests, each enough by itself.
    """

    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, eq=False)
class Finding:
    """A problem that was found; its cure is looked for only if it is to be told.

    Attributes:
        key: What it is about, equal for the same problem in a changed plan.
        message: What is wrong.
        cure: Looks for the cure.
        parts: The parts concerned.
    """

    key: tuple[str, ...]
    message: str
    cure: Callable[[Clinic], Cure]
    parts: tuple[Placed, ...] = ()


Symptom = Finding | Adapter
"""What may be wrong with a plan: a problem, or an adapter that is not taken."""


def key_of(symptom: Symptom) -> tuple[str, ...]:
    """What a symptom is about, equal for the same symptom in a changed plan."""
    return symptom.key if isinstance(symptom, Finding) else ("adapter", symptom.label, symptom.port)


class Clinic:
    """Tries changes on one plan.

    Args:
        plan: The composition as it stands.
        catalogue: Everything installed.
        examine: Finds, one by one, what is wrong with a plan.
        trials: How many changes may still be tried, for a clinic that works for another; its cures need no cures in
            turn.
    """

    def __init__(
        self,
        plan: Plan,
        catalogue: Catalogue,
        examine: Callable[[Plan], Iterator[Symptom]],
        *,
        trials: Iterator[int] | None = None,
    ) -> None:
        self.plan = plan
        self.catalogue = catalogue
        symptoms = tuple(examine(plan))
        self.findings = tuple(symptom for symptom in symptoms if isinstance(symptom, Finding))
        self.adapters = tuple(symptom for symptom in symptoms if isinstance(symptom, Adapter))
        self._examine = examine
        self._keys = frozenset(map(key_of, symptoms))
        self._nested = trials is not None
        self._trials: Iterator[int] = trials or iter(())
        self._treating: tuple[str, ...] = ()
        self._found: dict[tuple[str, ...], Cure] = {}

    # ------------------------------------------------------------------ what is told
    def told(self) -> tuple[Misfit, ...]:
        """Every finding with its cure."""
        return tuple(self._told(finding) for finding in self.findings)

    def _told(self, finding: Finding) -> Misfit:
        cure = self._cured(finding)
        labels = tuple(part.label for part in finding.parts)
        remedies = tuple(change.overrides for change in cure.changes)
        return Misfit(finding.message, cure=cure.text, parts=labels, remedies=remedies)

    def remedy(self) -> tuple[str, ...]:
        """Overrides that together remove every problem; empty if that could not be done one by one."""
        done: Change | None = None
        clinic = self
        for _ in range(_MOST_STEPS * 2):
            cures = (clinic._cured(finding).changes for finding in clinic.findings)
            step = next((changes[0] for changes in cures if changes), None)
            if step is None:
                break
            done = step if done is None else done.then(step)
            clinic = Clinic(step.plan, self.catalogue, self._examine)
        return done.overrides if done and not clinic.findings else ()

    def _cured(self, finding: Finding) -> Cure:
        if finding.key not in self._found:
            self._trials = self._trials if self._nested else iter(range(_MOST_TRIALS))
            self._treating = finding.key
            self._found[finding.key] = finding.cure(self)
        return self._found[finding.key]

    # ------------------------------------------------------------------ trying
    def working(self, changes: Iterable[Change | None]) -> Iterator[Change]:
        """Those that remove the problem being treated and bring no new one, in order; tried as they are asked for."""
        affordable = (change for change in changes if change is not None and next(self._trials, None) is not None)
        for change in affordable:
            if not any(map(self._unwanted, self._examine(change.plan))):
                yield change

    def first(self, changes: Iterable[Change | None]) -> tuple[Change, ...]:
        """The first that works by itself; else the first that works with what it needs in turn; else nothing."""
        possible = [change for change in changes if change is not None]
        if works := next(self.working(possible), None):
            return (works,)
        completed = (self._completed(change) for change in ([] if self._nested else possible))
        return tuple(itertools.islice((change for change in completed if change is not None), 1))

    def _unwanted(self, symptom: Symptom) -> bool:
        """Whether it stands in the way of a change: it is new, or it is what is being treated."""
        key = key_of(symptom)
        return key == self._treating or key not in self._keys

    def _completed(self, change: Change) -> Change | None:
        """The change together with the cures of the problems it brings, if they have some."""
        for _ in range(_MOST_STEPS):
            if next(self._trials, None) is None:
                return None
            inner = Clinic(change.plan, self.catalogue, self._examine, trials=self._trials)
            symptoms: tuple[Symptom, ...] = (*inner.findings, *inner.adapters)
            unwanted = [symptom for symptom in symptoms if self._unwanted(symptom)]
            if not unwanted:
                return change
            brought = unwanted[0]
            if not isinstance(brought, Finding) or self._treating in map(key_of, unwanted):
                return None
            cures = inner._cured(brought).changes
            if not cures:
                return None
            change = change.then(cures[0])
        return None


def one_of(changes: Sequence[Change]) -> str:
    """``a=1, or b=2``."""
    return ", or ".join(str(change) for change in changes)


def listed(names: Iterable[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = list(names)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else "none"
