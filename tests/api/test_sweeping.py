"""Runs of an ablation trained here: past failures, beside others who do the same, each scored once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.api import sweeping
from pgsynth_core.api.sweeping import Training
from pgsynth_core.registry import discover
from pgsynth_core.runs import RunFolder
from pgsynth_core.runs.sessions import Session, start_session
from pgsynth_core.sweeps import SweepFolder, create_sweep, sweep_of

Done = tuple[int, dict[str, Any]]


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    written = sweep_of(["train.seed=0,1,2"], discover(), source="tiny")
    specs = [row.spec.to_yaml({}) for row in written.combinations if row.spec]
    return create_sweep(tmp_path, written, specs, words=["tiny", "train.seed=0,1,2"])


def train(run: str) -> Done:
    """What a training leaves."""
    start_session(RunFolder(Path(run))).end("finished", step=3)
    return 0, {"ok": True}


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, str], Done]], list[tuple[str, str]]]:
    """Commands are told to a function, which says how they end; each is noted."""

    def does(function: Callable[[str, str], Done]) -> list[tuple[str, str]]:
        noted: list[tuple[str, str]] = []

        def finished(command: Sequence[str]) -> Done:
            verb, run = command[4], command[6] if command[4] == "train" else command[5]
            noted.append((verb, Path(run).name.rpartition("-")[2]))
            return function(verb, run)

        monkeypatch.setattr(sweeping, "_finished", finished)
        monkeypatch.setattr(sweeping, "_POLL", 0.0)
        return noted

    return does


def test_each_is_trained_and_scored_once_past_what_fails(sweep: SweepFolder, does: Any) -> None:
    def do(verb: str, run: str) -> Done:
        if run.endswith("seed-1"):
            return 2, {"ok": False, "problems": [{"message": "no such folder.", "where": "data", "cure": "Make it."}]}
        return train(run) if verb == "train" else (0, {})

    noted = does(do)
    told: list[Any] = []
    training = Training(sweep, ["--limit", "2"], on_begin=lambda row, doing, left: told.append((row.number, doing)))
    assert [one.state for one in training.run()] == ["finished", "not begun", "finished"]
    assert noted == [("train", "0"), ("evaluate", "0"), ("train", "1"), ("train", "2"), ("evaluate", "2")]
    assert told == [(1, "training"), (1, "evaluating"), (2, "training"), (3, "training"), (3, "evaluating")]
    (failure,) = training.failures
    assert (failure.row.number, failure.doing) == (2, "training") and "data: no such folder. Make it." in failure.reason


def test_what_others_train_meanwhile_is_no_failure_and_is_waited_for(sweep: SweepFolder, does: Any) -> None:
    theirs: list[Session] = []

    def do(verb: str, run: str) -> Done:
        if run.endswith("seed-0"):  # another process begins it between the look and the start
            theirs.append(start_session(RunFolder(Path(run))))
            return 2, {"ok": False, "problems": [{"message": "the run is being trained already."}]}
        return train(run)

    noted = does(do)
    waited: list[int] = []

    def wait(others: int) -> None:
        waited.append(others)
        theirs[0].end("finished", step=3)

    training = Training(sweep, on_wait=wait)
    assert [one.state for one in training.run()] == ["finished"] * 3 and training.failures == []
    assert noted == [("train", "0"), ("train", "1"), ("train", "2")] and waited == [1]
