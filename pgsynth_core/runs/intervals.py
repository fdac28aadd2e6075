"""How sure a mean is, and a difference of means: 95 % intervals. Floor 1, no torch.

Of one table of scores, pairs are drawn again with replacement (percentile bootstrap, Efron 1979). Of runs of two
methods on the same pairs, two things vary at once, pairs and seeds, and there are few seeds: a bootstrap of three seeds
is far too sure of itself. There the variances of both are estimated and added, and the interval is Student's, with
Satterthwaite's degrees of freedom; so three seeds that disagree give a wide interval, as they should.

All of it takes pairs for independent. Pairs of one person are not quite: intervals are a little too narrow for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

__all__ = ["DRAWS", "LEVEL", "Difference", "bootstrap_intervals", "difference"]

LEVEL: Final = 0.95
DRAWS: Final = 2000
"""So often pairs are drawn again: the ends of an interval are then good to a few hundredths of its width."""

_CHUNK: Final = 2**22
"""Values that are gathered at once, at most."""


def bootstrap_intervals(columns: Mapping[str, Sequence[float]], *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """The interval of each column's mean: the same draws for all columns, the same every time.

    Args:
        columns: Name -> values, a value a pair. Columns may be of different lengths.
        seed: Of the draws.

    Returns:
        Name -> low and high; without those of fewer than two values, or with one that is not finite.
    """
    found: dict[str, tuple[float, float]] = {}
    by_length: dict[int, list[str]] = {}
    for name, values in columns.items():
        if len(values) > 1 and all(map(math.isfinite, values)):
            by_length.setdefault(len(values), []).append(name)
    for names in by_length.values():
        table = np.array([columns[name] for name in names], np.float64).T
        low, high = np.quantile(_means(table, np.random.default_rng(seed)), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        found |= {name: (float(low[at]), float(high[at])) for at, name in enumerate(names)}
    return {name: found[name] for name in columns if name in found}


def _means(table: Float64[np.ndarray, "n m"], random: np.random.Generator) -> Float64[np.ndarray, "draws m"]:
    length = len(table)
    step = max(1, _CHUNK // table.size)
    means = [
        table[random.integers(0, length, (min(step, DRAWS - done), length))].mean(axis=1)
        for done in range(0, DRAWS, step)
    ]
    return np.concatenate(means)


@dataclass(frozen=True)
class Difference:
    """How far the mean of one method is from that of another.

    Attributes:
        mean: Second less first.
        low: Of the interval.
        high: Of the interval.
        over: What it is over: ``pairs``, ``seeds``, or ``pairs and seeds``.
    """

    mean: float
    low: float
    high: float
    over: str

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out no difference at all."""
        return self.low > 0 or self.high < 0


def difference(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], *, same_seeds: bool
) -> Difference | None:
    """The difference of two methods' means on the same pairs.

    Args:
        first: Values of the first method: for each run one a pair; runs of as many pairs. A run of a single value, such
            as its loss, has no pairs.
        second: Those of the second, of the same pairs in the same order.
        same_seeds: Whether run by run both have the same seed: then they differ pairwise.

    Returns:
        None where nothing varies that could be measured (one run each, of one pair), or a value is not finite.
    """
    a, b = np.array(first, np.float64), np.array(second, np.float64)
    if not (a.size and b.size and np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    parts = [*_of_seeds(a, b, same_seeds=same_seeds and len(a) == len(b))]
    seeds, pairs = bool(parts), a.shape[1] > 1
    mean = float(b.mean() - a.mean())
    if pairs:
        of_pairs = b.mean(axis=0) - a.mean(axis=0)
        parts.append((float(of_pairs.var(ddof=1)) / len(of_pairs), len(of_pairs) - 1))
    if not parts:
        return None
    half = _half_width(parts)
    over = " and ".join(["pairs"] * pairs + ["seeds"] * seeds)
    return Difference(mean, mean - half, mean + half, over)


def _of_seeds(a: np.ndarray, b: np.ndarray, *, same_seeds: bool) -> list[tuple[float, int]]:
    """Variance of the difference that comes of seeds, and its degrees of freedom; empty where a side has one seed.

    What both pairs and seeds bring about, such as the noise of single pictures, is in this and in that of pairs: the
    interval is the wider for it.
    """
    if min(len(a), len(b)) < 2:
        return []
    if same_seeds:
        of_runs = b.mean(axis=1) - a.mean(axis=1)
        return [(float(of_runs.var(ddof=1)) / len(of_runs), len(of_runs) - 1)]
    return [(float(side.mean(axis=1).var(ddof=1)) / len(side), len(side) - 1) for side in (a, b)]


def _half_width(parts: Sequence[tuple[float, int]]) -> float:
    """Half of Student's interval for a sum of variances (Satterthwaite 1946)."""
    from scipy.stats import t  # 0.3 s: for who compares

    variance = sum(part for part, _ in parts)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if part)
    return float(t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance)
