"""How far variants are apart: differences from one of them with intervals, and on how many pairs each is ahead.

Of runs of the same seeds, they are taken seed by seed; of the same pairs, pair by pair. A pair that has no value in one
of the runs, as where no face was found, counts for neither side. Floor 1, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64

from pgsynth_core.runs.compared import Difference, Variant
from pgsynth_core.runs.intervals import difference
from pgsynth_core.runs.settings import SEED

__all__ = ["Values", "ahead", "differences"]

Values = Mapping[str, Sequence[float]]
"""Run id -> its value of each pair, not a number where there is none; or the one value that it has."""


def differences(
    variants: Sequence[Variant], values: Sequence[Values], against: int, groups: Sequence[int] = ()
) -> tuple[Difference | None, ...]:
    """How far the mean of each variant is from that of one.

    Args:
        variants: Whose seeds count.
        values: Of each.
        against: Place of the one.
        groups: Of each pair, the number of its group; by default each is one of its own.

    Returns:
        None for that one itself, and where no interval can be told.
    """
    found: list[Difference | None] = []
    for place, variant in enumerate(variants):
        first, second = values[against], values[place]
        if place == against or not (first and second):
            found.append(None)
            continue
        seeds = _seeds(variants[against], first), _seeds(variant, second)
        same = sorted(seeds[0]) == sorted(seeds[1]) and len({*seeds[0]}) == len(seeds[0])
        a, b = (_table(some, by if same else ()) for some, by in zip((first, second), seeds, strict=True))
        there = _there(a, b)
        alike = [group for group, one in zip(groups, there, strict=True) if one] if groups else ()
        found.append(difference(a[:, there], b[:, there], same_seeds=same, groups=alike))
    return tuple(found)


def _seeds(variant: Variant, values: Values) -> list[str]:
    of = {run.id: str(run.settings.get(SEED)) for run in variant.runs}
    return [of[run] for run in values]


def _table(values: Values, seeds: Sequence[str]) -> Float64[np.ndarray, "runs pairs"]:
    """A row for each run, in the order of their seeds if there are some."""
    runs = [run for _, run in sorted(zip(seeds, values, strict=True))] if seeds else values
    return np.array([values[run] for run in runs], np.float64)


def _there(*tables: Float64[np.ndarray, "_ pairs"]) -> Bool[np.ndarray, " pairs"]:
    """Which pairs have a value in every run."""
    return np.array(~np.isnan(np.concatenate(tables)).any(axis=0))


def ahead(values: Sequence[Values], against: int, *, better: str) -> tuple[tuple[int, int] | None, ...]:
    """On how many pairs each variant is better than one, by its mean over the runs, and of how many.

    Args:
        values: Of each.
        against: Place of the one.
        better: ``higher`` or ``lower``.
    """
    found: list[tuple[int, int] | None] = []
    for place, some in enumerate(values):
        if place == against or not (some and values[against]):
            found.append(None)
            continue
        a, b = _table(values[against], ()), _table(some, ())
        there = _there(a, b)
        one, other = (_mean(table[:, there]) for table in (a, b))
        found.append((int(((other > one) if better == "higher" else (other < one)).sum()), int(there.sum())))
    return tuple(found)


def _mean(table: Float64[np.ndarray, "runs pairs"]) -> Float64[np.ndarray, " pairs"]:
    """Over the runs; that of equal values is equal to them."""
    return np.array(table.mean(axis=0, dtype=np.longdouble), np.float64)
