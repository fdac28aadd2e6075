"""``pgsynth train``: a composition becomes a run; ``--resume`` goes on with one."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from typing import TYPE_CHECKING, Any

from pgsynth_core import api
from pgsynth_core.api import KEPT, Composition, may_change
from pgsynth_core.cli.arguments import ArgumentsError, Parser, add_common, add_runs, at_least
from pgsynth_core.cli.compose import split_words
from pgsynth_core.cli.console import one_line, progress, say, say_json
from pgsynth_core.cli.detached import add_detach, refuse_alone, show_detached
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.progress import Follower, duration, follow
from pgsynth_core.cli.questions import answer, is_question
from pgsynth_core.cli.rehearsal import show_rehearsal
from pgsynth_core.cli.report import broken_facts, tell_note, tell_warning
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import nearest
from pgsynth_core.runs import find_beginning, require_writable, runs_root
from pgsynth_core.runs.devices import kind_wanted
from pgsynth_core.runs.durable import IN_RUNS
from pgsynth_core.runs.entry import ATTEMPT
from pgsynth_core.runs.folder import LONGEST_NAME, run_name
from pgsynth_core.runs.queue import refuse_devices
from pgsynth_core.spec import RESUMABLE, SPEC_KEYS, TrainSettings

if TYPE_CHECKING:
    from pgsynth_core.api import Run

__all__ = ["COMMAND"]

INTERRUPTED = 130
_STEPS = "train.steps"

_DESCRIPTION = """\
Train a method: compose it, prove it, and make a run of it, with checkpoints, samples and
a log of every step."""

_EPILOG = """\
words, in any order with the flags: SPEC and key=value as in pgsynth compose.

examples:
  pgsynth train tiny data=figures train.steps=300
  pgsynth train method.yaml data.deepfashion.root=data/fashion
  pgsynth train qen attn.pma.mask=eq9 --name=eq9-a       a run ...-eq9-a, not ...-<parts>
  pgsynth train --resume latest                       from its last checkpoint
  pgsynth train --resume latest train.steps=2000      further this time; the spec stays
  pgsynth train --resume latest train.workers=0       otherwise, for this time
  pgsynth train --resume latest data.folder.root=PATH its data were moved
  pgsynth train --resume RUN/checkpoints/step-00000200    from an earlier one
  pgsynth train 'train.precision=?'                   what may be written there
  pgsynth train method.yaml --rehearse                will it fit, and how long will it take
  pgsynth train tiny train.trackers=tensorboard       see it: tensorboard --logdir runs

A run is a folder, RUNS/<date>-<time>-<parts>; with --name, <name> in place of <parts>.
Ctrl-C finishes the step, saves a checkpoint, without a look at unseen pairs or a sheet,
and ends with 130, and so does a terminal that is closed; a second Ctrl-C ends at once.
Progress goes to stderr.

With --detach the run waits in a queue and is trained as soon as a GPU is free (without
GPUs, the CPU), whether you stay or leave; see pgsynth runs --help. There is one queue
for you on this machine; it waits for a GPU on which you train without --detach, too, and
sees nothing of what other users do.

