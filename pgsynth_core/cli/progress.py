"""How work that takes minutes shows itself, on stderr: a bar on a terminal, elsewhere a line now and then.

The work tells plain events: those of a run's ``events.jsonl`` (`pgsynth_core.runs.schema`), each with the run's folder
as ``run``; ``count`` (doing, done, and of, if it is known how many) for whatever else can be counted; and ``doing``
for what a run does between two steps.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pgsynth_core.cli.console import is_terminal, one_line, rich_console, tell
from pgsynth_core.cli.naming import named
from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs import Checkpoint, RunFolder, latest_checkpoint

__all__ = ["EVERY_VARIABLE", "Follower", "duration", "follow"]

EVERY_SECONDS: Final = 30.0
"""Between two lines where there is no terminal: a log stays readable, and silence stays short."""
EVERY_VARIABLE: Final = "PGSYNTH_PROGRESS_SECONDS"
"""Of the environment, in place of that: for a program that shows the lines as they come."""

_WARMING: Final = 2
"""Steps that load and compile: they say nothing of the others."""

_ENOUGH: Final = 5
"""Steps behind these from which the time left can be told."""

_REMEMBERED: Final = 100
"""Steps whose mean it is told by: one that took long moves it little."""

_NARROW: Final = 80
"""Columns below which bar and name leave room for the figures."""

_WARNING: Final = "warning: "


class _Shown(ABC):
    """Where progress is shown."""

    @abstractmethod
    def update(self, doing: str, done: int, of: int | None, figures: str) -> None: ...

    @abstractmethod
    def meanwhile(self, doing: str) -> None:
        """Between two steps; empty: no more."""

    @abstractmethod
    def note(self, text: str, *, warning: bool = False) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class _Pace:
    """Seconds from step to step, without those between which something else was done.

    rich's own estimate counts drawing and saving, takes where a resumed run begins for steps just taken, and exists
    for terminals alone.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._since: float | None = None
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def step(self) -> None:
        now = time.monotonic()
        self._steps += 1
        if self._since is not None and self._steps > _WARMING:
            self._seconds.append(now - self._since)
        self._since = now

    def pause(self) -> None:
        self._since = None

    def left(self, steps: int) -> str:
        """How long so many will take; empty while nobody knows."""
        if not steps or len(self._seconds) < _ENOUGH:
            return ""
        return f"{duration(steps * sum(self._seconds) / len(self._seconds))} left"


class Follower:
    """Takes events and shows them; knows what was saved, for whoever has to say it.

    Attributes:
        run: The run's folder, as a path; empty until it is told.
        step: The last step that is done; 0 if there is none.
        loss: Its loss.
        checkpoint: The last checkpoint, relative to the run's folder; empty if there is none.
        checkpoint_step: Its step.
        sheet: The last sheet of samples, relative to the run's folder; empty if there is none.
    """

    def __init__(self, shown: _Shown, again: str = "", runs: str | None = None) -> None:
        self._shown = shown
        self._again, self._runs = again, runs
        self._pace = _Pace()
        self.run = self.checkpoint = self.sheet = ""
        self.step = self.checkpoint_step = 0
        self.loss: float | None = None

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Show one event; where nothing can be shown any more, as in a terminal that was closed, nothing is."""
        try:
            self._take(event)
        except OSError:
            self.close()
            self._shown = _Nowhere()

    def close(self) -> None:
        """Show nothing more."""
        with suppress(OSError):
            self._shown.close()

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, path = event.get("kind"), str(event.get("path", ""))
        self.run = str(event.get("run", self.run))
        if kind == "step":
            self.step, self.loss = int(event["step"]), event.get("loss")
            self._pace.step()
            steps = int(event["steps"])
            self._shown.update("training", self.step, steps, _figures(event, self._pace.left(steps - self.step)))
            return
        self._pace.pause()
        self._shown.meanwhile(one_line(event.get("doing", "")) if kind == "doing" else "")
        if kind == "count":
            self._shown.update(str(event["doing"]), int(event["done"]), event.get("of"), "")
        elif kind == "run":
            self._shown.note(f"run {one_line(self.run)}")
        elif kind == "checkpoint":
            self.checkpoint, self.checkpoint_step = path, int(event["step"])
            self._shown.note(f"step {event['step']}: saved {one_line(Path(self.run) / path)}")
        elif kind == "sample":
            self.sheet = path
            self._shown.note(f"step {event['step']}: drew {one_line(Path(self.run) / path)}")
        elif kind == "warning":
            told = Problem(*(str(event.get(name, "")) for name in ("message", "where", "cure")))
            self._shown.note(one_line(str(told)), warning=True)

    def farewell(self) -> None:
        """Say what is saved, after training ended before its end; nothing if it never began."""
        if not self.step:
            return
        saved, step = Path(self.run) / self.checkpoint, self.checkpoint_step
        if not self.checkpoint:
            before = _standing(Path(self.run))  # of an earlier session
            if before is None:
                tell(f"step {self.step} was reached, and no checkpoint is saved: the first was still to come.")
                tell(f"begin it again: {self._resumed}")
                return
            saved, step = before.path, before.step
        tell(f"step {step} is saved: {one_line(saved)}")
        tell(f"go on from there: {self._resumed}")

    @property
    def _resumed(self) -> str:
        name = named(RunFolder(Path(self.run)), self._runs) if self.run else "latest"
        return f"pgsynth train --resume {name} {self._again}".rstrip()


def _standing(run: Path) -> Checkpoint | None:
    try:
        return latest_checkpoint(RunFolder(run))
    except UserError:
        return None


def _figures(event: Mapping[str, Any], left: str) -> str:
    figures = []
    if (loss := event.get("loss")) is not None:
        figures.append(f"loss {loss:.4f}")
    if seconds := event.get("seconds_per_step"):
        figures.append(f"{seconds:.3g} s/step")
    return ", ".join([*figures, left] if left else figures)


def duration(seconds: float) -> str:
    """Seconds for people, two units at most: ``8 s``, ``6 min 12 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    place = next((place for place, (_, length) in enumerate(units) if whole >= length), len(units) - 1)
    parts: list[str] = []
    for name, length in units[place : place + 2]:
        count, whole = divmod(whole, length)
        if count or not parts:
            parts.append(f"{count} {name}")
    return " ".join(parts)


