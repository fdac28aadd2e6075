"""The line that says the verdict, and what is tried of the draft: proof, rehearsal, launch; and the ablation it is.

Commands run in a thread, and so does reading an ablation, which takes a while where it is large.
"""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual import work
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from pgsynth_core.cli.console import one_line
from pgsynth_tui import shell
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_sweep import Ablation, read_ablation
from pgsynth_tui.stores.draft_trials import Kind, Trial
from pgsynth_tui.stores.draft_words import Draft
from pgsynth_tui.warm import Warm

if TYPE_CHECKING:
    from pgsynth_tui.app import PgsynthApp

__all__ = ["Trials"]

_TICK = 1.0
"""Seconds between two looks at the clock."""
_LONG, _LONGEST = 600.0, 6 * 3600.0
"""Seconds after which a command is given up, and one that proves or tries every method of an ablation."""


class Trials(Static):
    """What is tried of a draft, one after the other.

    Args:
        store: Says which draft.
    """

    class Changed(Message):
        """What there is to say is otherwise: of a trial, or of the ablation."""

    class Shown(Message):
        """A tab beside the choices has what the user should see."""

        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    class Wrong(Message):
        """The draft cannot be tried: something in it is wrong."""

    def __init__(self, store: Callable[[], DraftStore]) -> None:
        super().__init__("", id="verdict", markup=False)
        self._store = store
        self._trial: Trial | None = None
        self._ablation: Ablation | None = None
        self._wanted: Draft | None = None
        self._one_reads = threading.Lock()

    def on_mount(self) -> None:
        """The clock, which stands still while nothing is tried."""
        self._clock = self.set_interval(_TICK, self._tell, pause=True)

    @property
    def _ours(self) -> PgsynthApp:
        return cast("PgsynthApp", self.app)

    @property
    def _looked_at(self) -> bool:
        """Whether the view that it stands in is before the user."""
        return self._ours.front is self.screen

    # ---------------------------------------------------------------- what is shown
    def say(self) -> None:
        """The verdict, and how what is tried stands."""
        store, trial = self._store(), self._trial
        tried = trial.sentence(store.draft, time.monotonic()) if trial else ""
        sentence = one_line(store.reading.sentence)
        self.update(f"{sentence} {tried[:1].upper()}{tried[1:]}.".removesuffix(" ."))

    def lines(self) -> tuple[str, ...]:
        """What was tried last, and what came of it."""
        return self._trial.lines(self._store().draft, time.monotonic()) if self._trial else ()

    def _tell(self) -> None:
        self.say()
        self.post_message(self.Changed())

    # ---------------------------------------------------------------- the ablation
    def ablation(self) -> Ablation | None:
        """The ablation, with the hours of a rehearsal of it; None until `read_ablation` has read it."""
        draft, trial = self._store().draft, self._trial
        if self._ablation is None or self._ablation.draft != draft:
            return None
        timed = trial and trial.ok and trial.kind == "rehearsal" and trial.of_sweep and trial.draft == draft
        return self._ablation.timed(trial.facts) if trial and timed else self._ablation

    @work(thread=True, exclusive=True, group="ablation", exit_on_error=False)
    def read_ablation(self) -> None:
        """Find its combinations in a thread; `Changed` tells."""
        worker, store = get_current_worker(), self._store()
        draft, reading = store.draft, store.reading
        with self._one_reads:  # of several steps one after another only the last is read
            if not worker.is_cancelled:
                found = read_ablation(draft, reading, self._ours.store.root)
                self.app.call_from_thread(self._on_ablation, found)

    def _on_ablation(self, found: Ablation) -> None:
        """In the app's thread."""
        wanted, self._wanted = self._wanted, None
        if found.draft != self._store().draft or not self.is_running:
            return
        self._ablation = found
        self.post_message(self.Changed())
        if wanted == found.draft and self._looked_at:
            self.launch()

    # ---------------------------------------------------------------- what is tried
    @property
    def under_way(self) -> bool:
        """Whether something is being tried."""
        return self._trial is not None and self._trial.under_way

    def prove(self) -> None:
        """Build it without weights, run it forward and backward; again: give that up."""
        if self._free("proof") and self._sound():
            self._begin("proof", self._words("compose"))

    def rehearse(self) -> None:
        """A few real steps: memory, pace, hours, disk. No run is made; again: give that up."""
        store = self._store()
        if not self._free("rehearsal"):
            return
        if store.draft.varied:
            words = (*store.command, "--time", "--dry-run")
            line = "A few real steps of each kind of combination of which no earlier run says how long it takes."
        elif self._sound():
            words = (*store.command, "--rehearse")
            line = "A few real steps are taken, saved and loaded again, here and now."
        else:
            return
        question = Ask("Rehearse it?", (line, "No run is made."), command=shell.command_line(words), yes="Rehearse")
        self._ask(question, "rehearsal", words)

    def launch(self) -> None:
        """Train it, detached; an ablation: every combination that the contract does not refuse."""
        store, trial = self._store(), self._trial
        if not self._free("launch"):
            return
        if store.draft.varied:
            self._launch_ablation()
        elif self._sound():
            words = (*store.command, "--detach")
            lines = ["It is proved, frozen and left to the queue; it trains whether you stay or leave."]
            if trial and trial.hours is not None and not trial.of_sweep and not trial.stale(store.draft):
                lines.append(f"By the rehearsal, {trial.sentence(trial.draft, 0.0).removeprefix('rehearsed: ')}.")
            self._ask(Ask("Train it?", lines, command=shell.command_line(words), yes="Launch"), "launch", words)

    def _launch_ablation(self) -> None:
        """Ask, once it is read."""
        if (ablation := self.ablation()) is None:
            self._wanted = self._store().draft
            self.read_ablation()
            return
        if not ablation.good:
            self.post_message(self.Shown("ablation"))
            self.notify("no combination can be trained: see the ablation.", severity="error", markup=False)
            return
        words = (*self._store().command, "--yes")
        lines = (
            f"{ablation.sentence}.",
            "Each method is proved, every spec frozen; then they are left to the queue, and train whether you leave.",
            "Whatever ends them, pgsynth sweep resume goes on.",
        )
        title = f"Queue {ablation.good} run{'s' * (ablation.good != 1)}?"
        self._ask(Ask(title, lines, command=shell.command_line(words), yes="Launch"), "launch", words)

    def write(self, file: str) -> None:
        """Write the complete spec as a file, which needs no proof."""
        self._begin("file", (*self._words("compose"), "--no-proof", "-o", file))

    def _ask(self, question: Ask, kind: Kind, words: tuple[str, ...]) -> None:
        self.app.push_screen(question, lambda yes: self._begin(kind, words) if yes else None)

    def _words(self, verb: str) -> tuple[str, ...]:
        """What is typed for the method, where nothing is varied."""
        return tuple(shlex.split(self._store().reading.command(verb))[1:])

    def _sound(self) -> bool:
        """Whether nothing is wrong; else that is told."""
        if not (ok := self._store().reading.ok):
            self.post_message(self.Wrong())
        return ok

    def _free(self, kind: Kind) -> bool:
        """Whether something can be tried; the same again gives it up."""
        trial = self._trial
        if trial is None or not trial.under_way:
            return True
        if trial.kind == kind and kind != "launch":
            self.give_up()
        else:
            self.post_message(self.Shown("result"))
            self.notify(f"a {trial.kind} is under way; esc gives it up.", markup=False)
        return False

    # ---------------------------------------------------------------- how it goes
    def _begin(self, kind: Kind, words: tuple[str, ...]) -> None:
        """Run a command; what was tried before and goes on is given up."""
        store = self._store()
        self._trial = Trial(kind, words, store.draft, time.monotonic(), store.reading.spec)
        self._clock.resume()
        self._tell()
        self._run(self._trial, self._ours.warm, str(self._ours.store.root))
        self.post_message(self.Shown("result"))

    def give_up(self) -> None:
        """End what is being tried; a run that is made already stays."""
        if self._trial and self._trial.under_way:
            self.workers.cancel_group(self, "trial")
            self._ended(replace(self._trial, ended=time.monotonic(), given_up=True))

    @work(thread=True, exclusive=True, group="trial", exit_on_error=False)
    def _run(self, trial: Trial, warm: Warm, runs: str) -> None:
        worker = get_current_worker()
        words = trial.command
        where = ("--runs", runs) if words[0] in ("train", "sweep") else ()
        if trial.kind == "file":  # needs no torch, so it waits for nobody who loads it
            answer = shell.run(*words, wanted=lambda: not worker.is_cancelled)
        else:
            patience = _LONGEST if trial.of_sweep else _LONG
            answer = warm.run(*words, *where, seconds=patience, wanted=lambda: not worker.is_cancelled)
        if not worker.is_cancelled:
            ended = replace(trial, answer=replace(answer, words=words), ended=time.monotonic())
            self.app.call_from_thread(self._came, ended)

    def _came(self, trial: Trial) -> None:
        """In the app's thread; of one that was given up meanwhile nothing is told."""
        now = self._trial
        if now is None or now.began != trial.began or now.given_up or not self.is_running:
            return
        self._ended(trial)
        if self._looked_at:
            self._ours.say_command(*trial.command)
        if trial.answer and not trial.answer.ok:
            self.notify(str(trial.answer.problems[0]), severity="error", timeout=20, markup=False)
        if trial.kind == "launch" and trial.launched:
            self._launched(trial)
        if trial.ok and trial.kind != "launch":
            self.notify(f"{trial.sentence(trial.draft, trial.began)}.", markup=False)

    def _ended(self, trial: Trial) -> None:
        self._trial = trial
        self._clock.pause()
        self._tell()

    def _launched(self, trial: Trial) -> None:
        """Offer to look at what was made, unless the user is elsewhere by now."""
        first, count = trial.launched[0], len(trial.launched)
        self._ours.chosen = first.path
        where = f", number {first.position} in the queue" if first.position else ""
        title = f"{first.id}: {first.state}{where}."
        if trial.of_sweep:
            title = f"{trial.facts['sweep']}: {count} run{'s' * (count != 1)} launched."
        view, name = ("runs", "Runs") if trial.of_sweep else ("watch", "Watch")
        if not self._looked_at:
            self.notify(title, markup=False)
            return
        lines = (f"{'They train' if trial.of_sweep else 'It trains'} whether you stay or leave.", f"Go to {name} now?")
        question = Ask(title, lines, yes=name, key=self._ours.keys_of(f"everywhere.{view}"))

        def answered(yes: bool | None) -> None:
            if yes:
                self.call_later(self._ours.action_view, view)

        self.app.push_screen(question, answered)
