"""Ablations whose runs are in the folder, and how these stand: by the rows that are there already. No Textual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunStatus
from pgsynth_core.sweeps import Standing, SweepFolder, list_sweeps, read_sweep

__all__ = ["SweepRow", "SweepStore"]


@dataclass(frozen=True)
class SweepRow:
    """An ablation and its runs.

    Attributes:
        sweep: Which.
        now: How each combination stands.
        slurm: Whether jobs of it were sent to Slurm, where some may wait.
    """

    sweep: SweepFolder
    now: tuple[Standing, ...]
    slurm: bool = False

    @property
    def id(self) -> str:
        """The name of its folder, with which its runs' names begin."""
        return self.sweep.id

    @property
    def finished(self) -> tuple[Path, ...]:
        """Folders of the runs that are finished, in order."""
        return tuple(self.sweep.folder(one.row).path for one in self.now if one.finished)

    @property
    def open(self) -> int:
        """How many runs are to be begun, or gone on with."""
        return sum(one.open for one in self.now)

    @property
    def sentence(self) -> str:
        """``3 of 5 finished, 1 running, 1 failed; 1 pruned``."""
        others = Counter(one.state for one in self.now if one.row.run and not one.finished)
        said = [
            f"{len(self.finished)} of {len(self.sweep.good)} finished",
            *(f"{n} {state}" for state, n in others.items()),
        ]
        pruned = len(self.now) - len(self.sweep.good)
        return ", ".join(said) + (f"; {pruned} pruned" if pruned else "")

    def short(self, run: str) -> str:
        """What tells a run from the others of it: its number and its values."""
        return run.removeprefix(f"{self.id}-")


class SweepStore:
    """The ablations of one folder of runs; each file is read once, for it never changes."""

    def __init__(self) -> None:
        self._known: dict[Path, SweepFolder] = {}

    def look(self, root: Path, statuses: Mapping[Path, RunStatus]) -> tuple[SweepRow, ...]:
        """Every ablation that can be read, the newest first.

        Args:
            root: Where runs are.
            statuses: Folder of each run that is there -> how it stands.
        """
        with suppress(UserError):
            self._known = dict(self._read(list_sweeps(root)))
        return tuple(_row(sweep, statuses) for sweep in reversed(self._known.values()))

    def _read(self, paths: Iterable[Path]) -> Iterable[tuple[Path, SweepFolder]]:
        for path in paths:
            with suppress(UserError):  # what is damaged, pgsynth sweep list tells
                yield path, self._known.get(path) or read_sweep(path)


def _row(sweep: SweepFolder, statuses: Mapping[Path, RunStatus]) -> SweepRow:
    now = tuple(Standing(row, statuses.get(sweep.root / row.run) if row.run else None) for row in sweep.rows)
    return SweepRow(sweep, now, sweep.jobs_file.exists())
