"""`pgsynth leaderboard`: the papers alone, a run beside them, and what cannot be shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..fixtures.compared_runs import write_run, write_scores

Run = Callable[..., Any]
ABOUT = {"protocol": "standard", "pairs": 2, "left_out": {"count": 0}, "cuts": {}, "run": "one", "limit": None}


@pytest.fixture
def evaluated(tmp_path: Path) -> Path:
    """A folder with a run that has one evaluation."""
    folder = write_run(tmp_path / "runs", slug="one")
    file = write_scores(folder, [0.5, 0.7])
    facts = json.loads(file.read_text("utf-8"))
    facts["about"] |= ABOUT | {"run": folder.id}
    file.write_text(json.dumps(facts), "utf-8")
    return folder.path


def test_without_words_the_papers_are_shown(run: Run) -> None:
    said = run("leaderboard")
    assert said.code == 0 and said.err == ""
    assert "deepfashion 256x176, ranked by fid (lower is better) of cfld" in said.out
    assert said.out.count("not comparable:") == 2 and "> " not in said.out


def test_a_run_has_its_rows(run: Run, evaluated: Path) -> None:
    for word in (evaluated.name, str(evaluated), str(evaluated / "evaluation" / "test-00000040" / "scores.json")):
        facts = run("leaderboard", word, "--runs", str(evaluated.parent), "--dataset", "figures", "--json").facts
        (board,) = facts["boards"]
        (line,) = board["ranked"]
        assert (board["size"], board["protocol"], line["yours"]) == ("32x24", "standard", True)
        assert line["values"]["ssim"] == pytest.approx(0.6) and line["name"] == f"{evaluated.name}, step 40"


def test_scores_that_no_table_shows_are_refused(run: Run, evaluated: Path) -> None:
    file = str(next(evaluated.rglob("scores.json")))
    runs = ["--runs", str(evaluated.parent)]
    for limit in (["--size", "256x176"], ["--dataset", "deepfashion"]):
        refused = run("leaderboard", file, *limit, *runs)
        assert refused.code == 2 and refused.out == "" and "Traceback" not in refused.err
        said = " ".join(refused.err.split())
        assert "of figures at 32x24, stand in no table" in said and f"Leave {' '.join(limit)} out" in said
    both = run("leaderboard", evaluated.name, file, "--dataset", "figures", "--json", *runs).facts
    assert len(both["boards"][0]["ranked"]) == 1, "a file that is named twice stands there once"


def test_one_table_in_other_forms(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("leaderboard", "--table", "qen-table3", "--format", "csv").out)))
    assert [row["method"] for row in rows] == ["QEN", "QEN B4", "QEN B2", "QEN B3", "QEN B1"]
    assert rows[0]["PMA"] == "Eq. (5)"
    shares = run("leaderboard", "--table", "qen-table2", "--format", "markdown").out
    assert "| 1 | QEN | - | 46.0 |" in shares
    listed = run("leaderboard", "--table", "list", "--json").facts["tables"]
    assert {"qen-table1", "qen-table2", "qen-table3", "truepose"} <= {one["name"] for one in listed}
    assert "Ablation of queries and masks" in run("leaderboard", "--table", "list").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--table", "qen-tabel1"], "Did you mean 'qen-table1'"),
        (["--metric", "fit"], "Did you mean 'fid'"),
        (["--format", "html"], "no format 'html'"),
        (["--json", "--format", "csv"], "not allowed with argument --json"),
        (["nowhere.json"], "there is no such file"),
        (["nobody"], "nobody"),
        (["~nobody-of-that-name/scores.json"], "cannot be looked at"),
    ],
)
def test_what_cannot_be_shown_is_refused(words: list[str], said: str, run: Run, tmp_path: Path) -> None:
    refused = run("leaderboard", *words, "--runs", str(tmp_path))
    assert refused.code == 2 and said in refused.err and "Traceback" not in refused.err


def test_a_run_without_an_evaluation_says_how_to_make_one(run: Run, tmp_path: Path) -> None:
    folder = write_run(tmp_path, slug="bare")
    refused = run("leaderboard", folder.id, "--runs", str(tmp_path))
    assert refused.code == 2 and f"pgsynth evaluate {folder.id}" in refused.err


def test_a_folder_of_pictures_points_to_the_scores_beside_it(run: Run, evaluated: Path, tmp_path: Path) -> None:
    made, scores = tmp_path / "made", tmp_path / "made.scores"
    made.mkdir()
    assert run("leaderboard", str(made)).code == 2, "without scores it is no run, as ever"
    scores.mkdir()
    (scores / "scores-cfld-256x176.json").write_bytes(next(evaluated.rglob("scores.json")).read_bytes())
    refused = run("leaderboard", f"{made}/")
    assert refused.code == 2 and "spec.yaml" not in refused.err
    assert f"pgsynth leaderboard {scores}" in " ".join(refused.err.split())
    assert run("leaderboard", str(scores), "--dataset", "figures", "--json").facts["boards"]
