"""The curves and the log of some runs, read bit by bit: a million events open in about a second and are then followed.

Whoever watches asks for `read` in a thread, again and again; what is shown is made there too, so that the thread that
answers keys only draws.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgsynth_core.cli.console import visible
from pgsynth_core.errors import UserError
from pgsynth_core.runs import Curve, RunFolder
from pgsynth_core.runs.curves import Points
from pgsynth_core.runs.points import reduced, smoothed

__all__ = ["NUMBERS", "Drawn", "LogTail", "WatchStore", "Watched"]

NUMBERS: Final = ("loss", "mse", "reconstruction", "grad_norm", "learning_rate", "seconds_per_step", "memory_bytes")
"""What can be drawn: the numbers of a step."""
_HEAD: Final = re.compile(r"\d{4}-\d\d-\d\d (?P<time>\d\d:\d\d:\d\d),\d{3} (?:INFO|(?P<level>[A-Z]+)) pgsynth: ")
_LOG_BLOCK: Final = 64 * 1024
POINTS: Final = 1500
"""Of a curve, at most; more than any terminal has columns of dots."""


@dataclass
class Watched:
    """One number of one run.

    Attributes:
        folder: The run.
        curve: What is read of it.
        problem: Why it cannot be read; empty if it can.
        kept: What was made ready of which points, smoothed by which weight.
    """

    folder: RunFolder
    curve: Curve
    problem: str = ""
    kept: tuple[Points, float, Drawn] | None = None


class LogTail:
    """The last lines of a growing text file, and each new one.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at: int | None = None
        self._rest = b""

    def read(self) -> list[str]:
        """Lines that are new; the first time, the last ones. A file that became shorter begins anew."""
        with suppress(OSError), open(self._path, "rb") as file:
            size = file.seek(0, 2)
            if self._at is None or size < self._at:
                self._at, self._rest = max(0, size - _LOG_BLOCK), b""
                first = self._at > 0
            else:
                first = False
            file.seek(self._at)
            *lines, self._rest = (self._rest + file.read(_LOG_BLOCK * 16)).split(b"\n")
            self._at, self._rest = file.tell(), self._rest[-_LOG_BLOCK:]
            return [_shortened(visible(line.decode("utf-8", "replace")).expandtabs()) for line in lines[first:]]
        return []


def _shortened(line: str) -> str:
    """A line of our own log with its time alone before it; day, milliseconds and who says it take half a terminal."""
    found = _HEAD.match(line)
    return f"{found['time']} {found['level'] + ' ' if found['level'] else ''}{line[found.end() :]}" if found else line


@dataclass(frozen=True)
class Drawn:
    """A curve, ready to be drawn: at most `POINTS` points that look as all of them.

    Attributes:
        name: Of the run.
        raw: Steps, ascending, and as many values.
        smooth: The same, smoothed; None if nothing is.
        last: The last step and its value; None if there is none.
    """

    name: str
    raw: tuple[Any, Any]
    smooth: tuple[Any, Any] | None
    last: tuple[int, float] | None


class WatchStore:
    """What is watched; one thread may read while another asks for something else.

    Attributes:
        number: Which number is drawn.
        runs: Of which runs, the first one first.
    """

    def __init__(self) -> None:
        self.number = "loss"
        self.runs: list[Watched] = []
        self._lock = threading.Lock()

    def watch(self, folders: Sequence[RunFolder], number: str) -> None:
        """Watch these; what was read already stays."""
        with self._lock:
            known = {(one.folder.path, one.curve.name): one for one in self.runs}
            wanted = [(folder.path, number) for folder in folders]
            for key, one in known.items():
                if key not in wanted:
                    one.curve.close()
            self.number = number
            self.runs = [
                known.get((folder.path, number)) or Watched(folder, Curve(folder.events_file, number))
                for folder in folders
            ]

    def read(self, seconds: float) -> tuple[bool, bool]:
        """Read what is new, for so long at most.

        Returns:
            Whether anything was new, and whether there is more.
        """
        until, new, more = time.monotonic() + seconds, False, False
        with self._lock:
            for one in self.runs:
                before, going = one.problem, False
                try:
                    while going := one.curve.read():
                        new = True
                        if time.monotonic() >= until:
                            break
                    gone = not one.folder.path.exists()
                    one.problem = f"{one.folder.id} is gone: its folder was removed." if gone else ""
                except UserError as error:
                    one.problem, going = str(error), False
                new |= going or before != one.problem
                more |= going
        return new, more

    def drawn(self, weight: float) -> tuple[Drawn, ...]:
        """What is read so far, ready to be drawn.

        Args:
            weight: Of smoothing, 0 for none.
        """
        with self._lock:
            return tuple(_drawn(one, weight) for one in self.runs)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why some of it cannot be read."""
        return tuple(one.problem for one in self.runs if one.problem)

    @property
    def share(self) -> float:
        """How much is read, 0 to 1."""
        with self._lock, suppress(OSError):
            return min((one.curve.share for one in self.runs), default=1.0)
        return 1.0

    def events(self) -> tuple[Mapping[str, Any], ...]:
        """Everything but steps that happened in the first run, oldest first."""
        with self._lock:
            return tuple(self.runs[0].curve.others) if self.runs else ()

    def close(self) -> None:
        """Close every file."""
        self.watch((), self.number)


def _drawn(one: Watched, weight: float) -> Drawn:
    points = steps, values = one.curve.points()
    if one.kept and one.kept[0] is points and one.kept[1] == weight:
        return one.kept[2]
    last = (steps[-1], values[-1]) if steps else None
    raw = reduced(steps, values, POINTS)
    smooth = reduced(steps, smoothed(values, weight), POINTS) if weight and steps else None
    drawn = Drawn(one.folder.id, raw, smooth, last)
    one.kept = points, weight, drawn
    return drawn
