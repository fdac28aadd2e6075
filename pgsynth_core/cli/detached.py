"""What ``train --detach`` and ``runs resume --detach`` share: their flags, and what is said of a run left alone."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Final

from pgsynth_core.cli.arguments import ArgumentsError, at_least
from pgsynth_core.cli.console import one_line, say, say_json, tell
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Session
from pgsynth_core.runs import status_of
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.queue import position

if TYPE_CHECKING:
    from pgsynth_core.api import Run

__all__ = ["add_detach", "refuse_alone", "show_detached"]

_BEGINS: Final = 1.5
"""Seconds in which a worker that was just started takes the run, if it is its turn."""


def add_detach(parser: argparse.ArgumentParser) -> None:
    """The flags of commands that can leave a run alone."""
    parser.add_argument(
        "--detach", action="store_true", help="leave it to train by itself, as soon as a device is free"
    )
    parser.add_argument(
        "--devices",
        type=at_least(1),
        metavar="N",
        help="with --detach: on so many GPUs at once; by default 1, or as last time",
    )


def refuse_alone(arguments: argparse.Namespace) -> None:
    """Refuse ``--devices`` without ``--detach``.

    Raises:
        ArgumentsError: If it is given.
    """
    if arguments.devices is not None and not arguments.detach:
        cure = "Add --detach; or launch several processes yourself: accelerate launch -m pgsynth_core train ..."
        raise ArgumentsError("it chooses how many devices a detached run gets.", where="argument --devices", cure=cure)


def show_detached(run: Run, arguments: argparse.Namespace, session: Session) -> int:
    """Say where a run stands that was left alone, and how to look after it; the exit code."""
    if job := os.environ.get("SLURM_JOB_ID"):
        tell(one_line(f"this is a job of Slurm, {job}: when it ends, all that it trains is killed with it."))
        tell("Without --detach the job lasts as long as the training.")
    waits = read_json(run.folder.queued_file) or {}
    kind, count = str(waits.get("kind", "")), waits.get("devices", 1)
    deadline = time.monotonic() + _BEGINS
    place = position(run.folder)
    while place == 1 and time.monotonic() < deadline:
        time.sleep(0.05)
        place = position(run.folder)
    state = status_of(run.folder).state
    if arguments.json:
        facts = {"ok": True, "run": run.id, "path": str(run.path), "state": state, "position": place, "kind": kind}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return 0
    how = f"waits in the queue, number {place}" if place else state
    name = named(run.folder, arguments.runs)
    say(one_line(f"{run.id}: {how}"))
    say(f"  {'folder':<12}{one_line(run.path)}")
    if kind:
        gpus = f"{count} GPU{'s' * (count > 1)}"
        on = gpus if kind == "gpu" else "the CPU: no GPU may be used, or ACCELERATE_USE_CPU is set"
        say(f"  {'trains on':<12}{on}")
    say(f"  {'follow it':<12}pgsynth runs follow {name}")
    say(f"  {'stop it':<12}pgsynth runs stop {name}")
    return 0
