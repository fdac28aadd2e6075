"""The conformance kit in a process of its own: whatever a part does there, every check gets an outcome. No torch.

The process says before each check which comes. One that ends or halts the process has failed; another process goes on
with the rest.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.registry import Entry, discover
from pgsynth_core.testing.report import Outcome, Report

__all__ = ["PATIENCE", "answer", "check_isolated"]

PATIENCE: Final = 300.0
"""Seconds for one check."""
STARTING: Final = 300.0
"""Seconds until the first check begins: torch is imported meanwhile, and no part."""
MOST_LOST: Final = 3
"""Processes that a part may end or halt; the checks that are left are skipped then, or it would take hours."""

_SHORT: Final = 0.2
_CODE: Final = "from pgsynth_core.testing.isolated import answer; answer()"


def check_isolated(
    entry: Entry,
    *,
    options: Mapping[str, Any] | None = None,
    compiled: bool = False,
    patience: float = PATIENCE,
    only: Sequence[str] = (),
) -> Report:
    """Run the conformance kit over an installed part, in another process.

    Args:
        entry: The part.
        options: Options to test it with, as JSON knows them; others stay at their defaults.
        compiled: Compile it too: takes minutes.
        patience: Seconds for one check.
        only: Names of the checks to run; empty: all of its kind.

    Returns:
        Every check with its outcome. Nothing is raised for a part that fails, halts or ends its process.
    """
    given = _from_anywhere(entry, options or {})
    asked = {"kind": entry.kind, "name": entry.qualified, "options": given, "compiled": compiled}
    trial = _Trial({**asked, "only": list(only)})
    lost = 0
    while not trial.finished and lost < MOST_LOST:
        lost += trial.go_on(patience)
    trial.give_up(f"{lost} checks before it ended or halted the process")
    return Report(entry.qualified, tuple(trial.outcomes), kind=entry.kind)


def _from_anywhere(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with every path written from the root: the checks run in another folder."""
    types = {name: option.type for name, option in entry.component.options.items()}
    return {name: _whole(value, types.get(name, "")) for name, value in options.items()}


def _whole(value: Any, kind: str) -> Any:
    if not isinstance(value, str) or not value:
        return value
    path = os.path.abspath(os.path.expanduser(value))
    return path if kind == "path" or (kind == "str" and "/" in value and os.path.exists(path)) else value


@dataclass
class _Trial:
    """One part's checks, as far as they are done.

    Attributes:
        asked: What the process is asked for.
        plan: Names of the checks, in order; empty until a process said them.
        outcomes: Of those done.
        carried: What a later process must know of the earlier ones.
        under_way: The check that began last and has no outcome.
    """

    asked: Mapping[str, Any]
    plan: list[str] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    carried: dict[str, Any] = field(default_factory=dict)
    under_way: str = ""

    @property
    def finished(self) -> bool:
        """Whether every check has an outcome."""
        return bool(self.outcomes) and len(self.outcomes) >= len(self.plan)

    def go_on(self, patience: float) -> int:
        """Do what is left in one process; gives 1 if it was lost."""
        with (
            tempfile.TemporaryDirectory(prefix="pgsynth-check-", ignore_cleanup_errors=True) as folder,
            tempfile.TemporaryFile() as printed,
            _Child(self._request(), printed, folder) as child,
        ):
            for line in child.lines(STARTING, patience):
                self._take(json.loads(line))
            if self.finished:
                return 0
            ended = child.ended(patience)
        if self.under_way:
            self.outcomes.append(Outcome(self.under_way, "failed", ended))
            self.carried["failed"] = self.under_way  # if nothing can run without it
            self.under_way = ""
        else:
            self.outcomes.append(Outcome("the_checks_begin", "failed", f"the process that checks parts {ended}"))
            self.plan = []
        return 1

    def _request(self) -> str:
        done = [outcome.check for outcome in self.outcomes]
        return json.dumps({**self.asked, **self.carried, "done": done})

    def _take(self, said: Mapping[str, Any]) -> None:
        if "plan" in said:
            self.plan = list(said["plan"])
        elif "begins" in said:
            self.under_way = said["begins"]
        else:
            self.outcomes.append(Outcome(said["check"], said["status"], said["reason"]))
            self.carried |= {key: said[key] for key in ("tried", "changes")}
            self.under_way = ""

    def give_up(self, reason: str) -> None:
        """What is left is skipped."""
        done = {outcome.check for outcome in self.outcomes}
        self.outcomes += [Outcome(name, "skipped", reason) for name in self.plan if name not in done]
        place = {name: number for number, name in enumerate(self.plan)}
        self.outcomes.sort(key=lambda outcome: place.get(outcome.check, -1))


