"""Comparing runs: what differs between them, what they scored, the same pairs side by side."""

from __future__ import annotations

import threading
from typing import ClassVar, Final

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, Static
from textual.worker import Worker, get_current_worker

from pgsynth_core.cli.console import one_line
from pgsynth_core.reports import (
    cell_text,
    comparison_text,
    difference_text,
    heading,
    legend,
    number_name,
    over_text,
    sections,
    value_text,
    verdict,
)
from pgsynth_core.runs.compared import Comparison, Number, SettingRow
from pgsynth_tui.actions import bindings
from pgsynth_tui.stores.compare import CompareStore, Read
from pgsynth_tui.view import View
from pgsynth_tui.words import shortened

__all__ = ["CompareView"]

_MOST: Final = 64
"""Runs that are compared at once; an ablation is not that long."""
_STILL: Final = 2.0
"""Seconds between two looks at what is new where no run moves: an evaluation may have come."""
_LONGEST: Final = 40
"""Characters of a setting's value in the table; below it, all of it is said."""
_NAMES: Final = (60, 32)
"""Columns of the rows' names in the table at most, and in a narrow terminal."""


class Compared(Message):
    """Something is read anew; only the last of several is told."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self.read = read

    def can_replace(self, message: Message) -> bool:
        """A later one has everything."""
        return isinstance(message, Compared)


class CompareView(View):
    """What differs between the chosen run and those that are marked, and what came of it. Runs that differ in their
    seed alone are one column: mean ± standard deviation. A star is at the better mean; whether that is more than
    chance, the differences from the first column say, with their 95 % intervals over pairs and seeds. Numbers that are
    not of the same thing are kept apart, and a note says why.
    """

    PLACE = "compare"
    BINDINGS: ClassVar = bindings("compare")
    DEFAULT_CSS = """
    CompareView #variants { height: auto; max-height: 6; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    CompareView.-narrow #variants { max-height: 4; }
    CompareView DataTable { height: 1fr; min-height: 4; }
    CompareView DataTable > .datatable--fixed { background: $panel; color: $text; }
    CompareView #below { height: auto; max-height: 35%; padding: 0 1; border-top: solid $panel; }
    CompareView #below Static { height: auto; }
    CompareView #notes { color: $text-muted; }
    CompareView #nothing { height: 1fr; content-align: center middle; text-align: center; color: $text-muted; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = CompareStore()
        self._read = Read()
        self._identical, self._differences = False, False
        self._rows: dict[str, SettingRow | Number] = {}
        self._again = threading.Event()
        self._shown = True

    def compose_body(self) -> ComposeResult:
        """The variants, the table, what is said of the row under the cursor, the notes."""
        yield Static("", id="variants", markup=False)
        yield DataTable(cursor_type="row", id="table", fixed_columns=1)
        with VerticalScroll(id="below"):
            yield Static("", id="about", markup=False)
            yield Static("", id="notes", markup=False)
        yield Static("", id="nothing", markup=False)

    def on_mount(self) -> None:
        """The table has the keys; begin to read."""
        self.set_focus(self.query_one(DataTable))
        self.changed()
        self._show()
        self._follow()

    def on_unmount(self) -> None:
        """The thread ends with the view."""
        self._again.set()

    def on_screen_suspend(self) -> None:
        """Nothing is read while nobody sees it."""
        self._shown = False

    def on_screen_resume(self) -> None:
        """It is shown again, and read."""
        self._shown = True

    def on_resize(self) -> None:
        """Names have more room, or less."""
        if self.there:
            self._show()

    # ---------------------------------------------------------------- what is compared
    def changed(self) -> None:
        """The chosen run, and the marked ones after it."""
        rows = self.ours.store.together(self.ours.chosen, self.ours.marked, most=_MOST)
        if self.store.choose([row.folder for row in rows]):
            self._show()
        self._again.set()
        self._say_command()

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False)
    def _follow(self) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled and self.is_running:
            self._again.clear()
            if self._shown and (read := self.store.read(lambda: self._shown and self.is_running)):
                self.post_message(Compared(read))
            self._again.wait(_STILL)
        self.store.close()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What cannot be read now is tried again."""
        if self.ours.tell_failed(event):
            self.set_timer(_STILL, self._follow)

    def on_compared(self, event: Compared) -> None:
        """Draw what the thread has read."""
        if self.there:
            self._read = event.read
            self._show()

    # ---------------------------------------------------------------- what is shown
    @property
    def comparison(self) -> Comparison | None:
        """What is shown; None while there is nothing to compare, or it is being read."""
        return self._read.comparison if self._read.folders == self.store.folders else None

    def _show(self) -> None:
        comparison = self.comparison
        for some in ("#variants", "#table", "#below"):
            self.query_one(some).display = comparison is not None
        nothing = self.query_one("#nothing", Static)
        nothing.display = comparison is None
        if comparison is None:
            nothing.update(self._nothing())
            return
        of = [
            (one.name, f"seed {', '.join(map(str, one.seeds))}", ", ".join(run.id for run in one.runs))
            for one in comparison.variants
        ]
        self.query_one("#variants", Static).update("\n".join("  ".join(map(one_line, words)) for words in of))
        self._draw(comparison)
        notes = [f"[{number}] {one_line(note)}" for number, note in enumerate(comparison.notes, 1)]
        notes += legend(comparison)[-2:] if comparison.differences else []
        self.query_one("#notes", Static).update("\n".join([*map(one_line, self._read.problems), *notes]))
        self._say_of_cursor()

    def _nothing(self) -> str:
        """Why there is no table, and what to do."""
        count, how = len(self.store.folders), "In Runs (2), space marks a run, and c compares those that are marked."
        if count < 2:
            first = f"{self.store.folders[0].id} is alone." if count else f"There is no run in {self.ours.store.root}."
            return f"{first} Two runs or more can be compared.\n\n{how}"
        if self._read.folders == self.store.folders and self._read.problems:
            return "\n".join([*map(one_line, self._read.problems), "", how])
        return f"reading {count} runs"

    def _draw(self, comparison: Comparison) -> None:
        """The table anew; the cursor stays on its row, and what is seen where it was."""
        table: DataTable[Text] = self.query_one(DataTable)
        at, scrolled = self._key(), (table.scroll_x, table.scroll_y)
        table.clear(columns=True)
        self._rows = {}
        parts = sections(comparison, all_settings=self._identical)
        longest = max((len(_name(row)) + 1 for part in parts for row in part.rows), default=0)
        width = min(longest, _NAMES[self.app.size.width < 100])
        table.add_column("", width=width, key="name")
        first = comparison.variants[comparison.against]
        for variant in comparison.variants:
            less = f" - {first.name}" if self._differences and variant is not first else ""
            title = heading(variant).replace(variant.name, f"{variant.name}{less}", 1)
            table.add_column(Text(f"{title}  ", justify="right"), key=variant.name)
        for section in parts:
            table.add_row(Text(section.title, style="bold"), *[Text()] * len(comparison.variants), key=section.title)
            for row in section.rows:
                key = f"{section.title}|{row.key if isinstance(row, SettingRow) else row.name}"
                self._rows[key] = row
                name = Text(f" {shortened(_name(row), width - 1, plain=self.ours.plain)}")
                table.add_row(name, *self._cells(row), key=key)
        if at in table.rows:
            table.move_cursor(row=table.get_row_index(at), animate=False, scroll=False)
            table.scroll_to(*scrolled, animate=False)

    def _cells(self, row: SettingRow | Number) -> list[Text]:
        comparison, cells = self.comparison, []
        for place, variant in enumerate(comparison.variants if comparison else ()):
            if isinstance(row, SettingRow):
                text = shortened(one_line(value_text(row.values[place])), _LONGEST, plain=self.ours.plain)
                cells.append(Text(f"{text}  ", justify="right"))
                continue
            if self._differences and comparison and place != comparison.against:
                cells.append(_apart(row, place))
                continue
            best = place in row.best
            said = self._signs(cell_text(row, row.cells[place], len(variant.counted)))
            cells.append(Text(f"{said} {'*' if best else ' '}", style="bold" if best else "", justify="right"))
        return cells

    def _signs(self, text: str) -> str:
        return text.replace("±", "+-") if self.ours.plain else text

    # ---------------------------------------------------------------- the row under the cursor
    def _key(self) -> str:
        table = self.query_one(DataTable)
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value) if table.row_count else ""

    @on(DataTable.RowHighlighted)
    def _on_cursor(self) -> None:
        self._say_of_cursor()

    def _say_of_cursor(self) -> None:
        row, comparison = self._rows.get(self._key()), self.comparison
        about = self.query_one("#about", Static)
        about.display = bool(row and comparison)
        if row and comparison:
            lines = _of_setting(row, comparison) if isinstance(row, SettingRow) else _of_number(row, comparison)
            about.update(self._signs("\n".join(map(one_line, lines))))

    @on(DataTable.RowSelected)
    async def _on_chosen(self) -> None:
        await self.action_pairs()

    # ---------------------------------------------------------------- actions
    def _say_command(self, *more: str) -> None:
        names = [folder.id for folder in self.store.folders]
        if len(names) > 1:
            settings = ["--all-settings"] if self._identical else []
            self.ours.say_command("compare", *names, *settings, *more)
        else:
            self.ours.say_command("runs", "list")

    def action_identical(self) -> None:
        """Identical settings too, or not."""
        self._identical = not self._identical
        self._show()
        self._say_command()

    def action_differences(self) -> None:
        """Differences from the first, or values."""
        self._differences = not self._differences
        if self._differences and (comparison := self.comparison) and not comparison.differences:
            self.notify("no difference can be told: it takes scores of several pairs, or several seeds", markup=False)
        self._show()

    def action_copy_markdown(self) -> None:
        """The table to the clipboard, as Markdown."""
        self._copy("markdown", "Markdown")

    def action_copy_latex(self) -> None:
        """The table to the clipboard, as LaTeX."""
        self._copy("latex", "LaTeX")

    def _copy(self, form: str, name: str) -> None:
        if comparison := self.comparison:
            self.app.copy_to_clipboard(comparison_text(comparison, form, all_settings=self._identical))
            self.notify(f"copied as {name}", markup=False)
            self._say_command("--format", form)

    def action_report(self) -> None:
        """One page of these runs."""
        self.ours.write_report([folder.id for folder in self.store.folders])

    async def action_pairs(self) -> None:
        """The same pairs of these runs side by side."""
        await self.ours.action_view("look")

    async def action_back(self) -> None:
        """To the runs."""
        await self.ours.action_view("runs")


def _name(row: SettingRow | Number) -> str:
    return row.key if isinstance(row, SettingRow) else number_name(row)


def _apart(row: Number, place: int) -> Text:
    """A difference, and whether it is clear of zero."""
    one = row.differences[place] if row.differences else None
    said = verdict(row, one)
    return Text(f"{difference_text(row, one)} {said:6} ", style="bold" if said else "", justify="right")


def _of_setting(row: SettingRow, comparison: Comparison) -> list[str]:
    """A setting's values, whole."""
    values = "; ".join(
        f"{one.name} {value_text(value)}" for one, value in zip(comparison.variants, row.values, strict=True)
    )
    return [f"{row.key}: {values}"]


def _of_number(row: Number, comparison: Comparison) -> list[str]:
    """What a number is, of each run, and on how many pairs which variant is ahead."""
    better = f" {row.better} is better." if row.better else ""
    lines = [f"{row.name}:{better} {row.about}".rstrip(" :")]
    for variant, cell in zip(comparison.variants, row.cells, strict=True):
        if cell and cell.n > 1:
            values = ", ".join(f"{value:.{row.digits or 0}f}" for value in cell.values.values())
            lines.append(f"{variant.name}: {values}")
    first = comparison.variants[comparison.against].name
    for variant, one in zip(comparison.variants, row.differences, strict=False):
        if one:
            said = f", {verdict(row, one)}" if one.clear else ""
            lines.append(f"{variant.name} - {first}: {difference_text(row, one)}{said}, over {over_text(one)}")
    for variant, some in zip(comparison.variants, row.ahead, strict=False):
        if some:
            lines.append(f"{variant.name} is better than {first} on {some[0]} of the same {some[1]} pairs")
    return lines
