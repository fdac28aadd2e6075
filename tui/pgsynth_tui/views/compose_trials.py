"""The line that says the verdict, and what is tried: it runs the commands in a thread, and counts the seconds."""

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
            warm: Runs the commands.
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
        began = trial.began
        for words in trial.commands:
            where = ("--runs", runs) if words[0] == "train" else ()
            if trial.kind == "file":  # needs no torch, so it waits for nobody who loads it
                answer = shell.run(*words, wanted=lambda: not worker.is_cancelled)
            else:
                answer = warm.run(*words, *where, wanted=lambda: not worker.is_cancelled)
            if worker.is_cancelled:
                return
            trial = trial.with_answer(replace(answer, words=words))
            self.app.call_from_thread(self._went_on, trial, began)
        self.app.call_from_thread(self._went_on, replace(trial, ended=time.monotonic()), began)

    def _went_on(self, trial: Trial, began: float) -> None:
        """In the app's thread; of one that was given up meanwhile nothing is told."""
        if self.trial is None or self.trial.began != began or self.trial.given_up or not self.is_running:
            return
        if trial.under_way:
            self.trial = trial
            self._tell()
        else:
            self._ended(trial)
