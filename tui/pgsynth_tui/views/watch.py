"""Watching runs: their curves as they grow, what happened, the log, the machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Log, Static
from textual.worker import Worker, get_current_worker

from pgsynth_core.cli.console import one_line
from pgsynth_core.runs import RunFolder
from pgsynth_tui.actions import bindings
from pgsynth_tui.stores.frame import TARGET
from pgsynth_tui.stores.looking import Looked, Looking
from pgsynth_tui.stores.machine import machine_line
from pgsynth_tui.stores.watch import NUMBERS, Drawn, LogTail, Watched, WatchStore
from pgsynth_tui.themes import SERIES
from pgsynth_tui.view import View
from pgsynth_tui.widgets.picture import Picture
from pgsynth_tui.widgets.plot import Line, Plot
from pgsynth_tui.words import clock, pace, state_text

__all__ = ["WatchView"]

_SLICE: Final = 0.05
"""Seconds of reading between two looks at whether something else is wanted."""
_STILL: Final = 0.5
"""Seconds between two looks at what is new: curves are drawn twice a second at most."""
_AGAIN: Final = 2.0
"""Seconds until reading is tried again, where that failed."""
_SMOOTH: Final = (0.0, 0.6, 0.9, 0.97, 0.99)
_SAMPLES: Final = 1.0
"""Seconds between two looks for new samples."""
_LOW: Final = 34
"""Rows of the terminal below which there is no room for them."""
_MOST_LOG: Final = 5000


class Seen(Message):
    """There is something new to draw, of what was watched and followed then; only the last of several is told."""

    def __init__(
        self,
        watched: Sequence[Watched],
        drawn: tuple[Drawn, ...],
        share: float,
        log: tuple[LogTail | None, list[str]],
        machine: str,
    ) -> None:
        super().__init__()
        self.watched, self.drawn, self.share, self.machine = watched, drawn, share, machine
        self.tail, self.log = log

    def can_replace(self, message: Message) -> bool:
        """A later one has everything, but for lines of the log."""
        return isinstance(message, Seen) and not message.log


class Drew(Message):
    """The run has drawn something; only the last of several is told."""

    def __init__(self, looked: Looked) -> None:
        super().__init__()
        self.looked = looked

    def can_replace(self, message: Message) -> bool:
        """A later one has everything."""
        return isinstance(message, Drew)


class _End(Log):
    """A log whose end stays in sight, also when its room changes, unless somebody looks further up."""

    _followed = True

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whoever scrolls up looks there."""
        super().watch_scroll_y(old_value, new_value)
        self._followed = self.is_vertical_scroll_end

    def on_resize(self) -> None:
        """More or less of it is seen."""
        if self._followed:
            self.scroll_end(animate=False)


