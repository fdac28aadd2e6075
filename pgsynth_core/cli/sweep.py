"""``pgsynth sweep``: a base, what is varied, several seeds: every combination that fits becomes a run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs, at_least
from pgsynth_core.cli.changing import add_asking, agreed, require_answer
from pgsynth_core.cli.compose import split_words
from pgsynth_core.cli.console import Table, draw_table, one_line, progress, say, say_json, tell
from pgsynth_core.cli.report import broken_facts, problem_facts, tell_warning
from pgsynth_core.cli.sweep_end import Asked, carry_out
from pgsynth_core.cli.sweep_said import hours_text, sweep_sentence
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import UserError
from pgsynth_core.runs import require_writable, runs_root
from pgsynth_core.runs.durable import IN_RUNS
from pgsynth_core.runs.folder import run_name
from pgsynth_core.spec import SPEC_KEYS

if TYPE_CHECKING:
    from pgsynth_core.sweeps import Combination, Pace, Sweep

__all__ = ["COMMAND", "add_doing", "asked_of", "slurm_words"]

_SLURM = "slurm."

_DESCRIPTION = """\
An ablation: every combination of the values given becomes a run, with the same name in
front, trained by the queue, here, or on a cluster. What the contract refuses is pruned and
listed with its reason."""

_EPILOG = """\
words, in any order with the flags:
  SPEC                  a preset, a path, or an ablation: pgsynth sweep list --presets
  path=value,value,...  what is varied, the last argument fastest; brackets hold together:
                        [a, b],[c, d] are two values
  path=value            what is the same for all, as in pgsynth compose
  slurm.KEY=VALUE       with --slurm: a parameter of submitit, e.g. slurm.partition=gpu

examples:
  pgsynth sweep qen attn.pma.mask=none,eq9,eq5 encoder.qfft.queries=local,local+global
  pgsynth sweep qen-table3 train.seed=0,1,2 --dry-run         the same, three seeds
  pgsynth sweep qen-table3 --on tiny data=figures train.steps=300 --wait --evaluate
  pgsynth sweep tiny data=figures train.learning_rate=1e-3,2e-3 --time
  pgsynth sweep truepose-k --slurm slurm.partition=gpu slurm.timeout_min=600

A sweep is a folder, RUNS/sweeps/<date>-<time>-<name>, written once; its runs are ordinary
runs beside it, called by its id, their number and values. How it stands is read from them:
whatever is killed, pgsynth sweep resume ID begins what has no run, goes on with what stopped
or failed, and leaves what is finished. pgsynth sweep show ID lists them.

Hours are those of earlier runs of the same base, parts, size and batch on this machine, or
measured by --time; else they are unknown. Sheets, looks at unseen pairs and evaluations come
besides. Exit codes: 0 all is done, or left to the queue; 1 some runs failed, named with the
reason; 2 you can mend it.

