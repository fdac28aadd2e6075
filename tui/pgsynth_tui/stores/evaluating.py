"""Runs that are evaluated one after the other, each by its command: how far it is, what came of it. No Textual."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from pgsynth_core.cli.progress import duration
from pgsynth_core.errors import UserError
from pgsynth_core.runs import latest_checkpoint
from pgsynth_tui import shell
from pgsynth_tui.shell import Answer, command_line
from pgsynth_tui.stores.runs import RunRow

__all__ = ["ALL", "PAIRS", "Counting", "Evaluating", "Outcome", "means_of", "not_a_number", "why_not", "words_of"]

PAIRS: Final = "64"
"""On so many of the test pairs, if nobody says otherwise: minutes, and means that are good for a first look."""
ALL: Final = "all"
_DIGITS: Final = 9
"""Of a number of pairs: no list has as many."""
_MEANS: Final = 4
"""So many are told, in the order of the protocol; Compare has all."""
_COUNT: Final = re.compile(r"(?P<doing>[^:]*[^:\s]) (?P<done>[0-9]+)/(?P<of>[0-9]+)(: .*)?")


def not_a_number(text: str) -> str:
    """What is wrong with a number of pairs as it is typed; empty if nothing is."""
    if text == ALL or (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text)):
        return ""
    return f"{text[:_DIGITS]!r} is no number of pairs: 1 or more, or {ALL}"


def words_of(run: str, pairs: str) -> tuple[str, ...]:
    """What a user would type after ``pgsynth``, but for where the runs are.

    Args:
        run: Its name.
        pairs: On how many, or `ALL`.
    """
    return ("evaluate", run) if pairs == ALL else ("evaluate", run, "--limit", str(int(pairs)))


def why_not(row: RunRow) -> str:
    """Why a run cannot be evaluated, in a sentence; empty if it can. Looks into its folder."""
    if row.replayed:
        return f"{row.id} is a replay: it has no weights."
    try:
        saved = latest_checkpoint(row.folder)
    except UserError as error:
        return f"{row.id}: {error}"
    if saved:
        return ""
    waits = row.status.live or row.status.state == "queued"
    return f"{row.id} is {row.status.state} and has no checkpoint{' yet' if waits else ''}."


@final
class Counting:
    """How far a command is, by the lines that it tells: ``drawing 12/64``. Others are passed over."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._doing = ""
        self._of = 0
        self._first = self._last = (0, began)

    def hear(self, line: str, now: float) -> None:
        """Take a line, at that time in seconds."""
        if found := _COUNT.fullmatch(line):
            self._last = int(found["done"]), now
            self._of = int(found["of"])
            if found["doing"] != self._doing:
                self._doing, self._first = found["doing"], self._last

    def sentence(self, now: float) -> str:
        """``drawing 12/64, 40 s left``; how long it has taken, while nothing is counted."""
        if not self._doing:
            return f"loading, {duration(max(0.0, now - self._began))}"
        (done, when), (before, since) = self._last, self._first
        said = f"{self._doing} {done}/{self._of}"
        if done == before:  # how long one takes nobody knows yet
            return said
        left = (self._of - done) * (when - since) / (done - before) - (now - when)
        return f"{said}, {duration(max(0.0, left))} left"


@dataclass(frozen=True)
class Outcome:
    """What came of one run's evaluation.

    Attributes:
        run: Its name.
        answer: Of the command.
        ended: Whether the user had it ended.
    """

    run: str
    answer: Answer
    ended: bool = False

    @property
    def ok(self) -> bool:
        """Whether there are scores."""
        return self.answer.ok

    @property
    def sentence(self) -> str:
        """The means; or what went wrong, with its cure."""
        if self.ok:
            return f"{self.run}: {means_of(self.answer.facts)}"
        if self.ended:
            return f"{self.run}: ended. What is drawn stays, and the same evaluation goes on from there."
        return f"{self.run}: {' '.join(map(str, self.answer.problems))}"


