"""`pgsynth runs list` and `pgsynth demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pgsynth_core.api import Run as RunOf
from pgsynth_core.evaluation import Shown
from pgsynth_core.runs import EventLog, RunFolder, create_run, session

from ..fixtures.scored import scored

Run = Callable[..., Any]


@pytest.fixture
def made(tmp_path: Path) -> RunFolder:
    """A run that was stopped after 3 of 9 steps."""
    folder = create_run(tmp_path / "runs", slug="qfft-pma", spec_yaml="pgsynth: 1\n", lock={})
    with session(folder) as held, EventLog(folder.events_file) as log:
        log.write("run", step=0, steps=9)
        log.write("step", step=3, loss=0.25, steps=9)
        held.end("stopped", code=130, step=3, reason="asked to.")
    return folder


def test_runs_are_listed_with_how_they_stand(run: Run, made: RunFolder) -> None:
    said = run("runs", "list", "--runs", str(made.path.parent))
    assert (said.code, said.err) == (0, "")
    head, row = said.out.splitlines()
    assert head.split()[:4] == ["run", "state", "steps", "loss"]
    assert row.split()[:4] == [made.id, "stopped", "3/9", "0.2500"] and row.endswith("asked to.")


def test_runs_as_data(run: Run, made: RunFolder) -> None:
    facts = run("runs", "list", "--runs", str(made.path.parent), "--json").facts
    (row,) = facts["runs"]
    assert set(row) == {"run", "path", "state", "reason", "step", "steps", "loss", "when", "position"}
    assert facts["root"] == str(made.path.parent) and (row["step"], row["loss"]) == (3, 0.25)


def test_no_runs_are_no_error(run: Run, tmp_path: Path) -> None:
    said = run("runs", "list", "--runs", str(tmp_path / "none"))
    assert said.code == 0 and "there is no run" in said.out
    (tmp_path / "20260101-120000-x").mkdir()
    (tmp_path / "20260101-120000-x" / "spec.yaml").touch()
    listed = run("runs", "list", "--runs", str(tmp_path))
    assert listed.code == 0 and " lost " in listed.out


# ------------------------------------------------------------------------------------------- demo
@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Stands for the demo, which takes minutes; gives what it was called with."""
    calls: list[dict[str, Any]] = []

    def stand_in(folder: Path, *, steps: int | None, on_event: Callable[[dict[str, Any]], None]) -> SimpleNamespace:
        calls.append({"folder": folder, "steps": steps})
        on_event({"kind": "step", "run": "r", "step": 1, "steps": 1, "loss": 0.5})
        pictures = np.zeros((3, 32, 24, 3), np.uint8)
        table = scored([("a", Shown(*(pictures + np.arange(3, dtype=np.uint8)[:, None, None, None])))])
        shown = SimpleNamespace(folder=tmp_path, sheet=tmp_path / "sheet.png", names=("a",))
        evaluated = SimpleNamespace(table=table, pictures=shown, scores=tmp_path / "scores.json")
        return SimpleNamespace(run=RunOf(RunFolder(tmp_path / "run")), evaluated=evaluated, seconds=61.0)

    monkeypatch.setattr("pgsynth_core.api.demo", stand_in, raising=False)
    return calls


def test_the_demo_says_what_it_did_and_where_to_look(run: Run, demo: list[dict[str, Any]], tmp_path: Path) -> None:
    said = run("demo", "-o", str(tmp_path / "here"), "--steps", "7")
    assert said.code == 0 and demo == [{"folder": tmp_path / "here", "steps": 7}]
    assert "in 1 min 1 s" in said.out and f"sheet   {tmp_path / 'sheet.png'}" in said.out and "psnr (dB)" in said.out
    assert "training 1/1" in said.err


def test_the_demo_as_data(
    run: Run, demo: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    facts = run("demo", "--json").facts
    assert set(facts) == {"ok", "run", "path", "sheet", "scores", "mean", "copy_source", "seconds", "broken"}
    assert demo == [{"folder": tmp_path / "runs", "steps": None}], "where commands look for runs"
