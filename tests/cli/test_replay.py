"""`pgsynth replay`: what it says and leaves, alone and in front, and what other commands say of what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.runs import RunFolder, create_run, list_runs, start_session, status_of

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nobody's runs and queue but the test's."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def ended(root: Path, *, seconds: float = 60.0, state: str = "finished") -> RunFolder:
    """A run of three steps that took so long."""
    folder = create_run(root, slug="qfft", spec_yaml="base: tiny\n", lock=None)
    held = start_session(folder)
    lines = ['{"t": 1000.0, "kind": "run", "step": 0, "steps": 3}\n']
    lines += [
        f'{{"t": {1000 + seconds * step / 3:.3f}, "kind": "step", "step": {step}, "loss": 0.5, "steps": 3}}\n'
        for step in (1, 2, 3)
    ]
    folder.events_file.write_text("".join(lines), encoding="utf-8")
    held.end(state, code=int(state != "finished"), step=3, reason="so it went.")  # type: ignore[arg-type]
    return folder


def test_it_plays_a_run_into_another(run: Run, runs: Path) -> None:
    played = ended(runs, state="failed")
    said = run("replay", "latest", "--speed", "max")
    (_, replay) = sorted(list_runs(runs), key=lambda one: bool(one.replayed))
    assert said.code == 0, "it played to the end, however the run ended"
    assert said.out == f"{replay.id}: failed after 3 steps, 4 events: so it went.\n"
    assert f"{replay.id} plays {played.id}; nothing is trained" in said.err
    shown = run("runs", "show", replay.id)
    assert f"replay of   {played.path}: nothing is trained" in shown.out
    assert f"pgsynth replay {played.path}" in shown.out and "pgsynth train" not in shown.out


@pytest.mark.parametrize("speed", ["max", "6000"])
def test_as_json_and_elsewhere(run: Run, runs: Path, tmp_path: Path, speed: str) -> None:
    played = ended(runs, seconds=3000.0)
    facts = run("replay", played.id, "--speed", speed, "--into", str(tmp_path / "others"), "--json").facts
    (replay,) = list_runs(tmp_path / "others")
    assert list_runs(runs) == (played,)
    assert (facts["ok"], facts["run"], facts["of"]) == (True, replay.id, played.id)
    assert (facts["state"], facts["step"], facts["events"], facts["gaps"]) == ("finished", 3, 4, 3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--speed", "fast"), "'fast' is no pace"),
        (("--speed", "-1"), "'-1' is no pace"),
        (("--speed", "0"), "'0' is no pace"),
        (("--speed", "nan"), "'nan' is no pace"),
    ],
)
def test_a_wrong_pace_is_refused(run: Run, runs: Path, words: tuple[str, ...], says: str) -> None:
    ended(runs)
    said = run("replay", "latest", *words)
    assert said.code == 2 and says in said.err and "max" in said.err and len(list_runs(runs)) == 1


def test_what_needs_weights_refuses_a_replay_with_the_cure(run: Run, runs: Path, tmp_path: Path) -> None:
    played = ended(runs)
    name = run("replay", "latest", "--speed", "max", "--json").facts["run"]
    for words in (
        ("runs", "resume", name),
        ("runs", "resume", name, "--detach"),
        ("train", "--resume", name),
        ("sample", name),
        ("evaluate", name),
        ("export", name, "-o", str(tmp_path / "x")),
        ("inspect", name),
    ):
        said = run(*words)
        assert said.code == 2, (words, said.err)
        assert "this is a replay: it trains nothing, and has no weights" in said.err and str(played.path) in said.err


def until(there: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait for something without knowing how long it takes."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := there():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come")


def test_left_alone_it_is_a_run_that_can_be_stopped(run: Run, spawn: Run, runs: Path) -> None:
    ended(runs, seconds=1200.0)
    facts = spawn("replay", "latest", "--speed", "10", "--detach", "--json").facts
    (replay,) = (folder for folder in list_runs(runs) if folder.replayed)
    assert facts["ok"] and facts["run"] == replay.id and facts["state"] == "starting"
    assert status_of(replay).live, "the command has ended, and it plays on"
    refused = run("replay", replay.id)
    assert refused.code == 2 and "only one that has ended" in refused.err
    stopped = run("runs", "stop", replay.id)
    assert stopped.code == 0 and "stopped" in stopped.out
    assert status_of(replay).reason == "the replay was stopped."


@pytest.mark.slow
def test_ctrl_c_ends_it(runs: Path, roots: str) -> None:
    ended(runs, seconds=1200.0)
    process = subprocess.Popen(
        [sys.executable, "-m", "pgsynth_core", "replay", "latest", "--speed", "10"],
        env={**os.environ, "PYTHONPATH": roots},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: any(folder.replayed and status_of(folder).live for folder in list_runs(runs)))
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    (replay,) = (folder for folder in list_runs(runs) if folder.replayed)
    assert process.returncode == 130 and "Interrupted." in told and status_of(replay).state == "stopped"
