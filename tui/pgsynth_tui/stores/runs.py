"""Every run in a folder and how it stands: looked at again and again, as cheaply as it can be.

A run that has ended is derived again only when one of its files changed. Whoever shows the rows never reads a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs import STATES, RunFolder, RunStatus, last_events, list_runs, status_of
from pgsynth_core.runs.events import event_of
from pgsynth_core.runs.queue import waiting
from pgsynth_tui.stores.sweeps import SweepRow, SweepStore

__all__ = ["MOST_RUNS", "RunRow", "RunStore"]

SPARKS: Final = 10
"""Values of a run's sparkline."""
MOST_RUNS: Final = 8
"""Runs that are shown together, for more could not be told apart."""
_PIECE: Final = 4096
"""Bytes read for each of them."""
_UNSEEN: Final = RunStatus("lost", 0, None, None, None, "")
"""Of a run that could not be looked at even once."""


@dataclass(frozen=True)
class RunRow:
    """A run, as a table shows it.

    Attributes:
        folder: The run.
        status: How it stands.
        position: Its place in the queue; None if it does not wait.
        device: What it trains on, or did last; empty if nobody said.
        seconds_per_step: Its pace; None if it is not running.
        eta: Seconds until its last step, as it said last; None if it is not running.
        memory: The most that its first process held on its GPU, bytes; None if it is not running, or on a CPU.
        sparks: The loss at places spread over its log.
        replayed: Whether it plays another run's events, and trains nothing.
    """

    folder: RunFolder
    status: RunStatus
    position: int | None = None
    device: str = ""
    seconds_per_step: float | None = None
    eta: float | None = None
    memory: int | None = None
    sparks: tuple[float, ...] = ()
    replayed: bool = False

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.id

    def fits(self, text: str) -> bool:
        """Whether every word of a filter is in its name or state; a word after ``!`` must not be."""
        said = f"{self.id} {self.status.state} {self.device}".lower()
        words = text.lower().split()
        return all((word[1:] not in said) if word.startswith("!") and word[1:] else word in said for word in words)


