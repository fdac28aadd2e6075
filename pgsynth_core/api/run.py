"""A run in Python: its folder, its status, its losses. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgsynth_core.runs import RunFolder, RunStatus, find_run, read_losses, runs_root, status_of


@dataclass(frozen=True)
class Run:
    """A folder that training writes.

    Attributes:
        folder: Where everything of it is.
    """

    folder: RunFolder

    def __repr__(self) -> str:
        status = self.status
        of = f" of {status.steps}" if status.steps else ""
        return f"<Run {self.id}: {status.state}, step {status.step}{of}>"

    @staticmethod
    def find(run: Run | str | Path, runs: str | Path | None = None) -> Run:
        """A run by id, unique prefix, ``latest`` or path.

        Raises:
            UserError: If there is none or several, with the nearest names.
        """
        if isinstance(run, Run):
            return run
        return Run(find_run(run, runs_root(None if runs is None else str(runs))))

    @property
    def id(self) -> str:
        """Its name below the runs' root."""
        return self.folder.id

    @property
    def path(self) -> Path:
        """The folder it is written to."""
        return self.folder.path

    @property
    def status(self) -> RunStatus:
        """Derived from its events, its process and its exit record; never stored."""
        return status_of(self.folder)

    def losses(self) -> dict[int, float]:
        """Step -> loss; where a step was trained twice, its later value."""
        return read_losses(self.folder.events_file)
