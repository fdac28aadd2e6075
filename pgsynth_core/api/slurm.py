"""An ablation on a cluster: one array of Slurm jobs, one job a run, sent by submitit. No torch.

A job that is preempted, or whose time is up, has its run finish the step and save, and waits in Slurm again; then it
goes on from that checkpoint. The run itself is in the folder of runs as any other, which the nodes must share.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pgsynth_core.api.sweeping import evaluate_command, train_command
from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, control, status_of
from pgsynth_core.runs.durable import json_text, read_json, refusing, replace_text
from pgsynth_core.spec.scalars import scalar_value
from pgsynth_core.sweeps import Row, SweepFolder, standings

__all__ = ["Job", "in_slurm", "parameters_of", "refuse_slurm", "require_submitit", "submit_sweep"]

_CLUSTER: Final = "cluster"
_REQUEUES: Final = "max_num_timeout"
_MANY: Final = 1000
"""How often a job may wait again because its time was up: until its run is finished."""
_SHARED: Final = (
    "name",
    "timeout_min",
    "mem_gb",
    "nodes",
    "cpus_per_task",
    "gpus_per_node",
    "tasks_per_node",
    "stderr_to_stdout",
)
"""Parameters that submitit names alike for every kind of cluster; the others are Slurm's own."""
_SAVING: Final = 75.0
"""Seconds that a run gets to finish its step and save; submitit has Slurm warn 90 before the end."""
_GONE: Final = 1200.0
"""Seconds in which it must show that another node, which was cut off, trains the run no more."""
_LAST_WORD: Final = 120.0
"""Seconds in which submitit's signal may come, where the run heard another that ended it first."""
_POLL: Final = 0.5
_INTERRUPTED: Final = 130


def require_submitit() -> Any:
    """The library.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import submitit
    except ImportError as error:
        message = f"Slurm is reached by submitit, which cannot be imported: {error}."
        raise UserError(message, where="--slurm", cure="Install the extra: pip install 'pgsynth[slurm]'.") from error
    return submitit


def parameters_of(words: Sequence[str]) -> dict[str, Any]:
    """``slurm.KEY=VALUE`` words as submitit's parameters: ``slurm.partition=gpu`` is its ``slurm_partition``."""
    pairs = (word.removeprefix("slurm.").partition("=") for word in words)
    found = {key: scalar_value(value) for key, _, value in pairs}
    plain = (*_SHARED, _CLUSTER)
    return {key if key in plain else f"slurm_{key}": value for key, value in found.items()}


