"""`pgsynth plugins new`, and the hook and the command that it writes, at work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core import Run as MadeRun
from pgsynth_core import compose
from pgsynth_core.packages.scaffold import FORMS

from ..fixtures.fake_packages import FakePackages
from ..fixtures.generated import put_in_place, write_package
from .conftest import SMALL, Made

Run = Callable[..., Any]


def test_it_writes_a_package_and_says_what_is_next(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("plugins", "new", "encoder", "own")
    assert said.code == 0 and said.err == ""
    folder = tmp_path / "pgsynth-plugin-own"
    assert {Path(line) for line in said.out.partition("\n\n")[0].splitlines()} == {
        file for file in folder.rglob("*") if file.is_file()
    }
    _, _, following = said.out.partition("Next:\n")
    assert following.splitlines() == [
        "  cd pgsynth-plugin-own",
        "  pip install -e '.[dev]'",
        "  pgsynth compose base=tiny encoder=own",
        "  pytest",
    ]


def test_it_is_data_too(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    facts = run("plugins", "new", "pose", "own_stem", "-o", str(folder), "--json").facts
    assert set(facts) == {"ok", "kind", "name", "distribution", "package", "folder", "files", "next", "broken"}
    assert (facts["distribution"], facts["package"]) == ("pgsynth-plugin-own-stem", "pgsynth_plugin_own_stem")
    assert facts["folder"] == str(folder) and all((folder / file).is_file() for file in facts["files"])
    assert facts["next"][0] == f"cd '{folder}'"


@pytest.mark.parametrize("kind", ["base", "encoder", "pose", "attention", "dataset"])
def test_the_parts_fit_as_is_said(kind: str, run: Run, fake_packages: FakePackages, tmp_path: Path) -> None:
    made = write_package(kind, "own", tmp_path / "made")
    put_in_place(fake_packages, made.folder)
    composed = [shlex.split(command)[1:] for command in made.next if "compose" in command]
    assert composed
    for words in composed:
        said = run(*words, "--no-proof")
        assert said.code == 0 and "pgsynth-plugin-own 0.1.0" in said.out, said.err


def test_the_dataset_is_looked_at_as_is_said(
    run: Run, fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_package("dataset", "own", tmp_path / "made")
    put_in_place(fake_packages, made.folder)
    monkeypatch.chdir(tmp_path)
    (words,) = (shlex.split(command)[1:] for command in made.next if "check" in command)
    assert run(*words).code == 0 and (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["encodr", "own"], ["no kind 'encodr'", "Did you mean 'encoder'?"]),
        (["encoder", "Own Part"], ["is no name", "e.g. own_part"]),
        (["encoder", "qfft"], ["already, of pgsynth"]),
        (["command", "train"], ["pgsynth itself has the command 'train'"]),
        (["encoder"], ["NAME"]),
        (["encoder", "own", "more"], ["one argument too many: 'more'"]),
    ],
)
def test_what_cannot_be_written_is_refused(
    words: list[str], expected: list[str], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = run("plugins", "new", *words)
    assert said.code == 2 and said.out == "" and "Traceback" not in said.err
    assert all(text in said.err for text in expected), said.err
    assert list(tmp_path.iterdir()) == []


def test_help_names_every_kind(run: Run) -> None:
    said = run("plugins", "new", "--help").out
    assert all(kind in said for kind in FORMS)


# ------------------------------------------------------------------------------------------- the command at work
def test_the_command_reads_a_run(run: Run, fake_packages: FakePackages, tmp_path: Path, trained: Made) -> None:
    put_in_place(fake_packages, write_package("command", "last_loss", tmp_path / "made").folder)
    assert "last-loss  Say what a run's loss came to. (pgsynth-plugin-last-loss)" in run("--help").out
    said = run("last-loss", *trained.run)
    assert said.code == 0 and said.out.startswith(f"{trained.id}: loss ") and "at step 3" in said.out
    facts = run("last-loss", *trained.run, "--json").facts
    losses = MadeRun.find(trained.id, trained.runs).losses()
    assert (facts["last"], facts["lowest"], facts["steps"]) == (losses[3], min(losses.values()), 3)
    refused = run("last-loss", "nobody", "--runs", str(tmp_path))
    assert refused.code == 2 and "nobody" in refused.err and "Traceback" not in refused.err
    assert run("last-loss", "--what").code == 2


def test_a_command_that_raises_is_told_with_its_package(run: Run, fake_packages: FakePackages, tmp_path: Path) -> None:
    package = put_in_place(fake_packages, write_package("command", "last_loss", tmp_path / "made").folder)
    text = (package / "command.py").read_text("utf-8")
    (package / "command.py").write_text(text.replace("found = Run", "raise OSError('odd')\n    found = Run"), "utf-8")
    said = run("last-loss", "latest")
    assert said.code == 1 and "last-loss of pgsynth-plugin-last-loss 0.1.0 failed: OSError: odd" in said.err


# ------------------------------------------------------------------------------------------- the hook at work
def train(folder: Path, data: str, steps: int = 2) -> MadeRun:
    """A few steps of the smallest method there is."""
    return compose(*SMALL, data).train(runs=folder, steps=steps)


def test_the_hook_is_told_of_a_training(fake_packages: FakePackages, tmp_path: Path, trained: Made) -> None:
    put_in_place(fake_packages, write_package("hook", "diary", tmp_path / "made").folder)
    made = train(tmp_path / "runs", trained.data)
    told = Path(f"{made.path}.diary.jsonl").read_text("utf-8").splitlines()
    lines = [json.loads(line) for line in told]
    steps = [line for line in lines if line["what"] == "step"]
    assert {line["step"]: line["loss"] for line in steps} == made.losses() and {line["run"] for line in lines} == {
        made.id
    }
    assert [line["step"] for line in lines if line["what"] == "checkpoint"] == [2]


def test_a_hook_that_raises_is_switched_off_and_training_goes_on(
    fake_packages: FakePackages, tmp_path: Path, trained: Made, caplog: pytest.LogCaptureFixture
) -> None:
    package = put_in_place(fake_packages, write_package("hook", "diary", tmp_path / "made").folder)
    text = (package / "hook.py").read_text("utf-8")
    (package / "hook.py").write_text(
        text.replace("    file = Path(", '    raise OSError("no diary")\n    file = Path('), "utf-8"
    )
    made = train(tmp_path / "runs", trained.data)
    assert made.status.state == "finished" and list(made.losses()) == [1, 2]
    (told,) = {record.getMessage() for record in caplog.records if "diary" in record.getMessage()}
    assert "pgsynth-plugin-diary 0.1.0 is switched off: it raised OSError: no diary (hook.py:43)." in told
    assert "remove it: pgsynth plugins uninstall pgsynth-plugin-diary." in told
