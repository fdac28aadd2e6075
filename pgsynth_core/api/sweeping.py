"""`sweep`: an ablation is written down; its runs go into the queue, or are trained here one after another. No torch.

Each run that is trained here has a process of its own, as in the queue: whatever ends one, the next begins.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

from pgsynth_core.api import compose, detach_run
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import require_writable, runs_root, status_of
from pgsynth_core.runs.durable import IN_RUNS
from pgsynth_core.spec import Spec
from pgsynth_core.sweeps import (
    Combination,
    Pace,
    Row,
    Standing,
    Sweep,
    SweepFolder,
    create_sweep,
    pace_key,
    standings,
)

__all__ = ["Failure", "Training", "begin_sweep", "measured_paces", "queue_sweep", "train_command"]

_POLL: Final = 2.0
"""Seconds between two looks at runs that others train."""


@dataclass(frozen=True)
class Failure:
    """A combination that did not get where it should.

    Attributes:
        row: Which.
        doing: What failed: ``training``, ``evaluating``, ``queueing``.
        reason: Why, in a sentence.
    """

    row: Row
    doing: str
    reason: str


def begin_sweep(  # noqa: PLR0913 - what a sweep is begun with
    sweep: Sweep,
    *,
    words: Sequence[str],
    runs: str | Path | None = None,
    name: str = "",
    evaluate: Sequence[str] | None = None,
    proving: Callable[[Combination], Any] | None = None,
) -> SweepFolder:
    """Write an ablation down, every spec frozen; nothing is trained yet.

    Args:
        sweep: With combinations that can be trained.
        words: What was typed.
        runs: Where its runs will be; by default ``$PGSYNTH_RUNS``, else ``./runs``.
        name: What it is called behind its time.
        evaluate: Flags of ``pgsynth evaluate`` for its finished runs; None if they are not scored.
        proving: Told before a combination is proved, once for each method; None: nothing is proved.

    Raises:
        UserError: If data or a library is missing, or nothing can be written there; nothing is left behind.
        ProofError: If a part does not keep its contract.
    """
    root = runs_root(None if runs is None else str(runs))
    require_writable(root, "no run can be made here", elsewhere=IN_RUNS)
    good = [row for row in sweep.combinations if row.ok]
    composed = [compose(sweep.source, *row.words, adapt=sweep.adapt, registry=sweep.registry) for row in good]
    looked, proved = set[str](), set[str]()
    for row, one in zip(good, composed, strict=True):
        one.require_libraries()
        if (data := repr(one.spec.data)) not in looked:
            dataset_of(one.spec, sweep.registry, "train")
            looked.add(data)
        if proving and (method := _method(one.spec)) not in proved:
            proving(row)
            one.proof()
            proved.add(method)
    specs = [one.to_yaml() for one in composed]
    return create_sweep(root, sweep, specs, words=words, name=name, evaluate=evaluate)


def _method(spec: Spec) -> str:
    """What a proof is of: not how long it is trained, nor from which seed."""
    kept = {name: value for name, value in spec.to_mapping().items() if name not in ("train", "sample", "data")}
    return repr((kept, spec.train.loss, spec.train.drop, spec.train.batch_size))


def measured_paces(
    sweep: Sweep, keys: Iterable[tuple[str, ...]], *, runs: str | Path | None = None
) -> dict[tuple[str, ...], Pace]:
    """Take a few real steps of the first combination of each of these kinds; see `Composition.rehearse`.

    Raises:
        UserError: As `Composition.rehearse`.
    """
    wanted, found = {*keys}, dict[tuple[str, ...], Pace]()
    for row in sweep.combinations:
        if row.ok and row.spec and (key := pace_key(row.spec)) in wanted - {*found}:
            composed = compose(sweep.source, *row.words, adapt=sweep.adapt, registry=sweep.registry)
            rehearsal = composed.rehearse(runs=runs)
            found[key] = Pace(rehearsal.seconds_per_step, f"{rehearsal.steps} steps taken now")
    return found


# ------------------------------------------------------------------------------------------- left to the queue
def queue_sweep(sweep: SweepFolder, registry: Registry) -> tuple[tuple[Row, ...], tuple[Failure, ...]]:
    """Put every run that is not finished, waiting or being trained into the queue.

    Returns:
        Those that were put there, and those that could not be.
    """
    queued, failures = list[Row](), list[Failure]()
    for standing in standings(sweep):
        if standing.open:
            try:
                detach_run(sweep.made(standing.row).path, runs=sweep.root, registry=registry)
                queued.append(standing.row)
            except UserError as error:
                failures.append(Failure(standing.row, "queueing", str(error)))
    return tuple(queued), tuple(failures)


# ------------------------------------------------------------------------------------------- trained here
@dataclass
class Training:
    """The runs of an ablation, trained here one after another.

    Attributes:
        sweep: Which.
        evaluate: Flags of ``pgsynth evaluate`` with which each finished run is scored; None if none is.
        on_begin: Told what begins: the row, ``training`` or ``evaluating``, and seconds left, None if nobody knows.
        on_wait: Told once of how many runs others train, which are waited for.
        failures: What went wrong so far; it goes on past it.
    """

    sweep: SweepFolder
    evaluate: Sequence[str] | None = None
    on_begin: Callable[[Row, str, float | None], None] = lambda row, doing, left: None
    on_wait: Callable[[int], None] = lambda count: None
    failures: list[Failure] = field(default_factory=list)
    _tried: set[int] = field(default_factory=set)
    _scored: set[int] = field(default_factory=set)
    _seconds: list[float] = field(default_factory=list)
    _told: bool = False

    def run(self) -> tuple[Standing, ...]:
        """Train, and score, until nothing is left to do.

        Returns:
            How everything stands in the end.

        Raises:
            KeyboardInterrupt: If it was interrupted; the run that was being trained has saved.
        """
        while True:
            now = [one for one in standings(self.sweep) if one.row.run]
            if unscored := [one.row for one in now if one.finished and self._is_unscored(one.row)]:
                self._score(unscored[0])
            elif untried := [one.row for one in now if one.open and one.row.number not in self._tried]:
                self._train(untried[0], len(untried))
            elif others := [one for one in now if one.busy]:
                if not self._told:
                    self.on_wait(len(others))
                    self._told = True
                time.sleep(_POLL)
            else:
                return standings(self.sweep)

    def _is_unscored(self, row: Row) -> bool:
        return self.evaluate is not None and row.number not in self._scored

    def _train(self, row: Row, left: int) -> None:
        self._tried.add(row.number)
        mean = sum(self._seconds) / len(self._seconds) if self._seconds else None
        self.on_begin(row, "training", mean and mean * left)
        began = time.monotonic()
        try:
            command = train_command(self.sweep.made(row).path)
        except UserError as error:
            self.failures.append(Failure(row, "training", str(error)))
            return
        self._do(row, "training", command)
        self._seconds.append(time.monotonic() - began)

    def _score(self, row: Row) -> None:
        self._scored.add(row.number)
        self.on_begin(row, "evaluating", None)
        self._do(row, "evaluating", evaluate_command(self.sweep.folder(row).path, self.evaluate or ()))

    def _do(self, row: Row, doing: str, command: Sequence[str]) -> None:
        code, facts = _finished(command)
        if code and doing == "training" and status_of(self.sweep.folder(row)).live:
            self._tried.discard(row.number)  # who else does the same was quicker, and is waited for
        elif code:
            problems = [Problem(**problem) for problem in facts.get("problems", ())]
            state = f"it is {facts['state']}." if "state" in facts else f"its process ended with code {code}."
            self.failures.append(Failure(row, doing, str(problems[0]) if problems else state))


def train_command(run: Path) -> list[str]:
    """What trains a run in a process of its own, from its last checkpoint if it has one."""
    return [*_PGSYNTH, "train", "--resume", str(run), "--json"]


def evaluate_command(run: Path, flags: Sequence[str]) -> list[str]:
    """What scores a run in a process of its own."""
    return [*_PGSYNTH, "evaluate", str(run), *flags, "--json"]


_PGSYNTH: Final = (sys.executable, "-P", "-m", "pgsynth_core")


def _finished(command: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """The exit code of a command, and the facts that it printed.

    Raises:
        KeyboardInterrupt: If this process was asked to end, which the command was told and has done.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0)
    with _passing_on(process) as asked:
        said, _ = process.communicate()
    if asked():
        raise KeyboardInterrupt
    try:
        facts = json.loads(said)
    except ValueError:
        facts = None
    return process.returncode, facts if isinstance(facts, dict) else {}


@contextmanager
def _passing_on(process: subprocess.Popen[bytes]) -> Iterator[Callable[[], bool]]:
    """Whether this process was asked to end; each time the other is, too, which has a group of its own for it."""
    asked = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        if process.returncode is None:
            os.kill(process.pid, number)

    heard = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as nohup has it
        heard.pop()
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
