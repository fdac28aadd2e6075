"""How the runs of an ablation stand: derived from their folders whenever it is asked, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pgsynth_core.runs import RunStatus, status_of
from pgsynth_core.runs.states import STATES
from pgsynth_core.sweeps.folder import Row, SweepFolder

__all__ = ["NOT_BEGUN", "PRUNED", "Standing", "standings"]

NOT_BEGUN: Final = "not begun"
"""The state of a combination whose run is not made, or was deleted."""
PRUNED: Final = "pruned"


@dataclass(frozen=True)
class Standing:
    """How one combination stands.

    Attributes:
        row: Which.
        status: Of its run; None if there is none.
    """

    row: Row
    status: RunStatus | None

    @property
    def state(self) -> str:
        """A state of a run, ``not begun`` or ``pruned``."""
        if not self.row.run:
            return PRUNED
        return self.status.state if self.status else NOT_BEGUN

    @property
    def finished(self) -> bool:
        """Whether it has all its steps."""
        return self.state == "finished"

    @property
    def busy(self) -> bool:
        """Whether somebody trains it, or it waits in the queue."""
        return self.status is not None and (self.status.state == "queued" or STATES[self.status.state].live)

    @property
    def open(self) -> bool:
        """Whether it is to be begun, or gone on with."""
        return bool(self.row.run) and not self.finished and not self.busy

    @property
    def reason(self) -> str:
        """Why it is as it is; may be empty."""
        if self.row.problems:
            problem = self.row.problems[0]
            return f"{problem.message} {problem.cure}".rstrip()
        return self.status.reason if self.status else ""


def standings(sweep: SweepFolder) -> tuple[Standing, ...]:
    """How every combination stands, in order."""
    return tuple(Standing(row, _status(sweep, row)) for row in sweep.rows)


def _status(sweep: SweepFolder, row: Row) -> RunStatus | None:
    if not row.run:
        return None
    folder = sweep.folder(row)
    return status_of(folder) if folder.spec_file.is_file() else None
