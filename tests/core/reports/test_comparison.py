"""A comparison as Markdown, LaTeX and CSV: read back, and with whatever a setting may hold."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path

import pytest

from pgsynth_core.reports import FORMATS, comparison_facts, comparison_text
from pgsynth_core.runs.compared import Comparison
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
    assert numbers["ssim"]["best"] == ["A"] and numbers["ssim"]["ahead_of_first"] == {"B": {"pairs": 2, "better": 0}}
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
