"""Pairs that a metric has no value for: such as the likeness of a face that nobody sees."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.cli.evaluate import below_source, score_rows
from pgsynth_core.errors import PartError
from pgsynth_core.evaluation import ScoreTable, Shown, Yardstick, score
from pgsynth_core.evaluation.protocol import Bound, Choice
from pgsynth_core.manifest import Scores
from pgsynth_core.metrics import MetricContext, PairMetric, Picture
from pgsynth_core.registry import discover

from ...fixtures.scored import InMemory, Once, earlier, noise, scored, standard


class Bright(PairMetric):
    """Brightness; of what is black there is none."""

    @property
    def id(self) -> str:
        return "bright"

    @property
    def definition(self) -> str:
        return "The mean of what is not black."

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float | None]:
        return [float(picture.mean()) if picture.any() else None for picture in predicted]


class Said(Bright):
    """What it was told to say, pair after pair."""

    def __init__(self, *said: float) -> None:
        super().__init__(None, MetricContext(label="said"))
        self.said = [*said]

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float | None]:
        return [self.said.pop(0) for _ in predicted]


def by(metric: PairMetric) -> Yardstick:
    """By l1, and a metric as that of a protocol."""
    of_pairs, yardstick = discover().find("metric", "face_similarity"), standard(("l1",))
    return replace(yardstick, metrics=(*yardstick.metrics, Bound(Choice("bright", of_pairs), metric)))


def table(*pairs: tuple[bool, bool]) -> ScoreTable:
    """Of each pair, whether the prediction is seen and whether the source is."""
    dark = np.zeros((32, 24, 3), np.uint8)
    shown = [
        (f"p{number}", Shown(noise(number) if one else dark, noise(number + 9), noise(number + 5) if source else dark))
        for number, (one, source) in enumerate(pairs)
    ]
    return scored(shown, yardstick=by(Bright(None, MetricContext(label="bright"))))


def test_a_mean_is_of_those_that_have_one(tmp_path: Path) -> None:
    found = table((True, True), (False, True), (True, False))
    assert found.counted("bright") == 2 and found.counted("l1") == 3 and not found.missing
    assert next(row for row in score_rows(found) if row[0] == "bright")[1].endswith("(2 pairs)")
    with found.to_csv(tmp_path / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["bright"] == "" for row in rows] == [False, True, False]
    assert [row["copy_source_bright"] == "" for row in rows] == [False, False, True]


def test_what_no_pair_has_a_value_for_is_told_and_below_nothing() -> None:
    found = table((False, True), (False, True))
    assert "bright" not in found.mean and "bright" in found.copy_source
    assert found.missing["bright"].message == "none of 2 pairs has a value."
    assert "bright" not in below_source(found)
    assert table((False, False)).missing["bright"].message == "the pair has no value."


def test_a_pair_without_a_value_is_not_looked_at_again(tmp_path: Path) -> None:
    dark, yardstick = np.zeros((32, 24, 3), np.uint8), by(Bright(None, MetricContext(label="bright")))
    pairs = [("a", Shown(dark, noise(1), dark)), ("b", Shown(noise(2), noise(3), noise(4)))]
    hashes = [("p0", "t0"), ("p1", "t1")]
    first = score(Once(pairs, hashes), yardstick)
    facts = json.loads(first.to_json(tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert facts["rows"][0]["no_value"] == facts["rows"][0]["copy_source_no_value"] == ["bright"]
    assert "no_value" not in facts["rows"][1]
    again = Once(pairs, hashes)
    assert score(again, yardstick, earlier=earlier(tmp_path / "scores.json", yardstick)) == first
    assert again.read_at == []
    alone = replace(yardstick, metrics=yardstick.metrics[1:])
    assert "bright" in score(Once(pairs, hashes), alone).copy_source, "a source without a value is a source"


def test_batched_metrics_are_asked_only_for_what_is_not_known(tmp_path: Path) -> None:
    said = by(Said(0.5, 0.25, 0.75))
    component = said.metrics[1].choice.entry.component
    scores = Scores(of="pair", better="lower", device=True)
    entry = replace(said.metrics[1].choice.entry, component=component.model_copy(update={"scores": scores}))
    yardstick = replace(said, metrics=(said.metrics[0], replace(said.metrics[1], choice=Choice("bright", entry))))
    first = score(Once(two(), [("p0", "t0"), ("p1", "t1")]), yardstick)
    place = first.to_json(tmp_path / "scores.json")
    more = [*two(), ("c", Shown(noise(7), noise(8)))]
    found = score(Once(more, [("p0", "t0"), ("p1", "t1"), ("p2", "t2")]), yardstick, earlier=earlier(place, yardstick))
    assert found.column("bright") == [0.5, 0.25, 0.75]


# ------------------------------------------------------------------------------------------- what is no number
def two() -> list[tuple[str, Shown]]:
    return [(name, Shown(noise(number), noise(number + 9))) for number, name in enumerate("ab")]


def test_a_value_that_is_no_number_is_the_metrics_fault() -> None:
    with pytest.raises(PartError, match="bright gives no number") as caught:
        score(InMemory(two()), by(Said(0.5, math.nan)), skip=True)
    assert caught.value.problems[0].where == "b"


@pytest.mark.parametrize(
    ("value", "plain", "written"), [(math.inf, None, "infinite"), (-math.inf, "-inf", "-infinite")]
)
def test_infinity_keeps_its_sign(value: float, plain: str | None, written: str, tmp_path: Path) -> None:
    found = scored(two(), yardstick=by(Said(0.5, value)))
    assert found.mean["bright"] == value and found.measures["bright"].written(value) == written
    facts = json.loads(found.to_json(tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert facts["mean"]["bright"] == plain and facts["rows"][1]["bright"] == plain


def test_infinities_of_both_signs_have_no_mean() -> None:
    found = scored(two(), yardstick=by(Said(math.inf, -math.inf)))
    assert "bright" not in found.mean and "no mean" in found.missing["bright"].message
