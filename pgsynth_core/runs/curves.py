"""A run's numbers step by step, joined over interruptions: as if it had never been interrupted. Floor 1, no torch.

`read_losses` reads every line as an event. `Curve` is for looking at: it reads as much as one gives it time for and
follows a run that trains. It takes the lines of steps, which are nearly all, by a pattern: a million in about a second.
"""

from __future__ import annotations

import json
import math
import os
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from operator import lt
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, final

from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.events import Event, event_of, read_events

__all__ = ["Curve", "Points", "read_losses", "validations"]

_BLOCK: Final = 2**18
"""Bytes taken at once: milliseconds, in which nobody else's thread runs."""
_FARTHEST: Final = 2**62
"""A step that no run has: what was flipped on the disk."""
_LOSS: Final = b'"loss": '
_LONGEST_LINE: Final = 2**20
"""Bytes; what is longer is no event of ours."""


class Points(NamedTuple):
    """Steps in order, and a value for each, which may be no finite number. Not to be changed."""

    steps: array[int]
    values: array[float]


@dataclass
class _Session:
    """What one process said: which session it went on from, from which step, and its numbers."""

    after: int | None
    began: int
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    in_order: bool = True

    def add(self, steps: Sequence[int], values: Iterable[float]) -> None:
        """What it said next."""
        before = self.steps[-1:]
        self.in_order &= all(map(lt, chain(before, steps), steps if before else steps[1:]))
        self.steps.extend(steps)
        self.values.extend(values)

    def until(self, step: int | None) -> Points:
        """What it said of steps up to that one, or of all; of a step that it named twice, what it said last."""
        if not self.in_order:
            said = dict(zip(self.steps, self.values, strict=True))
            self.steps = array("q", sorted(said))
            self.values = array("d", (said[number] for number in self.steps))
            self.in_order = True
        if step is None or not self.steps or step >= self.steps[-1]:
            return Points(self.steps, self.values)
        stop = bisect_right(self.steps, step)
        return Points(self.steps[:stop], self.values[:stop])


class _Sessions:
    """The sessions of a run in the order of its events.

    A session goes on from a checkpoint, and so from what the session that wrote it had done until there; where nobody
    knows which that was, from the one before.
    """

    def __init__(self) -> None:
        self._all: list[_Session] = []
        self._named: dict[str, int] = {}

    @property
    def newest(self) -> _Session:
        """The one that speaks."""
        if not self._all:
            self.begin({})
        return self._all[-1]

    def begin(self, event: Mapping[str, Any]) -> None:
        """An event ``run``; or none, where a log begins without."""
        began = number if isinstance(number := event.get("step"), int) else 0
        after = self._named.get(event.get("after", ""), len(self._all) - 1)
        self._named[event.get("session", "")] = len(self._all)
        self._all.append(_Session(after if began and self._all else None, began))

    def joined(self) -> Points:
        """Steps in order, and the number of each."""
        pieces: list[Points] = []
        at: int | None = len(self._all) - 1 if self._all else None
        until: int | None = None
        while at is not None:
            one = self._all[at]
            pieces.append(one.until(until))
            until = one.began if until is None else min(until, one.began)
            at = one.after
        if len(pieces) == 1:
            return pieces[0]
        steps, values = array("q"), array("d")
        for some, theirs in reversed(pieces):
            steps.extend(some)
            values.extend(theirs)
        return Points(steps, values)


def read_losses(path: Path) -> dict[int, float]:
    """Step to loss, in order; superseded steps are left out.

    Raises:
        UserError: If the system refuses to read.
    """
    sessions = _Sessions()
    for event in read_events(path):
        _take(event, "loss", sessions)
    return dict(zip(*sessions.joined(), strict=True))


def _take(event: Mapping[str, Any], name: str, sessions: _Sessions) -> None:
    number, value = event.get("step"), event.get(name)
    if not isinstance(number, int) or abs(number) > _FARTHEST:
        return
    if event["kind"] == "run":
        sessions.begin(event)
    elif event["kind"] == "step" and isinstance(value, int | float):
        with suppress(OverflowError):  # a whole number that no float holds
            sessions.newest.add((number,), (float(value),))


