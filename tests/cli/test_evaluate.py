"""`pgsynth evaluate` of a folder of anybody's results, and a run's evaluation shared by processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ..fixtures.scored import picture
from .conftest import Made

Run = Callable[..., Any]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The command for three results of 64x44."""
    for folder in ("made", "photos"):
        (tmp_path / folder).mkdir()
    rows = ["from,to"]
    for number in range(3):
        Image.fromarray(picture(number, 64, 44)).save(tmp_path / "made" / f"s{number}_to_t{number}_vis.jpg")
        Image.fromarray(picture(number + 50, 64, 44)).save(tmp_path / "photos" / f"t{number}.png")
        rows.append(f"s{number}.png,t{number}.png")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    places = {"--pred": "made", "--gt": "photos", "--pairs": "pairs.csv"}
    return ["evaluate", *(word for flag, name in places.items() for word in (flag, str(tmp_path / name)))]


def test_a_folder_is_scored_and_says_what_was_not_computed(
    run: Run, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    said = run(*words, "--metrics", "ssim,psnr,lpips")
    assert said.code == 0 and "3 pairs at 64x44 by standard, named {source}_to_{target}" in said.out
    assert "ssim" in said.out and " to " in said.out and "higher" in said.out and "lpips" not in said.out
    assert "lpips is not computed" in said.err and "--weights PATH" in said.err
    assert str(tmp_path / "made.scores" / "scores.json") in said.out


def test_json_holds_all_of_it(run: Run, words: list[str], tmp_path: Path) -> None:
    facts = run(
        *words, "--metrics", "psnr", "--also", "l1", "--size", "32x22", "-o", str(tmp_path / "out"), "--json"
    ).facts
    assert facts["ok"] and list(facts["mean"]) == ["psnr", "l1"] and facts["about"]["size"] == [32, 22]
    assert facts["scores"] == str(tmp_path / "out" / "scores-standard-32x22.json") and len(facts["rows"]) == 3
    assert json.loads(Path(facts["scores"]).read_text(encoding="utf-8"))["rows"] == facts["rows"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--protocol", "cfdl"], "Did you mean 'cfld'"),
        (["--metrics", "sim"], "Did you mean 'ssim'"),
        (["--protocol", "cfld", "--size", "256x192"], "does not compare at 256x192"),
        (["--cut", "4"], "is no cut"),
        (["--limit", "3"], "--limit is for a run"),
        (["some-run"], "some-run is for a run"),
        (["--weights", "nowhere.pth"], "there is no 'nowhere.pth'"),
        (["--bad", "maybe"], "maybe"),
        (["--shard", "3/2"], "no share"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_written(
    run: Run, words: list[str], tmp_path: Path, more: list[str], said: str
) -> None:
    answer = run(*words, *more)
    assert answer.code == 2 and said in answer.err and not (tmp_path / "made.scores").exists()


def test_half_of_the_words_are_not_enough(run: Run, words: list[str]) -> None:
    answer = run(*words[:3])
    assert answer.code == 2 and "--gt and --pairs are missing" in answer.err
    answer = run("evaluate", "latest", "--naming", "{source}")
    assert answer.code == 2 and "--naming is for a folder of results" in answer.err
    answer = run("evaluate")
    assert answer.code == 2 and "Name a run" in answer.err and "--pred DIR" in answer.err


def test_what_is_missing_is_counted(run: Run, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "made" / "s1_to_t1_vis.jpg").unlink()
    answer = run(*words, "--metrics", "psnr")
    assert answer.code == 2 and "1 of 3 pairs cannot be scored" in answer.err and "--bad skip" in answer.err
    answer = run(*words, "--metrics", "psnr", "--bad", "skip")
    assert answer.code == 0 and "2 pairs at" in answer.out and "1 of 3 pairs could not be scored" in answer.err


@pytest.mark.slow
def test_processes_share_an_evaluation(run: Run, trained: Made) -> None:
    words = ["evaluate", *trained.run, "--steps", "1", "--seed", "11", "--metrics", "psnr"]
    alone = run(*words, "--json").facts
    share = run(*words, "--shard", "2/2", "--fresh", "--processes", "3")
    assert share.code == 0 and "shard 2 of 2 is sampled" in share.out
    assert "--metrics, --processes do nothing beside --shard" in share.err
    assert (
        len(list(Path(alone["pictures"]).glob("*.png"))) == 1 and not (Path(alone["pictures"]) / "scores.json").exists()
    )
    both = run(*words, "--processes", "2", "--fresh", "--json").facts
    assert both["rows"] == alone["rows"] and not both["warnings"]
