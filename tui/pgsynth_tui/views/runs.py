"""The runs: what trains, what waits, how each stands; start again, stop, order, remove."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Input, Static

from pgsynth_core.cli.console import one_line
from pgsynth_core.errors import UserError
from pgsynth_core.runs import latest_checkpoint
from pgsynth_core.runs.durable import amount
from pgsynth_core.runs.removing import size_of
from pgsynth_tui.actions import bindings
from pgsynth_tui.dialogs import Ask, Checked, Enter
from pgsynth_tui.shell import command_line
from pgsynth_tui.stores.runs import RunRow
from pgsynth_tui.stores.sweeps import SweepRow
from pgsynth_tui.view import View
from pgsynth_tui.views.runs_evaluate import EvaluateLine
from pgsynth_tui.views.runs_sweep import SweepLine
from pgsynth_tui.widgets.search_line import SearchLine
from pgsynth_tui.words import STATE_STYLES, clock, pace, shortened, sparkline, state_text

__all__ = ["RunsView"]

COLUMNS = ("", "run", "state", "step", "loss", "curve", "pace", "left", "on")
NARROW = ("", "run", "state", "step", "loss", "left")
SMALL = ("", "run", "state", "step", "left")
_DIGITS = 12
"""Of a number of steps: no run has as many."""
_NAME = 1
_LEAST_NAME = 12
_BETWEEN, _SCROLL = 2, 2
"""Cells beside each column, and of the scroll bar."""


class _Runs(DataTable[Text]):
    """The table, whose own key for a row stands in the footer, too."""

    BINDINGS: ClassVar = [
        Binding("enter", "select_cursor", "Watch", tooltip="Watch the run: curves, log, samples."),
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]


class RunsView(View):
    """Every run and how it stands, the newest first. What it says is derived from the run's files and from the process
    that trains it, never stored: it is right after a kill, a reboot or on another machine, too. What you start here
    trains by itself, also when you leave.
    """

    PLACE = "runs"
    BINDINGS: ClassVar = bindings("runs")
    DEFAULT_CSS = """
    RunsView DataTable { height: 1fr; }
    RunsView #nothing { height: 1fr; content-align: center middle; color: $text-muted; display: none; }
    RunsView #reason { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._shown: Path | None = None
        self._followed: Path | None = None
        self._drawn: tuple[int, tuple[str, ...], list[str]] = (0, (), [])
        self._room: list[int] = []

    def compose_body(self) -> ComposeResult:
        """The table, why there is nothing in it, what is said of the run under the cursor and of its ablation."""
        yield SearchLine("words of the name or state; !word: not", id="filter")
        yield _Runs(cursor_type="row", id="table")
        yield Static("", id="nothing", markup=False)
        yield SweepLine()
        yield EvaluateLine()
        yield Static("", id="reason", markup=False)

    def on_mount(self) -> None:
        """The table has the keys."""
        self.set_focus(self.query_one(DataTable))
        self.changed()

    # ---------------------------------------------------------------- what is shown
    def changed(self) -> None:
        """Draw the rows that are otherwise than before; the cursor stays on its run."""
        table: DataTable[Text] = self.query_one(DataTable)
        width = self.app.size.width
        columns = COLUMNS if width >= 100 else NARROW if width >= 72 else SMALL
        rows = [row for row in self.ours.store.rows if row.fits(self._filter)]
        keys = [str(row.folder.path) for row in rows]
        cells = [self._cells(row, columns) for row in rows]
        drawn = (width, columns, keys)
        rebuilt = drawn != self._drawn or not all(_fit(row, self._room) for row in cells)
        if rebuilt:
            self._drawn, self._room = drawn, _widths(columns, cells, width)
        for run, row in zip(rows, cells, strict=True):
            row[_NAME] = Text(self._said_name(run, self._room[_NAME]))
        if rebuilt:
            at = self._chosen_key()
            table.clear(columns=True)
            for name, room in zip(columns, self._room, strict=True):
                table.add_column(name, key=name or "mark", width=room)
            for row, key in zip(cells, keys, strict=True):
                table.add_row(*row, key=key)
            if at in keys:
                table.move_cursor(row=keys.index(at), animate=False)
            self._follow(keys)
        else:
            self._follow(keys)
            for row, key in zip(cells, keys, strict=True):
                for name, cell in zip(columns, row, strict=True):
                    if table.get_cell(key, name or "mark") != cell:
                        table.update_cell(key, name or "mark", cell)
        self._say_nothing(bool(rows))
        self._say_of_cursor()

    def _follow(self, keys: list[str]) -> None:
        """The cursor goes, once, to a run that was chosen elsewhere: what was just launched is what is stopped."""
        chosen = self.ours.chosen
        if chosen != self._followed and str(chosen) in keys:
            self._followed = chosen
            self.query_one(DataTable).move_cursor(row=keys.index(str(chosen)), animate=False)

    def _choose(self, path: Path) -> None:
        """What other views show; the cursor is where it is already."""
        self.ours.chosen = self._followed = path

    def _cells(self, row: RunRow, columns: tuple[str, ...]) -> list[Text]:
        plain, status = self.ours.plain, row.status
        colour = self.app.theme_variables.get(STATE_STYLES[status.state].removeprefix("$"), "")
        place = f" #{row.position}" if row.position else ""
        steps = f"{status.step}/{status.steps}" if status.steps else str(status.step)
        cells = {
            "": Text("*" if row.folder.path in self.ours.marked else " "),
            "run": Text(row.id),
            "state": Text(state_text(status.state, plain=plain) + place, style=_rich(colour)),
            "step": Text(steps, justify="right"),
            "loss": Text("" if status.loss is None else f"{status.loss:.4f}", justify="right"),
            "curve": Text(sparkline(row.sparks, plain=plain)),
            "pace": Text(pace(row.seconds_per_step), justify="right"),
            "left": Text(clock(row.eta) if status.state != "starting" else "", justify="right"),
            "on": Text(row.device),
        }
        return [cells[name] for name in columns]

    def _said_name(self, row: RunRow, room: int) -> str:
        """Its name; where it is too long, that of a run of an ablation without what all of them begin with."""
        sweep = self.ours.store.sweep_of(row) if len(row.id) > room else None
        name = f"{'~' if self.ours.plain else '…'}{sweep.short(row.id)}" if sweep else row.id
        return shortened(name, room, plain=self.ours.plain)

    def _say_nothing(self, anything: bool) -> None:
        """Why the table is empty, and what to do."""
        store, nothing = self.ours.store, self.query_one("#nothing", Static)
        table = self.query_one(DataTable)
        nothing.display, table.display = not anything, anything
        if anything and self.focused is None:  # it lost the keys when it was empty
            self.set_focus(table)
        if store.problem:
            nothing.update(store.problem)
        elif self._filter and store.rows:
            nothing.update(f"none of {len(store.rows)} runs has {self._filter!r}; esc shows all")
        else:
            nothing.update(f"there is no run in {store.root}\n\npgsynth train tiny data=figures --detach begins one")

    def _say_of_cursor(self) -> None:
        row = self._row()
        self.query_one("#reason", Static).update(one_line(f"{_sentence(row)} {_cure(row)}") if row else "")
        self.query_one(SweepLine).show(self.ours.store.sweep_of(row) if row else None)

    # ---------------------------------------------------------------- which run
    def _chosen_key(self) -> str:
        table = self.query_one(DataTable)
        if not table.row_count:
            return str(self.ours.chosen or "")
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    def _row(self) -> RunRow | None:
        key = self._chosen_key()
        return self.ours.store.row(Path(key)) if key else None

    @on(DataTable.RowHighlighted)
    def _on_cursor(self) -> None:
        self._say_of_cursor()
        row = self._row()
        if row and row.folder.path != self._shown and self.is_current:  # not where a row is only drawn anew
            self._shown = row.folder.path
            self._choose(row.folder.path)  # other views show what is under the cursor
            self.ours.say_command("runs", "show", row.id)

    @on(DataTable.RowSelected)
    async def _on_chosen(self) -> None:
        await self.action_watch()

    # ---------------------------------------------------------------- filter
    def action_filter(self) -> None:
        """Type words, and see only what has them."""
        self.query_one(SearchLine).open()

    @on(Input.Changed)
    def _on_typed(self, event: Input.Changed) -> None:
        self._filter = event.value
        self.changed()

    @on(Input.Submitted)
    def _on_submitted(self) -> None:
        self.query_one(SearchLine).keep()
        self.set_focus(self.query_one(DataTable))

    def action_back(self) -> None:
        """All runs again."""
        self.query_one(SearchLine).shut()
        self.query_one(EvaluateLine).clear()
        self.set_focus(self.query_one(DataTable))

    # ---------------------------------------------------------------- actions
    async def action_watch(self) -> None:
        """Watch the run, and with it those that are marked."""
        if row := self._row():
            self._choose(row.folder.path)
            await self.ours.action_view("watch")

    async def action_compare(self) -> None:
        """Compare the marked runs; where one is marked, with the one under the cursor."""
        row = self._row()
        marked = [path for path in self.ours.marked if self.ours.store.row(path)]
        if row and len(marked) < 2:
            self._choose(row.folder.path)
        elif marked:
            self._choose(marked[0])
        await self.ours.action_view("compare")

    def action_report(self) -> None:
        """One page of the marked runs, or of the run under the cursor."""
        marked = [row.id for path in self.ours.marked if (row := self.ours.store.row(path))]
        row = self._row()
        self.ours.write_report(marked or ([row.id] if row else []))

    async def action_samples(self) -> None:
        """Look at the run's pictures, and at those of the marked ones."""
        if row := self._row():
            self._choose(row.folder.path)
            await self.ours.action_view("look")

    def action_evaluate(self) -> None:
        """Score the marked runs, or the run under the cursor."""
        self.query_one(EvaluateLine).evaluate(self._row())

    def action_mark(self) -> None:
        """Mark it, or take the mark away, and go on to the next."""
        if row := self._row():
            marked = self.ours.marked
            marked.remove(row.folder.path) if row.folder.path in marked else marked.append(row.folder.path)
            self.changed()
            self.query_one(DataTable).action_cursor_down()

    def action_stop(self) -> None:
        """Say what is lost, ask, and stop it."""
        row = self._row()
        if row is None:
            return
        if not row.status.live and row.status.state != "queued":
            self.notify(f"{row.id} is {row.status.state}: there is nothing to stop.", markup=False)
            return
        words = ("runs", "stop", row.id)
        title = f"Take {row.id} out of the queue?" if row.status.state == "queued" else f"Stop {row.id}?"
        lines = (_sentence(row), partial(_kept, row)) if row.status.live else (_sentence(row),)
        self.ours.ask_first(
            Ask(title, lines, command=command_line(words), yes="Stop"), *words, done=f"{row.id}: stopped"
        )

    def action_resume(self) -> None:
        """Go on with it, detached."""
        row = self._row()
        if row is None:
            return
        if row.status.live or row.status.state == "queued":
            self.notify(f"{row.id} is {row.status.state} already.", markup=False)
        elif row.status.state == "finished" and not row.replayed:
            self._ask_how_far(row)
        else:
            self._resume(row)

    def _ask_how_far(self, row: RunRow) -> None:
        def answered(steps: str | None) -> None:
            if steps:
                self._resume(row, f"train.steps={steps}")

        self.app.push_screen(_how_far(row), answered)

    def _resume(self, row: RunRow, *changes: str) -> None:
        words = ("runs", "resume", row.id, *changes, "--detach")
        self.ours.say_command(*words)
        self.ours.command_in_background(*words, done=f"{row.id}: in the queue")

    def action_earlier(self) -> None:
        """One place forward in the queue."""
        self._move("--up")

    def action_later(self) -> None:
        """One place back in the queue."""
        self._move("--down")

    def _move(self, where: str) -> None:
        if row := self._row():
            words = ("runs", "move", row.id, where)
            self.ours.say_command(*words)
            self.ours.command_in_background(*words, done=f"{row.id}: moved")

    # ---------------------------------------------------------------- its ablation
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
        if sweep := self._sweep():
            self.query_one(SweepLine).resume(sweep)

    # ---------------------------------------------------------------- again, away
    def action_replay(self) -> None:
        """Ask, and play it again, detached."""
        row = self._row()
        if row is None:
            return
        if row.status.live or row.status.state == "queued":
            self.notify(f"{row.id} is {row.status.state}: only a run that has ended is played.", markup=False)
            return
        words = ("replay", row.id, "--detach")
        lines = (
            "What happened in it happens again, 60 times as fast, in a new run that is watched like any other.",
            "Nothing is trained; the new run has no weights, and can be stopped and removed.",
        )
        question = Ask(f"Play {row.id} again?", lines, command=command_line(words), yes="Play")
        self.ours.ask_first(question, *words, done=f"{row.id}: plays")

    def action_remove(self) -> None:
        """Ask, and delete it."""
        if row := self._row():
            words = ("runs", "rm", row.id, "--yes")
            lines = (_sentence(row), partial(_everything, row))
            question = Ask(f"Delete {row.id}?", lines, command=command_line(words), yes="Delete")
            self.ours.ask_first(question, *words, done=f"{row.id}: deleted")