@contextmanager
def follow(preparing: str = "", *, again: str = "", runs: str | None = None, quiet: bool = False) -> Iterator[Follower]:
    """A follower for the time of some work; if that ends with an exception, what is saved is said.

    Args:
        preparing: What is done before the first event, for a terminal to show meanwhile; empty: nothing worth saying.
        again: What to write besides to go on to the same end, if the work is training; empty: nothing.
        runs: What was given as ``--runs``.
        quiet: Show nothing: stderr is the run's log, in which all of it stands.
    """
    seen = is_terminal("stderr") and os.environ.get("TERM") != "dumb"
    shown: _Shown = _Nowhere() if quiet else _Bar(preparing) if seen else _Lines()
    follower = Follower(shown, again, runs)
    try:
        yield follower
    except BaseException:
        follower.close()
        follower.farewell()
        raise
    follower.close()


class _Nowhere(_Shown):
    """For who is told otherwise."""

    def update(self, doing: str, done: int, of: int | None, figures: str) -> None: ...

    def meanwhile(self, doing: str) -> None: ...

    def note(self, text: str, *, warning: bool = False) -> None: ...

    def close(self) -> None: ...


def _every() -> float:
    """Seconds between two lines: as the environment says; what is no number above 0 there says nothing."""
    try:
        given = float(os.environ.get(EVERY_VARIABLE, EVERY_SECONDS))
    except ValueError:
        return EVERY_SECONDS
    return given if given > 0 else EVERY_SECONDS


class _Lines(_Shown):
    """For logs and pipes: one each `EVERY_SECONDS`; where there are figures, the first and the last too."""

    def __init__(self) -> None:
        self._doing = ""
        self._next = 0.0
        self._every = _every()

    def update(self, doing: str, done: int, of: int | None, figures: str) -> None:
        now, first = time.monotonic(), doing != self._doing
        if first:
            self._doing, self._next = doing, now + self._every
        if now < self._next and not (figures and (first or done == of)):
            return
        self._next = now + self._every
        total = "" if of is None else f"/{of}"
        tell(f"{doing} {done}{total}" + (f": {figures}" if figures else ""))

    def meanwhile(self, doing: str) -> None:
        """What came of it has a line of its own."""

    def note(self, text: str, *, warning: bool = False) -> None:
        tell(f"{_WARNING}{text}" if warning else text)

    def close(self) -> None:
        """Nothing stays open."""


class _Bar(_Shown):
    """For a terminal: one bar for each thing done, the figures behind it; before the first, a spinner."""

    def __init__(self, preparing: str) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

        console = rich_console("stderr")
        self._narrow = console.width < _NARROW
        doing, figures = (TextColumn(f"{{task.{what}}}", markup=False) for what in ("description", "fields[figures]"))
        name_and_bar = [] if self._narrow else [doing, BarColumn(bar_width=24)]
        columns = [*name_and_bar, MofNCompleteColumn(), figures]
        self._progress = Progress(*columns, console=console)
        self._tasks: dict[str, TaskID] = {}
        self._last: tuple[TaskID, str] | None = None
        self._waiting = console.status(preparing) if preparing else None
        if self._waiting:
            self._waiting.start()

    def update(self, doing: str, done: int, of: int | None, figures: str) -> None:
        self._begin()
        if doing not in self._tasks:
            self._tasks[doing] = self._progress.add_task(doing, total=of, figures="")
        if self._narrow:  # what has a loss needs no name
            figures = figures or doing
        self._last = self._tasks[doing], figures
        self._progress.update(self._tasks[doing], completed=done, total=of, figures=figures)

    def meanwhile(self, doing: str) -> None:
        if self._last:
            task, figures = self._last
            self._progress.update(task, figures=doing or figures, refresh=True)

    def note(self, text: str, *, warning: bool = False) -> None:
        from rich.text import Text

        head = ((_WARNING, "yellow"),) if warning else ()
        self._progress.console.print(Text.assemble(*head, text), soft_wrap=True)

    def close(self) -> None:
        self._end_waiting()
        self._progress.stop()

    def _begin(self) -> None:
        if not self._tasks:
            self._end_waiting()
            self._progress.start()

    def _end_waiting(self) -> None:
        if self._waiting:
            self._waiting.stop()
            self._waiting = None
