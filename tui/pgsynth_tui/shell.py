"""Commands of pgsynth, run as a user would type them, in processes that outlive nobody's terminal. No Textual.

What the UI does beyond looking is a command: the same checks, the same words, the same result. The words that are run
are the words that are shown.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgsynth_core.errors import Problem

__all__ = ["Answer", "command_line", "run"]


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
        told = self.facts.get("problems") or ()
        found = tuple(Problem(one["message"], one.get("where", ""), one.get("cure", "")) for one in told)
        if found or self.ok:
            return found
        last = self.err.strip().splitlines() or [f"it ended with code {self.code} and said nothing."]
        return (Problem(last[-1], command_line(self.words)),)


def command_line(words: Sequence[str]) -> str:
    """What a user would type."""
    return shlex.join(["pgsynth", *words])


def run(*words: str, seconds: float = 600.0) -> Answer:
    """Run a command with ``--json`` and wait for it; call it in a thread.

    Args:
        words: After ``pgsynth``.
        seconds: After which it is given up.
    """
    command = [sys.executable, "-P", "-m", "pgsynth_core", *words, "--json"]
    try:
        done = subprocess.run(  # a session of its own: a closed terminal does not reach it
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return Answer(words, 1, {}, f"it was given up after {seconds:.0f} seconds.")
    except OSError as error:
        return Answer(words, 1, {}, f"{sys.executable} cannot be started: {error.strerror or error}.")
    try:
        facts = json.loads(done.stdout)
    except ValueError:
        facts = {}
    return Answer(words, done.returncode, facts if isinstance(facts, dict) else {}, done.stderr)
