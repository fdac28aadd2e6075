"""pip of this environment, in a process of its own: a list of arguments, never a shell. Floor 2.

The user's configuration of pip (index, proxies, certificates) holds as it is. What would have pip put things elsewhere,
or install more than it is told, is taken out of its environment: this is about the environment that pgsynth runs in.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from pgsynth_core.errors import PgsynthError

__all__ = ["PipFailed", "Said", "call", "call_pip", "last_words"]

_ELSEWHERE: Final = (
    *("PIP_PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"),
    *("PIP_DRY_RUN", "PIP_REPORT", "PIP_NO_DEPS", "PIP_REQUIREMENT", "PIP_EDITABLE"),
)
_ALWAYS: Final = ("--no-input", "--disable-pip-version-check", "--no-color")
_GRACE: Final = 30.0
"""Seconds for pip to put back what it moved, once it is told to stop."""
_MOST_LINES: Final = 12


class PipFailed(PgsynthError):
    """pip could not do what it was told: exit code 1."""


class Said(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


def call_pip(*arguments: str, alone: bool = False) -> Said:
    """Run ``pip`` with these arguments.

    Args:
        arguments: Its command, then the rest.
        alone: It may start no program, so that it builds nothing.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    pip = [str(Path(__file__).with_name("pip_alone.py"))] if alone else ["-m", "pip"]
    return call([sys.executable, "-P", *pip, arguments[0], *_ALWAYS, *arguments[1:]], environ)


def call(command: Sequence[str], environ: dict[str, str]) -> Said:
    """Run a command in a session of its own, so that Ctrl-C reaches us and we stop it in order.

    Args:
        command: The words.
        environ: Its environment.

    Raises:
        PipFailed: If it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise PipFailed(f"{command[0]} cannot be started: {error.strerror or error}.") from error
    try:
        out, err = process.communicate()
    except BaseException:
        _end(process)
        raise
    return Said(process.returncode, out, err)


def _end(process: subprocess.Popen[str]) -> None:
    """Let it clean up as at Ctrl-C, then end all that is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        process.communicate(timeout=_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_words(said: Said) -> str:
    """What pip says went wrong: its lines of errors, else its last ones."""
    lines = [line.rstrip() for line in said.err.splitlines() if line.strip()]
    errors = [line for line in lines if line.lstrip().startswith("ERROR")]
    return "\n".join((errors or lines or [f"it ended with {said.code} and said nothing"])[-_MOST_LINES:])
