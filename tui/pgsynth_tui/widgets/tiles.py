"""A table of pictures in aligned tiles, as many as fit; one of them is pointed at, and may have all the room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.events import MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.widget import Widget

from pgsynth_tui.stores.albums import GIVEN
from pgsynth_tui.stores.frame import SIZES, TARGET, USUAL, Frame, frame
from pgsynth_tui.stores.looks import Table, Tile
from pgsynth_tui.stores.pictures import Mode, Piece
from pgsynth_tui.widgets.picture import Picture, lines_below

__all__ = ["Tiles"]

_FIRST_OUTPUT: Final = len(GIVEN)


class Tiles(Widget):
    """Pictures of a table: a row for each pair, columns source, pose, target and the output of each run.

    Attributes:
        table: What is shown.
        column: Of the tile that is pointed at.
        row: Likewise.
        whole: Whether that tile alone is shown.
        apart: Whether outputs are shown as their difference to the target.
        size_step: Which of `SIZES` a picture has at least.
    """

    DEFAULT_CSS = "Tiles { layout: grid; height: 1fr; width: 1fr; grid-gutter: 0 1; }"

    class Chosen(Message):
        """A tile was clicked on; it is the one that is pointed at."""

    class Framed(Message):
        """Other tiles are shown than before, for there is other room."""

    class Turned(Message):
        """The wheel was turned: so many rows on.

        Attributes:
            by: Rows, down or up.
        """

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.table = Table()
        self.column, self.row = _FIRST_OUTPUT, 0
        self.whole = self.apart = False
        self.size_step = USUAL
        self._mode: Mode = "cells"
        self._frame = Frame((), range(0))

    # ---------------------------------------------------------------- what is asked of it
    def show(self, table: Table, mode: Mode) -> None:
        """Show a table.

        Args:
            table: The pictures.
            mode: How they are drawn.
        """
        self.table, self._mode = table, mode
        self.draw()

    def point(self, *, columns: int = 0, rows: int = 0) -> None:
        """Point at another tile: so many on; columns go round, rows end."""
        if self.table.rows:
            self.column = (self.column + columns) % len(self.table.headings)
            self.row = min(len(self.table.rows) - 1, max(0, self.row + rows))
            self.draw()

    @property
    def tile(self) -> Tile | None:
        """The one that is pointed at; None if there is none."""
        return self.table.rows[self.row].tiles[self.column] if self.table.rows else None

    @property
    def shown(self) -> range:
        """Rows of the table that are shown."""
        return self._frame.rows

    # ---------------------------------------------------------------- drawing
    def on_resize(self) -> None:
        """Another size has room for other tiles."""
        self.draw()

    def draw(self) -> None:
        """Show what fits."""
        table = self.table
        self.row = min(max(0, len(table.rows) - 1), self.row)
        if table.rows:  # it stays where it is while there is nothing
            self.column = min(len(table.headings) - 1, self.column)
        if not self.is_attached or not self.size.width:
            return
        before, self._frame = self._frame, self._fitting()
        shown = self._frame
        if shown != before:
            self.post_message(self.Framed())
        if not table.rows:
            self._pictures(0)
            return
        pictures = self._pictures(len(shown.columns) * len(shown.rows))
        wide, high = _each(self.size.width, len(shown.columns)) - 1, _each(self.size.height, len(shown.rows))
        self.styles.grid_size_columns = max(1, len(shown.columns))
        self.styles.grid_columns, self.styles.grid_rows = str(wide), str(high)  # all alike, to the cell
        places = [(row, column) for row in shown.rows for column in shown.columns]
        below = [self._below(*place) for place in places]
        differs = [self._against(*place) is not None for place in places]
        lines = max(lines_below(text, (wide, high), differs=apart) for text, apart in zip(below, differs, strict=True))
        for picture, (row, column), text in zip(pictures, places, below, strict=True):
            tile, name = table.rows[row].tiles[column], table.rows[row].name if column == shown.columns[0] else ""
            picture.chosen, picture.free = (column, row) == (self.column, self.row), lines
            picture.mode = self._mode
            picture.show(
                tile.piece,
                other=self._against(row, column),
                title=_titled(name, self._headings(column), wide),
                below=text,
                empty=tile.words or "nothing to show",
            )

    def _fitting(self) -> Frame:
        table = self.table
        if not table.rows:
            return Frame((), range(0))
        if self.whole:
            return Frame((self.column,), range(self.row, self.row + 1))
        return frame(
            (self.size.width, self.size.height),
            (len(table.headings), len(table.rows)),
            (self.column, self.row),
            least=SIZES[self.size_step],
            aspect=_aspect(table),
        )

    def _pictures(self, count: int) -> Sequence[Picture]:
        """So many to show something in; the others are hidden, and hold nothing."""
        there = list(self.query_children(Picture).results(Picture))
        new = [Picture(tagged=False) for _ in range(count - len(there))]
        if new:
            self.mount_all(new)
        for picture in there[count:]:
            if picture.display:
                picture.show(None)
                picture.display = False
        for picture in there[:count]:
            picture.display = True
        return [*there[:count], *new]

    def _headings(self, column: int) -> tuple[str, ...]:
        """What may stand above a column, the longest first."""
        if column < _FIRST_OUTPUT:
            return (GIVEN[column],)
        number = column - _FIRST_OUTPUT
        name, step = self.table.drawn[number]
        at = "" if step is None else f" @ {step}"
        if len(self.table.drawn) == 1:
            return f"output{at}", f"out{at}"
        return f"{number + 1} {name}{at}", f"{number + 1}{at}"

    def _against(self, row: int, column: int) -> Piece | None:
        """What a tile's difference is shown to; None where the tile itself is."""
        tiles = self.table.rows[row].tiles
        return tiles[TARGET].piece if self.apart and column >= _FIRST_OUTPUT and tiles[column].piece else None

    def _below(self, row: int, column: int) -> str:
        tile = self.table.rows[row].tiles[column]
        return "  ".join(filter(None, (tile.scores, tile.words if tile.piece else "")))

    # ---------------------------------------------------------------- the mouse
    def on_picture_chosen(self, event: Picture.Chosen) -> None:
        """One was clicked on."""
        event.stop()
        shown = [picture for picture in self.query_children(Picture).results(Picture) if picture.display]
        if event.picture not in shown:  # it was hidden since
            return
        at, columns = shown.index(event.picture), self._frame.columns
        self.column, self.row = columns[at % len(columns)], self._frame.rows[at // len(columns)]
        self.post_message(self.Chosen())

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel pages rows."""
        event.stop()
        self.post_message(self.Turned(1))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Likewise, but back."""
        event.stop()
        self.post_message(self.Turned(-1))


def _each(room: int, count: int) -> int:
    """Cells for each of so many."""
    return max(2, room // max(1, count))


def _aspect(table: Table) -> float:
    """Height over width of the first picture whose size is known; of a person, otherwise."""
    for tile in (tile for row in table.rows for tile in row.tiles if tile.piece and tile.piece.box):
        assert tile.piece and tile.piece.box, "these are sought"
        left, top, right, bottom = tile.piece.box
        return (bottom - top) / (right - left)
    return 4 / 3


def _titled(name: str, headings: Sequence[str], width: int) -> str:
    """The longest heading that fits, behind as much of the row's name as there is room for."""
    least = len(name) + 1 if name else 0
    heading = next((one for one in headings if len(one) + min(least, width // 2) <= width), headings[-1])
    room = width - len(heading) - 1
    return f"{name[:room]} {heading}" if name and room > 2 else heading
