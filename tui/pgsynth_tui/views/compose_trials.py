"""The line that says the verdict, and what is tried: it runs the command in a thread, and counts the seconds."""

from __future__ import annotations

import time
from dataclasses import replace

from textual import work
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from pgsynth_tui import shell
from pgsynth_tui.stores.draft_trials import Trial
from pgsynth_tui.warm import Warm

__all__ = ["Trials"]

_TICK = 1.0
"""Seconds between two looks at the clock."""
_LONG, _LONGEST = 600.0, 6 * 3600.0
"""Seconds after which a command is given up, and one that proves or tries every method of an ablation."""


class Trials(Static):
    """What is tried, one after the other.

    Attributes:
        trial: The last; None before the first.
    """

    class Changed(Message):
        """The trial has gone on, or ended."""

        def __init__(self, trial: Trial) -> None:
            super().__init__()
            self.trial = trial

    def __init__(self) -> None:
        super().__init__("", id="verdict", markup=False)
        self.trial: Trial | None = None

    def on_mount(self) -> None:
        """The clock, which stands still while nothing is tried."""
        self._clock = self.set_interval(_TICK, self._tell, pause=True)

    @property
    def under_way(self) -> bool:
        """Whether something is being tried."""
        return self.trial is not None and self.trial.under_way

    def begin(self, trial: Trial, warm: Warm, runs: str) -> None:
        """Try something; what was tried before and goes on is given up.

        Args:
            trial: What.
            warm: Runs the command.
            runs: Where runs are.
        """
        self.trial = trial
        self._clock.resume()
        self._tell()
        self._run(trial, warm, runs)

    def give_up(self) -> None:
        """End what is being tried; a run that is made already stays."""
        if self.trial and self.trial.under_way:
            self.workers.cancel_group(self, "trial")
            self._ended(replace(self.trial, ended=time.monotonic(), given_up=True))

    def _tell(self) -> None:
        if self.trial:
            self.post_message(self.Changed(self.trial))

    def _ended(self, trial: Trial) -> None:
        self.trial = trial
        self._clock.pause()
        self._tell()

    @work(thread=True, exclusive=True, group="trial", exit_on_error=False)
    def _run(self, trial: Trial, warm: Warm, runs: str) -> None:
        worker = get_current_worker()
        words, began = trial.command, trial.began
        where = ("--runs", runs) if words[0] in ("train", "sweep") else ()
        if trial.kind == "file":  # needs no torch, so it waits for nobody who loads it
            answer = shell.run(*words, wanted=lambda: not worker.is_cancelled)
        else:
            patience = _LONGEST if trial.of_sweep else _LONG
            answer = warm.run(*words, *where, seconds=patience, wanted=lambda: not worker.is_cancelled)
        if not worker.is_cancelled:
            ended = replace(trial, answer=replace(answer, words=words), ended=time.monotonic())
            self.app.call_from_thread(self._came, ended, began)

    def _came(self, trial: Trial, began: float) -> None:
        """In the app's thread; of one that was given up meanwhile nothing is told."""
        if self.trial is not None and self.trial.began == began and not self.trial.given_up and self.is_running:
            self._ended(trial)