class _Child:
    """The process that runs the checks; it and all that it started are gone when this is left.

    Args:
        request: What to do, as JSON.
        printed: Takes what the part prints.
        folder: Its working folder, empty: whatever is there later is the part's.
    """

    def __init__(self, request: str, printed: Any, folder: str) -> None:
        self._printed = printed
        self._late = False
        self._reading, writing = os.pipe()
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if path)
        command = [sys.executable, "-P", "-W", "ignore", "-c", _CODE, request, str(writing)]
        try:
            self._process = subprocess.Popen(
                command,
                env=os.environ | {"PYTHONPATH": paths},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                pass_fds=(writing,),
                start_new_session=True,  # what it starts can be ended with it
            )
        finally:
            os.close(writing)

    def __enter__(self) -> _Child:  # noqa: PYI034 - the checker of shapes knows no Self
        return self

    def __exit__(self, *error: object) -> None:
        self._kill()
        os.close(self._reading)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def lines(self, starting: float, patience: float) -> Iterator[str]:
        """What it says, until it ends, or says nothing for too long."""
        held, until = b"", time.monotonic() + starting
        while (left := until - time.monotonic()) > 0:
            over = self._process.poll() is not None  # before looking: what it said last is read then
            if select.select([self._reading], [], [], 0 if over else min(left, _SHORT))[0]:
                piece = os.read(self._reading, 65536)
                if not piece:
                    return
                *whole, held = (held + piece).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
                until = time.monotonic() + patience
            elif over:
                return
        self._late = True

    def ended(self, patience: float) -> str:
        """How it ended, in words."""
        if self._late:
            return f"is not done after {patience:g} seconds."
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        code = self._process.poll()
        how = "without a word" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        self._printed.seek(0)
        lines = self._printed.read().decode("utf-8", "replace").strip().splitlines()
        return f"ended the process ({how}){f': {lines[-1][:500]}' if lines else '.'}"


# ------------------------------------------------------------------------------------------- in that process
def answer() -> None:
    """Run the checks that the first argument asks for, saying each to the file of the second; run by the child only."""
    from pgsynth_core.testing.kit import checks_of, outcomes
    from pgsynth_core.testing.subject import Subject

    asked = json.loads(sys.argv[1])
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as heard:

        def say(**facts: Any) -> None:
            heard.write(json.dumps(facts) + "\n")
            heard.flush()

        registry = discover()
        entry = registry.find(asked["kind"], asked["name"])
        tried, here = tuple(asked.get("tried", ())), (Path.cwd(),)
        subject = Subject(entry, registry, asked["options"], asked["compiled"], tried, here)
        subject.changes.update(dict.fromkeys(asked.get("changes", ())))
        names = [check.__name__ for check in checks_of(entry.kind)]
        plan = [name for name in names if not asked["only"] or name in asked["only"]]
        say(plan=plan)
        done = {*names} - {*plan} | {*asked["done"]}
        for outcome in outcomes(subject, done, failed=asked.get("failed", ""), begins=lambda name: say(begins=name)):
            say(
                check=outcome.check,
                status=outcome.status,
                reason=outcome.reason,
                tried=subject.watch.seen,
                changes=list(subject.changes),
            )
        heard.flush()
        os._exit(0)  # threads that the part left need not end