class RunStore:
    """The runs of one folder.

    Args:
        root: Where they are; it need not exist yet.

    Attributes:
        rows: As of the last `look`, the newest first.
        sweeps: The ablations that they are of, the newest first.
        problem: Why the folder could not be read then; empty if it could.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: tuple[RunRow, ...] = ()
        self.sweeps: tuple[SweepRow, ...] = ()
        self.problem = ""
        self._sweeps = SweepStore()
        self._known: dict[Path, tuple[object, RunRow]] = {}

    def look(self) -> bool:
        """Look at every run; one that cannot be looked at has the fault as its reason, and the others are shown.

        Returns:
            Whether anything is otherwise than before.
        """
        before = self.rows, self.sweeps, self.problem
        try:
            folders, self.problem = list_runs(self.root), ""
        except UserError as error:
            folders, self.problem = (), str(error)
        places = self._places()
        self.rows = tuple(self._row_or_fault(folder, places) for folder in reversed(folders))
        self._known = {row.folder.path: known for row in self.rows if (known := self._known.get(row.folder.path))}
        self.sweeps = self._sweeps.look(self.root, {row.folder.path: row.status for row in self.rows})
        return before != (self.rows, self.sweeps, self.problem)

    def sweep_of(self, row: RunRow) -> SweepRow | None:
        """The ablation that a run is of; None for any other."""
        return next((one for one in self.sweeps if row.id.startswith(f"{one.id}-")), None)

    def row(self, path: Path | None) -> RunRow | None:
        """The run in that folder; None if it is gone."""
        return next((row for row in self.rows if row.folder.path == path), None)

    def together(self, chosen: Path | None, marked: Sequence[Path], most: int = MOST_RUNS) -> tuple[RunRow, ...]:
        """The runs that are watched, looked at and compared together: the chosen one, then the marked ones.

        Args:
            chosen: The run that is looked at.
            marked: In their order. Those that are gone are left out; where none is left, one that trains is taken,
                else the newest.
            most: So many at most.
        """
        found = [row for path in (chosen, *marked) if (row := self.row(path))]
        found = found or [row for row in self.rows if row.status.live][:1] or list(self.rows[:1])
        return tuple(dict.fromkeys(found))[:most]

    def _places(self) -> Mapping[str, int]:
        """Path of each run that waits to its place among those that wait for the same kind of device."""
        numbers: dict[str, int] = {}
        places = {}
        with suppress(UserError):
            for run in waiting():
                places[str(run.folder.path)] = numbers[run.kind] = numbers.get(run.kind, 0) + 1
        return places

    def _row_or_fault(self, folder: RunFolder, places: Mapping[str, int]) -> RunRow:
        """The run; where it cannot be looked at, as it was seen last, and why. It is tried again at the next look."""
        try:
            return self._row(folder, places.get(str(folder.path.resolve())))
        except Exception as error:  # noqa: BLE001  # whatever one folder went through, the others are shown
            _, before = self._known.get(folder.path, (None, RunRow(folder, _UNSEEN)))
            fault = f"it cannot be looked at: {type(error).__name__}: {error}"
            return replace(before, status=replace(before.status, reason=fault))

    def _row(self, folder: RunFolder, position: int | None) -> RunRow:
        trace = _trace(folder), position
        before = self._known.get(folder.path)
        if before and before[0] == trace and not _moves(before[1]):
            return before[1]
        status = status_of(folder)
        facts = _last(folder) if status.live else {}
        row = RunRow(
            folder,
            status,
            position,
            str(facts.get("device", "")) or (before[1].device if before else ""),
            _number(facts, "seconds_per_step"),
            _number(facts, "eta_seconds"),
            facts.get("memory_bytes"),
            before[1].sparks if before and before[0] == trace else _sparks(folder.events_file),
            folder.replay_file.exists(),  # it comes after its folder
        )
        self._known[folder.path] = (trace, row)
        return row


def _moves(row: RunRow) -> bool:
    """Whether time alone can change how it stands."""
    return STATES[row.status.state].live or row.status.state in ("queued", "lost")


def _trace(folder: RunFolder) -> tuple[object, ...]:
    """What changes when one of its files does."""
    files = (folder.events_file, folder.exit_file, folder.process_file, folder.queued_file, folder.worker_file)
    return tuple(map(_stamp, (*files, folder.control)))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        facts = os.stat(path)
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size


def _last(folder: RunFolder) -> dict[str, Any]:
    """What its last step said, and the header of its session if that is near."""
    found: dict[str, Any] = {}
    with suppress(UserError):
        for number, event in enumerate(last_events(folder.events_file)):
            if event["kind"] in ("step", "run"):
                found = {**event, **found}
            if event["kind"] == "run" or number > SPARKS * 100:
                break
    return found


def _number(facts: Mapping[str, Any], name: str) -> float | None:
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) else None


def _sparks(path: Path) -> tuple[float, ...]:
    """The loss at places spread over the log, without reading it: the last step at or before each."""
    values: list[float] = []
    with suppress(OSError), open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= SPARKS * _PIECE:
            losses = [loss for line in file.read().split(b"\n") if (loss := _loss(line)) is not None]
            places = min(SPARKS, len(losses))
            return tuple(losses[(number + 1) * len(losses) // places - 1] for number in range(places))
        for number in range(SPARKS):
            file.seek((size - _PIECE) * number // (SPARKS - 1))
            losses = [loss for line in file.read(_PIECE).split(b"\n")[1:] if (loss := _loss(line)) is not None]
            values += losses[-1:]
    return tuple(values)


def _loss(line: bytes) -> float | None:
    if b'"kind": "step"' not in line:
        return None
    with suppress(json.JSONDecodeError):
        event = event_of(line)
        return float(event["loss"]) if event and event["kind"] == "step" else None
    return None
