"""Scoring: what cannot be used is left out and named, and no evaluation takes the place of another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core import Run, load
from pgsynth_core.api import evaluate, sample_pairs
from pgsynth_core.api.adjust import adjusted
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.evaluating import Evaluated, Evaluation
from pgsynth_core.api.evaluation_place import alone_on
from pgsynth_core.api.model import Model
from pgsynth_core.api.pictures import sampled_sheet
from pgsynth_core.api.scoring import Scoring
from pgsynth_core.data import read_image
from pgsynth_core.data.records import DataError, Dataset
from pgsynth_core.data.stamp import stamp_of
from pgsynth_core.errors import UserError
from pgsynth_core.evaluation import resized
from pgsynth_core.evaluation.share import Share
from pgsynth_core.reports.gallery import look_through

from ..fixtures.scored import metric
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


# ------------------------------------------------------------------------------------------- what a picture says
def test_pictures_say_which_pair_they_are_of_and_of_which_photos(model: Model, tmp_path: Path) -> None:
    spec = model.assembly.spec
    photos = dataset_of(spec, model.assembly.registry, "test")
    found, made = evaluate(model, limit=2), sample_pairs(on_photos(model, tmp_path / "cut", cut="b"), tmp_path / "made")
    for folder, command, pairs in ((found.pictures.folder, "evaluate", (0, 1)), (made.folder, "sample", (2,))):
        for index in pairs:
            said = stamp_of(folder / f"{photos.name(index)}.png")
            source, target = photos.photos_of(index) or ("", "")
            expected = {"pair": photos.name(index), "source": source, "pose": target, "split": "test"}
            expected |= {"made_with": command, "seed": spec.sample.seed}
            assert said is not None and source and {key: said[key] for key in expected} == expected
        sheet = stamp_of(folder / "sheet.png")
        assert sheet is not None and sheet["made_with"] == "sheet" and "pair" not in sheet
    facts = {one.path.stem: one.facts for one in look_through(made.folder, 9).pictures}
    assert facts[photos.name(2)]["source"] and facts[photos.name(2)]["pose"] != facts[photos.name(2)]["source"]


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


def test_what_is_there_is_taken_up_and_fresh_makes_it_anew(model: Model) -> None:
    first = evaluate(model, limit=2)
    times = [path.stat().st_mtime_ns for path in first.pictures.paths]
    again = evaluate(model, limit=2, on_picture=lambda done: pytest.fail("nothing is left to sample"))
    assert again.scores == first.scores and again.table == first.table
    assert [path.stat().st_mtime_ns for path in again.pictures.paths] == times
    fresh = evaluate(model, limit=2, fresh=True)
    assert fresh.table == first.table and fresh.pictures.paths[0].stat().st_mtime_ns != times[0]
    assert [path.name for path in first.scores.parent.parent.iterdir()] == ["test-00000002-first2"]


def test_what_was_cut_short_goes_on_and_gives_the_same(model: Model) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, on_picture=stop)
    assert model.run
    (folder,) = (model.run.path / "evaluation").iterdir()
    assert not (folder / "scores.json").exists() and len(list(folder.glob("*.png"))) == 1
    made: list[int] = []
    found = evaluate(model, on_picture=made.append)
    assert made == [2, 3] and found.scores.parent == folder
    whole = evaluate(model, fresh=True)
    assert whole.table == found.table and len(whole.table.rows) == 3


def test_a_pair_whose_picture_is_gone_is_no_silent_gap(model: Model, tmp_path: Path) -> None:
    scoring = Scoring(metrics=("l1",))
    for bad in ("fail", "skip"):
        evaluation = Evaluation(on_photos(model, tmp_path / bad, cut="", bad=bad), "test", None)
        evaluation.sample()
        (evaluation.folder / f"{evaluation.names[1]}.png").unlink()
        if bad == "fail":
            with pytest.raises(UserError, match=r"(?s)its picture is not there.*1 of 3 pairs cannot be scored"):
                evaluation.score(evaluation.yardstick(scoring))
        else:
            told = about(evaluation.score(evaluation.yardstick(scoring)))
            assert told["pairs"] == 3 and told["left_out"]["count"] == 1
            assert "not there" in told["left_out"]["first"][evaluation.names[1]]


def test_photos_that_changed_are_looked_at_again(model: Model, tmp_path: Path) -> None:
    other, scoring = on_photos(model, tmp_path / "photos", cut=""), Scoring(metrics=("l1",))
    first = evaluate(other, scoring=scoring)
    facts = json.loads(first.scores.read_text(encoding="utf-8"))["rows"][0]
    assert all(len(facts[f"{what}_sha256"]) == 64 for what in ("source", "target", "source_file", "target_file"))
    size = read_image(tmp_path / "photos" / "a.png").shape
    Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / "photos" / "a.png")
    again = evaluate(other, scoring=scoring)
    for before, after in zip(first.table.rows, again.table.rows, strict=True):  # a to b, b to c, c to a
        assert before.copy_source and after.copy_source
        source, target = after.name.split("___")
        assert (before.values == after.values) == (target != "a")
        assert (before.copy_source == after.copy_source) == ("a" not in (source, target))


def test_an_evaluation_by_other_versions_is_another_and_that_is_told(model: Model) -> None:
    first = Evaluation(model, "test", None)
    first.folder.mkdir(parents=True)
    assert Evaluation(model, "test", None).folder == first.folder, "empty, as after a crash"
    first.sample()
    assert (Evaluation(model, "test", None).folder, first.notes) == (first.folder, ())
    settings = json.loads((first.folder / "settings.json").read_text(encoding="utf-8"))
    assert set(settings["versions"]) >= {"pgsynth", "torch"} and settings["versions"]["torch"].count(".") == 1
    settings["versions"]["torch"] = "1.0"
    (first.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    other = Evaluation(model, "test", None)
    assert other.folder.name == f"{first.folder.name}.2"
    (note,) = other.notes
    assert "made by other versions (torch 1.0, now" in note and other.folder.name in note


def test_training_images_are_all_photos_or_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    scoring, evaluation = Scoring("cfld", "256x176", ("psnr",)), Evaluation(model, "test", None)
    problem = evaluation.yardstick(scoring).reference.problem
    assert problem and "does not say which" in problem.message and "--reference DIR" in problem.cure
    files = [Path("/photos/train/a.jpg"), Path("/photos/more/b.jpg")]
    monkeypatch.setattr(Dataset, "photos", lambda dataset: files)
    reference = evaluation.yardstick(scoring).reference
    assert reference.pictures is not None and (len(reference.pictures), reference.folder) == (2, "/photos")


def test_shares_make_the_same_pictures_as_one_process(model: Model) -> None:
    whole = evaluate(model)
    pictures = {path.name: path.read_bytes() for path in whole.pictures.paths}
    evaluation = Evaluation(model, "test", None)
    evaluation.clear()
    for number in (2, 1):
        evaluation.sample(Share(number, 2))
        assert sum(map(evaluation.has, evaluation.names)) == (1 if number == 2 else 3)
    again = evaluate(model, on_picture=lambda done: pytest.fail("both shares are there"))
    assert {path.name: path.read_bytes() for path in again.pictures.paths} == pictures and again.table == whole.table


def test_one_process_at_a_time_works_on_an_evaluation_or_a_share_of_it(model: Model) -> None:
    folder = Evaluation(model, "test", 1).folder
    with alone_on(folder):
        with pytest.raises(UserError, match=f"process {os.getpid()} on .* works on this evaluation already") as refused:
            evaluate(model, limit=1, fresh=True)
        assert refused.value.problems[0].where == str(folder) and not folder.exists()
        with alone_on(folder, Share(1, 2)), alone_on(folder, Share(2, 2)), alone_on(folder.with_name("other")):
            second = alone_on(folder, Share(2, 2))
            pytest.raises(UserError, second.__enter__).match("works on this")
    assert not folder.parent.exists(), "nothing was made"
    assert evaluate(model, limit=1).pictures.folder == folder
    assert [one.name for one in folder.parent.iterdir()] == [folder.name]


def test_what_a_killed_evaluation_left_holds_nobody_up(model: Model) -> None:
    folder = Evaluation(model, "test", 1).folder
    folder.parent.mkdir()
    hold = "import fcntl, os, sys, time; d = os.open(sys.argv[1], 66); fcntl.flock(d, 6); print(flush=True); time.sleep(60)"
    lock = folder.with_name(f".{folder.name}.lock")
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        with pytest.raises(UserError, match="another process works on this evaluation already"), alone_on(folder):
            pass
        process.kill()
    with alone_on(folder):
        assert lock.exists()


def test_the_first_pairs_are_kept_to_look_at(model: Model) -> None:
    found = evaluate(model, limit=1)
    name = found.table.rows[0].name
    kept = {path.name for path in (found.pictures.folder / "shown").iterdir()}
    assert kept == {f"{name}.{what}.png" for what in ("source", "pose", "target")} and found.pictures.sheet.is_file()


# ------------------------------------------------------------------------------------------- how it is scored
def test_another_protocol_scores_the_same_pictures(model: Model) -> None:
    first = evaluate(model)
    scoring = Scoring("cfld", "256x176", ("ssim", "psnr"))
    found = evaluate(model, scoring=scoring, on_picture=lambda done: pytest.fail("they are sampled already"))
    assert found.scores.name == "scores-cfld-256x176.json" and found.scores.parent == first.scores.parent
    assert found.table.rows[0].size == (256, 176) and about(found)["protocol"] == "cfld"
    assert found.table.mean["psnr"] != first.table.mean["psnr"] and found.table.copy_source
    dataset = dataset_of(model.assembly.spec, model.assembly.registry, "test")
    truth = resized(dataset.pair(0).target.image, (256, 176), "pillow-bicubic")
    made = resized(read_image(found.pictures.paths[0]), (256, 176), "torch-bicubic-truncated")
    (wanted,) = metric("psnr").values([made], [truth])
    assert found.table.rows[0].values["psnr"] == wanted, "the truth is the photo as it is stored"


def test_photos_that_are_padded_are_not_scored_as_squashed_ones(model: Model) -> None:
    spec = model.assembly.spec.model_copy(update={"fit": "pad"})
    padded = replace(model, assembly=replace(model.assembly, spec=spec))
    with pytest.raises(UserError, match=r"cfld compares whole photos.*fit=pad"):
        evaluate(padded, scoring=Scoring("cfld", metrics=("psnr",)))
    assert model.run and not (model.run.path / "evaluation").exists(), "before anything is sampled"