With --json: ok (all steps taken), run, path, state, step, steps, loss, checkpoint, sheet
(relative to path), seconds, broken; with --detach: ok, run, path, state, position (in the
queue; null once it has begun), kind (gpu, cpu), broken. With --rehearse: ok, device, steps,
seconds_per_step, hours, peak_bytes, estimated_bytes, checkpoint_bytes, free_bytes,
needed_bytes, difference, warnings, broken."""


_DEVICE = """\
Leave it out: training takes the GPU, if torch sees one. CUDA_VISIBLE_DEVICES=1 before \
the command chooses among several, ACCELERATE_USE_CPU=true takes the CPU."""


_NAME = f"""\
what the run is called behind its time, in place of its parts: ASCII letters and digits, what \
stands between becomes '-', {LONGEST_NAME} characters at most; the spec does not know it"""


def _parser() -> Parser:
    parser = Parser("train", _DESCRIPTION, epilog=_EPILOG, override_keys=SPEC_KEYS, absent={"--device": _DEVICE})
    parser.usage = "pgsynth train [SPEC] [key=value ...] [flags]"
    parser.add_argument("words", nargs="*", metavar="SPEC, key=value", help="what to train, as in pgsynth compose")
    add_runs(parser)
    parser.add_argument("--name", metavar="WORDS", help=_NAME)
    resume = "go on with a run: its id, the beginning of it, latest, a path, or a checkpoint's path"
    parser.add_argument("--resume", metavar="RUN", help=resume)
    parser.add_argument(
        "--adapt", action="store_true", help="take the linear adapters proposed where only widths differ"
    )
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="take a few real steps, save, load again, and report memory, pace and disk; no run is made",
    )
    parser.add_argument(
        "--no-proof", action="store_true", help="begin without proving the method first; --resume never proves"
    )
    add_detach(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    if questions := [word for word in arguments.words if is_question(word)]:
        answer(questions, session.registry, json=arguments.json)
        return 0
    refuse_alone(arguments)
    _refuse_name(arguments)
    if arguments.rehearse:
        return _rehearse(arguments, session)
    began = time.monotonic()
    if arguments.detach:
        return show_detached(_detached(arguments, session), arguments, session)
    if arguments.resume is not None:
        steps, changes = _changes(arguments)
        quiet = ATTEMPT in os.environ  # a worker of the queue has stderr written into the run's log
        again = shlex.join(arguments.words)  # the spec keeps the settings it had
        with follow("Preparing data and weights", again=again, runs=arguments.runs, quiet=quiet) as follower:
            run = api.continue_run(
                arguments.resume,
                *changes,
                steps=steps,
                runs=arguments.runs,
                on_event=follower.on_event,
                registry=session.registry,
            )
    else:
        composed = _composed(arguments, session)
        with follow("Preparing data and weights", runs=arguments.runs) as follower:
            run = composed.train(runs=arguments.runs, name=arguments.name, on_event=follower.on_event)
    return _show(run, follower, time.monotonic() - began, arguments, session)


def _detached(arguments: argparse.Namespace, session: Session) -> Run:
    runs, devices = arguments.runs, arguments.devices
    refuse_devices(devices or 1, kind_wanted())  # before minutes are spent on a proof
    if arguments.resume is None:
        return api.detach(_composed(arguments, session), runs=runs, devices=devices or 1, name=arguments.name)
    steps, changes = _changes(arguments)
    resume, registry = arguments.resume, session.registry
    return api.detach_run(resume, *changes, steps=steps, runs=runs, devices=devices, registry=registry)


def _rehearse(arguments: argparse.Namespace, session: Session) -> int:
    if arguments.resume is not None:
        message = "--rehearse is for a run that is to begin; one that is resumed has shown what it takes."
        raise ArgumentsError(message, where="pgsynth train", cure="Leave --resume out, and give the run's spec.yaml.")
    if arguments.detach:
        message = "--rehearse is done here and now, --detach leaves a run to the queue."
        raise ArgumentsError(message, where="pgsynth train", cure="Give one of them.")
    composed = _composed(arguments, session)
    with follow("Preparing data and weights") as follower:
        found = composed.rehearse(runs=arguments.runs, on_event=follower.on_event)
    if arguments.json:
        say_json({"ok": True, **found.facts(), "broken": broken_facts(session.registry.broken)})
        return 0
    show_rehearsal(found, composed.spec.train)
    return 0


# ------------------------------------------------------------------------------------------- before
def _refuse_name(arguments: argparse.Namespace) -> None:
    """Refuse ``--name`` where no run is made, and one that names nothing, before minutes are spent on a proof.

    Raises:
        ArgumentsError: If it is given with ``--resume`` or ``--rehearse``.
        UserError: If it has no letter or digit.
    """
    if arguments.name is None:
        return
    where = "argument --name"
    if arguments.resume is not None:
        cure = f"Leave --name out; or start another run from its spec: {_another(arguments)}"
        raise ArgumentsError("a run that is resumed keeps the name it has.", where=where, cure=cure)
    if arguments.rehearse:
        cure = "Leave --name out, and give it to the run itself."
        raise ArgumentsError("it names a run, and --rehearse makes none.", where=where, cure=cure)
    run_name(arguments.name, where=where)


def _composed(arguments: argparse.Namespace, session: Session) -> Composition:
    source, overrides = split_words(arguments.words)
    composed = api.compose(source, *overrides, adapt=arguments.adapt, registry=session.registry)
    for sentence in composed.warnings:
        tell_warning(sentence)
    composed.require_libraries()
    from pgsynth_core.api.datasets import dataset_of  # numpy

    dataset_of(composed.spec, session.registry, "train")  # before torch is imported: cheap mistakes show first
    for sentence in composed.notes:
        tell_note(sentence)
    require_writable(runs_root(arguments.runs), "no run can be made here", elsewhere=IN_RUNS)
    if not arguments.no_proof:
        with progress("Proving it on the meta device; importing torch takes most of the time"):
            composed.proof()
    return composed


def _changes(arguments: argparse.Namespace) -> tuple[int | None, list[str]]:
    """With --resume: the steps, if they are given, and the other settings.

    Raises:
        ArgumentsError: If anything is to be changed that may not be.
        UserError: If there is no such run.
    """
    others = [word for word in arguments.words if not may_change(word)]
    if others or arguments.adapt:
        what = others[0] if others else "--adapt"
        message = f"{KEPT}, not {what}."
        cure = _meant(what) or f"Start another from its spec: {_another(arguments)}"
        raise ArgumentsError(message, where="pgsynth train --resume", cure=cure)
    given = [word for word in arguments.words if word.partition("=")[0] == _STEPS]
    changes = [word for word in arguments.words if word not in given]
    if not given:
        return None, changes
    word = given[-1]
    try:
        return at_least(1)(word.partition("=")[2]), changes
    except argparse.ArgumentTypeError as error:
        raise ArgumentsError(str(error), where=word, cure=f"Write e.g. {_STEPS}=2000.") from None


def _meant(word: str) -> str:
    """What a misspelt setting of training most likely is; empty if it is none."""
    section, _, key = word.partition("=")[0].partition(".")
    hit = nearest(key, RESUMABLE) if section == "train" and key not in TrainSettings.model_fields else None
    return f"Did you mean 'train.{hit}'?" if hit else ""


def _another(arguments: argparse.Namespace) -> str:
    """The command that starts a run from the spec of the one to resume, with the changes that were asked for."""
    run, _ = find_beginning(arguments.resume, runs_root(arguments.runs))
    words = [str(run.spec_file), *(word for word in arguments.words if "=" in word)]
    words += ["--adapt"] if arguments.adapt else []
    words += ["--runs", arguments.runs] if arguments.runs else []
    words += ["--name", arguments.name] if arguments.name else []
    return shlex.join(["pgsynth", "train", *words])


# ------------------------------------------------------------------------------------------- after
def _show(run: Run, follower: Follower, seconds: float, arguments: argparse.Namespace, session: Session) -> int:
    status = run.status
    finished = status.state == "finished"
    code = 0 if finished else INTERRUPTED
    if arguments.json:
        facts: dict[str, Any] = {"ok": finished, "run": run.id, "path": str(run.path), "state": status.state}
        facts |= {"step": status.step, "steps": status.steps, "loss": status.loss}
        facts |= {"checkpoint": follower.checkpoint, "sheet": follower.sheet, "seconds": round(seconds, 1)}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return code
    loss = "" if status.loss is None else f", loss {status.loss:.4f}"
    say(one_line(f"{run.id}: {status.state} after {status.step} steps{loss}, {duration(seconds)}"))
    rows = {"folder": ".", "checkpoint": follower.checkpoint, "sheet": follower.sheet}
    for name, path in rows.items():
        if path:
            say(f"  {name:<12}{one_line(run.path / path)}")
    if finished:
        say(f"next: pgsynth evaluate {named(run.folder, arguments.runs)}")
    else:
        follower.farewell()
    return code


COMMAND = Command(_parser, _run, "words:method_words")
