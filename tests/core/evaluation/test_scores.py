"""Scoring pairs: rows, means, the baseline, what is refused, and the files, whole or not at all."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pgsynth_core.evaluation.measures import ssim

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation import MEASURES, Compared, ScoreTable, score_pairs


def noise(seed: int, size: tuple[int, int] = (32, 24)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@pytest.fixture
def table() -> ScoreTable:
    """Three pictures: two that differ from the truth, one that equals it; the first source equals its target."""
    pairs = [Compared(f"pair {n}", noise(n), noise(n + 10), noise(n + 10 * (n < 1) + 20 * (n > 0))) for n in range(2)]
    return score_pairs([*pairs, Compared("same", noise(5), noise(5), noise(6))], about={"run": "r1", "step": 200})


def test_a_row_per_pair_in_order(table: ScoreTable) -> None:
    assert [row.name for row in table.rows] == ["pair 0", "pair 1", "same"]
    assert table.rows[1].values["ssim"] == ssim(noise(1), noise(11))
    assert table.rows[1].copy_source["ssim"] == ssim(noise(21), noise(11))
    assert table.rows[0].size == (32, 24) and list(table.mean) == list(MEASURES)


def test_means_are_of_the_pictures(table: ScoreTable) -> None:
    for name in ("ssim", "l1"):
        assert table.mean[name] == pytest.approx(np.mean([row.values[name] for row in table.rows]))
        assert table.copy_source[name] == pytest.approx(np.mean([row.copy_source[name] for row in table.rows]))
    assert table.mean["psnr"] == math.inf, "one of the pictures equals its target"
    assert math.isfinite(table.rows[0].values["psnr"])


def test_plain_tuples_do_and_give_no_baseline() -> None:
    table = score_pairs([("a", noise(0), noise(1))])
    assert (
        table.copy_source == {} and table.facts()["copy_source"] == {} and "copy_source" not in table.facts()["rows"][0]
    )


def test_a_baseline_of_some_is_none() -> None:
    table = score_pairs([Compared("a", noise(0), noise(1), noise(2)), Compared("b", noise(0), noise(1))])
    assert table.copy_source == {} and table.rows[0].copy_source


def test_pairs_are_taken_one_at_a_time() -> None:
    alive = 0

    def pairs() -> Iterator[Compared]:
        nonlocal alive
        for n in range(3):
            alive += 1
            assert alive == n + 1
            yield Compared(str(n), noise(n), noise(n + 1))

    assert len(score_pairs(pairs()).rows) == 3


# ------------------------------------------------------------------------------------------- what is refused
def test_everything_that_cannot_be_scored_is_named() -> None:
    pairs = [
        Compared("shape", noise(0), noise(1, (24, 32))),
        Compared("source", noise(0), noise(1), noise(2, (16, 16))),
        Compared("good", noise(0), noise(1)),
        Compared("good", noise(0), noise(1)),
        Compared("small", noise(0, (10, 40)), noise(1, (10, 40))),
    ]
    with pytest.raises(UserError) as caught:
        score_pairs(pairs)
    said = [(problem.where, problem.message) for problem in caught.value.problems]
    assert [where for where, _ in said] == ["shape", "source", "good", "small"]
    assert "32x24" in said[0][1] and "24x32" in said[0][1] and "twice" in said[2][1] and "11x11" in said[3][1]
    assert all(problem.cure for problem in caught.value.problems)


def test_a_thousand_bad_pairs_are_not_all_told() -> None:
    with pytest.raises(UserError) as caught:
        score_pairs((str(n), noise(0), noise(1, (24, 32))) for n in range(1000))
    assert len(caught.value.problems) == 20


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(UserError, match="no picture"):
        score_pairs([])


# ------------------------------------------------------------------------------------------- files
def strict(text: str) -> Any:
    """JSON without NaN and Infinity, which Python would write and read and nobody else does."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_the_json_holds_everything(table: ScoreTable, tmp_path: Path) -> None:
    facts = strict(table.to_json(tmp_path / "scores.json").read_text("utf-8"))
    assert facts == table.facts()
    assert facts["schema"] == 1 and facts["about"] == {"run": "r1", "step": 200} and facts["images"] == 3
    assert facts["mean"]["psnr"] is None and facts["mean"]["ssim"] == table.mean["ssim"]
    assert facts["copy_source"]["l1"] == table.copy_source["l1"]
    assert [row["name"] for row in facts["rows"]] == ["pair 0", "pair 1", "same"]
    assert facts["rows"][0]["size"] == [32, 24] and facts["rows"][2]["psnr"] is None
    for name, measure in MEASURES.items():
        assert facts["measures"][name]["id"] == measure.id and facts["measures"][name]["definition"]
    assert facts["libraries"]["scikit-image"][0].isdigit()
    assert "rows" not in table.facts(rows=False)


def test_the_csv_is_read_back_exactly(table: ScoreTable, tmp_path: Path) -> None:
    with open(table.to_csv(tmp_path / "scores.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["name", "height", "width", "ssim", "psnr", "l1"]
    for read, row in zip(rows, table.rows, strict=True):
        assert (read["name"], read["height"], read["width"]) == (row.name, "32", "24")
        assert {name: float(read[name]) for name in row.values} == row.values
        assert {name: float(read[f"copy_source_{name}"]) for name in row.copy_source} == row.copy_source


def test_names_with_commas_and_breaks_survive(tmp_path: Path) -> None:
    table = score_pairs([('a,"b"\nc', noise(0), noise(1))])
    with open(table.to_csv(tmp_path / "scores.csv"), encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ['a,"b"\nc']


@pytest.mark.parametrize("write", [ScoreTable.to_json, ScoreTable.to_csv])
def test_the_old_file_stays_where_writing_fails(
    table: ScoreTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    path = tmp_path / "scores"
    path.write_text("old", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write(table, path)
    assert path.read_text("utf-8") == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said(table: ScoreTable, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        table.to_csv(tmp_path / "no" / "scores.csv")
    assert caught.value.problems[0].where.endswith("scores.csv")
