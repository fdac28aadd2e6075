"""Write and read ``events.jsonl``; `schema` says what stands in it. Floor 1, no torch.

One process writes; any number read meanwhile. A line without its end is not an event yet: it is being written, or its
writer was killed. The next writer ends it, and readers then name it as damaged and go on. What readers give is of the
form of its kind, whatever a disk made of the file: a line that is not is damaged.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, final

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import refusing
from pgsynth_core.runs.schema import checked, is_sound, is_text

__all__ = ["DAMAGED", "Event", "EventLog", "event_of", "last_events", "read_events"]

DAMAGED: Final = "damaged"
"""Kind of what `read_events` gives in place of a line it cannot read; never in a file."""

Event = Mapping[str, Any]
_BLOCK: Final = 64 * 2**10
_MOST_HELD: Final = 16 * 2**20
"""Bytes of events that wait for room on the disk: some fifty thousand steps."""
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@final
class EventLog:
    """The writer. Each event is one write of one whole line, so a reader never sees a half but at the very end.

    What the system refuses is held back, and written before the next event, as soon as it is taken: a disk that is full
    for an hour costs no event. Of more than `_MOST_HELD` bytes the later events are lost.

    Raises:
        UserError: From opening and writing, if the system refuses; the events so far stand.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = bytearray()
        with refusing("events cannot be written", path):
            self._file = path.open("ab", buffering=0)
            if _is_torn(path):
                self._held += b"\n"

    def write(self, kind: str, **data: Any) -> None:
        """Append an event.

        Args:
            kind: One of `schema.EVENTS`.
            data: The fields of that kind, as plain numbers, text and truth values.

        Raises:
            ValueError: If the kind or a field is unknown, or a field is missing.
            TypeError: If a value is not plain data.
            UserError: If the system refuses, e.g. because the disk is full; the event is held back.
        """
        event = {"t": round(time.time(), 3), "kind": kind} | checked(kind, data)
        text = json.dumps({name: _plain(value) for name, value in event.items()}, allow_nan=False)
        line = text.encode() + b"\n"
        if len(self._held) + len(line) <= _MOST_HELD:
            self._held += line
        self._flush()

    def _flush(self) -> None:
        """Write what is held back; a line that was cut short is gone on with where it was cut."""
        with refusing("an event cannot be written", self.path):
            while self._held:
                del self._held[: self._file.write(self._held)]

    def close(self) -> None:
        """Close the file, after a last try to write what is held back; a second time does nothing."""
        if not self._file.closed:
            with suppress(UserError):
                self._flush()
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
            end, torn = file.seek(0, os.SEEK_END), True
            rest: list[bytes] = []  # of a line whose beginning was not found yet, the last part first
            while end:
                start = max(0, end - _BLOCK)
                file.seek(start)
                first, *others = file.read(end - start).split(b"\n")
                end = start
                if others:
                    lines = [*others[:-1], others[-1] + b"".join(reversed(rest))]
                    if torn:
                        lines.pop()  # what stands behind the last line's end
                        torn = False
                    yield from filter(None, map(event_of, reversed(lines)))
                    rest = []
                rest.append(first)
            if not torn and (found := event_of(b"".join(reversed(rest)))):
                yield found


def event_of(line: bytes) -> Event | None:
    """The event that a line of the log is; None if it is none, or not of the form of its kind."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or not isinstance(event.get("kind"), str):
        return None
    if b'NaN"' in line or b'Infinity"' in line:
        event = {name: value if is_text(event["kind"], name) else _number(value) for name, value in event.items()}
    return event if is_sound(event) else None


def _number(value: Any) -> Any:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _damaged(path: Path, number: int) -> Event:
    message = f"{path}:{number}: this line is no event: it was cut off, or written over; it is passed over."
    return {"kind": DAMAGED, "line": number, "message": message}
