"""One picture in its place: read and drawn in a thread, with words while there is none, and why.

The mode stands in the title, for what half blocks show is a preview. A file that is being written is looked at again
after a second, one that cannot be read only when it is shown anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import get_current_worker

from pgsynth_tui.stores.kitty import forget
from pgsynth_tui.stores.pictures import LONGEST_NOTE, Drawn, Mode, Piece, Unreadable, cells, difference

__all__ = ["Picture", "lines_below", "packed"]

_AGAIN: Final = 1.0
"""Seconds until a file that is being written is looked at again."""

_MOST_BELOW: Final = 3
"""Lines below it, at most."""

_holders: Final[Counter[int]] = Counter()
"""Number of a picture that the terminal holds to how many widgets show it."""


@dataclass(frozen=True)
class _Asked:
    """What is to be drawn: a picture or where two differ, in so many cells."""

    source: Piece | None
    other: Piece | None
    columns: int
    rows: int
    mode: Mode
    light: bool


class Picture(Widget):
    """A picture under a line with its title and mode, above one with what is said of it.

    Args:
        title: What stands above it.
        mode: How it is drawn.
        tagged: Whether the title ends with the mode; not where that stands elsewhere.
        id: Of the widget.
        classes: Likewise.

    Attributes:
        chosen: Whether it is pointed at: its title is reversed.
        free: Lines kept free below at least, so that pictures side by side are of one size; for the next `show`.
        drawn: What is shown: the picture, or why there is none; None while it is being drawn.
    """

    DEFAULT_CSS = "Picture { height: 1fr; width: 1fr; }"

    class Chosen(Message):
        """It was clicked on.

        Attributes:
            picture: The widget.
            source: What it shows; None if nothing.
        """

        def __init__(self, picture: Picture, source: Piece | None) -> None:
            super().__init__()
            self.picture = picture
            self.source = source

        @property
        def control(self) -> Picture:
            """The widget, for who handles messages by its id."""
            return self.picture

    class _Done(Message):
        """The thread has drawn it."""

        def __init__(self, asked: _Asked, drawn: Drawn | Unreadable, strips: list[Strip]) -> None:
            super().__init__()
            self.asked, self.drawn, self.strips = asked, drawn, strips

    chosen: reactive[bool] = reactive(default=False)

    def __init__(
        self,
        title: str = "",
        *,
        mode: Mode = "cells",
        tagged: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._tagged = tagged
        self.drawn: Drawn | Unreadable | None = None
        self._title, self._below, self._empty = title, "", "nothing to show"
        self.free = 0
        self._source: Piece | None = None
        self._other: Piece | None = None
        self._mode: Mode = mode
        self._asked: _Asked | None = None
        self._strips: list[Strip] = []
        self._held = 0

    def show(
        self,
        source: Path | Piece | None,
        *,
        other: Path | Piece | None = None,
        title: str | None = None,
        below: str = "",
        empty: str = "nothing to show",
    ) -> None:
        """Show a picture; drawn as soon as there is room.

        Args:
            source: The file or a piece of one; None for none.
            other: Where given, what differs from it is shown.
            title: What stands above; None leaves it.
            below: What stands below, two spaces between what may stand in lines of their own.
            empty: What is said where there is no picture.
        """
        self._source = Piece(source) if isinstance(source, Path) else source
        self._other = Piece(other) if isinstance(other, Path) else other
        self._title = self._title if title is None else title
        self._below, self._empty = below, empty
        self._ask(anew=True)

    @property
    def mode(self) -> Mode:
        """How it is drawn."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._ask()

    # ---------------------------------------------------------------- asking and being answered
    def on_resize(self) -> None:
        """Another size needs another drawing."""
        self._ask()

    def on_unmount(self) -> None:
        """The terminal may forget it."""
        self._hold(0)

    def _ask(self, *, anew: bool = False) -> None:
        """Have it drawn, if it is not."""
        columns, rows = self.size.width, self.size.height - 1 - self._foot
        light = not self.app.current_theme.dark if self.is_attached else False
        asked = _Asked(self._source, self._other, columns, rows, self._mode, light)
        if asked == self._asked and not anew:
            return
        if self._asked is None or (asked.source, asked.other) != (self._asked.source, self._asked.other):
            self.drawn, self._strips = None, []
        self._asked = asked
        self.refresh()
        if asked.source and columns > 0 and rows > 0 and self.is_attached:
            self.run_worker(
                lambda: self._draw(asked), thread=True, group="picture", exclusive=True, exit_on_error=False
            )

    def _draw(self, asked: _Asked) -> None:
        """In a thread."""
        worker = get_current_worker()
        if worker.is_cancelled or asked.source is None:
            return
        place = asked.columns, asked.rows, asked.mode
        if asked.other:
            drawn = difference(asked.source, asked.other, *place)
        else:
            drawn = cells(asked.source, *place, light=asked.light)
        strips = _strips(drawn) if isinstance(drawn, Drawn) else []
        if not worker.is_cancelled:
            self.post_message(self._Done(asked, drawn, strips))

    def on_picture__done(self, event: _Done) -> None:
        """Show it, if nothing else was asked for meanwhile."""
        event.stop()
        if event.asked != self._asked:
            return
        self.drawn, self._strips = event.drawn, event.strips
        if isinstance(self.drawn, Drawn):
            self._hold(self.drawn.number, self.drawn.transmit)
        elif self.drawn.writing:
            asked = self._asked
            self.set_timer(_AGAIN, lambda: self._ask(anew=True) if asked == self._asked else None)
        self.refresh()

    def _hold(self, number: int, transmit: str = "") -> None:
        """Hand a picture over to the terminal, and let it forget the one before."""
        driver = self.app._driver  # of escapes that are no cells, Textual has no public place
        if number == self._held or driver is None:
            return
        _holders[number] += 1
        _holders[self._held] -= 1
        gone = self._held and not _holders[self._held]
        driver.write((forget(self._held) if gone else "") + transmit)
        self._held = number
        driver.flush()

    def on_click(self, event: Click) -> None:
        """Tell who wants to know."""
        event.stop()
        self.post_message(self.Chosen(self, self._source))

    # ---------------------------------------------------------------- drawing
    def render_line(self, y: int) -> Strip:
        """One row: the title, the picture in the middle of its place, what stands below."""
        width, height = self.size
        style = self.rich_style
        if y == 0:
            title = _headed(self._title, self._mode, width) if self._tagged else self._title
            return _text(set_cell_size(title, width), style + Style(bold=True, reverse=self.chosen))
        if y >= height - self._foot:
            note = self.drawn.note if isinstance(self.drawn, Drawn) else ""
            lines = packed((note, *self._below.split("  ")), width)
            at = y - height + self._foot
            return _text(set_cell_size(lines[at] if at < len(lines) else "", width), style)
        rows = height - 1 - self._foot
        at = y - 1 - (rows - len(self._strips)) // 2
        if self._strips and 0 <= at < len(self._strips):
            left = max(0, (width - self._strips[at].cell_length) // 2)
            row = Strip.join([Strip([Segment(" " * left)]), self._strips[at]]).apply_style(style)
            return row.adjust_cell_length(width, style)
        words = "" if self._strips else self._words(width, rows, y - 1)
        return _text(set_cell_size(words.center(width), width), style + Style(dim=True))

    @property
    def _foot(self) -> int:
        """Lines below."""
        width, height = self.size
        return max(lines_below(self._below, (width, height), differs=self._other is not None), self.free)

    @property
    def words(self) -> str:
        """What is said in place of a picture; empty where there is one."""
        if self._source is None:
            return self._empty
        if self.drawn is None:
            return "drawing"
        return self.drawn.reason if isinstance(self.drawn, Unreadable) else ""

    def _words(self, width: int, rows: int, row: int) -> str:
        """One row of these words, as many to a row as there is room for."""
        lines = [""]
        for word in self.words.split():
            longer = f"{lines[-1]} {word}".strip()
            lines = [*lines[:-1], longer] if len(longer) <= width else [*lines, word]
        at = row - (rows - len(lines)) // 2
        return lines[at] if 0 <= at < len(lines) else ""


def lines_below(text: str, room: tuple[int, int], *, differs: bool = False) -> int:
    """Lines that a picture of so many columns and rows keeps below for a text, and for how much it differs if it does.

    How much is not known before it is drawn: there is room for the longest.
    """
    lines = packed((LONGEST_NOTE if differs else "", *text.split("  ")), room[0])
    return min(len(lines), _MOST_BELOW, max(1, room[1] // 4))


def packed(items: Iterable[str], width: int) -> list[str]:
    """Items in as few lines as they fit in; one that is too long is parted at its comma."""
    lines: list[str] = []
    parted = [part for item in items if item for part in (item.split(", ") if len(item) > width else [item])]
    for item in parted:
        longer = f"{lines[-1]}  {item}" if lines else item
        lines = [*lines[:-1], longer] if lines and len(longer) <= width else [*lines, item]
    return lines


def _headed(title: str, mode: Mode, width: int) -> str:
    """The title with the mode at its end; where both do not fit, the title is cut."""
    tail = f" [{mode}]" if title else f"[{mode}]"
    room = width - len(tail)
    return set_cell_size(title, min(len(title), room)) + tail if room > 0 else set_cell_size(title, width)


def _text(text: str, style: Style) -> Strip:
    return Strip([Segment(text, style)])


def _strips(drawn: Drawn) -> list[Strip]:
    return [
        Strip(
            [
                Segment(text, Style(color=_colour(letters), bgcolor=_colour(behind)))
                for text, letters, behind in drawn.runs(row)
            ],
            drawn.columns,
        )
        for row in range(drawn.rows)
    ]


def _colour(colour: tuple[int, int, int] | None) -> str | None:
    return None if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)
