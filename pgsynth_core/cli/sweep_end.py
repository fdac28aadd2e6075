"""What the commands of ``pgsynth sweep`` share: have the runs trained, and say how they stand and what comes next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgsynth_core.cli import compare
from pgsynth_core.cli.console import Table, draw_table, one_line, say, say_json, tell
from pgsynth_core.cli.progress import duration
from pgsynth_core.cli.report import broken_facts, problem_facts, tell_warning
from pgsynth_core.cli.sweep_said import summary
from pgsynth_core.cli.verbs import Session
from pgsynth_core.errors import UserError
from pgsynth_core.reports import comparison_facts
from pgsynth_core.runs import comparing
from pgsynth_core.runs.reader import read_facts

if TYPE_CHECKING:
    from pgsynth_core.api.sweeping import Failure
    from pgsynth_core.sweeps import Row, Standing, SweepFolder

__all__ = ["Asked", "carry_out", "draw_standings", "follow_up", "row_facts", "standings_now"]


@dataclass(frozen=True)
class Asked:
    """What is to be done with the runs of a sweep.

    Attributes:
        wait: Train them here and now.
        evaluate: Flags of ``pgsynth evaluate`` for what is finished; None if it is not scored.
        slurm: ``slurm.KEY=VALUE`` words, with which they are sent to Slurm; None if they are not.
    """

    wait: bool = False
    evaluate: tuple[str, ...] | None = None
    slurm: tuple[str, ...] | None = None


def carry_out(
    sweep: SweepFolder,
    asked: Asked,
    arguments: argparse.Namespace,
    session: Session,
    *,
    hours: Mapping[str, float | None] | None = None,
) -> int:
    """Have every run trained that is not finished, and say what came of it; the exit code.

    Raises:
        UserError: If Slurm refuses.
        KeyboardInterrupt: If it was interrupted; what was being trained has saved.
    """
    tell(one_line(f"sweep {sweep.id}: {sweep.path}"))
    failures: tuple[Failure, ...] = ()
    done = ""
    if asked.wait:
        failures = _train_here(sweep, asked, arguments)
    elif asked.slurm is not None:
        from pgsynth_core.api.slurm import submit_sweep

        sent = submit_sweep(sweep, asked.slurm, asked.evaluate)
        done = f"{len(sent)} job{'s' * (len(sent) != 1)} sent to Slurm"
    else:
        from pgsynth_core.api.sweeping import queue_sweep

        queued, failures = queue_sweep(sweep, session.registry)
        done = f"{len(queued)} run{'s' * (len(queued) != 1)} put into the queue"
    now = standings_now(sweep)
    _say(sweep, now, arguments, session, failures=failures, hours=hours or {}, compared=asked.wait, done=done)
    unfinished = asked.wait and any(one.row.run and not one.finished for one in now)
    return 1 if failures or unfinished else 0


def _train_here(sweep: SweepFolder, asked: Asked, arguments: argparse.Namespace) -> tuple[Failure, ...]:
    from pgsynth_core.api.sweeping import Training

    count = len(sweep.good)
    places = {row.number: place for place, row in enumerate(sweep.good, 1)}

    def begin(row: Row, doing: str, left: float | None) -> None:
        rest = "" if left is None else f"; about {duration(left)} left for all"
        tell(one_line(f"[{places[row.number]}/{count}] {row.name}: {doing}{rest}"))

    def wait(others: int) -> None:
        tell(f"waiting for {others} run{'s' * (others != 1)} that others train, or that wait in the queue")

    training = Training(sweep, asked.evaluate, on_begin=begin, on_wait=wait)
    try:
        training.run()
    except KeyboardInterrupt:
        tell(f"Interrupted; it goes on with: {_resume(sweep, arguments, asked)}")
        raise
    return tuple(training.failures)


def standings_now(sweep: SweepFolder) -> tuple[Standing, ...]:
    """How every combination stands, by its run and by what Slurm says, if it was sent there and can be asked here."""
    from pgsynth_core.api.slurm import in_slurm
    from pgsynth_core.sweeps import standings

    jobs: Mapping[str, str] = {}
    try:
        jobs = in_slurm(sweep)
    except UserError as error:
        tell_warning(str(error))
    return standings(sweep, jobs)


# ------------------------------------------------------------------------------------------- told
def _say(  # noqa: PLR0913 - what there is to say
    sweep: SweepFolder,
    now: Sequence[Standing],
    arguments: argparse.Namespace,
    session: Session,
    *,
    failures: Sequence[Failure],
    hours: Mapping[str, float | None],
    compared: bool,
    done: str,
) -> None:
    finished = [one.row.run for one in now if one.finished]
    comparison = _compared(sweep, finished) if compared and arguments.json and len(finished) > 1 else None
    for failure in failures:
        tell_warning(one_line(f"{failure.row.name}: {failure.doing} failed: {failure.reason}"))
    next_ = follow_up(sweep, now, arguments.runs)
    if arguments.json:
        facts = {"ok": not failures, "dry_run": False, "sweep": sweep.id, "path": str(sweep.path), "words": sweep.words}
        rows = [row_facts(sweep, one) | {"hours": hours.get(one.row.run)} for one in now]
        facts |= {"factors": dict(sweep.factors), "combinations": rows, "runs": len(sweep.good)}
        facts |= {"pruned": len(sweep.rows) - len(sweep.good), "warnings": []}
        facts["failures"] = [
            {"run": failure.row.run, "doing": failure.doing, "problem": failure.reason} for failure in failures
        ]
        facts |= {"comparison": comparison} if comparison else {}
        say_json(facts | {"next": next_, "broken": broken_facts(session.registry.broken)})
        return
    if compared:
        draw_standings(sweep, now)
        if len(finished) > 1:
            say()
            words = [str(sweep.root / run) for run in finished]
            compare.COMMAND.run(compare.COMMAND.parser().read(words), session)
            say()
    say(one_line(f"{sweep.id}: {done or summary(now)}"))
    for command in next_:
        say(f"  {command}")


def _compared(sweep: SweepFolder, runs: Sequence[str]) -> Mapping[str, Any] | None:
    from pgsynth_core.runs import RunFolder

    with suppress(UserError):
        return comparison_facts(comparing.compare([read_facts(RunFolder(sweep.root / run)) for run in runs]))
    return None


def follow_up(sweep: SweepFolder, now: Sequence[Standing], runs: str | None) -> list[str]:
    """The commands that come next."""
    where = ["--runs", runs] if runs else []
    if any(one.open for one in now):
        return [shlex.join(["pgsynth", "sweep", "resume", sweep.id, *where])]
    if any(one.busy for one in now):
        return [shlex.join(["pgsynth", "sweep", "show", sweep.id, *where])]
    return [f"pgsynth compare {_shown(sweep.root)}/{sweep.id}-*"] if len(sweep.good) > 1 else []


def _resume(sweep: SweepFolder, arguments: argparse.Namespace, asked: Asked) -> str:
    where = ["--runs", arguments.runs] if arguments.runs else []
    return shlex.join(["pgsynth", "sweep", "resume", sweep.id, *where, *(["--wait"] if asked.wait else [])])


def _shown(root: Path) -> str:
    with suppress(ValueError, OSError):
        return shlex.quote(str(root.relative_to(Path.cwd())))
    return shlex.quote(str(root))


def row_facts(sweep: SweepFolder, one: Standing) -> dict[str, Any]:
    """A combination as plain data: what it is, how its run stands, what it scores."""
    row, status = one.row, one.status
    facts: dict[str, Any] = {"number": row.number, "values": row.values, "name": row.name, "words": row.words}
    facts |= {"run": row.run or None, "state": one.state, "step": status.step if status else None}
    facts |= {"steps": status.steps if status else None, "loss": status.loss if status else None}
    facts |= {"reason": one.reason, "problems": problem_facts(row.problems)}
    return facts | {"scores": _scores(sweep, one)}


def _scores(sweep: SweepFolder, one: Standing) -> Mapping[str, float]:
    """The means of the evaluation of its last step; empty if there is none."""
    if one.status is None:
        return {}
    with suppress(UserError):
        evaluations = read_facts(sweep.folder(one.row)).evaluations
        if evaluations:
            return max(evaluations, key=lambda evaluation: evaluation.step).means
    return {}


def draw_standings(sweep: SweepFolder, now: Sequence[Standing]) -> None:
    """The table of combinations: how each stands, and what it scores."""
    scores = [_scores(sweep, one) for one in now]
    names = [*dict.fromkeys(name for found in scores for name in found)]
    rows = []
    for one, found in zip(now, scores, strict=True):
        status = one.status
        step = f"{status.step}/{status.steps}" if status and status.steps else ""
        cells = [f"{found[name]:.4f}" if name in found else "" for name in names]
        rows.append((str(one.row.number), *one.row.values, one.state, step, *cells, one.reason))
    draw_table(Table("", ("", *_names(sweep), "state", "steps", *names, ""), rows))


def _names(sweep: SweepFolder) -> tuple[str, ...]:
    from pgsynth_core.sweeps import Factor, Grid

    return Grid(tuple(Factor(path, values) for path, values in sweep.factors.items())).names
