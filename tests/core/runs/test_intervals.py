"""Intervals of means and of differences: by hand, against scipy, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_ind, ttest_rel

from pgsynth_core.runs.intervals import Difference, bootstrap_intervals, difference

SEEDS, PAIRS = 3, 30


def values(seed: int, *shape: int) -> np.ndarray:
    """Random values, a row a run."""
    return np.random.default_rng(seed).normal(size=shape)


def ends(found: Difference | None) -> tuple[float, float]:
    """Of its interval."""
    assert found is not None
    return found.low, found.high


# ------------------------------------------------------------------------------------------- one table
def test_an_interval_of_a_mean_is_that_of_scipy_but_for_chance() -> None:
    column = np.random.default_rng(1).exponential(size=200)
    (low, high) = bootstrap_intervals({"x": column.tolist()})["x"]
    told = bootstrap((column,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(0))
    assert (low, high) == pytest.approx(tuple(told.confidence_interval), abs=0.02)
    assert low < column.mean() < high
    assert bootstrap_intervals({"x": column.tolist()})["x"] == (low, high), "the same every time"


def test_columns_of_other_lengths_and_those_that_allow_none() -> None:
    found = bootstrap_intervals({"one": [1.0], "inf": [1.0, math.inf], "b": [1.0, 2.0, 3.0], "a": [2.0, 2.0]})
    assert [*found] == ["b", "a"] and found["a"] == (2.0, 2.0)


# ------------------------------------------------------------------------------------------- differences
def test_a_hand_worked_difference_over_pairs_and_seeds() -> None:
    """Differences 1 3 / 3 9: run means 2 and 6, pair means 2 and 6, mean 4, what is left over +-1 each."""
    found = difference(np.zeros((2, 2)), np.array([[1.0, 3.0], [3.0, 9.0]]), same_seeds=True)
    assert found is not None
    of_seeds = 8 / 2  # the variance of 2 and 6 is 8, and that of its mean half of it
    of_both = 4 / 1 / 4  # four ones squared, one degree of freedom, mean over four values
    of_pairs = 8 / 2 - of_both
    half = 12.706204736432095 * math.sqrt(of_seeds + of_pairs)  # Student's, one degree of freedom, of both
    assert found.mean == 4 and ends(found) == pytest.approx((4 - half, 4 + half))
    assert (found.over, found.pairs, found.runs, found.matched) == ("pairs and seeds", 2, (2, 2), True)
    assert not found.clear


@pytest.mark.parametrize("same", [True, False])
def test_over_pairs_alone_it_is_the_paired_t_test(same: bool) -> None:
    first, second = values(1, 1, PAIRS), values(2, 1, PAIRS)
    found = difference(first, second, same_seeds=same)
    told = ttest_rel(second[0], first[0]).confidence_interval(0.95)
    assert ends(found) == pytest.approx((told.low, told.high))
    assert found is not None and (found.over, found.pairs, found.matched) == ("pairs", PAIRS, False)


def test_a_single_run_of_one_side_leaves_pairs_alone() -> None:
    first, second = values(1, 1, PAIRS), values(2, SEEDS, PAIRS)
    found = difference(first, second, same_seeds=False)
    told = ttest_rel(np.mean(second, axis=0), first[0]).confidence_interval(0.95)
    assert ends(found) == pytest.approx((told.low, told.high))
    assert found is not None and (found.over, found.runs) == ("pairs", (1, SEEDS))


def test_over_seeds_alone_it_is_the_t_test_of_whole_runs() -> None:
    first, second = values(1, SEEDS, 1), values(2, SEEDS, 1)
    flat = np.ravel(second), np.ravel(first)
    told = ttest_rel(*flat).confidence_interval(0.95)
    assert ends(found := difference(first, second, same_seeds=True)) == pytest.approx((told.low, told.high))
    assert found is not None and (found.over, found.pairs, found.matched) == ("seeds", 0, True)
    told = ttest_ind(*flat, equal_var=False).confidence_interval(0.95)
    assert ends(difference(first, second, same_seeds=False)) == pytest.approx((told.low, told.high))
    told = ttest_ind(flat[0][:2], flat[1], equal_var=False).confidence_interval(0.95)
    found = difference(first, second[:2], same_seeds=True)
    assert ends(found) == pytest.approx((told.low, told.high)), "of unequal numbers none are matched"


def test_seeds_that_disagree_widen_it_beyond_any_number_of_pairs() -> None:
    noise = 0.01 * np.random.default_rng(0).normal(size=(SEEDS, 1000))
    runs = noise + np.array([[0.0], [1.0], [2.0]])
    found = difference(np.zeros((SEEDS, 1000)), runs, same_seeds=True)
    assert found is not None and found.high - found.low == pytest.approx(2 * 4.302652729911275 / math.sqrt(3), rel=1e-3)


def test_what_does_not_vary_or_is_not_finite() -> None:
    def of(first: list[float], second: list[float]) -> Difference | None:
        return difference(np.array([first]), np.array([second]), same_seeds=True)

    assert of([1.0], [2.0]) is None and of([1.0, math.inf], [2.0, 1.0]) is None and of([], []) is None
    same = of([1.0, 2.0], [1.0, 2.0])
    assert same is not None and (same.mean, *ends(same), same.clear) == (0, 0, 0, False)
    moved = of([1.0, 2.0], [0.5, 1.5])
    assert moved is not None and ends(moved) == (-0.5, -0.5) and not moved.clear, "of no spread none can be told"


@pytest.mark.parametrize("apart", [[0.0, 0.0], [0.0, 0.0, 1e-16], [0.5, 0.5, 0.5 + 1e-16]])
def test_what_only_rounding_tells_apart_is_not_clear(apart: list[float]) -> None:
    """By the sign of what is left of 0.1 + 0.2 - 0.3, or because an interval has next to no width."""
    found = difference(np.full((1, len(apart)), 0.1 + 0.2), 0.3 + np.array([apart]), same_seeds=True)
    assert found is not None and found.low == found.mean == found.high and not found.clear
    assert found.mean == pytest.approx(apart[0], rel=1e-12, abs=0), "no difference is none"


@pytest.mark.parametrize("same", [True, False], ids=["same seeds", "other seeds"])
@pytest.mark.parametrize(
    ("of_seeds", "of_pairs", "of_both"), [(0.0, 1.0, 1.0), (0.2, 1.0, 0.5), (0.3, 0.0, 1.0), (1.0, 1.0, 1.0)]
)
def test_it_holds_the_truth_in_about_95_of_100_experiments(
    of_seeds: float, of_pairs: float, of_both: float, same: bool
) -> None:
    """Two methods a known difference apart; how well a method does varies by seed, by pair, and by both."""
    random, truth, experiments, held = np.random.default_rng(7), 0.3, 1000, 0
    shape = (experiments, 2, SEEDS, PAIRS)
    made = of_seeds * random.normal(size=(experiments, 2, SEEDS, 1))
    made = made + of_pairs * random.normal(size=(experiments, 2, 1, PAIRS)) + of_both * random.normal(size=shape)
    made += random.normal(size=(experiments, 1, 1, PAIRS))  # that a pair is hard, it is for both
    if same:
        made += random.normal(size=(experiments, 1, SEEDS, 1))
    for first, second in made:
        found = difference(first, second + truth, same_seeds=same)
        held += found is not None and found.low <= truth <= found.high
    assert 93 <= 100 * held / experiments <= 99
