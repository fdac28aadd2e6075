"""How the runs of an ablation stand: derived from their folders whenever it is asked, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pgsynth_core.runs import RunStatus, status_of
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
        status: Of its run; None if there is none, or nobody has begun to train it.
        elsewhere: What a cluster says of its job; empty if it has none.
    """

    row: Row
    status: RunStatus | None
    elsewhere: str = ""

    @property
    def state(self) -> str:
        """A state of a run, ``not begun`` or ``pruned``."""
        if not self.row.run:
            return PRUNED
        if self.elsewhere and not self._ours and not self.finished:
            return self.elsewhere
        return self.status.state if self.status else NOT_BEGUN

    @property
    def finished(self) -> bool:
        """Whether it has all its steps."""
        return self.status is not None and self.status.state == "finished"

    @property
    def busy(self) -> bool:
        """Whether somebody trains it, or it waits in the queue."""
        return self._ours or bool(self.elsewhere and not self.finished)

    @property
    def _ours(self) -> bool:
        return self.status is not None and (self.status.state == "queued" or self.status.live)

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


def standings(sweep: SweepFolder, elsewhere: Mapping[str, str] | None = None) -> tuple[Standing, ...]:
    """How every combination stands, in order.

    Args:
        sweep: Which.
        elsewhere: Id of a run -> what a cluster says of the job that waits or works for it.
    """
    jobs = elsewhere or {}
    return tuple(Standing(row, _status(sweep, row), jobs.get(row.run, "")) for row in sweep.rows)


def _status(sweep: SweepFolder, row: Row) -> RunStatus | None:
    if not row.run:
        return None
    folder = sweep.folder(row)
    begun = (folder.process_file, folder.queued_file, folder.worker_file, folder.exit_file, folder.events_file)
    return status_of(folder) if any(file.exists() for file in begun) else None