class WatchView(View):
    """Curves of the chosen run and of those that are marked, as they grow: the values faint, and smoothed before them.
    Beside them what happened and, where there is room, what the run drew last; below the end of its log. Nothing that
    is done here reaches the training.
    """

    PLACE = "watch"
    BINDINGS: ClassVar = bindings("watch")
    DEFAULT_CSS = """
    WatchView #curves { height: 2fr; }
    WatchView #facts { width: 34; padding: 0 1; border-left: solid $panel; }
    WatchView.-narrow #facts { display: none; }
    WatchView #what { height: 1fr; }
    WatchView #samples { height: 12; display: none; }
    WatchView #samples Picture { width: 15; margin-right: 1; }
    WatchView #samples.some { display: block; }
    WatchView.-low #samples { display: none; }
    WatchView #legend { height: auto; max-height: 9; padding: 0 1; }
    WatchView.-narrow #legend { max-height: 4; }
    WatchView Log { height: 1fr; min-height: 3; border-top: solid $panel; overflow-x: hidden; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = WatchStore()
        self._tail: LogTail | None = None
        self._folder: RunFolder | None = None
        self._log = False
        self._smooth = 2
        self._paused = False
        self._seen = False
        self._samples = Looking()
        self._again = threading.Event()
        self._drawn: tuple[Drawn, ...] = ()
        self._share = 1.0
        self._machine = ""

    def compose_body(self) -> ComposeResult:
        """Legend, curves and facts, the log."""
        yield Static("", id="legend", markup=False)
        with Horizontal(id="curves"):
            yield Plot(id="plot")
            with Vertical(id="facts"):
                yield Static("", id="what", markup=False)
                with Horizontal(id="samples"):
                    yield Picture("target", tagged=False, id="target")
                    yield Picture("output", id="output")
        yield _End(max_lines=_MOST_LOG, id="log", auto_scroll=True)

    def on_mount(self) -> None:
        """Begin to read."""
        self.changed()
        self._read()

    def on_screen_resume(self) -> None:
        """It is shown: samples are looked for."""
        self._seen = True

    def on_screen_suspend(self) -> None:
        """Nobody sees them."""
        self._seen = False

    def on_unmount(self) -> None:
        """The thread ends with the view, and the files are closed."""
        self._again.set()
        self.store.close()

    # ---------------------------------------------------------------- what is watched
    def changed(self) -> None:
        """What is looked at may be others now: `RunStore.together`."""
        wanted = [row.folder for row in self.ours.store.together(self.ours.chosen, self.ours.marked)]
        if [one.folder for one in self.store.runs] != wanted:
            self.store.watch(wanted, self.store.number)
            self._drawn = ()
            self._again.set()
        folder = wanted[0] if wanted else None
        if folder != self._folder:
            self._folder = folder
            self._samples.show(wanted[:1])
            self._tail = LogTail(folder.log_file) if folder else None
            self.query_one(Log).clear()
            self._again.set()
        self._show_curves()
        self._say()

    @work(thread=True, exclusive=True, group="watch", exit_on_error=False)
    def _read(self) -> None:
        worker = get_current_worker()
        weight, told, drawn = -1.0, "", 0.0
        changed, tail, lines, drew = False, self._tail, list[str](), 0.0
        while not worker.is_cancelled and self.is_running:
            new, more = (False, False) if self._paused else self.store.read(_SLICE)
            if self._tail is not tail:  # what was read of another run's log is not told
                tail, lines = self._tail, []
            lines += tail.read() if tail and not self._paused else []
            wanted, machine = _SMOOTH[self._smooth], machine_line()
            changed |= new or bool(lines) or wanted != weight or machine != told or self._again.is_set()
            if changed and (not more or time.monotonic() - drawn > _STILL):  # while much is read, now and then
                weight, told, drawn = wanted, machine, time.monotonic()
                self._again.clear()
                watched = self.store.runs  # before they are drawn: those that come meanwhile set `_again`
                self.post_message(Seen(watched, self.store.drawn(weight), self.store.share, (tail, lines), machine))
                changed, lines = False, []
            if not self._paused and self._seen and time.monotonic() - drew > _SAMPLES:
                drew = time.monotonic()
                if looked := self._samples.look():
                    self.post_message(Drew(looked))
            if not more:
                self._again.wait(_STILL)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What cannot be read now is tried again."""
        if self.ours.tell_failed(event):
            self.set_timer(_AGAIN, self._read)

    def on_seen(self, event: Seen) -> None:
        """Draw what the thread has read, unless something else is watched by now."""
        if not self.there:
            return
        self._machine = event.machine
        if event.watched is self.store.runs:
            self._drawn, self._share = event.drawn, event.share
        if event.log and event.tail is self._tail:
            self.query_one(Log).write_lines(event.log)
        if self.ours.front is self:
            self._show_curves()
            self._say()

    def on_drew(self, event: Drew) -> None:
        """Show the first pair of what it drew last, where there is room."""
        rows = event.looked.table.rows
        if not self.there or [one.path for one in event.looked.runs] != [self._folder.path if self._folder else None]:
            return
        self.query_one("#samples").set_class(bool(rows), "some")
        if rows:
            target, output = rows[0].tiles[TARGET], rows[0].tiles[-1]
            for name, tile, title in (("target", target, "target"), ("output", output, f"@ {event.looked.step}")):
                picture = self.query_one(f"#{name}", Picture)
                picture.mode = self.ours.image_mode.mode
                picture.show(tile.piece, title=title, empty=tile.words)

    def on_resize(self) -> None:
        """Samples go first where there is little room."""
        self.set_class(self.app.size.height < _LOW, "-low")

    @on(Picture.Chosen)
    async def _on_picture(self) -> None:
        await self.action_samples()

    # ---------------------------------------------------------------- what is shown
    def _show_curves(self) -> None:
        lines: list[Line] = []
        for number, one in enumerate(self._drawn):
            colour, label = SERIES[number % len(SERIES)], str(number + 1) if len(self._drawn) > 1 else ""
            if one.smooth is None:
                lines.append(Line(*one.raw, colour, label=label))
            else:
                lines = [Line(*one.raw, colour, faint=True), *lines, Line(*one.smooth, colour, label=label)]
        plot = self.query_one(Plot)
        plot.empty = "; ".join(self.store.problems) or (
            f"reading, {self._share:.0%}" if self._share < 1 else self._nothing()
        )
        plot.show(lines, log=self._log, plain=self.ours.plain)
        self.query_one("#legend", Static).update(self._legend())

    def _nothing(self) -> str:
        """Why there is no curve: it is too early, or nobody says that number."""
        rows = [self.ours.store.row(one.folder.path) for one in self.store.runs]
        if any(row and row.status.live and not row.status.step for row in rows):
            return f"no {self.store.number} yet: it comes with the first steps"
        return f"no event says its {self.store.number}"

    def _legend(self) -> Text:
        scale = ", log scale" if self._log else ""
        smooth = f", smoothed {_SMOOTH[self._smooth]:g}" if self._smooth else ""
        paused = ", paused" if self._paused else ""
        reading = f", reading {self._share:.0%}" if self._share < 1 else ""
        text = Text(f"{self.store.number}{scale}{smooth}{reading}{paused}", no_wrap=True, overflow="ellipsis")
        if self._machine:
            text.append(f"  |  {self._machine}", Style(dim=True))
        for number, one in enumerate(self._drawn):
            last = f"{one.last[1]:.4g} at step {one.last[0]}" if one.last else "nothing yet"
            row = self.ours.store.row(self.store.runs[number].folder.path) if number < len(self.store.runs) else None
            state = f"{state_text(row.status.state, plain=self.ours.plain)}, " if row else ""
            left = f", {clock(row.eta)} left" if row and row.eta else ""
            text.append(f"\n{number + 1} ", Style(color=SERIES[number % len(SERIES)], bold=True, reverse=True))
            text.append(f" {one.name}  {state}{last}{left}")
        return text

    def _say(self) -> None:
        """What is known of the run beside the curves, and the command that shows the same."""
        row = self.ours.store.row(self._folder.path) if self._folder else None
        if row is None:
            self.query_one("#what", Static).update("no run is chosen: Runs shows them all")
            return
        status = row.status
        steps = f"{status.step} of {status.steps}" if status.steps else str(status.step)
        rows = [row.id, state_text(status.state, plain=self.ours.plain), f"step {steps}"]
        rows += [f"{pace(row.seconds_per_step)}, {clock(row.eta)} left"] if row.seconds_per_step else []
        rows += [f"on {row.device}"] if row.device else []
        rows += [f"{row.memory / 2**30:.1f} GiB on its GPU at most"] if row.memory else []
        rows += [status.reason] if status.reason else []
        rows += [""]
        rows += [line for event in reversed(self.store.events()) if (line := _line(event))][:40]
        self.query_one("#what", Static).update("\n".join(rows), layout=False)
        self.ours.say_command("runs", "follow", row.id)

    # ---------------------------------------------------------------- actions
    def action_log_scale(self) -> None:
        """Logarithmic or not."""
        self._log = not self._log
        self._show_curves()

    def action_smoother(self) -> None:
        """Smooth it more."""
        self._smooth = min(len(_SMOOTH) - 1, self._smooth + 1)
        self._again.set()

    def action_rougher(self) -> None:
        """Smooth it less."""
        self._smooth = max(0, self._smooth - 1)
        self._again.set()

    def action_next_number(self) -> None:
        """The next number of a step."""
        number = NUMBERS[(NUMBERS.index(self.store.number) + 1) % len(NUMBERS)]
        self.store.watch([one.folder for one in self.store.runs], number)
        self._drawn, self._share = (), 0.0
        self._show_curves()
        self._again.set()

    def action_pause(self) -> None:
        """Hold still, or go on."""
        self._paused = not self._paused
        self._again.set()
        self._show_curves()

    async def action_samples(self) -> None:
        """All that these runs drew."""
        await self.ours.action_view("look")

    async def action_back(self) -> None:
        """To the runs."""
        await self.ours.action_view("runs")


def _line(event: Mapping[str, Any]) -> str:
    """An event in a few words; empty for one that says nothing here."""
    kind, step = event["kind"], event.get("step")
    at = f"{step}: " if step is not None else ""
    if kind == "run":
        return f"{step}: begins" if not step else f"{step}: goes on"
    if kind == "checkpoint":
        loss = event.get("validation")
        return f"{at}checkpoint" + (f", unseen {loss:.4f}" if isinstance(loss, float) else "")
    if kind == "sample":
        return f"{at}samples"
    if kind in ("warning", "problem"):
        return one_line(f"{at}{event.get('message', '')}")
    return f"{at}{event.get('state', '')}" if kind == "exit" else ""
