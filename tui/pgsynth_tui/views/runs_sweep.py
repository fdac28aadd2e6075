"""How the ablation stands that the run under the cursor is of, and how it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.widgets import Static

from pgsynth_core.cli.console import one_line
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.shell import command_line
from pgsynth_tui.stores.sweeps import SweepRow

if TYPE_CHECKING:
    from pgsynth_tui.app import PgsynthApp

__all__ = ["SweepLine"]


class SweepLine(Static):
    """A line below the runs; nothing for a run that is of no ablation."""

    DEFAULT_CSS = """
    SweepLine { height: auto; max-height: 3; padding: 0 1; text-style: bold; display: none; }
    """

    def __init__(self) -> None:
        super().__init__("", id="sweep", markup=False)

    @property
    def _ours(self) -> PgsynthApp:
        return cast("PgsynthApp", self.app)

    def show(self, sweep: SweepRow | None) -> None:
        """Say how it stands, and what can be done with it."""
        self.display = sweep is not None
        if sweep:
            keys = {name: self._ours.keys_of(f"runs.{name}") for name in ("sweep", "mark_sweep", "resume_sweep")}
            more = f"; {keys['resume_sweep']} goes on" if sweep.open else ""
            can = f"{keys['sweep']} shows only these; {keys['mark_sweep']} marks the finished{more}"
            self.update(one_line(f"{sweep.id}: {sweep.sentence} ({can})"))

    def resume(self, sweep: SweepRow) -> None:
        """Ask, and put what is not finished into the queue."""
        words = ("sweep", "resume", sweep.id)
        if not sweep.open:
            self.notify(f"{sweep.id}: {sweep.sentence}. There is nothing to resume.", markup=False)
        elif sweep.slurm:
            how = command_line((*words, "--slurm"))
            self.notify(f"{sweep.id} was sent to Slurm, where runs may wait: {how}", timeout=20, markup=False)
        else:
            lines = (
                f"{sweep.sentence}.",
                "What is not begun, stopped, failed or was lost goes into the queue, from its last checkpoint.",
            )
            count = f"{sweep.open} run{'s' * (sweep.open != 1)}"
            question = Ask(f"Go on with {count} of it?", lines, command=command_line(words), yes="Resume")
            self._ours.ask_first(question, *words, done=f"{sweep.id}: {count} put into the queue")