With --json: ok, dry_run, sweep (id, or null), path, words, factors, hours (null if unknown),
combinations (number, values, name, words, run, state, step, steps, loss, hours, problems,
scores), runs, pruned, warnings, failures (run, doing, problem), comparison (with --wait), next
(commands), broken."""

_TIME = "take a few real steps of each kind of combination of which no earlier run says how long they take"
_ON = "of an ablation: another preset or file in place of its own, e.g. tiny"


def _parser() -> Parser:
    parser = Parser("sweep", _DESCRIPTION, epilog=_EPILOG, override_keys=SPEC_KEYS)
    parser.usage = (
        "pgsynth sweep SPEC key=value,value ... [flags]\n       pgsynth sweep list | show ID | resume ID [flags]"
    )
    parser.add_argument("words", nargs="*", metavar="SPEC, key=value", help="what to vary of what, see below")
    parser.add_argument("--name", metavar="WORDS", help="what the sweep and its runs are called behind the time")
    parser.add_argument("--on", metavar="SPEC", help=_ON)
    parser.add_argument(
        "--adapt", action="store_true", help="take the linear adapters proposed where only widths differ"
    )
    add_runs(parser)
    parser.add_argument("--time", action="store_true", help=_TIME)
    parser.add_argument("--no-proof", action="store_true", help="begin without proving each method first")
    add_doing(parser)
    add_asking(parser)
    add_common(parser)
    return parser


def add_doing(parser: argparse.ArgumentParser) -> None:
    """The flags that say who trains the runs, and what comes after."""
    parser.add_argument("--wait", action="store_true", help="train here and now, one after another, past failures")
    parser.add_argument("--evaluate", action="store_true", help="score each finished run; with --wait or --slurm")
    parser.add_argument("--protocol", metavar="NAME", help="with --evaluate: as in pgsynth evaluate")
    parser.add_argument("--size", metavar="HxW", help="with --evaluate: at which pictures are compared")
    parser.add_argument("--limit", metavar="N", type=at_least(1), help="with --evaluate: only the first N pairs")
    parser.add_argument("--slurm", action="store_true", help="send each run as a job of Slurm, by submitit")


def asked_of(arguments: argparse.Namespace, session: Session, slurm: Sequence[str]) -> Asked:
    """What is to be done with the runs, by the flags.

    Raises:
        ArgumentsError: If they contradict each other.
        SpecError: If there is no such protocol, or it does not compare at that size.
    """
    where = "pgsynth sweep"
    given = {name: getattr(arguments, name) for name in ("protocol", "size", "limit")}
    flags = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    if flags and not arguments.evaluate:
        raise ArgumentsError(f"{flags[0]} is for --evaluate.", where=where, cure="Add --evaluate.")
    if arguments.wait and arguments.slurm:
        message = "--wait trains here, --slurm on a cluster."
        raise ArgumentsError(message, where=where, cure="Give one of them.")
    if slurm and not arguments.slurm:
        raise ArgumentsError(f"{slurm[0]} is for --slurm.", where=where, cure="Add --slurm.")
    if arguments.evaluate and not (arguments.wait or arguments.slurm):
        cure = "Add --wait; or, when the queue has trained them: pgsynth sweep resume ID --wait --evaluate."
        raise ArgumentsError("--evaluate scores what is trained here or by Slurm.", where=where, cure=cure)
    if arguments.evaluate:
        from pgsynth_core.api.scoring import Scoring

        scoring = Scoring(protocol=arguments.protocol or "", size=arguments.size or "")
        scoring.of(session.registry).size(scoring.size)  # now, and not when all is trained
    if arguments.slurm:
        from pgsynth_core.api.slurm import refuse_slurm

        refuse_slurm(slurm)
    evaluate = tuple(flags) if arguments.evaluate else None
    return Asked(arguments.wait, evaluate, tuple(slurm) if arguments.slurm else None)


def slurm_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words for submitit, and the others."""
    return [word for word in words if word.startswith(_SLURM)], [word for word in words if not word.startswith(_SLURM)]


def _run(arguments: argparse.Namespace, session: Session) -> int:
    from pgsynth_core.sweeps import sweep_of

    slurm, words = slurm_words(arguments.words)
    asked = asked_of(arguments, session, slurm)
    if arguments.name:
        run_name(arguments.name, where="argument --name")
    source, given = split_words(words)
    sweep = sweep_of(
        given,
        session.registry,
        source=None if source is None else str(source),
        on=arguments.on,
        adapt=arguments.adapt,
    )
    _refuse_nonsense(sweep)
    if not arguments.dry_run:
        require_answer(arguments, "pgsynth sweep")
        require_writable(runs_root(arguments.runs), "no run can be made here", elsewhere=IN_RUNS)
    hours = _hours(sweep, arguments)
    warnings = [str(problem) for problem in sweep.useless]
    if not arguments.json or not arguments.dry_run:
        _show(sweep, hours, to_stderr=arguments.json)
    for sentence in warnings:
        tell_warning(sentence)
    good = sum(row.ok for row in sweep.combinations)
    if arguments.dry_run or not agreed(arguments, f"Train these {good} runs?"):
        if arguments.json:
            say_json(_facts(sweep, hours, warnings, session))
        else:
            tell("nothing is changed")
        return 0
    made = _begin(sweep, arguments, asked, words)
    estimates = {row.run: hours[number] for number, row in enumerate(made.rows) if row.run}
    return carry_out(made, asked, arguments, session, hours=estimates)


