"""The rows of composing: slots and settings at the left; parts, options or presets in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding
from textual.widgets import DataTable

from pgsynth_core.cli.console import one_line
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_form import Field
from pgsynth_tui.stores.draft_parts import Candidate
from pgsynth_tui.stores.draft_said import ABOUT, allowed, effect, form_of, label_of, why
from pgsynth_tui.stores.draft_sources import Beginning, presets
from pgsynth_tui.words import found, shortened

__all__ = ["Pane", "Row", "cells_of", "heads", "rows_of", "said_of", "said_of_slot", "slot_rows"]

Row = Candidate | Field | Beginning
"""What a row in the middle stands for."""
_SECTIONS: Final = ("size", "train", "sample")
_LONGEST: Final = 20
"""Characters of a value in its column; the hint has all of it."""
_LEAST: Final = 8
"""Characters below which a sentence says nothing."""


class Pane(DataTable[Text]):
    """A table whose arrows to left and right go to what stands beside it; its last column takes the room there is."""

    BINDINGS: ClassVar = [
        Binding("right", "screen.pane(1)", show=False),
        Binding("left", "screen.pane(-1)", show=False),
        Binding("home", "scroll_top", show=False),
        Binding("end", "scroll_bottom", show=False),
    ]
    DEFAULT_CSS = """
    Pane { height: 1fr; border-left: solid $panel; overflow-x: hidden; scrollbar-size-horizontal: 0; }
    Pane:focus { border-left: thick $primary; }
    Pane:focus > .datatable--header { background: $primary; color: $background; text-style: bold; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(cursor_type="row", id=id)
        self._head: tuple[str, ...] = ()
        self._cells: tuple[tuple[Text, ...], ...] = ()

    def show(self, head: Sequence[str], rows: Sequence[Sequence[Text]], at: int) -> None:
        """Rows in place of those before; the cursor on one of them."""
        self._head, self._cells = tuple(head), tuple(map(tuple, rows))
        self.clear(columns=True)
        count = len(self._head)
        room = self.size.width - 2  # of the scroll bar
        for number, name in enumerate(self._head):
            left = room - 2 * self.cell_padding
            width = max([len(name), *(row[number].cell_len for row in self._cells)])
            if number and number == count - 1:
                if left < _LEAST:
                    count -= 1
                    break
                width = left
            self.add_column(Text(name), width=max(1, min(width, left)))
            room -= width + 2 * self.cell_padding
        for row in self._cells:
            self.add_row(*row[:count])
        self.move_cursor(row=max(0, min(at, len(self._cells) - 1)), animate=False)

    def on_resize(self) -> None:
        """The last column is as wide as there is room."""
        self.show(self._head, self._cells, self.cursor_row)


# ------------------------------------------------------------------------------------------- the left
def slot_rows(store: DraftStore) -> list[tuple[str, Text]]:
    """Path -> row of everything that has parts or settings; marked where it is wrong, varied or changed."""
    reading = store.reading
    changed = {change.path for change in reading.changes}
    wrong = {finding.path for finding in reading.refusals}
    varied = {word.partition("=")[0] for word in store.draft.sweeps}

    def mark(path: str) -> str:
        def has(paths: set[str]) -> bool:
            return any(one == path or one.startswith(f"{path}.") for one in paths)

        return "!" if has(wrong) else "%" if has(varied) else "*" if has(changed) else " "

    rows = [("source", Text(f"  from {store.draft.ablation or store.draft.source or 'the defaults'}", style="italic"))]
    for slot, parts in reading.slots.items():
        rows.append((slot, Text(f"{mark(slot)} {slot}" + ("" if parts else ": none"), style="bold")))
        rows += [(f"{slot}.{part.label}", Text(f"{mark(f'{slot}.{part.label}')}   {part.label}")) for part in parts]
    rows += [(path, Text(f"{mark(path)} {path}", style="bold")) for path in _SECTIONS]
    for _, text in rows:
        text.no_wrap, text.overflow = True, "ellipsis"
    return rows


def said_of_slot(store: DraftStore, key: str) -> str:
    """What a row at the left is there for."""
    slot, _, label = key.partition(".")
    part = next((part for part in store.reading.slots.get(slot, ()) if part.label == label), None)
    if part:
        return f"{store.reading.component(slot, part).summary} Its options are at the right; delete takes it out."
    wrong = next((one for one in store.reading.refusals if one.path == key), None)
    return f"{f'! {wrong} ' if wrong else ''}{ABOUT.get(key, '')} Enter goes to the choices."


# ------------------------------------------------------------------------------------------- the middle
def rows_of(store: DraftStore, key: str, search: str) -> tuple[Row, ...]:
    """What may be chosen or set at a row of the left, of which only what has the words of a search."""
    if key == "source":
        return found(presets(store.registry), search, lambda one: one.name, lambda one: f"{one.about} {one.kind}")
    if key in store.reading.slots:
        parts = store.candidates(key)
        return found(parts, search, lambda one: one.name, lambda one: f"{one.entry.origin.package} {one.summary}")
    group = next((group for group in store.form() if group.path == key), None)
    fields = (*group.fields, *store.more(group)) if group else ()
    return found(fields, search, lambda one: one.path, lambda one: one.help)


def heads(key: str, store: DraftStore) -> tuple[str, ...]:
    """The heads of the middle's columns, which say where one is."""
    if key == "source":
        return ("begin with", "what it is")
    if key in store.reading.slots:
        return (f"{key}: parts", "fits", "what it is, or why not")
    return (f"{key.rpartition('.')[2]}: options", "value", "what it is")


def cells_of(row: Row, key: str, store: DraftStore) -> tuple[Text, ...]:
    """A row of the middle, as it is shown."""
    if isinstance(row, Beginning):
        here = row.source == (store.draft.ablation or store.draft.source or "")
        return _cells(("* " if here else "  ") + row.name, row.about, style="bold" if here else "")
    if isinstance(row, Candidate):
        answer = "chosen" if row.chosen else row.fit.answer
        style = "bold" if row.chosen else "" if answer in ("fits", "adapts") else "dim"
        problem = row.fit.problems[0].message if row.fit.problems else ""
        sign = "* " if row.chosen else "  " if answer in ("fits", "adapts") else "x "
        return _cells(sign + row.name, answer, problem or row.summary, style=style)
    style = "dim" if row.inactive else "bold" if row.changed else ""
    unset = row.value is None and not row.text
    varied = any(word.partition("=")[0] == row.path for word in store.draft.sweeps)
    sign = "! " if row.problem else "% " if varied else "+ " if unset else "* " if row.changed else "  "
    value = Text("-" if unset else shortened(one_line(row.text) or '""', _LONGEST), style=style)
    name, _, about = _cells(sign + label_of(row, key), "", row.help, style=style)
    return name, value, Text(about.plain, style="dim", no_wrap=True, overflow="ellipsis")


def _cells(*texts: str, style: str) -> tuple[Text, ...]:
    return tuple(
        Text(one_line(text) if number else text, style=style, no_wrap=True, overflow="ellipsis")
        for number, text in enumerate(texts)
    )


def said_of(row: Row | None, key: str, store: DraftStore) -> str:
    """What is said of the row under the cursor: what is wrong first, then what it is, then what Enter does."""
    if isinstance(row, Beginning):
        return f"{row.about} Enter begins with it, in place of this draft; u brings that back."
    if isinstance(row, Candidate):
        return f"{' '.join(why(row)) or row.summary} {effect(row)}"
    if isinstance(row, Field):
        problem = f"! {row.problem} " if row.problem else ""
        value = f"{row.name} is {row.text}. " if len(row.text) > _LONGEST else ""
        was = f" {store.draft.source or 'The preset'} has {row.source or 'nothing'}; delete sets that."
        was = was if row.changed else ""
        return f"{problem}{value}{row.help} {row.inactive} {allowed(row)}{was} {form_of(row)}"
    if rows_of(store, key, "") or store.reading.problems:
        return "Nothing has these words; esc."
    return f"{key.rpartition('.')[2]} has no options."