def _fit(cells: list[Text], room: list[int]) -> bool:
    """Whether everything but the name, which is cut, has its room."""
    return all(cell.cell_len <= room[at] for at, cell in enumerate(cells) if at != _NAME)


def _widths(columns: tuple[str, ...], cells: list[list[Text]], width: int) -> list[int]:
    """Of the columns: what stands in them; the name has what is left, if it needs it."""
    room = [max([len(name), *(row[at].cell_len for row in cells)]) for at, name in enumerate(columns)]
    left = width - _SCROLL - sum(wide + _BETWEEN for at, wide in enumerate(room) if at != _NAME) - _BETWEEN
    room[_NAME] = min(room[_NAME], max(left, _LEAST_NAME))
    return room


def _rich(colour: str) -> str:
    """A colour as rich takes it; none of the terminal's own, which Textual names its own way."""
    return colour if colour.startswith("#") else ""


def _sentence(row: RunRow) -> str:
    """What is known of a run, in a line."""
    status = row.status
    of = f" of {status.steps}" if status.steps else ""
    when = "" if status.when is None else f", last word {_ago(status.when)} ago"
    why = f": {status.reason}" if status.reason else ""
    return f"{row.id} is {status.state}, at step {status.step}{of}{when}{why}"


def _how_far(row: RunRow) -> Enter:
    """To which step a run that has taken all of them goes on."""
    taken = row.status.step

    def check(text: str) -> Checked:
        if text.isascii() and text.isdigit() and len(text) < _DIGITS and int(text) > taken:
            return Checked()
        return Checked(f"{shortened(text, _DIGITS)!r} is no whole number above {taken}", refused=True)

    lines = (f"It has taken all its {taken} steps, and goes on from its last checkpoint.", "Its spec stays as it is.")
    return Enter(f"Train {row.id} further, to which step?", str(2 * max(1, taken)), lines, check=check)


def _ago(when: float) -> str:
    return clock(time.time() - when)


def _cure(row: RunRow) -> str:
    """What can be done about a run whose process was killed; empty for any other."""
    if row.status.state != "lost" or not row.status.steps or row.replayed:
        return ""
    return "Resume goes on from its last checkpoint, or begins anew if it has none."


def _everything(row: RunRow) -> str:
    return f"Everything in it is deleted: {amount(size_of(row.folder.path))}."


def _kept(row: RunRow) -> str:
    """What is on disk of a run that is to be stopped, and what would be lost by a kill."""
    if row.replayed:
        return "It is a replay: nothing is lost."
    try:
        checkpoint = latest_checkpoint(row.folder)
    except UserError as error:
        return str(error)
    saved = f"Its last checkpoint is of step {checkpoint.step}." if checkpoint else "It has no checkpoint yet."
    return f"{saved} It finishes its step, saves, and ends; it can be resumed. Nothing is lost."
