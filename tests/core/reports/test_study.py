"""What came of a study: shares, how sure they are, agreement against published examples; answers of strangers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.reports.study import Tally, read_answers, tally, tally_facts, tally_text
from pgsynth_core.reports.study.agreement import fleiss_kappa, krippendorff_alpha
from pgsynth_core.reports.study.answers import LARGEST
from pgsynth_core.reports.study.tally import wilson

from ...fixtures.studies import METHODS, answer_facts, invented_key, write_answers

# Fleiss 1971, table 1 as it is commonly reprinted: ten subjects, fourteen raters, five categories; kappa 0.210.
FLEISS = """0 0 0 0 14, 0 2 6 4 2, 0 0 3 5 6, 0 3 9 2 0, 2 2 8 1 1,
            7 7 0 0 0, 3 2 6 3 0, 2 5 3 2 2, 6 5 2 1 0, 0 2 2 3 7"""
# Krippendorff 2011, section C: four observers, twelve units, 41 values and holes; nominal alpha 0.743.
KRIPPENDORFF = """1 2 3 3 2 1 4 1 2 . . .
                  1 2 3 3 2 2 4 1 2 5 . 3
                  . 3 3 3 2 3 4 2 2 5 1 .
                  1 2 3 3 2 4 4 1 2 5 1 ."""


# ------------------------------------------------------------------------------------------- agreement
def test_kappa_is_that_of_the_published_example() -> None:
    counts = np.array([[int(cell) for cell in row.split()] for row in FLEISS.split(",")], np.int64)
    assert counts.sum() == 140 and fleiss_kappa(counts) == pytest.approx(0.20993, abs=5e-6)


def test_alpha_is_that_of_the_published_example() -> None:
    rows = [row.split() for row in KRIPPENDORFF.splitlines()]
    units = list(zip(*rows, strict=True))
    counts = np.array([[unit.count(str(value)) for value in range(1, 6)] for unit in units], np.int64)
    assert krippendorff_alpha(counts) == pytest.approx(0.743, abs=5e-4)
    assert fleiss_kappa(counts) is None, "not everybody saw every unit"


@pytest.mark.parametrize(
    ("counts", "value"), [([[4, 0], [0, 4]], 1.0), ([[4, 0], [4, 0]], None), ([[1, 0], [0, 1]], None)]
)
def test_agreement_at_its_ends(counts: list[list[int]], value: float | None) -> None:
    assert fleiss_kappa(np.array(counts)) == value and krippendorff_alpha(np.array(counts)) == value


# ------------------------------------------------------------------------------------------- shares
def test_wilsons_interval_is_scipys() -> None:
    from scipy.stats import binomtest

    for count, of in ((0, 7), (3, 7), (7, 7), (46, 100), (1, 1)):
        found = binomtest(count, of).proportion_ci(method="wilson")
        assert wilson(count, of) == pytest.approx((found.low, found.high), abs=1e-12)
    assert wilson(0, 0) == (0, 1)


def counted(folder: Path, raters: int, questions: int, choose: Any, methods: tuple[str, ...] = METHODS) -> Tally:
    key = invented_key(questions, methods)
    files = [
        write_answers(folder, key, f"r{rater}", lambda number, _, rater=rater: choose(rater, number))
        for rater in range(raters)
    ]
    return tally(key, *read_answers(key, files))


def test_shares_are_those_of_the_choices(tmp_path: Path) -> None:
    found = counted(tmp_path, 10, 8, lambda rater, number: ("ours", "mcld", "", "ours")[(rater + number) % 4])
    assert [share.count for share in found.shares] == [0, 20, 40] and found.ties == 20 and found.answers == 80
    assert [share.value for share in found.shares] == pytest.approx([0, 1 / 3, 2 / 3]) and found.best == {2}
    assert "pigeonhole" in found.intervals and sum(found.places) == 60
    for share in found.shares:
        assert 0 <= share.low <= share.value <= share.high <= 1 and share.high - share.low > 0.05
    against = {(one.first, one.second): one for one in found.versus}
    assert against["mcld", "ours"].share.count == 20 and against["mcld", "ours"].clear
    assert against["pidm", "ours"].share.value == 0 and against["pidm", "ours"].share.of == 40
    assert [sum(asked.counts) + asked.ties for asked in found.questions] == [10] * 8


def test_raters_of_one_mind_each_make_the_interval_wide(tmp_path: Path) -> None:
    """Half of the raters always choose one method: 200 answers say no more than 10 raters."""
    found = counted(tmp_path, 10, 20, lambda rater, _: "ours" if rater % 2 else "mcld")
    share = found.shares[2]
    alone = wilson(100, 200)
    assert share.value == 0.5 and share.high - share.low > 3 * (alone[1] - alone[0])
    assert share.low < 0.25 and share.high > 0.75


def test_where_answers_are_independent_the_interval_is_about_the_usual_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    chosen = random.integers(0, 3, (30, 30))
    share = counted(tmp_path, 30, 30, lambda rater, number: METHODS[chosen[rater, number]]).shares[0]
    low, high = wilson(share.count, share.of)
    assert 0.8 < (share.high - share.low) / (high - low) < 2.2


def test_one_rater_gets_wilsons_interval(tmp_path: Path) -> None:
    found = counted(tmp_path, 1, 8, lambda _, number: METHODS[number % 3])
    assert (found.shares[0].low, found.shares[0].high) == wilson(3, 8) and "Wilson" in found.intervals
    assert found.kappa is None and found.alpha is None and "one rater" in found.notes[0]


def test_a_method_that_everybody_always_chooses_is_not_certain(tmp_path: Path) -> None:
    found = counted(tmp_path, 6, 9, lambda *_: "ours")
    assert (found.shares[2].low, found.shares[2].high) == wilson(6, 6)
    assert found.shares[0].low == 0 and 0.2 < found.shares[0].high < 0.5


def test_nothing_but_ties_has_no_share(tmp_path: Path) -> None:
    found = counted(tmp_path, 3, 2, lambda *_: "")
    facts = tally_facts(found)
    assert facts["preferences"]["ours"] == {"share": None, "count": 0, "of": 0, "interval95": None}
    assert facts["ties"] == 6 and facts["best"] == [] and "| - |" in tally_text(found, "markdown")


# ------------------------------------------------------------------------------------------- forms
def test_every_form(tmp_path: Path) -> None:
    names = ("a_b|c", "=SUM(1)", "ours & more")
    found = counted(tmp_path, 5, 4, lambda rater, number: names[(rater + number) % 2], names)
    markdown, latex = tally_text(found, "markdown"), tally_text(found, "latex")
    assert r"| Method | a\_b\|c | =SUM(1) | ours & more |" in markdown and "**50.0%**" in markdown
    assert r"Method & a\_b|c".replace("|", r"\textbar{}") in latex and r"ours \& more \\" in latex
    assert r"\textbf{50.0\%}" in latex and latex.endswith("\\end{tabular}")
    rows = list(csv.reader(io.StringIO(tally_text(found, "csv"))))
    assert rows[0] == ["question", "pair", "answers", "a_b|c", "'=SUM(1)", "ours & more", "cannot tell"]
    assert rows[1] == ["q0", "pair0", "5", "3", "2", "0", "0"] and len(rows) == 5
    facts = json.loads(json.dumps(tally_facts(found), allow_nan=False))
    assert facts["best"] == ["a_b|c", "=SUM(1)"] and facts["raters"][0]["median_seconds"] == 1.5


# ------------------------------------------------------------------------------------------- answers of strangers
def refusal(folder: Path, content: str | bytes | dict[str, Any], *, cannot_tell: bool = True) -> str:
    file = folder / "answers-x.json"
    text = json.dumps(content) if isinstance(content, dict) else content
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UserError) as caught:
        read_answers(invented_key(3, cannot_tell=cannot_tell), [file])
    assert all(problem.where == str(file) and problem.cure for problem in caught.value.problems)
    return str(caught.value)


def good() -> dict[str, Any]:
    return answer_facts(invented_key(3), "anna", lambda *_: "ours")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda facts: facts.update(study="1" * 32), "another study"),
        (lambda facts: facts.update(extra=1), "extra"),
        (lambda facts: facts.update(rater=["anna"]), "rater"),
        (lambda facts: facts.update(rater="  "), "no name"),
        (lambda facts: facts.update(rater="x" * 61), "rater"),
        (lambda facts: facts.update(answers=[]), "no question"),
        (lambda facts: facts.update(pgsynth_study_answers=2), "pgsynth_study_answers"),
        (lambda facts: facts["answers"].append(facts["answers"][0]), "second one"),
        (lambda facts: facts["answers"][0].update(question="q9"), "'q9'"),
        (lambda facts: facts["answers"][0].update(chosen="c1ours"), "not shown"),
        (lambda facts: facts["answers"][0].update(shown=["c0ours", "c0ours", "c0mcld"]), "what was shown"),
        (lambda facts: facts["answers"][0].update(seconds=-1), "seconds"),
        (lambda facts: facts["answers"][0].update(seconds="1"), "seconds"),
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    facts = good()
    change(facts)
    assert words in refusal(tmp_path, facts)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", "[]", "[" * 100_000, '{"answers": NaN}', b"\x00" * 9])
def test_what_is_no_answer_is_refused(tmp_path: Path, content: str | bytes) -> None:
    assert "these are no answers" in refusal(tmp_path, content)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    assert "2.0 MiB at most" in refusal(tmp_path, b" " * (LARGEST + 1))


def test_cannot_tell_counts_only_where_it_was_offered(tmp_path: Path) -> None:
    facts = answer_facts(invented_key(3), "anna", lambda *_: "")
    assert "one has to choose" in refusal(tmp_path, facts, cannot_tell=False)


def test_what_is_something_else_is_told_in_one_line(tmp_path: Path) -> None:
    key = invented_key(2)
    (tmp_path / "mine.json").write_text(key.model_dump_json(), encoding="utf-8")
    (tmp_path / "other.json").write_text('{"a": 1, "b": 2, "c": 3}', encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_answers(key, [tmp_path])
    assert [problem.message for problem in caught.value.problems] == [
        "this is the key of a study, not answers.",
        "these are no answers to a study (pgsynth_study_answers is not 1).",
    ]


def test_a_folder_of_answers_is_read_without_the_key(tmp_path: Path) -> None:
    key = invented_key(2)
    (tmp_path / "key.json").write_text(key.model_dump_json(), encoding="utf-8")
    for name in ("b", "a"):
        write_answers(tmp_path, key, name, lambda *_: "ours")
    assert [one.rater for one in read_answers(key, [tmp_path])[0]] == ["a", "b"]


def test_all_bad_files_are_told_at_once(tmp_path: Path) -> None:
    key = invented_key(2)
    with pytest.raises(UserError) as caught:
        read_answers(key, [tmp_path / "gone.json", tmp_path])
    assert [problem.message for problem in caught.value.problems] == [
        "there is no such file.",
        "this folder holds no answers.",
    ]


def test_of_one_rater_the_fullest_file_counts(tmp_path: Path) -> None:
    key = invented_key(4)
    (tmp_path / "early").mkdir()
    early = write_answers(tmp_path / "early", key, "anna", lambda *_: "ours", first=2)
    late = write_answers(tmp_path, key, "ANNA", lambda *_: "ours", first=3)
    rated, told = read_answers(key, [early, late, late])
    assert [(one.rater, len(one.choices)) for one in rated] == [("ANNA", 3)]
    assert told[0].startswith("answers-anna.json holds nothing that") and "3 of 4 questions" in told[1]


def test_two_of_one_name_who_differ_are_refused(tmp_path: Path) -> None:
    key = invented_key(2)
    (tmp_path / "other").mkdir()
    one = write_answers(tmp_path, key, "7", lambda *_: "ours")
    other = write_answers(tmp_path / "other", key, "7", lambda *_: "mcld")
    with pytest.raises(UserError, match="both of the rater '7'.*two people"):
        read_answers(key, [one, other])
