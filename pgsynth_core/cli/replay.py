"""``pgsynth replay``: a run's events once more, as a run of its own that is watched like any other."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from typing import Any, Final

from pgsynth_core.cli.arguments import Parser, add_common, add_runs
from pgsynth_core.cli.console import one_line, say, say_json, tell
from pgsynth_core.cli.naming import named
from pgsynth_core.cli.progress import follow
from pgsynth_core.cli.report import broken_facts
from pgsynth_core.cli.verbs import Command, Session
from pgsynth_core.errors import PgsynthError
from pgsynth_core.runs import find_run, runs_root, status_of
from pgsynth_core.runs.replaying import Replay, begin_replay

__all__ = ["COMMAND"]

INTERRUPTED: Final = 130
_BEGINS: Final = 10.0
"""Seconds within which a replay that was left alone has begun."""

_DESCRIPTION = """\
Play what happened in a run once more, as a new run that is watched like any other: for
teaching, and to try out views and scripts without a GPU. Nothing is trained."""

_EPILOG = """\
Steps, samples, warnings and the lines of the log come when their time does, 60 times as
fast as it was; pictures come with their sample. A gap of more than 10 minutes, as between
two sessions, is played as 10 minutes. In the end the replay stands as the run does. Its
name begins with "replay", and it has no checkpoints: it cannot be resumed, sampled,
evaluated or exported. Ctrl-C or pgsynth runs stop ends it.

examples:
  pgsynth replay latest                     an hour in a minute
  pgsynth replay latest --speed 1           as slow as it was
  pgsynth replay latest --speed max         the whole run at once
  pgsynth replay latest --detach            by itself; watch it with pgsynth tui
  pgsynth replay RUN --runs theirs --into runs

With --json: ok, run, path, of (the run that is played), state, reason, step, steps, events,
gaps (how many were cut), broken; with --detach as far as it has come."""


def _speed(word: str) -> float:
    """How many times as fast; infinite for at once."""
    try:
        speed = math.inf if word == "max" else float(word)
    except ValueError:
        speed = math.nan
    if not speed > 0:  # nor is it a number
        raise argparse.ArgumentTypeError(f"{word!r} is no pace: give a number above 0, or max for at once.")
    return speed


def _parser() -> Parser:
    parser = Parser("replay", _DESCRIPTION, epilog=_EPILOG)
    parser.usage = "pgsynth replay RUN [--speed 60] [flags]"
    parser.add_argument("run", metavar="RUN", help="its id, the beginning of it, latest, or a path")
    parser.add_argument(
        "--speed", type=_speed, default=60.0, metavar="N", help="so many times as fast as it was, 60; max: at once"
    )
    parser.add_argument("--into", metavar="DIR", help="folder of runs to play it into; by default where runs are")
    parser.add_argument("--detach", action="store_true", help="leave it to play by itself")
    add_runs(parser)
    add_common(parser)
    return parser


def _run(arguments: argparse.Namespace, session: Session) -> int:
    run = find_run(arguments.run, runs_root(arguments.runs))
    into = arguments.into or arguments.runs
    replay = begin_replay(run, runs_root(into), speed=arguments.speed)
    name = named(replay.folder, into)
    tell(one_line(f"{replay.folder.id} plays {run.id}; nothing is trained. Watch it: pgsynth runs follow {name}"))
    if arguments.detach:
        _leave(replay)
        reached = True
    else:
        with follow("Reading the run") as follower:
            reached = replay.play(
                lambda step, steps: follower.on_event(
                    {"kind": "count", "doing": "replaying", "done": step, "of": steps}
                )
            )
    status = status_of(replay.folder)
    code = 0 if reached else INTERRUPTED
    if arguments.json:
        facts: dict[str, Any] = {"ok": reached, "run": replay.folder.id, "path": str(replay.folder.path), "of": run.id}
        facts |= {word: getattr(status, word) for word in ("state", "reason", "step", "steps")}
        facts |= {"events": replay.events, "gaps": replay.gaps}
        say_json({**facts, "broken": broken_facts(session.registry.broken)})
        return code
    if arguments.detach:
        say(f"{one_line(replay.folder.id)}: plays by itself; end it with pgsynth runs stop {name}")
        return code
    cut = f"; {replay.gaps} gap{'s' * (replay.gaps > 1)} of more than 10 minutes cut" if replay.gaps else ""
    why = f": {status.reason}" if status.reason else ""
    say(one_line(f"{replay.folder.id}: {status.state} after {status.step} steps, {replay.events} events{cut}{why}"))
    return code


def _leave(replay: Replay) -> None:
    """Play it in a process of its own, that no closed terminal reaches; return when it has begun.

    Raises:
        PgsynthError: If it does not begin.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if not os.fork():
        code = 1
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            replay.play(lambda step, steps: None)
            code = 0
        finally:
            os._exit(code)  # whatever this process was about to do besides is done by the one that goes on
    deadline = time.monotonic() + _BEGINS
    while not (replay.folder.process_file.exists() or replay.folder.exit_file.exists()):
        if time.monotonic() > deadline:
            raise PgsynthError(f"{replay.folder.id} does not begin to play: see {replay.folder.path}.")
        time.sleep(0.01)


COMMAND = Command(_parser, _run, "words:one_run_words")
