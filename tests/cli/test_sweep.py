"""`pgsynth sweep`: the preview, what is refused, the queue, and an ablation that is killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.cli.sweep_end import Asked
from pgsynth_core.registry import discover
from pgsynth_core.runs import list_checkpoints, list_runs, read_losses, status_of
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.queue import leave_queue, waiting
from pgsynth_core.sweeps import create_sweep, find_sweep, standings, sweep_of

from ..fixtures.queues import Queue, queue_of
from .conftest import SMALL

Run = Callable[..., Any]
TABLE_3 = ["attn.pma.mask=none,eq9,eq5", "encoder.qfft.queries=local,local+global", "train.seed=0,1,2"]
TWO = [
    *(word for word in SMALL if word != "data=folder"),
    "data=figures",
    "data.figures.identities=2",
    "train.validate_pairs=0",
    "attn.pma.mask=none,eq5",
]
"""Two combinations of the smallest method there is."""


@pytest.fixture(autouse=True)
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: str) -> Iterator[Queue]:
    monkeypatch.setenv("PYTHONPATH", roots)
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    yield from queue_of(tmp_path, monkeypatch)


# ------------------------------------------------------------------------------------------- before anything is made
def test_table_3_as_the_shell_writes_it(run: Run, tmp_path: Path) -> None:
    said = run("sweep", "qen", *TABLE_3, "--dry-run")
    assert said.code == 0 and "15 runs, 3 pruned; time unknown" in said.out
    pruned = [line for line in said.out.splitlines() if "pruned: " in line]
    assert len(pruned) == 3 and all("role global" in line and "Use attn.pma.mask=eq9" in line for line in pruned)
    assert not (tmp_path / "runs").exists(), "a dry run makes nothing"


def test_the_same_for_programs(run: Run) -> None:
    facts = run("sweep", "qen-table3", "train.seed=0,1", "--dry-run", "--json").facts
    assert facts["ok"] and facts["sweep"] is None and facts["hours"] is None
    assert (facts["runs"], facts["pruned"], len(facts["combinations"])) == (10, 2, 12)
    (first, *_), last = facts["combinations"], facts["combinations"][-1]
    assert first["values"] == ["none", "local", "0"] and first["problems"] == []
    assert last["words"] == ["attn.pma.mask=eq5", "encoder.qfft.queries=local+global", "train.seed=1"]


def test_ablations_of_the_papers_are_listed(run: Run) -> None:
    said = run("sweep", "list", "--presets")
    assert said.code == 0 and all(name in said.out for name in ("qen-table3", "truepose-ablations", "truepose-k"))
    presets = {row["name"]: row for row in run("sweep", "list", "--presets", "--json").facts["presets"]}
    assert [*presets["truepose-ablations"]["rows"]] == ["B1", "DINOv2", "reference", "B3", "complete"]
    assert presets["truepose-k"]["vary"] == ["attn.caa.k=1,2,3,4"]
    assert "qen-table3" in run("plugins", "list", "--kind", "sweep").out


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["qen", "attn.pma.mask=eq5,eq8"], "Did you mean 'eq9'?"),
        (["qen", "train.seed=1"], "nothing is varied"),
        (["qen", "encoder.qfft.queries=local", "attn.pma.mask=eq5", "train.seed=0,1"], "none of 2 combinations fits"),
        (["qen", "train.seed=0,1"], "--yes"),
        (["qen", "train.seed=0,1", "--evaluate"], "Add --wait"),
        (["qen", "train.seed=0,1", "--limit", "3"], "Add --evaluate"),
        (["qen", "train.seed=0,1", "--wait", "--slurm"], "Give one of them"),
        (["qen", "train.seed=0,1", "slurm.partition=gpu"], "Add --slurm"),
        (["qen", "train.seed=0,1", "--wait", "--evaluate", "--protocol", "cfdl"], "'cfld'"),
        (["qen", "train.seed=0,1", "--wait", "--evaluate", "--protocol", "cfld", "--size", "10x10"], "256x176"),
        (["qen", "train.seed=0,1", "--wait", "--evaluate", "--size", "small"], "HEIGHTxWIDTH"),
        (["qen", "train.seed=0,1", "--name", "..."], "ASCII letters and digits"),
        (["qen", "train.seed=0,1", "--on", "tiny"], "leave --on out"),
        (["show", "latest"], "there are none here"),
        (["resume", "latest", "train.steps=3"], "Its specs stay as they are"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    run: Run, tmp_path: Path, words: list[str], cure: str
) -> None:
    said = run("sweep", *words)
    assert said.code == 2 and cure in said.err and "Traceback" not in said.err
    assert not (tmp_path / "runs").exists()


def test_without_the_extra_slurm_is_refused_by_its_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    said = run("sweep", "qen", "train.seed=0,1", "--slurm", "--yes")
    assert said.code == 2 and "pip install 'pgsynth[slurm]'" in said.err and not (tmp_path / "runs").exists()


# ------------------------------------------------------------------------------------------- left to the queue
def test_every_run_waits_in_the_queue_and_resuming_adds_what_left_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgsynth_core.api.detaching.start_workers", lambda kind: None)
    said = run("sweep", *TWO, "train.steps=1", "--yes", "--no-proof", "--name", "two")
    assert said.code == 0 and "2 runs put into the queue" in said.out and "pgsynth sweep show" in said.out
    root = tmp_path / "runs"
    made = find_sweep("two", root)
    assert [one.folder.id for one in waiting()] == [row.run for row in made.rows]
    listed = run("sweep", "list", "--json").facts["sweeps"]
    assert [(row["sweep"], row["states"]) for row in listed] == [(made.id, {"queued": 2})]
    assert leave_queue(waiting()[0].folder)
    shown = run("sweep", "show", "two", "--json").facts
    assert [row["state"] for row in shown["combinations"]] == ["stopped", "queued"]
    assert shown["next"] == [f"pgsynth sweep resume {made.id}"]
    assert "1 run put into the queue" in run("sweep", "resume", "two").out
    assert {one.folder.id for one in waiting()} == {row.run for row in made.rows}
    assert "0 runs put into the queue" in run("sweep", "resume", "latest").out


# ------------------------------------------------------------------------------------------- trained here
@pytest.mark.parametrize(
    ("flags", "scored"),
    [([], ("--limit", "2")), (["--evaluate"], ()), (["--evaluate", "--limit", "3"], ("--limit", "3"))],
)
def test_resuming_scores_as_it_was_begun_unless_it_is_told_otherwise(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], scored: tuple[str, ...]
) -> None:
    sweep = sweep_of(["train.seed=0,1"], discover(), source="tiny")
    specs = [row.spec.to_yaml({}) for row in sweep.combinations if row.spec]
    create_sweep(tmp_path / "runs", sweep, specs, words=["tiny"], name="kept", evaluate=("--limit", "2"))
    asked: list[Asked] = []
    monkeypatch.setattr("pgsynth_core.cli.sweep_show.carry_out", lambda sweep, one, *rest: asked.append(one) or 0)
    said = run("sweep", "resume", "kept", "--wait", *flags)
    assert asked[0].evaluate == scored
    assert (" ".join(scored) or "all pairs") in said.err, "which settings those are is said"


def started(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pgsynth_core", "sweep", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.slow
def test_an_ablation_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(
    run: Run, queue: Queue, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    words = [*TWO, "train.steps=40", "train.checkpoint_every=5", "--wait", "--evaluate", "--limit", "2"]
    process = started(*words, "--yes", "--no-proof", "--name", "killed")
    queue.until(lambda: [one for folder in list_runs(root) for one in list_checkpoints(folder)], "for a checkpoint")
    made = find_sweep("killed", root)
    (first,) = list_runs(root)
    trainer = (read_json(first.process_file) or {})["pid"]
    os.kill(process.pid, signal.SIGKILL)
    os.kill(trainer, signal.SIGKILL)
    process.communicate()
    before = (made.path / "sweep.json").read_bytes()
    queue.until_state(first, "lost")
    assert [one.state for one in standings(made)] == ["lost", "not begun"]

    said = run("sweep", "resume", "killed", "--wait", "--json")
    assert said.code == 0, said.err
    facts = said.facts
    assert [row["state"] for row in facts["combinations"]] == ["finished", "finished"] and facts["failures"] == []
    assert all({"ssim", "psnr", "l1"} <= {*row["scores"]} for row in facts["combinations"])
    assert facts["comparison"]["variants"] and facts["next"] == [f"pgsynth compare {root}/{made.id}-*"]
    assert [run_.id for run_ in list_runs(root)] == [row.run for row in made.rows], "each once"
    assert [*read_losses(first.events_file)] == [*range(1, 41)], "from its checkpoint, no step lost"
    assert (made.path / "sweep.json").read_bytes() == before


@pytest.mark.slow
def test_it_goes_on_past_a_failure_and_says_so(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    words = [*TWO, "train.steps=1", "--yes", "--no-proof", "--name", "half", "--json"]
    run("sweep", *words)
    made = find_sweep("half", root)
    for waits in waiting():
        leave_queue(waits.folder)
    broken = made.folder(made.rows[0]).spec_file
    broken.write_text(broken.read_text("utf-8").replace("figures", "figurines"), encoding="utf-8")
    said = run("sweep", "resume", "half", "--wait", "--json")
    assert said.code == 1
    assert [row["state"] == "finished" for row in said.facts["combinations"]] == [False, True]
    (failure,) = said.facts["failures"]
    assert failure["run"] == made.rows[0].run and "another run has the name" in failure["problem"]


@pytest.mark.slow
def test_an_interrupt_saves_the_run_and_ends_with_130(queue: Queue, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    process = started(*TWO, "train.steps=100000", "--wait", "--yes", "--no-proof", "--name", "asked")
    queue.until(lambda: [one for one in list_runs(root) if status_of(one).step], "for a step")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "pgsynth sweep resume" in said
    (run_,) = list_runs(root)
    assert status_of(run_).state == "stopped" and list_checkpoints(run_)
    time.sleep(0.5)
    assert len(list_runs(root)) == 1, "nothing begins after it"
    assert json.loads((find_sweep("asked", root).path / "sweep.json").read_text("utf-8"))["words"]