class Job:
    """What one job does. Only paths and words travel to it.

    Args:
        run: Folder of the run.
        evaluate: Flags of ``pgsynth evaluate`` with which it is scored when it is finished; None if it is not.
    """

    def __init__(self, run: str, evaluate: Sequence[str] | None) -> None:
        self.run, self.evaluate = run, evaluate
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Train the run to its end, and score it; the exit code, which submitit keeps as the job's result.

        Raises:
            RuntimeError: If that fails: so Slurm's own tools show the job as failed.
        """
        folder = RunFolder(Path(self.run))
        deadline = time.monotonic() + _GONE
        while status_of(folder).live and time.monotonic() < deadline:
            time.sleep(_POLL)
        commands = [] if status_of(folder).state == "finished" else [train_command(folder.path)]
        if self.evaluate is not None:
            commands.append(evaluate_command(folder.path, self.evaluate))
        for command in commands:
            if code := self._done(command):
                time.sleep(_LAST_WORD if code == _INTERRUPTED else 0)
                raise RuntimeError(f"pgsynth {command[4]} ended with code {code}: {status_of(folder).reason}")
        return 0

    def checkpoint(self) -> Any:
        """Called by submitit when the job is to go: the run saves and stops, and the same job waits again."""
        if self._process is not None and self._process.poll() is None:
            control.wish(RunFolder(Path(self.run)), "stop")
            deadline = time.monotonic() + _SAVING
            while self._process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL)
        return require_submitit().helpers.DelayedSubmission(Job(self.run, self.evaluate))

    def _done(self, command: Sequence[str]) -> int:
        """Run a command; its exit code. It does not hear the signal that is meant for submitit."""
        before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # inherited, and restored at once
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        finally:
            signal.signal(signal.SIGUSR2, before)
        while self._process.poll() is None:  # never within wait(), which `checkpoint` could not interrupt
            time.sleep(_POLL)
        return self._process.returncode


def submit_sweep(sweep: SweepFolder, words: Sequence[str], evaluate: Sequence[str] | None) -> dict[str, str]:
    """Send every run that is not finished, and for which no job waits or works, as one array.

    Args:
        sweep: Which.
        words: ``slurm.KEY=VALUE``; of submitit's parameters, and ``slurm.cluster=local`` for processes on this machine.
        evaluate: As in `Job`.

    Returns:
        Id of a run -> id of its job.

    Raises:
        UserError: If submitit or Slurm is not here, or refuses; jobs that were sent stay.
    """
    jobs, known = in_slurm(sweep), _known(sweep)
    if "" in known.values():
        message = f"jobs of {sweep.id} were being sent when that was cut off: whether Slurm has them is not known."
        cure = f"See: squeue --name={sweep.id}; end what is there (scancel), delete {sweep.jobs_file}, and send again."
        raise UserError(message, where="--slurm", cure=cure)
    rows = [one.row for one in standings(sweep, jobs) if one.open]
    if not rows:
        return {}
    executor, cluster = _executor(sweep.path / "slurm", words, sweep.id)
    noted = cluster == "slurm"  # others cannot be asked later how their jobs stand; the runs say enough
    if noted:
        _note(sweep, known | {row.run: "" for row in rows})
    try:
        sent = _sent(executor, sweep, rows, evaluate)
    except (require_submitit().core.utils.FailedJobError, RuntimeError, OSError) as error:
        if noted:
            _note(sweep, known)
        raise UserError(f"the jobs cannot be sent: {' '.join(str(error).split())}.", where="--slurm") from error
    if noted:
        _note(sweep, known | sent)
    return sent


def _known(sweep: SweepFolder) -> dict[str, str]:
    """Id of each run that was sent -> its job; empty while that is being sent."""
    return read_json(sweep.jobs_file) or {}


def _note(sweep: SweepFolder, jobs: Mapping[str, str]) -> None:
    with refusing("which jobs are sent cannot be written", sweep.jobs_file):
        replace_text(sweep.jobs_file, json_text(jobs))


def refuse_slurm(words: Sequence[str]) -> None:
    """Before anything is written: see that submitit and Slurm are here, and know these parameters.

    Raises:
        UserError: If not.
    """
    with tempfile.TemporaryDirectory() as folder:
        _executor(Path(folder), words, "pgsynth")


def _executor(folder: Path, words: Sequence[str], name: str) -> tuple[Any, str]:
    """What sends jobs, and the kind of cluster."""
    submitit = require_submitit()
    parameters = parameters_of(words)
    cluster = str(parameters.pop(_CLUSTER, "slurm"))
    requeues = parameters.pop(f"slurm_{_REQUEUES}", _MANY)
    if cluster == "slurm" and shutil.which("sbatch") is None:
        cure = "Run it on a machine from which jobs are sent; or leave --slurm out: pgsynth's own queue trains them."
        raise UserError("there is no Slurm here: no sbatch is found.", where="--slurm", cure=cure)
    try:
        executor = submitit.AutoExecutor(folder, cluster, slurm_max_num_timeout=requeues)
        executor.update_parameters(**{"name": name, **parameters})
    except (NameError, AssertionError, ValueError, TypeError) as error:
        said = str(error).partition("\n")[0].rstrip(".")
        cure = "Write submitit's parameters, e.g. slurm.partition=gpu slurm.timeout_min=600 slurm.gpus_per_node=1."
        raise UserError(f"submitit refuses: {said}.", where="--slurm", cure=cure) from error
    return executor, cluster


def _sent(executor: Any, sweep: SweepFolder, rows: Sequence[Row], evaluate: Sequence[str] | None) -> dict[str, str]:
    jobs = [Job(str(sweep.made(row).path), evaluate) for row in rows]
    with executor.batch():
        sent = [executor.submit(job) for job in jobs]
    return {row.run: str(job.job_id) for row, job in zip(rows, sent, strict=True)}


def in_slurm(sweep: SweepFolder) -> Mapping[str, str]:
    """Id of each run for which a job waits or works -> how the job stands, as Slurm says now.

    Raises:
        UserError: If jobs were sent and submitit is not here to ask for them.
    """
    known = _known(sweep)
    if not known:
        return {}
    submitit, found = require_submitit(), {}
    for run, number in known.items():
        job = submitit.SlurmJob(sweep.path / "slurm", str(number)) if number else None
        if job is None or not job.done():  # which knows that what was just sent, or preempted, is not at its end
            found[run] = f"Slurm: {str(job.state).lower() if job else 'perhaps sent'}"
    return found
