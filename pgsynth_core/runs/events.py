"""Write and read ``events.jsonl``; `schema` says what stands in it. Floor 1, no torch.

One process writes; any number read meanwhile. A line without its end is not an event yet: it is being written, or its
writer was killed. The next writer ends it, and readers then name it as damaged and go on.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.schema import checked

__all__ = ["DAMAGED", "EventLog", "event_of", "last_events", "read_events", "read_losses"]

DAMAGED: Final = "damaged"
"""Kind of what `read_events` gives in place of a line it cannot read; never in a file."""

Event = Mapping[str, Any]
_BLOCK: Final = 64 * 2**10
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@final
class EventLog:
    """The writer. Each event is one write of one whole line, so a reader never sees a half but at the very end.

    Raises:
        UserError: From opening and writing, if the system refuses; the events so far stand.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with refusing("events cannot be written", path):
            self._file = path.open("ab", buffering=0)
            self._torn = _is_torn(path)

    def write(self, kind: str, **data: Any) -> None:
        """Append an event.

        Args:
            kind: One of `schema.EVENTS`.
            data: The fields of that kind, as plain numbers, text and truth values.

        Raises:
            ValueError: If the kind or a field is unknown, or a field is missing.
            TypeError: If a value is not plain data.
            UserError: If the system refuses, e.g. because the disk is full.
        """
        event = {"t": round(time.time(), 3), "kind": kind} | checked(kind, data)
        text = json.dumps({name: _plain(value) for name, value in event.items()}, allow_nan=False)
        line = b"\n" * self._torn + text.encode() + b"\n"
        self._torn = True  # until it is written whole
        with refusing("an event cannot be written", self.path):
            while line:
                line = line[self._file.write(line) :]
        self._torn = False

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_torn(path: Path) -> bool:
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def read_events(path: Path) -> Iterator[Event]:
    """Every event, oldest first, read as it is asked for: a log of any length takes no memory.

    A last line without its end is passed over. A line that cannot be read is given as
    ``{"kind": "damaged", "line": its number, "message": ...}``. No file, no events.

    Raises:
        UserError: If the system refuses to read.
    """
    with refusing("the events cannot be read", path):
        if not path.exists():
            return
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n") and line != b"\n":
                    yield event_of(line) or _damaged(path, number)


def last_events(path: Path) -> Iterator[Event]:
    """Every event that can be read, newest first, reading backwards from the end: the last costs nothing to find.

    Raises:
        UserError: If the system refuses to read.
    """
    with refusing("the events cannot be read", path):
        if not path.exists():
            return
        with open(path, "rb") as file:
            end, rest, torn = file.seek(0, os.SEEK_END), b"", True
            while end:
                start = max(0, end - _BLOCK)
                file.seek(start)
                rest, *lines = (file.read(end - start) + rest).split(b"\n")
                end = start
                if torn and lines:
                    lines.pop()  # what stands behind the last line's end
                    torn = False
                yield from filter(None, map(event_of, reversed(lines)))
            if not torn and (first := event_of(rest)):
                yield first


def read_losses(path: Path) -> dict[int, float]:
    """Step to loss, in order, as if the run had never been interrupted: superseded steps are left out."""
    losses: dict[int, float] = {}
    for event in read_events(path):
        number, loss = event.get("step"), event.get("loss")
        if event["kind"] == "step" and isinstance(number, int) and isinstance(loss, int | float):
            losses[number] = loss
        elif event["kind"] == "run" and isinstance(number, int):
            losses = {step: kept for step, kept in losses.items() if step <= number}
    return losses


def event_of(line: bytes) -> Event | None:
    """The event that a line of the log is; None if it is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return None
    if b'NaN"' in line or b'Infinity"' in line:
        event = {
            name: _NOT_FINITE.get(value, value) if isinstance(value, str) else value for name, value in event.items()
        }
    return event


def _damaged(path: Path, number: int) -> Event:
    message = f"{path}:{number}: this line is no event: it was cut off, or written over; it is passed over."
    return {"kind": DAMAGED, "line": number, "message": message}
