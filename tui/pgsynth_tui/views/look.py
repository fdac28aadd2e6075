"""Looking at pictures: source, pose, target and every run's output in aligned tiles, over steps."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import ClassVar, Final, cast

from rich.style import Style
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Static
from textual.worker import Worker, get_current_worker

from pgsynth_core.runs import RunFolder
from pgsynth_tui.actions import bindings
from pgsynth_tui.stores.frame import SIZES
from pgsynth_tui.stores.looking import Looked, Looking, why_nothing
from pgsynth_tui.stores.looks import GIVEN, SAMPLES
from pgsynth_tui.stores.pictures import GAIN, Mode, image_mode
from pgsynth_tui.stores.viewer import open_file
from pgsynth_tui.themes import SERIES
from pgsynth_tui.view import View
from pgsynth_tui.widgets.tiles import Tiles
from pgsynth_tui.words import shortened

__all__ = ["LookView"]

_EVERY: Final = 1.0
"""Seconds between two looks for new pictures."""
_AGAIN: Final = 2.0
"""Seconds until looking is tried again, where that failed."""
_ALL: Final = 10**9
"""Steps, more than there are."""


class Seen(Message):
    """The thread has seen something else; only the last of several is told."""

    def __init__(self, looked: Looked) -> None:
        super().__init__()
        self.looked = looked

    def can_replace(self, message: Message) -> bool:
        """A later one has everything."""
        return isinstance(message, Seen)


class LookView(View):
    """Pictures of the chosen run and of those that are marked, pair by pair: source, pose, target, and what each run
    drew. All runs are at one step: each shows what it drew last at or before it. What is shown is a preview; whether
    texture is right is judged in the file itself, which o opens, and by the scores below a picture.
    """

    PLACE = "look"
    BINDINGS: ClassVar = bindings("look")
    DEFAULT_CSS = """
    LookView #about { height: auto; max-height: 3; padding: 0 1; }
    LookView #nothing { height: 1fr; content-align: center middle; text-align: center; color: $text-muted; }
    LookView #told { height: auto; max-height: 4; padding: 0 1; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._looking = Looking()
        self._again = threading.Event()
        self._here = False
        self._runs: tuple[RunFolder, ...] = ()
        self._looked = Looked()

    def compose_body(self) -> ComposeResult:
        """What is shown, the tiles or why there are none, what is to be said of the one pointed at."""
        yield Static("", id="about", markup=False)
        yield Tiles(id="tiles")
        yield Static("", id="nothing", markup=False)
        yield Static("", id="told", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.changed()
        self._watch()

    def on_unmount(self) -> None:
        """The thread ends with the view."""
        self._again.set()

    def on_screen_resume(self) -> None:
        """It is shown: look for what is new."""
        self._here = True
        self._again.set()

    def on_screen_suspend(self) -> None:
        """Nothing is looked for while nobody sees it."""
        self._here = False

    # ---------------------------------------------------------------- what is looked at
    def changed(self) -> None:
        """The chosen run, and the marked ones after it."""
        runs = tuple(row.folder for row in self.ours.store.together(self.ours.chosen, self.ours.marked))
        if runs != self._runs:
            self._runs = runs
            self._looking.show(runs)
            self._again.set()
        self._say()

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _watch(self) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled and self.is_running:
            self._again.clear()
            if self._here and (looked := self._looking.look()):
                self.post_message(Seen(looked))
            self._again.wait(_EVERY)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What cannot be looked at now is tried again."""
        if self.ours.tell_failed(event) and event.worker.group == "look":
            self.set_timer(_AGAIN, self._watch)

    def on_seen(self, event: Seen) -> None:
        """Show what the thread has seen."""
        if self.there and event.looked.runs == self._runs:
            self._looked = event.looked
            self._show()

    # ---------------------------------------------------------------- what is shown
    @property
    def _tiles(self) -> Tiles:
        return self.query_one(Tiles)

    def _show(self) -> None:
        """The tiles, and what is said of them."""
        self._tiles.show(self._looked.table, self.ours.image_mode.mode)
        self._say()

    def _say(self) -> None:
        table, nothing = self._looked.table, self.query_one("#nothing", Static)
        self._tiles.display, nothing.display = bool(table.rows), not table.rows
        row = self.ours.store.row(self._runs[0].path) if self._runs else None
        if not table.rows:
            nothing.update(why_nothing(row, self._looked, self.ours.store.root) if self._known else "looking")
        self.query_one("#about", Static).update(self._about())
        self.query_one("#told", Static).update(self._told())
        self._say_command()

    @property
    def _known(self) -> bool:
        """Whether what was seen last is of the runs that are to be shown."""
        return self._looked.runs == self._runs

    def _about(self) -> Text:
        looked, tiles = self._looked, self._tiles
        if not looked.table.rows:
            return Text()
        at = looked.steps.index(looked.step) + 1 if looked.step is not None else 0
        newest = ", newest" if looked.follows else ""
        pairs, rows = len(looked.table.rows), tiles.shown
        which = f"{rows.start + 1}-{rows.stop}" if len(rows) > 1 else f"{tiles.row + 1}"
        parts = [f"{_kind(looked.kind)} @ {looked.step} ({at} of {len(looked.steps)}{newest})"]
        parts += [f"pair {which} of {pairs}"]
        parts += [f"difference x{GAIN}"] if tiles.apart else []
        words = self.ours.image_mode.words
        wordings = (" | ".join([*parts, one]) for one in (words, words.split(";")[0], words.split(",")[0]))
        text = Text(next((one for one in wordings if len(one) < self.size.width - 1), " | ".join(parts)))
        if len(self._runs) > 1:
            text.append("\n")
            room = (self.size.width - 2) // len(self._runs) - len(" 1   ")
            for number, run in enumerate(self._runs):
                style = Style(color=SERIES[number % len(SERIES)], bold=True, reverse=True)
                text.append(f" {number + 1} ", style)
                text.append(f" {shortened(run.id, room, plain=self.ours.plain)} ")
        return text

    def _told(self) -> Text:
        """What is to be said of the tile that is pointed at, then of all."""
        tiles, tile = self._tiles, self._tiles.tile
        if tile is None:
            return Text()
        what = f"{tiles.table.rows[tiles.row].name}, {tile.heading}"
        scored = f": {tile.scores} ({tile.scored})" if tile.values else ""
        words = f": {tile.words}" if tile.words else ""
        other = f" | e: {_kind(self._looked.next_kind)}" if self._looked.next_kind else ""
        notes = "".join(f"\n{note}" for note in self._looked.table.notes)
        return Text(f"{what}{scored}{words}{other}{notes}")

    def _say_command(self) -> None:
        commands = self._looked.commands
        if commands and self._known:
            number = max(0, self._tiles.column - len(GIVEN))
            self.ours.say_command(*commands[min(number, len(commands) - 1)])

    # ---------------------------------------------------------------- steps, pairs, tiles
    def action_earlier(self) -> None:
        """The step before, of all runs."""
        self._step(-1)

    def action_later(self) -> None:
        """The step after, of all runs."""
        self._step(1)

    def action_first(self) -> None:
        """The first step."""
        self._step(-_ALL)

    def action_newest(self) -> None:
        """The newest, and those that come."""
        self._step(_ALL)

    def _step(self, by: int) -> None:
        self._looking.step(by)
        self._again.set()

    def action_kind(self) -> None:
        """Samples, or an evaluation."""
        if not self._looked.next_kind:
            key = self.ours.keys_of("runs.evaluate")
            self.notify(f"There is nothing else: in Runs, {key} evaluates, as pgsynth evaluate RUN does.", markup=False)
        self._looking.next_kind()
        self._again.set()

    def action_down(self) -> None:
        """The next pair."""
        self._point(rows=1)

    def action_up(self) -> None:
        """The pair before."""
        self._point(rows=-1)

    def action_page_down(self) -> None:
        """So many pairs on as are shown."""
        self._point(rows=len(self._tiles.shown))

    def action_page_up(self) -> None:
        """So many pairs back as are shown."""
        self._point(rows=-len(self._tiles.shown))

    def action_next_tile(self) -> None:
        """The tile at the right."""
        self._point(columns=1)

    def action_previous_tile(self) -> None:
        """The tile at the left."""
        self._point(columns=-1)

    def _point(self, *, columns: int = 0, rows: int = 0) -> None:
        self._tiles.point(columns=columns, rows=rows)
        self._say()

    @on(Tiles.Framed)
    def _on_framed(self) -> None:
        self._say()

    @on(Tiles.Turned)
    def _on_turned(self, event: Tiles.Turned) -> None:
        self._point(rows=event.by * len(self._tiles.shown))

    # ---------------------------------------------------------------- how it is shown
    def action_whole(self) -> None:
        """One tile takes all the room, or all are shown again."""
        self._tiles.whole = not self._tiles.whole
        self._show()

    @on(Tiles.Chosen)
    def _on_chosen(self) -> None:
        self.action_whole()

    def action_apart(self) -> None:
        """Outputs, or how they differ from the target."""
        self._tiles.apart = not self._tiles.apart
        self._show()

    def action_larger(self) -> None:
        """Fewer and larger tiles."""
        self._resize(1)

    def action_smaller(self) -> None:
        """More and smaller tiles."""
        self._resize(-1)

    def _resize(self, by: int) -> None:
        self._tiles.size_step = min(len(SIZES) - 1, max(0, self._tiles.size_step + by))
        self._show()

    def action_images(self) -> None:
        """Half blocks, letters, or pictures where the terminal has them."""
        modes = cast("tuple[Mode, ...]", ("cells", "ascii", "kitty"))
        usable = [mode for mode in modes if image_mode(os.environ, mode, plain=self.ours.plain).mode == mode]
        at = usable.index(self.ours.image_mode.mode)
        self.ours.images = usable[(at + 1) % len(usable)]
        self._show()
        if len(usable) == 1 or self.ours.image_mode.words not in self._about().plain:
            self.notify(self.ours.image_mode.words, markup=False)

    async def action_back(self) -> None:
        """All tiles again; from there to the runs."""
        if self._tiles.whole:
            self.action_whole()
        else:
            await self.ours.action_view("runs")

    # ---------------------------------------------------------------- the file itself
    def action_open(self) -> None:
        """The file, in the user's own viewer."""
        tile = self._tiles.tile
        if tile is None or tile.piece is None:
            self.notify("There is no picture here.", markup=False)
        elif self.app.is_web:
            self._deliver(tile.piece.path)
        else:
            self._open(tile.piece.path)

    def _deliver(self, path: Path) -> None:
        """Hand it over to the browser that the app is served to."""
        try:
            self.app.deliver_binary(path, open_method="browser")
        except OSError as error:
            self.notify(f"{path} cannot be read: {error.strerror or error}.", severity="error", markup=False)

    @work(thread=True, group="open", exit_on_error=False)
    def _open(self, path: Path) -> None:
        why = open_file(path, os.environ)
        self.app.call_from_thread(self._opened, path, why)

    def _opened(self, path: Path, why: str) -> None:
        if not why:
            self.notify(f"opened: {path}", markup=False)
            return
        self.app.copy_to_clipboard(str(path))
        self.notify(f"{path}\nis copied, not opened: {why}.", timeout=15, markup=False)


def _kind(kind: str) -> str:
    """What is looked at, in words."""
    return "samples" if kind == SAMPLES else f"evaluation {kind}"
