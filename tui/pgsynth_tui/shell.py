"""Commands of pgsynth, run as a user would type them, in processes that outlive nobody's terminal. No Textual.

What the UI does beyond looking is a command: the same checks, the same words, the same result. The words that are run
are the words that are shown.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any, Final

from pgsynth_core.cli.progress import EVERY_VARIABLE
from pgsynth_core.errors import Problem

__all__ = ["Answer", "command_line", "run"]

_POLL: Final = 0.1
_GRACE: Final = 20.0
"""Seconds in which a command that is interrupted ends by itself."""
_INTERRUPTED: Final = 130
_PIECE: Final = 4096
"""Bytes in which the last line is looked for."""
_LEFT: Final[list[subprocess.Popen[bytes]]] = []
"""Commands that go on by themselves."""


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        words: What was run, after ``pgsynth``.
        code: Its exit code.
        facts: Its JSON; empty if it gave none.
        err: What it said besides.
    """

    words: tuple[str, ...]
    code: int
    facts: dict[str, Any]
    err: str

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.code == 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong; never empty if it did."""
        told = self.facts.get("problems") or [
            {"message": one["problem"], "where": one["run"]} for one in self.facts.get("failures", ())
        ]
        found = tuple(Problem(one["message"], one.get("where", ""), one.get("cure", "")) for one in told)
        if found or self.ok:
            return found
        last = self.err.strip().splitlines() or [f"it ended with code {self.code} and said nothing."]
        return (Problem(last[-1], command_line(self.words)),)


def command_line(words: Sequence[str]) -> str:
    """What a user would type."""
    return shlex.join(["pgsynth", *words])


def run(
    *words: str,
    seconds: float = 600.0,
    wanted: Callable[[], bool] = lambda: True,
    told: Callable[[str], None] | None = None,
    ended: Callable[[], bool] = lambda: False,
) -> Answer:
    """Run a command with ``--json`` and wait for it; call it in a thread.

    Args:
        words: After ``pgsynth``.
        seconds: After which it is given up; infinite: never.
        wanted: Asked several times a second; once it says no, this returns at once, and the command goes on by itself.
        told: Given the last line that the command wrote to stderr, whenever that is another; it writes one a second.
        ended: Asked as often; once it says yes, the command is interrupted, as by Ctrl-C, and this waits for its end.
    """
    command = [sys.executable, "-P", "-m", "pgsynth_core", *words, "--json"]
    environ = {**os.environ, EVERY_VARIABLE: "1"} if told else None
    with TemporaryFile() as out, TemporaryFile() as err:  # no pipes: it may outlive who reads them
        try:
            process = subprocess.Popen(  # a session of its own: a closed terminal does not reach it
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, env=environ
            )
        except OSError as error:
            return Answer(words, 1, {}, f"{sys.executable} cannot be started: {error.strerror or error}.")
        until, interrupted, last = time.monotonic() + seconds, False, ""
        while process.poll() is None:
            if not wanted():
                _LEFT.append(process)
                return Answer(words, 1, {}, "nobody waits for it any more; it goes on by itself.")
            if ended() and not interrupted:
                process.send_signal(signal.SIGINT)
                until, interrupted = min(until, time.monotonic() + _GRACE), True
            if (left := until - time.monotonic()) <= 0:
                process.kill()
                process.wait()
                if interrupted:
                    return Answer(words, _INTERRUPTED, {}, "interrupted.")
                return Answer(words, 1, {}, f"it was given up after {seconds:.0f} seconds.")
            if told and (line := _last_line(err)) != last:
                told(last := line)
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(left, _POLL))
        said, written = (_text(file) for file in (out, err))
    try:
        facts = json.loads(said)
    except ValueError:
        facts = {}
    return Answer(words, process.returncode, facts if isinstance(facts, dict) else {}, written)


def _last_line(file: IO[bytes]) -> str:
    """The last whole line so far; read without moving the place that the command writes at, which is the same."""
    size = os.fstat(file.fileno()).st_size
    piece = os.pread(file.fileno(), _PIECE, max(0, size - _PIECE))
    whole = piece.rpartition(b"\n")[0]
    return whole.rpartition(b"\n")[2].decode("utf-8", "replace")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
