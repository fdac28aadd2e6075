"""Runs are evaluated: on how many pairs is asked, how far it is stands below the runs, the scores are told.

Commands run in a thread, one after the other; what is under way when the UI is left goes on by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual import work
from textual.notifications import SeverityLevel
from textual.widgets import Static

from pgsynth_core.cli.console import one_line
from pgsynth_tui.dialogs import Ask, Checked, Enter
from pgsynth_tui.help import keys_in_words
from pgsynth_tui.shell import command_line
from pgsynth_tui.stores.evaluating import ALL, PAIRS, Evaluating, Outcome, not_a_number, why_not, words_of
from pgsynth_tui.stores.runs import RunRow

if TYPE_CHECKING:
    from pgsynth_tui.app import PgsynthApp

__all__ = ["EvaluateLine"]

_TICK = 1.0
"""Seconds between two looks at how far it is."""
_NAMED = 2
"""Of several runs, so many names are said."""


class EvaluateLine(Static):
    """A line below the runs; nothing before the first evaluation."""

    DEFAULT_CSS = """
    EvaluateLine { height: auto; max-height: 3; padding: 0 1; color: $text-accent; display: none; }
    """

    def __init__(self) -> None:
        super().__init__("", id="evaluating", markup=False)
        self._pairs = PAIRS

    def on_mount(self) -> None:
        """The clock, which stands still while nothing is evaluated."""
        self._clock = self.set_interval(_TICK, self._tell, pause=True)

    @property
    def _ours(self) -> PgsynthApp:
        return cast("PgsynthApp", self.app)

    # ---------------------------------------------------------------- what is asked
    def evaluate(self, row: RunRow | None) -> None:
        """Ask on how many pairs, and score the marked runs on them; while that is under way, ask whether to end it.

        Args:
            row: Of the run under the cursor, which is scored where none is marked.
        """
        now, store, marked = self._ours.evaluating, self._ours.store, self._ours.marked
        if now and now.under_way:
            self._ask_to_end(now)
            return
        found = [one for path in marked if (one := store.row(path))]
        rows = found or ([row] if row else [])
        left_out = [f"{path.name} is marked, and not found in {store.root}." for path in marked if not store.row(path)]
        wrong = {one.id: why for one in rows if (why := why_not(one))}
        names = [one.id for one in rows if one.id not in wrong]
        left_out += wrong.values()
        if names:
            self._ask(names, left_out)
            return
        for why in left_out[:_NAMED] or [f"there is no run in {store.root}."]:
            self.notify(one_line(why), severity="warning", timeout=15, markup=False)

    def _ask(self, names: Sequence[str], left_out: Sequence[str]) -> None:
        count, root = len(names), str(self._ours.store.root)
        others = f"; and so for {count - 1} more" if count > 1 else ""
        lines = [_some(names)] if count > 1 else []
        lines += [f"A number of test pairs, or {ALL}."]
        if left_out:
            more = f" And {len(left_out) - 1} more." if len(left_out) > 1 else ""
            lines += [f"Left out: {left_out[0]}{more}"]

        def check(text: str) -> Checked:
            return Checked(wrong, refused=True) if (wrong := not_a_number(text)) else Checked()

        def command(text: str) -> str:
            return f"{command_line((*words_of(names[0], text), '--runs', root))}{others}"

        def answered(pairs: str | None) -> None:
            if pairs:
                self._begin(names, pairs)

        title = f"Evaluate {names[0] if count == 1 else f'{count} runs'} on how many pairs?"
        lines = [one_line(line) for line in lines]
        self.app.push_screen(Enter(title, self._pairs, tuple(lines), check=check, command=command), answered)

    def _ask_to_end(self, now: Evaluating) -> None:
        others = f" Not begun: {_some(now.to_come)}." if now.to_come else ""
        lines = (
            one_line(f"{now.sentence}."),
            f"What is drawn stays; evaluated on as many pairs again, it goes on from there.{others}",
        )

        def answered(yes: bool | None) -> None:
            if yes:
                now.end()
                self._tell()

        self.app.push_screen(Ask("End the evaluation?", lines, yes="End"), answered)

    # ---------------------------------------------------------------- how it goes
    def _begin(self, names: Sequence[str], pairs: str) -> None:
        if self._ours.evaluating and self._ours.evaluating.under_way:
            return
        self._pairs = pairs
        self._ours.evaluating = now = Evaluating(names, pairs, str(self._ours.store.root))
        self._ours.say_command(*words_of(names[0], pairs))
        self._clock.resume()
        self._go(now)
        self._tell()

    @work(thread=True, group="evaluating", exit_on_error=False)
    def _go(self, now: Evaluating) -> None:
        wanted = self._ours.wanted
        now.go(wanted, lambda outcome: self.app.call_from_thread(self._came, outcome))
        if wanted():
            self.app.call_from_thread(self._over)

    def _came(self, outcome: Outcome) -> None:
        """In the app's thread."""
        keys = [keys_in_words(self._ours.keys_of(f"runs.{name}")) for name in ("compare", "samples")]
        then = f"; {keys[0]} compares, {keys[1]} looks" if outcome.ok else ""
        bad = not outcome.ok and not outcome.ended
        severity: SeverityLevel = "error" if bad else "information"
        self.app.notify(f"{outcome.sentence}{then}", severity=severity, timeout=30, markup=False)
        self._tell()

    def _over(self) -> None:
        self._clock.pause()
        self._tell()

    def _tell(self) -> None:
        """Say how far it is, or what came of it."""
        if now := self._ours.evaluating:
            keys = [keys_in_words(self._ours.keys_of(f"runs.{name}")) for name in ("evaluate", "back")]
            how = f"{keys[0]} again ends it" if now.under_way else f"{keys[1]} clears this line"
            said = now.sentence.removesuffix(".")
            self.display = bool(said)
            self.update(one_line(f"{said}; {how}"))

    def clear(self) -> None:
        """What came of the last one is read."""
        if not (self._ours.evaluating and self._ours.evaluating.under_way):
            self.display = False


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
