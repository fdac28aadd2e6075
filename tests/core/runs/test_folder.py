"""A new run appears whole, under a name of its own, or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, create_run, folder, runs_root
from pgsynth_core.runs.folder import run_name


def make(root: Path, slug: str = "qfft-pma") -> RunFolder:
    """A run."""
    return create_run(root, slug=slug, spec_yaml="pgsynth: 1\n", lock={"lock": 1, "name": "é"})


def test_a_run_holds_its_spec_and_its_lock_from_the_start(root: Path) -> None:
    run = make(root)
    assert re.fullmatch(r"\d{8}-\d{6}-qfft-pma", run.id)
    assert run.spec_file.read_text(encoding="utf-8") == "pgsynth: 1\n"
    assert json.loads(run.lock_file.read_text(encoding="utf-8")) == {"lock": 1, "name": "é"}
    assert run.control.is_dir() and run.samples.is_dir() and run.checkpoints.is_dir()
    assert [path.name for path in root.iterdir()] == [run.id]


def test_its_files_are_where_the_form_says(root: Path) -> None:
    run = RunFolder(root / "x")
    files = (run.spec_file, run.lock_file, run.process_file, run.events_file, run.log_file, run.exit_file)
    names = ["spec.yaml", "lock.json", "process.json", "events.jsonl", "train.log", "exit.json"]
    assert [path.relative_to(run.path).as_posix() for path in files] == names
    assert run.sample_file(200, 7).relative_to(run.path).as_posix() == "samples/00000200/0007.png"


def test_runs_of_one_second_have_names_of_their_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> Stopped:
            return cls(2026, 1, 31, 12, 4, 5)

    monkeypatch.setattr(folder, "datetime", Stopped)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: make(root), range(24)))
    name = "20260131-120405-qfft-pma"
    assert {run.id for run in runs} == {name, *(f"{name}-{number}" for number in range(2, 25))}
    assert {path.name for path in root.iterdir()} == {run.id for run in runs}
    assert all(run.spec_file.is_file() for run in runs)


@pytest.mark.parametrize(
    ("slug", "ends"),
    [
        ("qfft + pma", "qfft-pma"),
        ("../../etc", "etc"),
        ("", "run"),
        ("é", "run"),
        ("a/b", "a-b"),
        ("x" * 300, "x" * 60),
    ],
)
def test_a_slug_is_no_path(root: Path, slug: str, ends: str) -> None:
    run = make(root, slug)
    assert run.path.parent == root
    assert run.id[16:] == ends


@pytest.mark.parametrize(
    ("given", "name"),
    [("eq9, seed 1", "eq9-seed-1"), (" Äpfel & 2 ", "pfel-2"), ("-" * 70 + "a", "a"), ("x" * 61, "x" * 60)],
)
def test_a_name_becomes_letters_digits_and_dashes(given: str, name: str) -> None:
    assert run_name(given) == name


# ------------------------------------------------------------------------------------------- refused
@pytest.mark.parametrize("given", ["", "  ", "../..", "é"])
def test_a_name_that_names_nothing(given: str) -> None:
    with pytest.raises(UserError, match="ASCII letters and digits; .* has none") as refused:
        run_name(given)
    (problem,) = refused.value.problems
    assert problem.where == "name" and "leave it out" in problem.cure


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine", encoding="utf-8")
    for root in (tmp_path / "runs", tmp_path / "runs" / "deeper"):
        with pytest.raises(UserError, match="a run cannot be made here") as refused:
            make(root)
        (problem,) = refused.value.problems
        assert problem.where == str(root)
        assert "A file stands where a folder is needed" in problem.cure
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.EACCES, "may write"),
        (errno.EROFS, "may write"),
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
        (errno.EIO, "Mend that"),
    ],
)
def test_what_the_system_refuses(root: Path, monkeypatch: pytest.MonkeyPatch, number: int, cure: str) -> None:
    root.mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError) as refused:
        make(root)
    (problem,) = refused.value.problems
    assert os.strerror(number) in problem.message and cure in problem.cure and "--runs FOLDER" in problem.cure
    assert list(root.iterdir()) == []
    assert refused.value.exit_code == 2


def test_a_name_that_is_no_name(root: Path) -> None:
    with pytest.raises(UserError, match="null"):
        make(Path(f"{root}\0x"))


def test_a_mistake_of_ours_is_not_put_on_the_user(root: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        create_run(root, slug="x", spec_yaml="", lock={"loss": float("nan")})
    assert not root.exists()


# ------------------------------------------------------------------------------------------- root
def test_where_runs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PGSYNTH_RUNS", raising=False)
    assert runs_root(None) == tmp_path / "runs"
    monkeypatch.setenv("PGSYNTH_RUNS", "elsewhere")
    assert runs_root(None) == tmp_path / "elsewhere"
    assert runs_root("given") == tmp_path / "given"
    monkeypatch.setenv("PGSYNTH_RUNS", "")
    assert runs_root(None) == tmp_path / "runs"
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert runs_root("~/runs") == tmp_path / "me" / "runs"
    with pytest.raises(UserError, match="home directory"):
        runs_root("~nobody-of-this-name/runs")
