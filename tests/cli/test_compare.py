"""`pgsynth compare`: runs side by side, in every form; what it refuses."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.replaying import begin_replay

from ..fixtures.compared_runs import write_run, write_scores

Run = Callable[..., Any]


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFolder, RunFolder]:
    """Two runs with scores, where commands look for runs."""
    root = tmp_path / "runs"
    monkeypatch.setenv("PGSYNTH_RUNS", str(root))
    one = write_run(root, slug="one", loss=0.5)
    other = write_run(root, {"attn.pma.mask": "eq9"}, slug="two", loss=0.4)
    write_scores(one, [0.5, 0.7])
    write_scores(other, [0.4, 0.6])
    return one, other


def test_what_differs_and_the_numbers_are_drawn(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    one, other = two
    said = run("compare", one.id, "latest" if other.id > one.id else other.id)
    assert (said.code, said.err) == (0, ""), said.err
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0] == f"A: {one.id}, seed 0" and "attn.pma.mask eq5 eq9" in lines
    assert "mean loss of last 4 steps 0.5000 0.4000 *" in lines and "ssim 0.6000 * 0.5000" in lines
    assert "train.batch_size" not in said.out
    assert "train.batch_size" in run("compare", one.id, other.id, "--all-settings").out


def test_a_replay_is_listed_and_left_out(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    one, other = two
    replay = begin_replay(one, one.path.parent, speed=math.inf)
    assert replay.play(lambda step, steps: None)
    words = ("compare", one.id, replay.folder.id, other.id)
    lines = [" ".join(line.split()) for line in run(*words).out.splitlines()]
    assert lines[0] == f"A: {one.id}, {replay.folder.id}, seed 0, 0" and "what differs A (n=1) B (n=1)" in lines
    assert "mean loss of last 4 steps 0.5000 0.4000 *" in lines
    facts = run(*words, "--json").facts
    assert [made["counts"] for made in facts["variants"][0]["runs"]] == [True, False]
    assert "(n=1)" in (table := run(*words, "--format", "markdown").out) and replay.folder.id in table
    assert replay.folder.id not in run(*words, "--format", "csv").out, "it has a column for the runs of a number"


@pytest.mark.parametrize(
    ("form", "begins"), [("markdown", "- **A**"), ("latex", "% \\usepackage"), ("csv", "section,")]
)
def test_every_form(run: Run, two: tuple[RunFolder, RunFolder], form: str, begins: str) -> None:
    said = run("compare", *(folder.id for folder in two), "--format", form)
    assert said.code == 0 and said.out.startswith(begins) and said.out.count("0.6") >= 1


def test_as_json(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    facts = run("compare", *(str(folder.path) for folder in two), "--json").facts
    assert facts["ok"] and [one["name"] for one in facts["variants"]] == ["A", "B"] and facts["broken"] == []
    (ssim,) = [number for number in facts["numbers"] if number["name"] == "ssim"]
    assert ssim["best"] == ["A"] and ssim["group"] == "test, 2 pairs of 32x24, standard"
    assert ssim["cells"]["A"]["values"] == {two[0].id: pytest.approx(0.6)}


def test_how_far_they_are_apart_is_a_line_each(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    one, other = two
    write_scores(one, [0.5, 0.7, 0.6], name="test-00000050", step=50)
    write_scores(other, [0.4, 0.61, 0.5], name="test-00000050", step=50)
    said = run("compare", one.id, other.id)
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert "ssim B - A -0.0967 [-0.1110, -0.0823] worse 3 pairs" in lines
    assert "psnr B - A -0.97 [-1.11, -0.82] worse 3 pairs" in lines
    assert any(line.startswith("Were all of them zero in truth, 0.3 of 6 (5 %)") for line in lines)
    assert all(len(line) < 80 for line in said.out.splitlines() if " - A" in line)


def test_against_a_letter_a_run_or_a_path(run: Run, two: tuple[RunFolder, RunFolder], tmp_path: Path) -> None:
    one, other = two
    names = one.id, other.id
    for word in ("B", other.id, str(other.path)):
        facts = run("compare", *names, "--against", word, "--json").facts
        (ssim,) = [number for number in facts["numbers"] if number["name"] == "ssim"]
        assert facts["against"] == "B" and ssim["differences"]["A"]["mean"] == pytest.approx(0.1)
    assert "ssim A - B +0.1000" in " ".join(run("compare", *names, "--against", "B").out.split())
    third = write_run(tmp_path / "runs", slug="three")
    for word, says in (
        (third.id, "is not compared here"),
        ("C", "none of what is compared"),
        ("nobody", "there is no run"),
    ):
        said = run("compare", *names, "--against", word)
        assert said.code == 2 and says in said.err and not said.out


def test_runs_that_are_not_there_are_all_told(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    said = run("compare", two[0].id, f"{two[1].id}x", "nobody")
    assert said.code == 2 and "error: 2 problems" in said.err and f"Did you mean '{two[1].id}'" in said.err


@pytest.mark.parametrize("times", [1, 3])
def test_one_run_is_no_comparison(run: Run, two: tuple[RunFolder, RunFolder], times: int) -> None:
    said = run("compare", *[two[0].id] * times)
    assert said.code == 2 and f"{two[0].id} is one run" in said.err and "pgsynth runs list" in said.err


def test_forms_that_are_none_or_two_are_refused(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    names = [folder.id for folder in two]
    assert "Did you mean 'latex'" in (said := run("compare", *names, "--format", "latx")).err and said.code == 2
    assert run("compare", *names, "--format", "csv", "--json").code == 2
    assert run("compare").code == 2


def test_a_run_that_cannot_be_read_is_named(run: Run, two: tuple[RunFolder, RunFolder]) -> None:
    two[0].spec_file.write_text("train: [", encoding="utf-8")
    said = run("compare", *(folder.id for folder in two))
    assert said.code == 2 and str(two[0].spec_file) in said.err and "Traceback" not in said.err
    shutil.rmtree(two[0].path)
    assert run("compare", *(folder.id for folder in two)).code == 2


def test_a_run_by_two_paths_is_one(run: Run, two: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(two[0].path.parent)
    said = run("compare", two[0].id, f"./{two[0].id}", str(two[0].path))
    assert said.code == 2 and f"{two[0].id} is one run" in said.err


def test_two_runs_of_one_name_are_refused_with_their_paths(
    run: Run, two: tuple[RunFolder, RunFolder], tmp_path: Path
) -> None:
    copied = tmp_path / "elsewhere" / two[0].id
    shutil.copytree(two[0].path, copied)
    said = run("compare", two[0].id, str(copied), two[1].id)
    assert said.code == 2 and "2 folders have this name" in said.err and str(copied) in said.err
