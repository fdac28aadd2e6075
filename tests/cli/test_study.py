"""`pgsynth study make` and `study tally`: a study from its making to its table, as a maker goes through it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.reports.study import read_key

from ..fixtures.studies import METHODS, write_answers, write_results

Run = Callable[..., Any]


@pytest.fixture
def made(run: Run, tmp_path: Path) -> Path:
    """A study of three methods and four questions."""
    root = write_results(tmp_path, count=4)
    words = ["--results", *(f"{name}={root / name}" for name in METHODS), "--gt", f"{root / 'photos'}"]
    said = run("study", "make", *words, "--pairs", f"{root / 'pairs.csv'}", "-o", f"{root / 'study'}", "--cannot-tell")
    assert said.code == 0, said.err
    assert "4 questions at 32x24, 3 methods" in said.out and "no more pairs" in said.err
    return root / "study"


@pytest.fixture
def answered(made: Path, tmp_path: Path) -> list[str]:
    """Six raters, of whom the last gave up half way."""
    key = read_key(made)
    files = [
        write_answers(tmp_path, key, f"r{rater}", lambda number, _, rater=rater: METHODS[2 - (number + rater) % 4 // 3])
        for rater in range(5)
    ]
    return [*map(str, files), str(write_answers(tmp_path, key, "r5", lambda *_: "", first=2))]


def test_the_table_is_like_the_papers(run: Run, made: Path, answered: list[str]) -> None:
    said = run("study", "tally", str(made), *answered)
    assert (said.code, said.err) == (0, "")
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0].endswith("6 raters, 4 questions, 22 answers") and "method pidm mcld ours" in lines
    assert (
        "* its interval lies above an even share, one in 3." in lines and "* its interval leaves out a half." in lines
    )
    assert "preferences 0.0% 25.0% 75.0% *" in lines and "choices 0 5 15" in lines
    assert any(line.startswith("mcld 100.0%") for line in lines) and "r5 answered 2 of 4 questions" in said.out
    assert "2 of 22 answers tell no difference" in said.out and "Krippendorff's alpha" in said.out


@pytest.mark.parametrize(
    ("form", "begins"), [("markdown", "| Method |"), ("latex", "% \\usepackage{booktabs}"), ("csv", "question,pair,")]
)
def test_every_form_on_the_screen_and_in_a_file(
    run: Run, made: Path, answered: list[str], tmp_path: Path, form: str, begins: str
) -> None:
    said = run("study", "tally", str(made), *answered, "--format", form)
    assert said.code == 0 and said.out.startswith(begins)
    file = tmp_path / "table"
    told = run("study", "tally", str(made), *answered, "--format", form, "-o", str(file))
    assert told.code == 0 and "preferences" in told.out and file.read_text(encoding="utf-8") == said.out


def test_as_json(run: Run, made: Path, answered: list[str], tmp_path: Path) -> None:
    file = tmp_path / "tally.json"
    facts = run("study", "tally", str(made), *answered, "--json", "-o", str(file)).facts
    assert facts["ok"] and facts["best"] == ["ours"] and facts["preferences"]["ours"]["count"] == 15
    assert len(facts["raters"]) == 6 and len(facts["questions"]) == 4 and json.loads(file.read_text()) == facts
    assert facts["agreement"]["fleiss_kappa"] is None and facts["agreement"]["krippendorff_alpha"] < 1


def test_make_as_json(run: Run, tmp_path: Path) -> None:
    root = write_results(tmp_path, count=2)
    words = ["--results", f"a={root / 'pidm'}", "--results", f"b={root / 'ours'}", "--gt", f"{root / 'photos'}"]
    said = run("study", "make", *words, "--pairs", f"{root / 'pairs.csv'}", "-o", f"{root / 's'}", "--json")
    facts = said.facts
    assert facts["ok"] and facts["methods"] == ["a", "b"] and facts["questions"] == 2 and facts["left_out"] == {}
    assert Path(facts["page"]).is_file() and read_key(Path(facts["key"])).study == facts["study"]


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["--results", "x"], "NAME=DIR"),
        (["--results", "a=x", "a=y"], "'a' is there twice"),
        (["--results", "a=x", "b=y", "--size", "big"], "each from 16 to 4096"),
        (["--results", "a=x", "b=y", "--size", "256x5000"], "each from 16 to 4096"),
        (["--results", "a=x", "b=y", "--quality", "101"], "Give 1 to 100"),
        (["--results", "a=x", "b=y"], "2 problems"),
        (["--results", "a=x", "b=y", "--cut", "a="], "e.g. a=40:216"),
        (["--results", "a=x", "b=y", "--cut", "1/2", "--cut", "2/2"], "--cut a=1/2"),
        (["--results", "a=.", "b=."], "a folder of its own"),
        ([], "--results"),
    ],
)
def test_make_refuses_with_a_cure(run: Run, tmp_path: Path, words: list[str], cure: str) -> None:
    said = run("study", "make", *words, "-o", str(tmp_path / "study"))
    assert said.code == 2 and cure in said.err and "Traceback" not in said.err and not (tmp_path / "study").exists()


def test_a_bare_rule_is_for_all_methods_but_those_that_are_named(run: Run, tmp_path: Path) -> None:
    root = write_results(tmp_path, count=2)
    words = ["--results", f"a={root / 'pidm'}", f"b={root / 'ours'}", "--gt", f"{root / 'photos'}"]
    words += ["--pairs", f"{root / 'pairs.csv'}", "--cut", "2:22", "--gt-cut", "0:20"]
    said = run("study", "make", *words, "-o", f"{root / 's'}", "--naming", "a={source}_2_{target}")
    assert said.code == 0 and "at 32x20" in said.out
    said = run("study", "make", *words, "--cut", "b=2:12", "-o", f"{root / 't'}")
    assert said.code == 2 and "32x10" in said.err and "32x20" in said.err


def test_tally_refuses_with_a_cure(run: Run, made: Path, answered: list[str], tmp_path: Path) -> None:
    def told(*words: str) -> str:
        said = run("study", "tally", *words)
        assert said.code == 2 and "Traceback" not in said.err
        return str(said.err)

    assert "there is no study" in told(str(tmp_path / "nowhere"), *answered)
    assert "there is no such file" in told(str(made), str(tmp_path / "answers-*.json"))
    assert "this is a folder" in told(str(made), *answered, "-o", str(tmp_path))
    assert "not allowed with argument --json" in told(str(made), *answered, "--json", "--format", "csv")
    (tmp_path / "key.json").write_text('{"pgsynth_study": 1}')
    assert "no key of a study" in told(str(tmp_path), *answered)
    held = json.loads((made / "key.json").read_text())
    held["questions"][0]["candidates"] = dict.fromkeys(held["questions"][0]["candidates"], "ours")
    (tmp_path / "key.json").write_text(json.dumps(held))
    assert "not of its methods" in told(str(tmp_path), *answered)
