"""Scoring: what cannot be used is left out and named, and no evaluation takes the place of another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core import Run, load
from pgsynth_core.api import evaluate, sample_pairs
from pgsynth_core.api.adjust import adjusted
from pgsynth_core.api.evaluating import Evaluated
from pgsynth_core.api.model import Model
from pgsynth_core.api.pictures import sampled_sheet
from pgsynth_core.data.records import DataError

from .conftest import write_folder


@pytest.fixture
def model(small_run: Run, tmp_path: Path) -> Model:
    """The small run with a home of its own, so that each test finds no evaluation there."""
    return load(Path(shutil.copytree(small_run.path, tmp_path / "runs" / small_run.id)))


def on_photos(model: Model, root: Path, *, cut: str, bad: str = "skip") -> Model:
    """The model on other photos, some of them cut short."""
    write_folder(root)
    for name in cut:
        (root / f"{name}.png").write_bytes((root / f"{name}.png").read_bytes()[:200])
    return adjusted(model, [f"data.folder.root={root}", f"data.folder.bad={bad}"])


def about(found: Evaluated) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(found.scores.read_text(encoding="utf-8"))["about"]
    return told


# ------------------------------------------------------------------------------------------- what cannot be used
def test_a_pair_that_cannot_be_used_is_left_out_and_named(model: Model, tmp_path: Path) -> None:
    whole = evaluate(model)
    found = evaluate(on_photos(model, tmp_path / "cut", cut="b"))
    assert len(whole.table.rows) == 3 and about(whole)["skipped"] == {"count": 0, "first": {}}
    (row,) = found.table.rows
    assert row == whole.table.rows[2], "the others are what they were"
    skipped = about(found)["skipped"]
    assert skipped["count"] == 2 and list(skipped["first"]) == [one.name for one in whole.table.rows[:2]]
    assert all("b.png" in reason for reason in skipped["first"].values())
    (sentence,) = found.pictures.warnings
    assert "2 pairs" in sentence and "b.png" in sentence and not whole.pictures.warnings
    assert sorted(path.name for path in found.pictures.folder.glob("*.png")) == sorted([f"{row.name}.png", "sheet.png"])


def test_a_row_that_cannot_be_used_is_named_too(model: Model, tmp_path: Path) -> None:
    other = on_photos(model, tmp_path / "rows", cut="")
    with open(tmp_path / "rows" / "pairs.csv", "a", encoding="utf-8") as file:
        file.write("a.png,nobody.png\n")
    made = sample_pairs(other, tmp_path / "made")
    assert len(made.names) == 3 and len(made.skipped) == 1 and "nobody.png" in made.warnings[0]


def test_nothing_that_can_be_used_is_an_error_that_leaves_nothing(model: Model, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png"):
        evaluate(on_photos(model, tmp_path / "one", cut="ab"), limit=1)
    with pytest.raises(DataError, match=r"b\.png.*bad=skip"):
        evaluate(on_photos(model, tmp_path / "fail", cut="b", bad="fail"))
    assert model.run and not (model.run.path / "evaluation").exists()
    with pytest.raises(DataError, match=r"b\.png"):
        sample_pairs(on_photos(model, tmp_path / "first", cut="b", bad="fail"), tmp_path / "drawn")
    assert not (tmp_path / "drawn").exists()


def test_what_fails_later_leaves_nothing_either(model: Model) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, limit=1, on_picture=stop)
    assert model.run and not (model.run.path / "evaluation").exists()
    evaluate(model, limit=1)
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, limit=2, on_picture=stop)
    assert [path.name for path in (model.run.path / "evaluation").iterdir()] == ["test-00000002-first1"]


def test_a_sheet_of_training_shows_the_first_that_can_be_used(model: Model, tmp_path: Path) -> None:
    other = on_photos(model, tmp_path / "cut", cut="b")
    assert len(sampled_sheet(other.assembly, tmp_path / "sheet", split="test", pairs=1).paths) == 1


# ------------------------------------------------------------------------------------------- where it goes
def test_other_settings_get_a_folder_of_their_own(model: Model, tmp_path: Path) -> None:
    plain = load(model.home, ema=False)
    by_step = {"scale": [3.0, 1.0], "until": 0.5}
    both = [adjusted(model, guidance={"pose": 2.0, "appearance": scale}) for scale in (2.0, by_step)]
    turned = adjusted(model, guidance={"appearance": 3.0, "pose": 2.0})
    elsewhere = on_photos(model, tmp_path / "copy", cut="")
    others = [model, plain, *both, turned, elsewhere]
    found = [evaluate(one, limit=1) for one in others]
    names = [one.scores.parent.name for one in found]
    assert names == ["test-00000002-first1", *(f"test-00000002-first1.{number}" for number in range(2, 7))]
    assert [about(one)["ema"] for one in found] == [True, False, True, True, True, True]
    again = evaluate(both[1], limit=1)
    assert again.scores == found[3].scores and again.table == found[3].table


def test_the_same_settings_replace_the_whole_folder(model: Model) -> None:
    first = evaluate(model, limit=2)
    stale = first.pictures.folder / "stale.png"
    stale.write_bytes(b"")
    again = evaluate(model, limit=2)
    assert again.scores == first.scores and not stale.exists()
    assert all(path.is_file() for path in (*again.pictures.paths, again.pictures.sheet, again.scores))
    assert [path.name for path in first.scores.parent.parent.iterdir()] == ["test-00000002-first2"]


def test_what_is_interrupted_leaves_what_was_there(model: Model) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    first = evaluate(model, limit=1)
    before = first.scores.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, limit=1, on_picture=stop)
    assert first.scores.read_bytes() == before and first.pictures.paths[0].is_file()
    assert [path.name for path in first.scores.parent.parent.iterdir()] == ["test-00000002-first1"]
