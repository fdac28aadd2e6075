"""An ablation sent to Slurm: what submitit is told, what a job does, and how it saves and waits again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pgsynth_core.api import slurm
from pgsynth_core.api.slurm import Job, in_slurm, parameters_of, refuse_slurm, submit_sweep
from pgsynth_core.errors import UserError
from pgsynth_core.registry import discover
from pgsynth_core.runs.control import is_wished
from pgsynth_core.runs.sessions import start_session
from pgsynth_core.sweeps import SweepFolder, create_sweep, sweep_of


class Cluster:
    """A stand-in for submitit, of the same interface: what it was told, and what it says of jobs."""

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}
        self.arguments: dict[str, Any] = {}
        self.batches: list[list[Job]] = []
        self.states: dict[str, str] = {}
        self.helpers = SimpleNamespace(DelayedSubmission=lambda job: ("again", job))
        self.core = SimpleNamespace(utils=SimpleNamespace(FailedJobError=RuntimeError))
        self._open = False

    def AutoExecutor(self, folder: Path, cluster: str, **arguments: Any) -> Cluster:
        self.arguments = {"folder": folder, "cluster": cluster, **arguments}
        return self

    def update_parameters(self, **parameters: Any) -> None:
        if unknown := [name for name in parameters if name == "slurm_partitin"]:
            raise NameError(f"Unknown argument '{unknown[0]}'.\nValid: partition")
        self.parameters = parameters

    @contextmanager
    def batch(self) -> Iterator[None]:
        self._open = True
        self.batches.append([])
        yield
        self._open = False

    def submit(self, job: Job) -> SimpleNamespace:
        assert self._open, "one array, not one job after another"
        self.batches[-1].append(job)
        return SimpleNamespace(job_id=f"7_{len(self.batches[-1]) - 1}")

    def SlurmJob(self, folder: Path, job: str) -> SimpleNamespace:
        """As submitit has it: what is not known yet, or waits again, is not done."""
        state = self.states[job]
        waits = (
            "READY",
            "PENDING",
            "RUNNING",
            "UNKNOWN",
            "REQUEUED",
            "COMPLETING",
            "PREEMPTED",
            "SUSPENDED",
            "RESIZING",
        )
        return SimpleNamespace(state=state, done=lambda: state.upper() not in waits)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setitem(sys.modules, "submitit", cluster)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: f"/usr/bin/{name}")
    return cluster


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    written = sweep_of(["train.seed=0,1,2"], discover(), source="tiny")
    specs = [row.spec.to_yaml({}) for row in written.combinations if row.spec]
    return create_sweep(tmp_path, written, specs, words=["tiny", "train.seed=0,1,2"])


def test_words_are_parameters_of_submitit() -> None:
    words = ["slurm.partition=gpu", "slurm.timeout_min=600", "slurm.gpus_per_node=1", "slurm.cluster=local"]
    found = parameters_of(words)
    assert found == {"slurm_partition": "gpu", "timeout_min": 600, "gpus_per_node": 1, "cluster": "local"}


def test_every_run_is_a_job_of_one_array_and_none_is_sent_twice(cluster: Cluster, sweep: SweepFolder) -> None:
    start_session(sweep.made(sweep.rows[1])).end("finished")
    sent = submit_sweep(sweep, ["slurm.partition=gpu"], ["--limit", "8"])
    assert sent == {sweep.rows[0].run: "7_0", sweep.rows[2].run: "7_1"}
    assert [job.run for job in cluster.batches[0]] == [str(sweep.folder(sweep.rows[n]).path) for n in (0, 2)]
    assert cluster.parameters == {"name": sweep.id, "slurm_partition": "gpu"}
    assert cluster.arguments["cluster"] == "slurm" and cluster.arguments["slurm_max_num_timeout"] >= 100
    cluster.states = {"7_0": "PENDING", "7_1": "CANCELLED by 1000"}
    assert in_slurm(sweep) == {sweep.rows[0].run: "Slurm: pending"}
    assert [*submit_sweep(sweep, [], None)] == [sweep.rows[2].run], "of which the job is gone"


@pytest.mark.parametrize("state", ["UNKNOWN", "PREEMPTED", "REQUEUED", "COMPLETING"])
def test_jobs_that_slurm_does_not_know_yet_or_runs_again_are_not_sent_twice(
    state: str, cluster: Cluster, sweep: SweepFolder
) -> None:
    cluster.states = {job: state for job in submit_sweep(sweep, [], None).values()}
    assert submit_sweep(sweep, [], None) == {} and len(cluster.batches) == 1


def test_jobs_whose_sending_was_cut_off_are_not_sent_twice(
    cluster: Cluster, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(job: Job) -> None:
        raise RuntimeError("sbatch: no such partition")

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "submit", refused)
        with pytest.raises(UserError, match="no such partition"):
            submit_sweep(sweep, [], None)
    assert in_slurm(sweep) == {}, "of those that were refused nothing is kept"

    def cut(job: Job) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cluster, "submit", cut)
        with pytest.raises(KeyboardInterrupt):
            submit_sweep(sweep, [], None)
    assert {*in_slurm(sweep).values()} == {"Slurm: perhaps sent"}
    with pytest.raises(UserError, match="whether Slurm has them is not known") as refusal:
        submit_sweep(sweep, [], None)
    assert f"squeue --name={sweep.id}" in refusal.value.problems[0].cure


def test_what_slurm_does_not_know_is_refused_before_anything_is_written(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"submitit refuses: Unknown argument 'slurm_partitin'\."):
        refuse_slurm(["slurm.partitin=gpu"])
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="there is no Slurm here"):
        refuse_slurm([])


def quick(monkeypatch: pytest.MonkeyPatch, code: str, *, evaluate: str = "") -> None:
    """What a job starts is this Python instead of a training."""

    def command(run: Path, flags: Sequence[str] | None = None) -> list[str]:
        return [sys.executable, "-c", code if flags is None else evaluate, "", "train" if flags is None else "evaluate"]

    monkeypatch.setattr(slurm, "train_command", command)
    monkeypatch.setattr(slurm, "evaluate_command", command)
    monkeypatch.setattr(slurm, "_POLL", 0.01)
    monkeypatch.setattr(slurm, "_LAST_WORD", 0.0)


def test_a_job_trains_and_scores_and_fails_as_its_run_does(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = str(sweep.made(sweep.rows[0]).path)
    note = f"open({str(tmp_path / 'done')!r}, 'a').write"
    quick(monkeypatch, f"{note}('trained ')", evaluate=f"{note}('scored')")
    assert Job(run, ["--limit", "8"])() == 0
    assert (tmp_path / "done").read_text("utf-8") == "trained scored"
    quick(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="train ended with code 3"):
        Job(run, None)()


def test_the_signal_for_submitit_does_not_reach_the_training(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGUSR2)")
    assert Job(str(sweep.made(sweep.rows[0]).path), None)() == 0


def test_a_job_that_is_to_go_has_its_run_save_and_waits_again(
    cluster: Cluster, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "_POLL", 0.01)
    folder = sweep.made(sweep.rows[0])
    job = Job(str(folder.path), ["--limit", "8"])
    waits = f"import os, time\nwhile not os.path.exists({str(folder.control / 'stop')!r}): time.sleep(0.01)"
    job._process = subprocess.Popen([sys.executable, "-c", waits])
    word, again = job.checkpoint()
    assert word == "again" and job._process.poll() == 0 and is_wished(folder, "stop")
    assert (again.run, again.evaluate, again._process) == (job.run, job.evaluate, None)
