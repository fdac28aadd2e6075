"""What is varied, and every combination of it: factors and their product. Nothing is looked up or checked here."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from pgsynth_core.errors import Problem, SpecError
from pgsynth_core.spec import KIND_OF_SLOT, split_sweep

__all__ = ["MOST", "Factor", "Grid", "Point", "idle", "in_order", "path_in"]

MOST: Final = 1000
"""Combinations of one ablation: nobody trains more, and each is checked."""

R = TypeVar("R")


@dataclass(frozen=True)
class Factor:
    """What is varied.

    Attributes:
        path: A slot, an option or a setting; ``row`` where a value stands for several overrides.
        values: As typed, or the names of rows.
        rows: Name of a row -> its overrides; empty for a path.
    """

    path: str
    values: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def words(self, value: str) -> tuple[str, ...]:
        """The overrides that a value stands for."""
        return self.rows[value] if self.rows else (f"{self.path}={value}",)


class Point(NamedTuple):
    """One combination.

    Attributes:
        values: One of each factor, in their order.
        words: What they come to as overrides, in the order in which they apply.
    """

    values: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """All combinations of some factors.

    Attributes:
        factors: In the order in which they were written; the last changes fastest.
        problems: Why there are no combinations.
    """

    factors: tuple[Factor, ...]
    problems: tuple[Problem, ...] = ()

    @staticmethod
    def of(words: Iterable[str], rows: Factor | None = None) -> Grid:
        """The grid that ``path=value,value`` words make, behind the rows, if there are any."""
        factors, problems = [rows] if rows else [], list[Problem]()
        for word in words:
            path = path_in(word)
            try:
                factors.append(Factor(path, split_sweep(word.partition("=")[2], where=path)))
            except SpecError as error:
                problems += error.problems
        grid = Grid(tuple(factors))
        return Grid(grid.factors, (*problems, *grid._too_many(), *grid._twice()))

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

    def points(self) -> Iterator[Point]:
        """Every combination, the last factor changing fastest; none while there are problems."""
        if self.problems:
            return
        for values in itertools.product(*(factor.values for factor in self.factors)):
            words = [word for factor, value in zip(self.factors, values, strict=True) for word in factor.words(value)]
            yield Point(values, in_order(words))

    def described(self, values: Sequence[str]) -> tuple[str, ...]:
        """What each factor is in a combination, e.g. ``mask=eq9``; of a row its name alone."""
        named = zip(self.factors, self.names, values, strict=True)
        return tuple(value if factor.rows else f"{name}={value}" for factor, name, value in named)

    def _too_many(self) -> Iterator[Problem]:
        if self.count > MOST:
            sizes = " x ".join(str(len(factor.values)) for factor in self.factors)
            message = f"{sizes} values make {self.count} combinations; an ablation has {MOST} at most."
            yield Problem(message, self.factors[-1].path, "Vary fewer values, or fewer things at once.")

    def _twice(self) -> Iterator[Problem]:
        paths = [factor.path for factor in self.factors]
        for path in dict.fromkeys(path for path in paths if paths.count(path) > 1):
            yield Problem(f"{path} is varied twice.", path, "Write all its values in one argument.")
        for factor in self.factors:
            for value in dict.fromkeys(factor.values):
                if factor.values.count(value) > 1:
                    yield Problem(f"{factor.path}={value} is written twice.", factor.path, "Write it once.")


def path_in(word: str) -> str:
    """The path of an override."""
    return word.partition("=")[0].strip()


def in_order(words: Iterable[str]) -> tuple[str, ...]:
    """Overrides as they apply: which parts a slot has, then which part a label is, then options; else as written."""

    def level(word: str) -> int:
        slot, *rest = path_in(word).split(".")
        return min(len(rest), 2) if slot in KIND_OF_SLOT else 2

    return tuple(sorted(words, key=level))


def idle(grid: Grid, rows: Iterable[tuple[tuple[str, ...], R | None]]) -> tuple[tuple[Factor, str, R], ...]:
    """The values that no combination can have, each with the first reason: most are mistyped.

    Args:
        grid: The ablation.
        rows: Values of each combination, and why it cannot be; None where it can.
    """
    reasons: dict[tuple[int, str], R] = {}
    possible: set[tuple[int, str]] = set()
    for values, why in rows:
        if why is None:
            possible |= {*enumerate(values)}
        else:
            reasons |= {place: why for place in enumerate(values) if place not in reasons}
    return tuple(
        (grid.factors[number], value, why)
        for (number, value), why in reasons.items()
        if (number, value) not in possible
    )
