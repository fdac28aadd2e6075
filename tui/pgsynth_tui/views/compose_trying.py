"""What is tried of a draft that is composed: proof, rehearsal, launch; and the ablation, which is read in a thread."""

from __future__ import annotations

import shlex
import threading
import time

from textual import on, work
from textual.worker import get_current_worker

from pgsynth_core.cli.console import one_line
from pgsynth_tui import shell
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_sweep import Ablation, read_ablation
from pgsynth_tui.stores.draft_trials import Kind, Trial
from pgsynth_tui.stores.draft_words import Draft
from pgsynth_tui.view import View
from pgsynth_tui.views.compose_beside import TABS, Line, lines_of
from pgsynth_tui.views.compose_trials import Trials

__all__ = ["TryingView"]


class TryingView(View):
    """A view that has a draft and tries it.

    Attributes:
        store: The draft.
    """

    store: DraftStore

    def __init__(self) -> None:
        super().__init__()
        self._tab = TABS[0]
        self._ablation: Ablation | None = None
        self._asked: Draft | None = None
        self._one_reads = threading.Lock()

    def _turn_to(self, tab: str) -> None:
        """Show a tab of what is beside."""
        raise NotImplementedError("it is for the view that is shown to do")

    def _draw_beside(self) -> None:
        """Draw that tab."""
        raise NotImplementedError("it is for the view that is shown to do")

    def action_next_problem(self) -> None:
        """Go to what is wrong."""
        raise NotImplementedError("it is for the view that is shown to do")

    # ---------------------------------------------------------------- what is shown of it
    def _draw_verdict(self) -> None:
        trials = self.query_one(Trials)
        tried = trials.trial.sentence(self.store.draft, time.monotonic()) if trials.trial else ""
        sentence = one_line(self.store.reading.sentence)
        trials.update(f"{sentence} {tried[:1].upper()}{tried[1:]}.".removesuffix(" ."))

    def _lines_beside(self) -> list[Line]:
        """What the tab that is shown says."""
        trial = self.query_one(Trials).trial
        tried = trial.lines(self.store.draft, time.monotonic()) if trial else ()
        if self._tab == "ablation" and self.store.draft.varied and self._read() is None:
            self._read_ablation(self.store.draft)
        return lines_of(self._tab, self.store, tried, self._read())

    # ---------------------------------------------------------------- the ablation
    def _read(self) -> Ablation | None:
        """The ablation, with the hours of a rehearsal of it; None if it is not read yet."""
        if self._ablation is None or self._ablation.draft != self.store.draft:
            return None
        trial = self.query_one(Trials).trial
        timed = trial and trial.ok and trial.kind == "rehearsal" and trial.of_sweep and trial.draft == self.store.draft
        return self._ablation.timed(trial.facts) if trial and timed else self._ablation

    @work(thread=True, exclusive=True, group="ablation", exit_on_error=False)
    def _read_ablation(self, draft: Draft) -> None:
        worker = get_current_worker()
        with self._one_reads:  # of several steps one after another only the last is read
            if not worker.is_cancelled:
                found = read_ablation(draft, self.store.reading, self.ours.store.root)
                self.app.call_from_thread(self._on_ablation, found)

    def _on_ablation(self, found: Ablation) -> None:
        """In the app's thread."""
        asked, self._asked = self._asked, None
        if found.draft != self.store.draft or not self.there:
            return
        self._ablation = found
        if self._tab == "ablation":
            self._draw_beside()
        if asked == found.draft and self.ours.front is self:
            self.action_launch()

    # ---------------------------------------------------------------- what is tried
    def action_prove(self) -> None:
        """Build it without weights, run it forward and backward; again: give that up."""
        if self._free("proof") and self._sound():
            self._try("proof", self._words("compose"))

    def action_rehearse(self) -> None:
        """A few real steps: memory, pace, hours, disk. No run is made; again: give that up."""
        if not self._free("rehearsal"):
            return
        if self.store.draft.varied:
            words = (*self.store.command, "--time", "--dry-run")
            line = "A few real steps of each kind of combination of which no earlier run says how long it takes."
        elif self._sound():
            words = (*self.store.command, "--rehearse")
            line = "A few real steps are taken, saved and loaded again, here and now."
        else:
            return
        question = Ask("Rehearse it?", (line, "No run is made."), command=shell.command_line(words), yes="Rehearse")
        self._ask(question, "rehearsal", words)

    def action_launch(self) -> None:
        """Train it, detached; an ablation: every combination that the contract does not refuse."""
        if not self._free("launch"):
            return
        if self.store.draft.varied:
            self._launch_ablation()
        elif self._sound():
            words = (*self.store.command, "--detach")
            lines = ["It is proved, frozen and left to the queue; it trains whether you stay or leave."]
            trial = self.query_one(Trials).trial
            if trial and trial.hours is not None and not trial.of_sweep and not trial.stale(self.store.draft):
                lines.append(f"By the rehearsal, {trial.sentence(trial.draft, 0.0).removeprefix('rehearsed: ')}.")
            self._ask(Ask("Train it?", lines, command=shell.command_line(words), yes="Launch"), "launch", words)

    def _launch_ablation(self) -> None:
        """Ask, once it is read."""
        if (ablation := self._read()) is None:
            self._asked = self.store.draft
            self._read_ablation(self.store.draft)
            return
        if not ablation.good:
            self._turn_to("ablation")
            self.notify("no combination can be trained: see the ablation.", severity="error", markup=False)
            return
        words = (*self.store.command, "--yes")
        lines = (
            f"{ablation.sentence}.",
            "Each method is proved, every spec frozen; then they are left to the queue, and train whether you leave.",
            "Whatever ends them, pgsynth sweep resume goes on.",
        )
        title = f"Queue {ablation.good} run{'s' * (ablation.good != 1)}?"
        self._ask(Ask(title, lines, command=shell.command_line(words), yes="Launch"), "launch", words)

    def _ask(self, question: Ask, kind: Kind, words: tuple[str, ...]) -> None:
        self.app.push_screen(question, lambda yes: self._try(kind, words) if yes else None)

    def _words(self, verb: str) -> tuple[str, ...]:
        """What is typed for the method, where nothing is varied."""
        return tuple(shlex.split(self.store.reading.command(verb))[1:])

    def _sound(self) -> bool:
        """Whether nothing is wrong; else the cursor goes to what is."""
        if not self.store.reading.ok:
            self.action_next_problem()
        return self.store.reading.ok

    def _free(self, kind: Kind) -> bool:
        """Whether something can be tried; the same again gives it up."""
        trials = self.query_one(Trials)
        if not trials.under_way or trials.trial is None:
            return True
        if trials.trial.kind == kind and kind != "launch":
            trials.give_up()
        else:
            self._turn_to("result")
            self.notify(f"a {trials.trial.kind} is under way; esc gives it up.", markup=False)
        return False

    def _try(self, kind: Kind, words: tuple[str, ...]) -> None:
        """Run a command and show how it goes."""
        trial = Trial(kind, words, self.store.draft, time.monotonic(), self.store.reading.spec)
        self.query_one(Trials).begin(trial, self.ours.warm, str(self.ours.store.root))
        self._turn_to("result")

    @on(Trials.Changed)
    def _on_trial(self, event: Trials.Changed) -> None:
        trial = event.trial
        self._draw_verdict()
        if self._tab == "result":
            self._draw_beside()
        if trial.under_way or trial.given_up:
            return
        if self.ours.front is self:
            self.ours.say_command(*trial.command)
        if trial.answer and not trial.answer.ok:
            self.notify(str(trial.answer.problems[0]), severity="error", timeout=20, markup=False)
        if trial.kind == "launch" and trial.launched:
            self._launched(trial)
        if trial.ok and trial.kind != "launch":
            self.notify(f"{trial.sentence(trial.draft, trial.began)}.", markup=False)

    def _launched(self, trial: Trial) -> None:
        """Offer to look at what was made, unless the user is elsewhere by now."""
        first, count = trial.launched[0], len(trial.launched)
        self.ours.chosen = first.path
        where = f", number {first.position} in the queue" if first.position else ""
        title = f"{first.id}: {first.state}{where}."
        if trial.of_sweep:
            title = f"{trial.facts['sweep']}: {count} run{'s' * (count != 1)} launched."
        view, name = ("runs", "Runs") if trial.of_sweep else ("watch", "Watch")
        if self.ours.front is not self:
            self.notify(title, markup=False)
            return
        lines = (f"{'They train' if trial.of_sweep else 'It trains'} whether you stay or leave.", f"Go to {name} now?")
        question = Ask(title, lines, yes=name, key=self.ours.keys_of(f"everywhere.{view}"))

        def answered(yes: bool | None) -> None:
            if yes:
                self.call_later(self.ours.action_view, view)

        self.app.push_screen(question, answered)
