"""An ablation of a draft: every combination of what is varied, with its command, and those that are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pgsynth_core.registry import Registry
from pgsynth_core.sweeps import Factor, Grid, idle
from pgsynth_tui.stores.draft_findings import Finding
from pgsynth_tui.stores.draft_reading import Reading, Source, read, read_source
from pgsynth_tui.stores.draft_words import Draft

__all__ = ["Combination", "Sweep", "idle_values"]


@dataclass(frozen=True)
class Combination:
    """One row of the table.

    Attributes:
        values: One of each factor, in their order.
        name: What each factor is here, e.g. ``mask=eq9``.
        reading: The draft with them, read.
    """

    values: tuple[str, ...]
    name: tuple[str, ...]
    reading: Reading

    @property
    def ok(self) -> bool:
        """Whether it can be trained; else it is pruned."""
        return self.reading.ok

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """Why it is pruned."""
        return self.reading.refusals

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
        grid: All combinations of what is varied.
        problems: Why there is no table.
    """

    def __init__(self, draft: Draft, registry: Registry) -> None:
        self._draft, self._registry = replace(draft, sweeps=()), registry
        self.grid = Grid.of(draft.sweeps)
        self.problems = tuple(Finding("problem", one.where, one.message, one.cure) for one in self.grid.problems)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What is varied, in the order in which it was marked."""
        return self.grid.factors

    @property
    def count(self) -> int:
        """How many combinations there are, refused ones included."""
        return self.grid.count

    def combinations(self, source: Source | None = None) -> Iterator[Combination]:
        """Each combination, checked as it is asked for; none while there are problems.

        Args:
            source: The draft's source, if it is read already.
        """
        for values, words in self.grid.points():
            source = source or read_source(self._draft.source, self._registry)
            reading = read(self._draft.with_words(*words), self._registry, source)
            yield Combination(values, self.grid.described(values), reading)


def idle_values(sweep: Sweep, rows: Iterable[Combination]) -> tuple[Finding, ...]:
    """The values that no combination can have, each with the first reason: most are mistyped.

    Args:
        sweep: The ablation.
        rows: Its whole table.
    """
    found = idle(sweep.grid, ((row.values, None if row.ok else row.reasons[0]) for row in rows))
    return tuple(
        Finding("problem", factor.path, f"no combination can have {value}: {why.message}", why.cure)
        for factor, value, why in found
    )
