"""Intervals of means and of differences: by hand, against scipy, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_ind, ttest_rel

from pgsynth_core.runs.compared import Difference
from pgsynth_core.runs.grouping import groups_of
from pgsynth_core.runs.intervals import bootstrap_intervals, difference

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
    (low, high) = bootstrap_intervals({"x": column.tolist()}, range(200))["x"]
    told = bootstrap((column,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(0))
    assert (low, high) == pytest.approx(tuple(told.confidence_interval), abs=0.02)
    assert low < column.mean() < high
    assert bootstrap_intervals({"x": column.tolist()}, range(200))["x"] == (low, high), "the same every time"


def test_groups_are_drawn_together_and_by_the_same_draws_for_all_columns() -> None:
    """That of pairs each twice is that of each once; of two columns, one with gaps, one draws what the other does."""
    once = np.random.default_rng(1).exponential(size=40)
    alone = bootstrap_intervals({"x": once.tolist()}, range(40))["x"]
    twice = np.repeat(once, 2)
    gaps = np.where(np.arange(80) % 2, math.nan, twice)
    found = bootstrap_intervals({"gaps": gaps.tolist(), "x": twice.tolist()}, [number // 2 for number in range(80)])
    assert found["x"] == pytest.approx(alone) and found["gaps"] == pytest.approx(alone)


def test_columns_that_allow_no_interval() -> None:
    columns = {"one": [1.0, math.nan, math.nan], "inf": [1.0, math.inf, 2.0], "b": [1.0, 2.0, 3.0], "a": [2.0] * 3}
    found = bootstrap_intervals(columns, range(3))
    assert [*found] == ["b", "a"] and found["a"] == (2.0, 2.0)
    assert not bootstrap_intervals(columns, [0, 0, 0]) and not bootstrap_intervals({}, [])


def test_groups_are_what_hangs_together_by_photos() -> None:
    photos = [("a", "b"), ("c", "d"), ("b", "e"), (), (), ("f", "c"), ("g",), ("e", "a")]
    assert groups_of(photos) == (0, 1, 0, 2, 3, 1, 4, 0)


@pytest.mark.slow
def test_of_pairs_that_are_alike_95_of_100_intervals_hold_the_truth_by_groups_and_not_by_pairs() -> None:
    """Groups of 1 to 24 pairs; of the variance of a value, and of a difference, a fifth is the group's."""
    random, experiments, held = np.random.default_rng(5), 200, dict.fromkeys(("mean", "pairs", "apart", "naive"), 0)
    groups = np.repeat(np.arange(60), random.integers(1, 25, 60))
    for _ in range(experiments):
        first, second = (
            math.sqrt(0.2) * random.normal(size=60)[groups] + math.sqrt(0.8) * random.normal(size=len(groups))
            for _ in range(2)
        )
        for name, by in (("mean", groups), ("pairs", np.arange(len(groups)))):
            low, high = bootstrap_intervals({"x": first.tolist()}, by.tolist())["x"]
            held[name] += low <= 0 <= high
        for name, by in (("apart", groups.tolist()), ("naive", [])):
            low, high = ends(difference(first[None], second[None], same_seeds=True, groups=by))
            held[name] += low <= 0 <= high
    share = {name: 100 * count / experiments for name, count in held.items()}
    assert 90 <= share["mean"] <= 98 and 91 <= share["apart"] <= 99
    assert share["pairs"] < 80 and share["naive"] < 80


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
    again = difference(
        np.zeros((2, 4)), np.repeat([[1.0, 3.0], [3.0, 9.0]], 2, axis=1), same_seeds=True, groups=[5, 5, 2, 2]
    )
    assert ends(again) == pytest.approx(ends(found)) and again is not None and (again.pairs, again.groups) == (4, 2)
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
