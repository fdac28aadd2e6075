"""Scores side by side: protocols never mixed, pairs known again, differences with intervals over pairs and seeds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from pgsynth_core.errors import UserError
from pgsynth_core.reports.cells import over_text
from pgsynth_core.runs.compared import Difference, Number
from pgsynth_core.runs.comparing import compare
from pgsynth_core.runs.evaluations import read_evaluation
from pgsynth_core.runs.intervals import difference
from pgsynth_core.runs.reader import read_facts
from pgsynth_core.runs.scores import number_of

from ...fixtures.compared_runs import write_run, write_scores
from .test_comparing import compared, number, said

EQ9 = {"attn.pma.mask": "eq9"}
SMALL, LARGE = ("cfld", "64x48"), ("cfld", "128x96")
NONE = math.nan


def rows(found: Any, name: str = "ssim") -> dict[str, Number]:
    """Group -> its row of that name."""
    return {row.group: row for row in found.numbers if row.name == name}


def of(row: Number, place: int = 1) -> Difference:
    """The difference of a variant."""
    found = row.differences[place]
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------- protocols
def test_protocols_and_their_sizes_are_never_mixed(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    for run, score in ((one, 0.1), (other, 0.2)):
        write_scores(run, [score, score], by=("standard", ""))
        write_scores(run, [score + 0.3] * 2, by=SMALL, size=(64, 48))
        write_scores(run, [score + 0.6] * 2, by=LARGE, size=(128, 96))
    found = compared(one, other)
    means = {group: [cell and round(cell.mean, 6) for cell in row.cells] for group, row in rows(found).items()}
    assert means == {
        "test, 2 pairs of 128x96, cfld": [0.7, 0.8],
        "test, 2 pairs of 32x24, standard": [0.1, 0.2],
        "test, 2 pairs of 64x48, cfld": [0.4, 0.5],
    }
    assert not any("evaluated otherwise" in note for note in found.notes)


def test_two_protocols_of_one_size_do_not_share_a_row_and_who_lacks_one_is_told_how_to_have_it(root: Path) -> None:
    one, other, third = write_run(root), write_run(root, EQ9), write_run(root, {"train.batch_size": 2})
    write_scores(one, [0.5, 0.7], by=("standard", ""))
    write_scores(other, [0.5, 0.7], by=("cfld", "32x24"))
    for by in (("standard", ""), ("cfld", "32x24")):
        write_scores(third, [0.4, 0.7], by=by)
    found = compared(one, other, third)
    assert {group: list(map(bool, row.cells)) for group, row in rows(found).items()} == {
        "test, 2 pairs of 32x24, standard": [True, False, True],
        "test, 2 pairs of 32x24, cfld": [False, True, True],
    }
    told = said(found, rows(found)["test, 2 pairs of 32x24, cfld"])
    assert "by the protocol standard. To have it there, too: pgsynth evaluate " in told
    assert told.endswith(f"{one.id} --protocol cfld")


def test_other_ways_of_resizing_or_cutting_are_kept_apart(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, 0.7], by=("cfld", "32x24"))
    file = write_scores(other, [0.5, 0.7], by=("cfld", "32x24"))
    assert len(rows(compared(one, other))) == 1
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["about"]["resizing"]["predictions"] = "another"
    file.write_text(json.dumps(facts), encoding="utf-8")
    found = compared(one, other)
    assert len(rows(found)) == 2 and any("cut or resized otherwise" in note for note in found.notes)


def test_a_table_from_before_there_were_protocols_is_the_standard_one(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.4, 0.6], by=("standard", ""), targets="t")
    (row,) = rows(compared(one, other)).values()
    assert row.group.endswith(", standard") and all(row.cells)


# ------------------------------------------------------------------------------------------- the same pairs
@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"source": None, "targets": "t"}, {"source": None, "targets": "t"}, True),
        ({"source": None, "targets": "t"}, {"source": None, "targets": "u"}, False),
        ({"source": 0.2, "targets": "t"}, {"source": 0.3, "targets": "t"}, False),
        ({"source": 0.2, "targets": "t"}, {"source": 0.2}, True),
        ({"source": 0.2}, {"source": None, "targets": "t"}, False),
        ({"source": None}, {"source": None}, True),
        ({"source": None}, {"source": 0.2}, False),
    ],
)
def test_pairs_are_known_by_what_both_tables_say_of_them(
    root: Path, first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, 0.7], **first)
    write_scores(other, [0.5, 0.7], **second)
    for runs in ((one, other), (other, one)):
        assert (len(rows(compared(*runs))) == 1) == same


def test_a_table_that_knows_both_brings_those_together_that_know_one(root: Path) -> None:
    by_source, by_targets, by_both = (write_run(root, {"train.batch_size": size}) for size in (2, 4, 6))
    write_scores(by_source, [0.5, 0.7])
    write_scores(by_targets, [0.5, 0.7], source=None, targets="t")
    write_scores(by_both, [0.5, 0.7], targets="t")
    (row,) = rows(compared(by_source, by_targets, by_both)).values()
    assert all(row.cells)


# ------------------------------------------------------------------------------------------- differences
def test_over_pairs_and_seeds_that_are_matched_whatever_their_order(root: Path) -> None:
    scores = np.random.default_rng(0).normal(0.5, 0.1, (2, 3, 6))
    runs = []
    for seed in (2, 0, 1):
        runs.append(write_run(root, {"train.seed": seed}))
        write_scores(runs[-1], scores[0, seed].tolist())
    for seed in (0, 1, 2):
        runs.append(write_run(root, {"train.seed": seed, **EQ9}))
        write_scores(runs[-1], scores[1, seed].tolist())
    row = number(compared(*runs), "ssim")
    told, wanted = of(row), difference(scores[0], scores[1], same_seeds=True)
    assert wanted is not None and (told.over, told.pairs, told.runs) == ("pairs and seeds", 6, (3, 3))
    assert (told.mean, told.low, told.high) == pytest.approx((wanted.mean, wanted.low, wanted.high))
    assert told.matched and row.differences[0] is None


def test_seeds_that_are_not_the_same_ones_are_not_matched(root: Path) -> None:
    first, second = [0.5, 0.6, 0.8], [0.7, 0.8]
    runs = [write_run(root, {"train.seed": seed}) for seed in range(3)]
    runs += [write_run(root, {"train.seed": seed, **EQ9}) for seed in (1, 2)]
    for run, score in zip(runs, (*first, *second), strict=True):
        write_scores(run, [score])
    told, wanted = of(number(compared(*runs), "ssim")), ttest_ind(second, first, equal_var=False)
    ends = wanted.confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((ends.low, ends.high))
    assert (told.over, told.runs, told.matched) == ("seeds", (3, 2), False)


def test_one_run_each_is_told_apart_over_pairs_alone(root: Path) -> None:
    one, other = write_run(root), write_run(root, {"train.seed": 7, **EQ9})
    first, second = [0.5, 0.7, 0.1], [0.6, 0.9, 0.1]
    write_scores(one, first)
    write_scores(other, second)
    found = compared(one, other)
    told, ends = of(number(found, "ssim")), ttest_rel(second, first).confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((ends.low, ends.high)) and told.over == "pairs"
    assert not told.clear and number(found, "steps taken").differences == () and found.differences == 3


def test_pairs_that_share_photos_are_one_group_wherever_that_is_known(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, 0.5, 0.7, 0.1])
    file = write_scores(other, [0.6, 0.6, 0.9, 0.1])
    facts = json.loads(file.read_text(encoding="utf-8"))
    for row in facts["rows"]:
        row["group"] = max(1, int(row["name"][-1]))
    file.write_text(json.dumps(facts), encoding="utf-8")
    told = of(number(compared(one, other), "ssim"))
    wanted = difference(
        np.array([[0.5, 0.5, 0.7, 0.1]]), np.array([[0.6, 0.6, 0.9, 0.1]]), same_seeds=True, groups=[0, 0, 1, 2]
    )
    assert wanted is not None and (told.low, told.high) == pytest.approx((wanted.low, wanted.high))
    assert over_text(told) == "4 pairs in 3 groups"


def test_against_another_variant_or_run(root: Path) -> None:
    runs = [write_run(root, {"train.batch_size": size}) for size in (2, 4, 6)]
    for run, score in zip(runs, ([0.5, 0.7], [0.6, 0.9], [0.1, 0.2]), strict=True):
        write_scores(run, score)
    facts = [read_facts(run) for run in runs]
    first, second, third = compare(facts), compare(facts, against="B"), compare(facts, against=runs[1].id)
    assert (first.against, second.against, third.against) == (0, 1, 1)
    row = number(second, "ssim")
    assert row.differences[1] is None and row.ahead == ((0, 2), None, (0, 2)) and row.best == {1}
    assert of(row, 0).mean == pytest.approx(-of(number(first, "ssim")).mean) == pytest.approx(-0.15)
    assert second.numbers == third.numbers
    for word in ("D", f"{runs[1].id}x"):
        with pytest.raises(UserError, match="none of what is compared"):
            compare(facts, against=word)


def test_losses_are_told_apart_over_seeds_where_they_are_of_the_same_thing(root: Path) -> None:
    runs = [write_run(root, {"train.seed": seed}, loss=loss) for seed, loss in ((0, 0.5), (1, 0.7))]
    runs += [write_run(root, {"train.seed": seed, **EQ9}, loss=loss) for seed, loss in ((0, 0.4), (1, 0.65))]
    told = of(number(compared(*runs), "mean loss of last 4 steps"))
    ends = ttest_rel([0.4, 0.65], [0.5, 0.7]).confidence_interval(0.95)
    assert (told.low, told.high) == pytest.approx((ends.low, ends.high)) and (told.over, told.pairs) == ("seeds", 0)
    assert number(compared(*runs), "time a step").differences == (), "of time, other seeds say nothing"
    assert number(compared(runs[0], runs[2]), "mean loss of last 4 steps").differences == (None, None), "one run each"
    other = number(compared(*runs[:3]), "mean loss of last 4 steps")
    assert not other.compares and other.differences == ()


# ------------------------------------------------------------------------------------------- sets and gaps
def test_a_measure_of_sets_is_told_apart_over_seeds_alone(root: Path) -> None:
    runs = [write_run(root, {"train.seed": seed, **more}) for more in ({}, EQ9) for seed in (0, 1)]
    for run, score in zip(runs, (9.0, 9.5, 8.0, 8.7), strict=True):
        write_scores(run, [0.5, 0.7], fid=(score, "ref"))
    row = number(compared(*runs), "fid")
    ends = ttest_rel([8.0, 8.7], [9.0, 9.5]).confidence_interval(0.95)
    assert (of(row).low, of(row).high) == pytest.approx((ends.low, ends.high)) and of(row).over == "seeds"
    assert row.ahead == () and row.digits == 3 and row.best == {1}
    alone = number(compared(runs[0], runs[2]), "fid")
    assert alone.differences == (None, None) and alone.best == {1}


def test_sets_that_were_compared_with_other_sets_are_not_compared(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, 0.7], fid=(9.0, "ref"))
    write_scores(other, [0.4, 0.6], fid=(8.0, "elsewhere"))
    row = number(found := compared(one, other), "fid")
    assert not row.compares and not row.best and "compared with other sets" in said(found, row)
    assert number(found, "ssim").best == {0}


def test_pairs_without_a_value_count_for_neither_side(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, NONE, 0.7, 0.3])
    write_scores(other, [0.6, 0.9, 0.9, NONE])
    row = number(found := compared(one, other), "ssim")
    ends = ttest_rel([0.6, 0.9], [0.5, 0.7]).confidence_interval(0.95)
    assert (of(row).low, of(row).high) == pytest.approx((ends.low, ends.high)) and of(row).pairs == 2
    assert row.ahead == (None, (2, 2)) and "Not every pair" in said(found, row)
    assert row.cells[1] is not None and row.cells[1].mean == pytest.approx(0.8), "over the pairs that it has"


def test_of_means_over_different_pairs_none_is_the_better(root: Path) -> None:
    one, other, third = write_run(root), write_run(root, EQ9), write_run(root, {"train.batch_size": 2})
    write_scores(one, [0.2, 0.2, 0.9, 0.9])
    write_scores(other, [NONE, NONE, 0.8, 0.8])
    write_scores(third, [NONE, NONE, 0.9, 0.8])
    row = number(found := compared(one, other), "ssim")
    assert row.best == frozenset() and row.ahead == (None, (0, 2)) and "none is marked" in said(found, row)
    assert number(compared(other, third), "ssim").best == {1}, "the same pairs have none"


def test_a_measure_that_was_not_computed_is_left_out(root: Path) -> None:
    file = write_scores(write_run(root), [0.5, 0.7], fid=(9.0, "ref"))
    facts = json.loads(file.read_text(encoding="utf-8"))
    del facts["mean"]["fid"]
    facts["not_computed"] = {"fid": {"reason": "no weights.", "cure": ""}}
    file.write_text(json.dumps(facts), encoding="utf-8")
    found = read_evaluation(file)
    assert found is not None and [*found.measures] == [*found.means] == [*found.values] == ["ssim", "psnr", "l1"]


def test_a_value_that_is_infinite_has_no_difference_and_is_ahead(root: Path) -> None:
    one, other = write_run(root), write_run(root, EQ9)
    write_scores(one, [0.5, 0.7])
    file = write_scores(other, [0.6, 0.9])
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["rows"][0]["psnr"] = facts["mean"]["psnr"] = None
    file.write_text(json.dumps(facts), encoding="utf-8")
    row = number(compared(one, other), "psnr")
    assert row.differences == (None, None) and row.ahead == (None, (2, 2)) and row.best == {1}


def test_numbers_of_a_table_are_read_alike_wherever_they_are_read() -> None:
    assert [number_of(value) for value in (None, "-inf", 0.5, 3)] == [math.inf, -math.inf, 0.5, 3.0]
    for value in ("0.5", "nan", [], {}):
        with pytest.raises((TypeError, ValueError)):
            number_of(value)
