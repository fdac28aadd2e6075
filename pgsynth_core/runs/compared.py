"""What a comparison of runs is made of: variants, settings, numbers and how far they are apart. Floor 1, no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pgsynth_core.runs.reader import RunFacts
from pgsynth_core.runs.settings import SEED

__all__ = [
    "ABSENT",
    "LEVEL",
    "Cell",
    "Comparison",
    "Difference",
    "Notes",
    "Number",
    "SettingRow",
    "Variant",
    "mean_of",
    "said_seeds",
    "seeds_of",
]


class _Absent:
    """A setting that a variant has not."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
LEVEL: Final = 0.95
"""Of every interval."""


@dataclass(frozen=True)
class Difference:
    """How far the mean of one method is from that of another.

    Attributes:
        mean: Second less first.
        low: Of the interval.
        high: Of the interval.
        over: What the interval is over: ``pairs``, ``seeds``, or ``pairs and seeds``.
        pairs: How many pairs it is of; 0 where there are no single values.
        groups: How many groups these are.
        runs: How many runs of each method.
        matched: Whether they differ seed by seed.
    """

    mean: float
    low: float
    high: float
    over: str
    pairs: int
    groups: int
    runs: tuple[int, int]
    matched: bool

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out no difference at all; never where nothing varied, so that it has no width."""
        return self.low < self.high and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Variant:
    """Runs whose settings are the same but for their seed.

    Attributes:
        name: A letter: ``A`` is that of the first run.
        runs: At least one.
        settings: What they share, dotted.
        stands_in: Id of a run that counts in no number -> that of the one whose numbers it would repeat.
    """

    name: str
    runs: tuple[RunFacts, ...]
    settings: Mapping[str, Any]
    stands_in: Mapping[str, str] = field(default_factory=dict)

    @property
    def counted(self) -> tuple[RunFacts, ...]:
        """The runs over which means, spreads and n are; at least one."""
        return tuple(run for run in self.runs if run.id not in self.stands_in)

    @property
    def seeds(self) -> tuple[Any, ...]:
        """The seed of each run."""
        return seeds_of(self.runs)


def seeds_of(runs: Iterable[RunFacts]) -> tuple[Any, ...]:
    """The seed of each run."""
    return tuple(run.settings.get(SEED) for run in runs)


def said_seeds(variant: Variant) -> str:
    """The seeds over which its numbers are, in order."""
    return ", ".join(map(str, sorted(seeds_of(variant.counted), key=str)))


@dataclass(frozen=True)
class SettingRow:
    """A setting and its value in each variant.

    Attributes:
        key: Its path; at a slot, its parts.
        values: One of each variant; `ABSENT` where it has none, as an option of a part that is not there.
        differs: Whether variants that could have it have it otherwise.
    """

    key: str
    values: tuple[Any, ...]
    differs: bool


@dataclass(frozen=True)
class Cell:
    """A number of a variant.

    Attributes:
        values: Run id -> its value.
    """

    values: Mapping[str, float]

    @property
    def n(self) -> int:
        """How many runs have it."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over the runs; not finite if one of them is not."""
        return mean_of(list(self.values.values()))

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the runs; None of a single one, or if it is not finite."""
        values = list(self.values.values())
        return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None


def mean_of(values: Sequence[float]) -> float:
    """Their mean; the first that is not finite, if there is one: infinities have no sum."""
    odd = next((value for value in values if not math.isfinite(value)), None)
    return statistics.fmean(values) if odd is None else odd


@dataclass(frozen=True)
class Number:
    """A number and its cell in each variant.

    Attributes:
        group: ``training``, or an evaluation: split, pairs, size and protocol.
        name: What it is.
        unit: ``dB``, ``s``, ``GiB``; empty if it has none.
        digits: After the point; None for a whole number.
        better: ``higher``, ``lower``; empty where neither is.
        cells: One of each variant; None where it has no such number.
        notes: What to know of it: numbers of `Comparison.notes`, from 1.
        compares: Whether the cells are of the same thing.
        about: How it is defined.
        ahead: Of each variant, on how many of the same pairs it is better than `Comparison.against`, and of how many;
            None where single pairs are not known.
        differences: Of each variant, how far it is from `Comparison.against`; None where no interval can be told.
    """

    group: str
    name: str
    unit: str
    digits: int | None
    better: str
    cells: tuple[Cell | None, ...]
    notes: tuple[int, ...] = ()
    compares: bool = True
    about: str = ""
    ahead: tuple[tuple[int, int] | None, ...] = ()
    differences: tuple[Difference | None, ...] = ()

    @property
    def places(self) -> int:
        """Digits after the point that are printed of what is not whole: a tenth of a mean of whole numbers."""
        return 1 if self.digits is None else self.digits

    @property
    def best(self) -> frozenset[int]:
        """Which cells have the better mean, as it is printed; none where all print the same. It may be chance."""
        means = {
            place: round(cell.mean, self.places)
            for place, cell in enumerate(self.cells)
            if cell and not math.isnan(cell.mean)
        }
        if not (self.better and self.compares and len(means) > 1):
            return frozenset()
        best = max(means.values()) if self.better == "higher" else min(means.values())
        found = frozenset(place for place, mean in means.items() if mean == best)
        return frozenset() if len(found) == len(means) else found


@dataclass(frozen=True)
class Comparison:
    """Variants side by side.

    Attributes:
        variants: In the order in which their first runs were given.
        settings: Every setting that one of them has.
        numbers: Of training, then of evaluations.
        notes: What to know of it, a sentence or two each; those that no number names are about all.
        against: Place of the variant from which the others' differences are.
    """

    variants: tuple[Variant, ...]
    settings: tuple[SettingRow, ...]
    numbers: tuple[Number, ...]
    notes: tuple[str, ...]
    against: int = 0

    @property
    def differences(self) -> int:
        """How many differences have an interval."""
        return sum(one is not None for number in self.numbers for one in number.differences)

    @property
    def differing(self) -> tuple[SettingRow, ...]:
        """The settings that differ."""
        return tuple(row for row in self.settings if row.differs)


@dataclass
class Notes:
    """Sentences, each once."""

    told: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> int:
        """Its number, from 1."""
        if sentence not in self.told:
            self.told.append(sentence)
        return self.told.index(sentence) + 1
