"""What can be done with the ablation that a run is of: see how it stands, only its runs, compare them, go on."""

from __future__ import annotations

from textual.widgets import Static

from pgsynth_core.cli.console import one_line
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.shell import command_line
from pgsynth_tui.stores.runs import RunRow
from pgsynth_tui.stores.sweeps import SweepRow
from pgsynth_tui.view import View
from pgsynth_tui.widgets.search_line import SearchLine

__all__ = ["SweepView"]


class SweepView(View):
    """A view with a cursor on a run, and a line for the ablation that it is of."""

    def _row(self) -> RunRow | None:
        """The run under the cursor."""
        raise NotImplementedError("it is for the view with the table to say")

    def _say_of_sweep(self, row: RunRow | None) -> None:
        """How the ablation stands."""
        said, sweep = self.query_one("#sweep", Static), row and self.ours.store.sweep_of(row)
        said.display = sweep is not None
        if sweep:
            keys = {name: self.ours.keys_of(f"runs.{name}") for name in ("sweep", "mark_sweep", "resume_sweep")}
            more = f"; {keys['resume_sweep']} goes on" if sweep.open else ""
            can = f"{keys['sweep']} shows only these; {keys['mark_sweep']} marks the finished{more}"
            said.update(one_line(f"{sweep.id}: {sweep.sentence} ({can})"))

    def _sweep(self) -> SweepRow | None:
        """That of the run under the cursor; else it is told that there is none."""
        row = self._row()
        sweep = self.ours.store.sweep_of(row) if row else None
        if row and sweep is None:
            self.notify(f"{row.id} is of no ablation.", markup=False)
        return sweep

    def action_sweep(self) -> None:
        """Only its runs, or every run again."""
        line = self.query_one(SearchLine)
        if sweep := self._sweep():
            line.value = "" if line.value == sweep.id else sweep.id
            line.keep()
            self.ours.say_command("sweep", "show", sweep.id)

    def action_mark_sweep(self) -> None:
        """Mark what is finished of it, and nothing else."""
        if sweep := self._sweep():
            if not sweep.finished:
                self.notify(f"{sweep.id}: no run of it is finished.", markup=False)
                return
            self.ours.marked = [*sweep.finished]
            self.changed()
            count = len(sweep.finished)
            self.notify(f"{count} run{'s are' * (count > 1) or ' is'} marked; c compares them.", markup=False)

    def action_resume_sweep(self) -> None:
        """Ask, and put what is not finished into the queue."""
        sweep = self._sweep()
        if sweep is None:
            return
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
            self._asked(question, words, f"{sweep.id}: {count} put into the queue")

    def _asked(self, question: Ask, words: tuple[str, ...], done: str) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.ours.say_command(*words)
                self.ours.command_in_background(*words, done=done)

        self.app.push_screen(question, answered)
