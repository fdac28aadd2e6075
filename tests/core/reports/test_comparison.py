"""A comparison as Markdown, LaTeX and CSV: read back, and with whatever a setting may hold."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import pytest

from pgsynth_core.reports import FORMATS, comparison_facts, comparison_text, difference_text, over_text, verdict
from pgsynth_core.runs.compared import Comparison, Difference, Number
from pgsynth_core.runs.comparing import compare
from pgsynth_core.runs.reader import read_facts

from ...fixtures.compared_runs import write_run, write_scores

WICKED = r"a|b_c\d&50%#$~^{}<*`[x]"


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    """Two runs of one variant with scores, and one of another whose folder has a wicked name."""
    root = tmp_path / "runs"
    one, other = write_run(root, loss=0.5), write_run(root, {"train.seed": 1}, loss=0.7)
    third = write_run(root, {"data.figures.root": WICKED, "train.only": ["qfft.*"]}, loss=math.nan)
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.6, 0.8])
    write_scores(third, [0.2, 0.4])
    return compare([read_facts(folder) for folder in (one, other, third)])


def test_every_row_of_markdown_has_as_many_cells(found: Comparison) -> None:
    lines = comparison_text(found, "markdown").splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    assert len(rows) > 12 and {len(row) for row in rows} == {3}
    cells = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert cells["ssim ↑"] == ["**0.6500 ± 0.0707**", "0.3000"]
    assert cells["data.figures.root"][1].replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == WICKED
    assert cells["train.only"] == [r"\[\]", r'\["qfft.\*"\]']
    assert cells["what differs"] == ["A (n=2)", "B (n=1)"]
    assert any("sample standard deviation" in line for line in lines)


@pytest.fixture
def apart(tmp_path: Path) -> Comparison:
    """Three variants: of two seeds each the first and the second, of one the third."""
    root, runs = tmp_path / "runs", []
    for variant, scores in enumerate(([0.5, 0.52], [0.3, 0.31], [0.51])):
        for seed, score in enumerate(scores):
            runs.append(write_run(root, {"train.seed": seed, "train.batch_size": variant + 1}))
            write_scores(runs[-1], [score, score + 0.2, score + 0.11 + 0.02 * variant])
    return compare([read_facts(run) for run in runs])


def test_a_difference_stands_below_its_number_with_what_it_is_over(apart: Comparison) -> None:
    lines = comparison_text(apart, "markdown").splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("| ssim")]
    cells = [cell.strip() for cell in lines[at + 1].replace("\\", "").split("|")[1:-1]]
    assert cells[:2] == ["... from A", ""]
    assert cells[2].startswith("**-0.1983 [-0.2") and cells[2].endswith("] (3 pairs, 2 seeds)**")
    assert cells[3] == "+0.0133 [-0.0440, +0.0707] (3 pairs)", "not clear of zero, and over other things"
    said = "\n".join(lines).replace("\\", "")
    assert "Differences are from A, with 95 % intervals" in said and "one over pairs alone says nothing" in said
    assert "0.3 of 6 (5 %) would be expected to look clear of zero by chance" in said
    assert "the interval of its difference says" in said and "it does not say" not in said


def test_what_all_intervals_of_a_row_are_over_is_said_once(found: Comparison) -> None:
    for form, name in (("markdown", "| ... from A (2 pairs) |"), ("latex", "... from A (2 pairs) &")):
        assert name in comparison_text(found, form)


def test_without_intervals_chance_is_not_ruled_out(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "runs", {"train.batch_size": size}) for size in (1, 2)]
    text = comparison_text(compare([read_facts(run) for run in runs]), "markdown")
    assert "more than chance, it does not say" in text and "from A" not in text and "interval" not in text


def test_differences_in_the_other_forms(apart: Comparison) -> None:
    text = comparison_text(apart, "latex")
    assert r"\textbf{$-$0.1983 [$-$0.2" in text and "+0.0133 [$-$0.0440, +0.0707] (3 pairs)" in text
    assert all(line.startswith("%") for line in text.splitlines() if "chance" in line)
    table = list(csv.DictReader(io.StringIO(comparison_text(apart, "csv"))))
    first, second, third = [row for row in table if row["name"] == "ssim"]
    assert first["difference"] == first["against"] == "" and second["against"] == "A"
    low, mean, high = (float(second[name]) for name in ("low", "difference", "high"))
    assert low < mean < high < 0 and mean == pytest.approx(-0.595 / 3)
    assert (second["over"], second["pairs"], third["over"]) == ("pairs and seeds", "3", "pairs")
    facts = json.loads(json.dumps(comparison_facts(apart), allow_nan=False))
    (ssim,) = [row for row in facts["numbers"] if row["name"] == "ssim"]
    assert facts["against"] == "A" and [*ssim["differences"]] == ["B", "C"]
    told = ssim["differences"]["B"]
    assert (told["low"], told["high"], told["clear"], told["runs"]) == (low, high, True, [2, 2])
    assert told["matched"] and not ssim["differences"]["C"]["clear"]


@pytest.mark.parametrize(
    ("mean", "half", "better", "text", "word"),
    [
        (0.012, 0.008, "higher", "+0.0120 [+0.0040, +0.0200]", "better"),
        (0.012, 0.008, "lower", "+0.0120 [+0.0040, +0.0200]", "worse"),
        (-0.012, 0.02, "lower", "-0.0120 [-0.0320, +0.0080]", ""),
        (0.00012, 0.000034, "higher", "+0.000120 [+0.000086, +0.000154]", "better"),
        (0.5, 0.0, "higher", "+0.5000 [+0.5000, +0.5000]", ""),
        (0.0, 0.0, "higher", "+0.0000 [+0.0000, +0.0000]", ""),
        (-1e-12, 1e-13, "lower", "-0.00000000 [-0.00000000, -0.00000000]", "better"),
    ],
)
def test_a_difference_has_as_many_digits_as_its_interval_tells(
    mean: float, half: float, better: str, text: str, word: str
) -> None:
    row = Number("", "ssim", "", 4, better, ())
    one = Difference(mean, mean - half, mean + half, "pairs", 9, 9, (1, 1), False)
    assert (difference_text(row, one), verdict(row, one)) == (text, word)
    assert difference_text(row, None) == verdict(row, None) == ""


def test_what_an_interval_is_over_is_said_in_numbers() -> None:
    def said(over: str, pairs: int, runs: tuple[int, int], *, matched: bool, groups: int = 0) -> str:
        return over_text(Difference(0.0, 0.0, 0.0, over, pairs, groups or pairs, runs, matched))

    assert said("pairs and seeds", 8570, (3, 3), matched=True) == "8,570 pairs, 3 seeds"
    assert said("pairs and seeds", 30, (3, 2), matched=False) == "30 pairs, 3 and 2 seeds"
    assert said("pairs", 30, (1, 3), matched=False) == "30 pairs"
    assert said("pairs", 8570, (1, 1), matched=False, groups=876) == "8,570 pairs in 876 groups"
    assert said("seeds", 0, (2, 2), matched=True) == "2 seeds"


def test_latex_has_no_bare_special_and_as_many_columns(found: Comparison) -> None:
    text = comparison_text(found, "latex")
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    assert lines[0] == r"\begin{tabular}{lrr}" and lines[-1] == r"\end{tabular}"
    rows = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {2}
    assert r"\textbf{0.6500 $\pm$ 0.0707}" in text and r"ssim $\uparrow$" in text
    (wicked,) = [row for row in rows if row.startswith("data.figures.root")]
    assert (
        r"a\textbar{}b\_c\textbackslash{}d\&50\%\#\$\textasciitilde{}\textasciicircum{}\{\}\textless{}*`[x]" in wicked
    )
    assert not re.search(r"(?<!\\)[%#_]", "".join(lines))
    assert text.startswith("% \\usepackage{booktabs}")


def test_csv_has_every_number_at_full_precision(found: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_text(found, "csv", all_settings=True))))
    (first,) = [row for row in rows if (row["name"], row["variant"]) == ("ssim", "A")]
    assert float(first["value"]) == pytest.approx(0.65, abs=1e-15) and first["n"] == "2" and first["best"] == "yes"
    assert float(first["spread"]) == pytest.approx(0.1 / math.sqrt(2)) and first["better"] == "higher"
    assert [row["value"] for row in rows if row["name"] == "data.figures.root"] == ["", WICKED]
    assert [row["value"] for row in rows if row["name"] == "train.steps"] == ["40", "40"], "all settings"


def test_identical_settings_are_left_out_unless_asked_for(found: Comparison) -> None:
    for form in FORMATS:
        plain = comparison_text(found, form).replace("\\", "")
        assert "train.batch_size" not in plain and "data.figures.root" in plain
        assert "train.batch_size" in comparison_text(found, form, all_settings=True).replace("\\", "")


def test_plain_data_is_fit_for_json(found: Comparison) -> None:
    facts = json.loads(json.dumps(comparison_facts(found), allow_nan=False))
    assert [len(one["runs"]) for one in facts["variants"]] == [2, 1] and facts["variants"][0]["runs"][1]["seed"] == 1
    numbers = {number["name"]: number for number in facts["numbers"]}
    assert numbers["ssim"]["best"] == ["A"] and numbers["ssim"]["ahead"] == {"B": {"pairs": 2, "better": 0}}
    assert numbers["mean loss of last 4 steps"]["cells"]["B"]["mean"] is None
    (only,) = [row for row in facts["settings"] if row["key"] == "train.only"]
    assert only == {"key": "train.only", "differs": True, "values": {"A": [], "B": ["qfft.*"]}}


def test_what_a_foreign_spec_says_cannot_leave_its_line_or_be_a_formula(tmp_path: Path) -> None:
    wicked = {"train.seed": "0\n\\input{x}", "data.figures.root": "=HYPERLINK(1)", "train.only": "-1e-4"}
    runs = [write_run(tmp_path / "runs"), write_run(tmp_path / "runs", wicked)]
    found = compare([read_facts(folder) for folder in runs])
    assert r"seed 0 \input{x}" in comparison_text(found, "latex").splitlines()[2]
    assert r"seed 0 \\input\{x\}" in comparison_text(found, "markdown").splitlines()[1]
    rows = list(csv.DictReader(io.StringIO(comparison_text(found, "csv"))))
    values = {row["name"]: row["value"] for row in rows if row["variant"] == "B"}
    assert values["data.figures.root"] == "'=HYPERLINK(1)" and values["train.only"] == "-1e-4", "a number stays one"
