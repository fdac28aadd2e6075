"""What stands beside the choices: problems, differences, the spec, the ablation, what was tried; and its tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Click
from textual.message import Message
from textual.widgets import OptionList, Static

from pgsynth_core.cli.console import one_line
from pgsynth_core.errors import Problem
from pgsynth_core.sweeps import Combination
from pgsynth_tui.stores.draft import DraftStore
from pgsynth_tui.stores.draft_findings import SOURCE
from pgsynth_tui.stores.draft_sweep import Ablation

__all__ = ["CHOICES", "TABS", "Beside", "Line", "Tabs", "lines_of"]

CHOICES: Final = "choices"
"""The tab of what stands beside the slots, in a terminal with no room for both."""
TABS: Final = ("problems", "difference", "spec", "ablation", "result")
_MOST_ROWS: Final = 200
"""Combinations of an ablation that are listed."""


@dataclass(frozen=True)
class Line:
    """A line of it.

    Attributes:
        text: What it says.
        path: Where Enter on it goes; empty if nowhere.
        style: Of rich.
        command: The command line that it stands for, found when it is asked.
    """

    text: str
    path: str = ""
    style: str = ""
    command: Callable[[], str] | None = field(default=None, compare=False)


class _Tab(Static):
    """The name of a tab, to click on."""

    def __init__(self, name: str) -> None:
        super().__init__(name, markup=False)
        self.tab = name

    def on_click(self, event: Click) -> None:
        """Show it."""
        event.stop()
        self.post_message(Tabs.Chosen(self.tab))


class Tabs(Horizontal):
    """The names of what can stand there, in a row.

    Args:
        names: Of the tabs.
    """

    DEFAULT_CSS = """
    Tabs { height: 1; background: $panel; }
    Tabs _Tab { width: auto; padding: 0 1; color: $text-muted; }
    Tabs _Tab.here { background: $primary; color: $background; text-style: bold; }
    Tabs _Tab.wrong { text-style: bold; color: $text-error; }
    Tabs _Tab.here.wrong { color: $background; }
    """

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, names: Sequence[str], *, id: str) -> None:
        super().__init__(id=id)
        self._names = tuple(names)

    def compose(self) -> ComposeResult:
        """A name each."""
        yield from map(_Tab, self._names)

    def show(self, here: str, counts: dict[str, int], *, wrong: bool) -> None:
        """Which is shown; how much some of them hold; whether something is wrong."""
        for tab in self.query(_Tab):
            count = counts.get(tab.tab, 0)
            tab.update(f"{tab.tab} {count}" if count else tab.tab)
            tab.set_class(tab.tab == here, "here")
            tab.set_class(wrong and tab.tab == "problems", "wrong")


class Beside(Vertical):
    """Lines to be read, a cursor over them; Enter on one that is about a field goes there."""

    DEFAULT_CSS = """
    Beside OptionList {
        height: 1fr; border: none; border-left: solid $panel; padding: 0; background: $surface;
    }
    Beside OptionList:focus { border: none; border-left: thick $primary; }
    """

    class Jump(Message):
        """Enter or a click on a line that is about a field."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    class At(Message):
        """The cursor is on another line."""

        def __init__(self, line: Line) -> None:
            super().__init__()
            self.line = line

    class _Lines(OptionList):
        BINDINGS: ClassVar = [
            Binding("left", "screen.pane(-1)", show=False),
            Binding("right", "screen.pane(1)", show=False),
        ]

    def __init__(self) -> None:
        super().__init__(id="beside")
        self._lines: tuple[Line, ...] = ()
        self._of = ""

    def compose(self) -> ComposeResult:
        """Tabs, then lines."""
        yield Tabs(TABS, id="tabs")
        yield self._Lines(id="said", compact=True)

    @property
    def text(self) -> str:
        """What it says."""
        return "\n".join(line.text for line in self._lines)

    def show(self, of: str, lines: Sequence[Line]) -> None:
        """Lines in place of those before; the cursor stays where it is if it is the same tab."""
        if self._lines == tuple(lines) and self._of == of:
            return
        options = self.query_one(OptionList)
        at = options.highlighted if of == self._of else None
        self._lines, self._of = tuple(lines), of
        options.clear_options()
        options.add_options([Text(line.text or " ", style=line.style) for line in self._lines])
        if at is not None and self._lines:
            options.highlighted = min(at, len(self._lines) - 1)

    @on(OptionList.OptionHighlighted)
    def _on_cursor(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index < len(self._lines):
            self.post_message(self.At(self._lines[event.option_index]))

    @on(OptionList.OptionSelected)
    def _on_line(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        path = self._lines[event.option_index].path
        if path:
            self.post_message(self.Jump(path))


# ------------------------------------------------------------------------------------------- what they say
def lines_of(tab: str, store: DraftStore, tried: Sequence[str], ablation: Ablation | None) -> list[Line]:
    """What a tab says.

    Args:
        tab: Of `TABS`.
        store: The draft.
        tried: What was found by trying it.
        ablation: What is varied of it; None if nothing is, or it is being read.
    """
    if tab == "problems":
        return _problems(store)
    if tab == "difference":
        return _differences(store)
    if tab == "spec":
        return [Line("w writes it as a file", style="dim"), *map(Line, store.reading.yaml.splitlines())]
    if tab == "ablation":
        return _ablation(store, ablation)
    return [Line(text) for text in tried] or [Line("Nothing was tried yet: p proves it, R rehearses it, L trains it.")]


def _problems(store: DraftStore) -> list[Line]:
    """What is wrong, warned of or worth knowing."""
    found = [
        Line(
            f"{'! ' if one.level == 'problem' else '- '}{one_line(one)}",
            one.path,
            "" if one.level == "problem" else "dim",
        )
        for one in store.reading.findings
    ]
    enter = [Line(""), Line("enter on a line goes to its place", style="dim")]
    return [*found, *enter] if found else [Line("Nothing is wrong.")]


def _differences(store: DraftStore) -> list[Line]:
    """What is otherwise than in the preset or file."""
    source = store.draft.source or "the defaults"
    found = [
        Line(f"{change.path}: {change.before or '-'} -> {change.after or '-'}", change.path)
        for change in store.reading.changes
    ]
    return [Line(f"Otherwise than {source}:", style="dim"), *found] if found else [Line(f"It is as {source}.")]


def _ablation(store: DraftStore, ablation: Ablation | None) -> list[Line]:
    """The runs that are marked to be varied, and what the contract prunes with the reason."""
    if not store.draft.varied:
        return [
            Line("Nothing is varied."),
            Line(""),
            Line("m on an option or a slot marks several values of it; every combination becomes a run."),
            Line("o can begin with the ablation of a paper."),
        ]
    if ablation is None:
        return [Line("Asking the contract about every combination ...")]
    lines = [Line(f"! {one_line(problem)}", _at(store, problem)) for problem in ablation.problems]
    if not ablation.sweep:
        return lines
    factors = ablation.sweep.grid.factors
    lines += [Line(f"{factor.path}: {', '.join(factor.values)}", factor.path, "bold") for factor in factors]
    lines += [Line(f"- {one_line(problem)}", _at(store, problem)) for problem in ablation.sweep.useless]
    if ablation.good:
        lines.append(Line(f"{ablation.sentence}. L queues them."))
    rows = [_row(store, ablation, text, row) for text, row in ablation.lines()]
    more = [Line(f"and {len(rows) - _MOST_ROWS} more", style="dim")] if len(rows) > _MOST_ROWS else []
    return [*lines, Line(""), *rows[:_MOST_ROWS], *more]


def _row(store: DraftStore, ablation: Ablation, text: str, row: Combination) -> Line:
    if row.ok:
        return Line(text, command=lambda: ablation.command(row))
    return Line(text, _at(store, row.problems[0]), "dim")


def _at(store: DraftStore, problem: Problem) -> str:
    """Where a problem is, if that is a place that can be gone to."""
    path = store.reading.places.of_text("note", str(problem)).path
    return "" if path == SOURCE else path