def _begin(sweep: Sweep, arguments: argparse.Namespace, asked: Asked, words: Sequence[str]) -> Any:
    from pgsynth_core.api.sweeping import begin_sweep

    def proving(row: Combination) -> None:
        tell(one_line(f"proving {', '.join(sweep.grid.described(row.values))}"))

    flags = [*(["--on", arguments.on] if arguments.on else []), *(["--adapt"] if arguments.adapt else [])]
    return begin_sweep(
        sweep,
        words=[*words, *flags],
        runs=arguments.runs,
        name=arguments.name or "",
        evaluate=asked.evaluate,
        proving=None if arguments.no_proof else proving,
    )


def _refuse_nonsense(sweep: Sweep) -> None:
    """Before hours are spent on the rest of what was meant.

    Raises:
        UserError: If a value can be read in no combination, or no combination can be trained.
    """
    with progress("Asking the contract about every combination"):
        mistyped = sweep.mistyped
    if mistyped:
        raise UserError(mistyped)
    if not any(row.ok for row in sweep.combinations):
        first = sweep.combinations[0]
        message = f"none of {len(sweep.combinations)} combinations fits. The first: {first.problems[0].message}"
        raise UserError(message, where=", ".join(sweep.grid.described(first.values)), cure=first.problems[0].cure)


# ------------------------------------------------------------------------------------------- the preview
def _hours(sweep: Sweep, arguments: argparse.Namespace) -> list[float | None]:
    """Of each combination; None for what is pruned, or unknown."""
    from pgsynth_core.sweeps import earlier_paces, pace_keys, sweep_hours

    keys = {key for key in pace_keys(sweep) if key}
    known: dict[tuple[str, ...], Pace] = earlier_paces(runs_root(arguments.runs), keys)
    unknown = keys - {*known}
    if arguments.time and unknown:
        from pgsynth_core.api.sweeping import measured_paces

        with progress("Taking a few steps"):
            known |= measured_paces(sweep, unknown, runs=arguments.runs)
    for source in dict.fromkeys(pace.source for pace in known.values()):
        seconds = [pace.seconds for pace in known.values() if pace.source == source]
        tell(f"pace: {min(seconds):.3g}{f' to {max(seconds):.3g}' if len(seconds) > 1 else ''} s a step, by {source}")
    return list(sweep_hours(sweep, known))


def _show(sweep: Sweep, hours: Sequence[float | None], *, to_stderr: bool) -> None:
    rows = []
    for number, (row, time) in enumerate(zip(sweep.combinations, hours, strict=True), 1):
        verdict = "ok" if row.ok else f"pruned: {row.problems[0].message} {row.problems[0].cure}".rstrip()
        rows.append((str(number), *row.values, hours_text(time) if row.ok else "", verdict))
    stream = "stderr" if to_stderr else "stdout"
    draw_table(Table("", ("", *sweep.grid.names, "time", ""), rows), "stderr" if to_stderr else "stdout")
    line = sweep_sentence(sweep.combinations, hours)
    (tell if stream == "stderr" else say)(line)


def _facts(sweep: Sweep, hours: Sequence[float | None], warnings: Sequence[str], session: Session) -> Mapping[str, Any]:
    rows = [
        {
            "number": number,
            "values": row.values,
            "name": ", ".join(sweep.grid.described(row.values)),
            "words": row.words,
        }
        | {"run": None, "state": None if row.ok else "pruned", "hours": time, "problems": problem_facts(row.problems)}
        for number, (row, time) in enumerate(zip(sweep.combinations, hours, strict=True), 1)
    ]
    known = [time for time in hours if time is not None]
    good = sum(row.ok for row in sweep.combinations)
    facts: dict[str, Any] = {"ok": True, "dry_run": True, "sweep": None, "path": None}
    facts |= {"factors": {factor.path: factor.values for factor in sweep.grid.factors}}
    facts |= {"hours": sum(known) if len(known) == good else None, "combinations": rows, "runs": good}
    facts |= {"pruned": len(rows) - good, "warnings": list(warnings), "failures": [], "next": []}
    return facts | {"broken": broken_facts(session.registry.broken)}


COMMAND = Command(_parser, _run, "words:sweep_words")
