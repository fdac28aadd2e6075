"""An ablation of a draft: values to vary, every combination of them with its command, and those that are refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from pgsynth_core.errors import SpecError
from pgsynth_core.registry import Registry
from pgsynth_core.spec import KIND_OF_SLOT, split_sweep
from pgsynth_tui.stores.draft_findings import Finding
from pgsynth_tui.stores.draft_reading import Reading, Source, read, read_source
from pgsynth_tui.stores.draft_words import Draft, path_of, value_of

__all__ = ["MOST", "Combination", "Factor", "Sweep", "idle_values"]

MOST: Final = 1000
"""Combinations of one ablation: nobody trains more, and each is checked."""


@dataclass(frozen=True)
class Factor:
    """What is varied.

    Attributes:
        path: A slot, an option or a setting.
        values: As typed.
    """

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Combination:
    """One row of the table.

    Attributes:
        values: One of each factor, in their order.
        reading: The draft with them, read.
    """

    values: tuple[str, ...]
    reading: Reading

    @property
    def draft(self) -> Draft:
        """The draft with these values and nothing varied."""
        return self.reading.draft

    @property
    def ok(self) -> bool:
        """Whether it can be trained; else it is pruned."""
        return self.reading.ok

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """Why it is pruned."""
        return self.reading.refusals

    def words(self, names: Sequence[str]) -> list[str]:
        """What each factor is here, e.g. ``mask=eq9``.

        Args:
            names: Of the factors.
        """
        return [f"{name}={value}" for name, value in zip(names, self.values, strict=True)]

    @cached_property
    def command(self) -> str:
        """What trains it."""
        return self.reading.command("train")


class Sweep:
    """The ablation that a draft describes.

    Args:
        draft: With its `sweeps`.
        registry: What is installed.

    Attributes:
        factors: What is varied, in the order in which it was marked; the last changes fastest.
        problems: Why there is no table.
    """

    def __init__(self, draft: Draft, registry: Registry) -> None:
        self._draft, self._registry = replace(draft, sweeps=()), registry
        factors: list[Factor] = []
        problems: list[Finding] = []
        for word in draft.sweeps:
            try:
                factors.append(Factor(path_of(word), split_sweep(value_of(word), where=path_of(word))))
            except SpecError as error:
                problems += [Finding("problem", path_of(word), one.message, one.cure) for one in error.problems]
        self.factors = tuple(factors)
        self.problems = (*problems, *self._too_many(), *self._twice())

    @property
    def count(self) -> int:
        """How many combinations there are, refused ones included."""
        return math.prod(len(factor.values) for factor in self.factors)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors: the last words of their paths; the whole paths if two end alike, or for a seed."""
        paths = tuple(factor.path for factor in self.factors)
        last = tuple(path if path.endswith(".seed") else path.rpartition(".")[2] for path in paths)
        return last if len({*last}) == len(last) else paths

    def combinations(self, source: Source | None = None) -> Iterator[Combination]:
        """Each combination, checked as it is asked for; none while there are problems.

        Args:
            source: The draft's source, if it is read already.
        """
        if self.problems:
            return
        source = source or read_source(self._draft.source, self._registry)
        for values in itertools.product(*(factor.values for factor in self.factors)):
            words = [f"{factor.path}={value}" for factor, value in zip(self.factors, values, strict=True)]
            words.sort(
                key=lambda word: path_of(word) not in KIND_OF_SLOT
            )  # which parts there are, before their options
            yield Combination(values, read(self._draft.with_words(*words), self._registry, source))

    def _too_many(self) -> Iterator[Finding]:
        if self.count > MOST:
            sizes = " x ".join(str(len(factor.values)) for factor in self.factors)
            message = f"{sizes} values make {self.count} combinations; an ablation has {MOST} at most."
            yield Finding("problem", self.factors[-1].path, message, "Vary fewer values, or fewer things at once.")

    def _twice(self) -> Iterator[Finding]:
        for factor in self.factors:
            for value in dict.fromkeys(factor.values):
                if factor.values.count(value) > 1:
                    yield Finding("problem", factor.path, f"{factor.path}={value} is written twice.", "Write it once.")


def idle_values(sweep: Sweep, rows: Iterable[Combination]) -> tuple[Finding, ...]:
    """The values that no combination can have, each with the first reason: most are mistyped.

    Args:
        sweep: The ablation.
        rows: Its whole table.
    """
    reasons: dict[tuple[int, str], Finding] = {}
    possible: set[tuple[int, str]] = set()
    for row in rows:
        if row.ok:
            possible |= {*enumerate(row.values)}
        else:
            reasons |= {place: row.reasons[0] for place in enumerate(row.values) if place not in reasons}
    return tuple(
        Finding("problem", sweep.factors[number].path, f"no combination can have {value}: {why.message}", why.cure)
        for (number, value), why in reasons.items()
        if (number, value) not in possible
    )