def means_of(facts: Mapping[str, Any]) -> str:
    """``ssim 0.522, psnr 18.40 on 64 pairs``, of what ``pgsynth evaluate --json`` says."""
    means, measures = facts.get("mean", {}), facts.get("measures", {})
    said = [_mean(name, value, measures.get(name, {}).get("digits", 3)) for name, value in means.items()]
    more = f" and {len(said) - _MEANS} more" if len(said) > _MEANS else ""
    pairs = facts.get("images", 0)
    return f"{', '.join(said[:_MEANS]) or 'evaluated'}{more} on {pairs} pair{'s' * (pairs != 1)}"


def _mean(name: str, value: float | None, digits: int) -> str:
    return f"{name} infinite" if value is None or not math.isfinite(value) else f"{name} {value:.{digits}f}"


@final
class Evaluating:
    """Some runs, one after the other. One thread does it; whoever shows it may ask anything from any other.

    Args:
        runs: Their names, at least one.
        pairs: On how many pairs, or `ALL`.
        root: Where runs are.
        now: The clock, in seconds.

    Attributes:
        outcomes: Of those that are done, in order.
        under_way: Whether it goes on; not any more once it has ended, however it did.
    """

    def __init__(
        self, runs: Sequence[str], pairs: str, root: str, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.runs, self._pairs, self._root, self._now = tuple(runs), pairs, root, now
        self.outcomes: tuple[Outcome, ...] = ()
        self.under_way = True
        self._ended = threading.Event()
        self._counting = Counting(now())

    def go(self, wanted: Callable[[], bool], came: Callable[[Outcome], None]) -> None:
        """Evaluate them; call it in a thread.

        Args:
            wanted: Whether anybody waits for it; once nobody does, the one that is under way goes on by itself.
            came: Told of each.
        """
        try:
            for run in self.runs:
                self._counting = counting = Counting(self._now())
                answer = shell.run(
                    *words_of(run, self._pairs),
                    "--runs",
                    self._root,
                    seconds=math.inf,
                    wanted=wanted,
                    told=lambda line, counting=counting: counting.hear(line, self._now()),  # type: ignore[misc]
                    ended=self._ended.is_set,
                )
                if not wanted():
                    return
                self.outcomes += (Outcome(run, answer, self._ended.is_set()),)
                came(self.outcomes[-1])
                if self._ended.is_set():
                    return
        finally:
            self.under_way = False

    def end(self) -> None:
        """End the one that is under way; none of the others is begun."""
        self._ended.set()

    @property
    def to_come(self) -> tuple[str, ...]:
        """The runs that are not begun."""
        return self.runs[len(self.outcomes) + self.under_way :]

    @property
    def sentence(self) -> str:
        """How far it is, in a line: ``evaluating 2 of 3, NAME: drawing 12/64, 40 s left``; or what came of it."""
        done, count = len(self.outcomes), len(self.runs)
        if self.under_way and done < count:
            which = f"{done + 1} of {count}, " if count > 1 else ""
            how = "is being ended" if self._ended.is_set() else self._counting.sentence(self._now())
            return f"evaluating {which}{self.runs[done]}: {how}"
        if not self.outcomes:
            return ""
        good = sum(one.ok for one in self.outcomes)
        several = f"{good} of {count} runs evaluated. " if count > 1 else ""
        bad = [one for one in self.outcomes if not one.ok]
        return several + (bad or self.outcomes)[-1].sentence

    def farewell(self) -> list[str]:
        """What becomes of it when the user leaves: lines for the normal screen; none if it is over."""
        if not self.under_way or len(self.outcomes) == len(self.runs):
            return []
        names = self.to_come
        todo = [f"  not begun: {command_line((*words_of(run, self._pairs), '--runs', self._root))}" for run in names]
        return [f"{self.runs[len(self.outcomes)]} is evaluated to the end without you", *todo]