def validations(others: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """Step to loss on unseen pairs, of those sessions that led to where the run stands.

    Args:
        others: Events in their order, as `Curve.others` has them; what is no finite number is passed over.
    """
    sessions: dict[str, dict[int, float]] = {}
    here: dict[int, float] = {}
    for event in others:
        if event["kind"] == "run":
            before = sessions.get(event.get("after", ""), here)
            here = {step: value for step, value in before.items() if step <= event["step"]}
            sessions[event.get("session", "")] = here
        elif event["kind"] == "checkpoint" and math.isfinite(event.get("validation", math.nan)):
            here[event["step"]] = float(event["validation"])
    return here


@final
class Curve:
    """One number of a run by step, read bit by bit; and on the way, what else happened.

    Args:
        path: Its event log; it need not exist yet.
        name: A field of `schema.StepEvent` that is a number.

    Attributes:
        others: Every event that was read but steps, oldest first.
    """

    def __init__(self, path: Path, name: str = "loss") -> None:
        self.name = name
        self.others: list[Event] = []
        self._path = path
        self._line = _pattern(name)
        self._file: BinaryIO | None = None
        self._rest = b""
        self._sessions = _Sessions()
        self._joined: Points | None = None

    def read(self) -> bool:
        """Take in what is new, as far as it can be done in a few milliseconds.

        Returns:
            Whether there is more.

        Raises:
            UserError: If the system refuses to read.
        """
        with refusing("the events cannot be read", self._path):
            self._open()
            if self._file is None or not (block := self._file.read(_BLOCK)):
                return False
            whole, end, rest = (self._rest + block).rpartition(b"\n")
            self._rest = rest if len(rest) < _LONGEST_LINE else b""
            if end:
                self._add(whole + end)
            return True

    @property
    def share(self) -> float:
        """How much of the log is read, 0 to 1."""
        if self._file is None:
            return 1.0
        return self._file.tell() / max(1, os.fstat(self._file.fileno()).st_size)

    def points(self) -> Points:
        """What is read of it so far."""
        if self._joined is None:
            self._joined = self._sessions.joined()
        return self._joined

    def close(self) -> None:
        """Close the log, and begin anew at the next `read`; a second time does nothing."""
        if self._file:
            self._file.close()
        self._file, self._rest = None, b""
        self._sessions, self._joined = _Sessions(), None
        self.others = []

    def _open(self) -> None:
        """Begin anew where another file stands under the name, or the file has become shorter."""
        if not self._path.exists():
            return
        there = os.stat(self._path)
        if self._file:
            mine = os.fstat(self._file.fileno())
            if os.path.samestat(mine, there) and there.st_size >= self._file.tell():
                return
            self.close()
        self._file = self._path.open("rb")

    def _add(self, lines: bytes) -> None:
        """Take in whole lines."""
        self._joined = None
        found = self._line.findall(lines)
        if len(found) == lines.count(b"\n") and (numbers := _numbers(found)):
            self._sessions.newest.add(*numbers)
            return
        for line in lines.split(b"\n"):
            if line and (event := event_of(line)):
                _take(event, self.name, self._sessions)
                if event["kind"] != "step":
                    self.others.append(event)


def _pattern(name: str) -> re.Pattern[bytes]:
    """A line that says this number of a step, as `EventLog` writes it: the step and the value, or for the loss, which
    comes first, both in one group, for that is found sooner.
    """
    between = rb", %s" % _LOSS if name == "loss" else rb"),[^\n]*?, %s: (" % json.dumps(name).encode()
    return re.compile(
        rb'^\{"t": [^,\n]+, "kind": "step", "step": (\d+' + between + rb"[^][{},\n]+)[^\n]*\}$", re.MULTILINE
    )


def _numbers(found: list[Any]) -> Points | None:
    """Steps and values as the pattern found them; None where they are no numbers: written over on the disk."""
    text = b",".join(chain.from_iterable(found) if isinstance(found[0], tuple) else found)
    try:
        both = json.loads(b"[" + text.replace(_LOSS, b"").replace(b'"', b"") + b"]")  # sooner than one by one
        return Points(array("q", both[::2]), array("d", both[1::2]))
    except (ValueError, TypeError, OverflowError):
        return None
