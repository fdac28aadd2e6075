"""Curves over steps, in braille dots: as many as there are columns, drawn in a few milliseconds.

Why not textual-plot: it has no logarithmic scale, and drawing 5 curves of 200 points took it 88 ms where a key must be
answered in 50. Of each column the lowest and the highest value are drawn, so that no spike is lost, and what is not
finite is marked on the upper edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

__all__ = ["Line", "Plot"]

_MARGIN: Final = 10
"""Columns for the numbers at the left."""
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Braille: bit of each dot, by row and column in a cell (Unicode, chapter 21.1)."""
_NOT_FINITE: Final = "!"


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        steps: Ascending.
        values: As many; may not be finite.
        colour: A colour of rich.
        faint: Drawn behind the others.
        label: A character at its end, so that it is known without its colour; empty for none.
    """

    steps: Any
    values: Any
    colour: str
    faint: bool = False
    label: str = ""


class Plot(Widget):
    """Curves, axes with numbers, and a word where there is nothing to draw.

    Attributes:
        empty: What is said then.
    """

    DEFAULT_CSS = "Plot { height: 1fr; width: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.empty = "nothing yet"
        self._lines: Sequence[Line] = ()
        self._log = False
        self._plain = False
        self._strips: list[Strip] = []
        self._drawn = Size()
        self._wanted: tuple[object, ...] = ()

    def show(self, lines: Sequence[Line], *, log: bool = False, plain: bool = False) -> None:
        """Draw these, unless they are drawn.

        Args:
            lines: The curves; later ones before earlier ones.
            log: Over a logarithmic scale; what is not above zero is left out.
            plain: In ASCII.
        """
        wanted = self._wanted
        self._lines, self._log, self._plain = lines, log, plain
        curves = [(id(one.steps), id(one.values), one.colour, one.faint, one.label) for one in lines]
        self._wanted = self.empty, log, plain, curves
        if self._wanted != wanted:
            self._drawn = Size()
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row; all are drawn when the first is asked for."""
        if self.size != self._drawn:
            self._strips, self._drawn = self._draw(self.size), self.size
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)
        return strip.apply_style(self.rich_style)

    # ---------------------------------------------------------------- drawing
    def _draw(self, size: Size) -> list[Strip]:
        columns, rows = size.width - _MARGIN, size.height - 1
        faint = Style(dim=True)
        if columns < 4 or rows < 2:
            return [Strip.blank(size.width)] * size.height
        found = [(line, *_finite(line, log=self._log)) for line in self._lines]
        if not any(len(steps) for _, steps, _, _ in found):
            middle = self.empty.center(size.width)[: size.width]
            return [
                Strip([Segment(middle if row == rows // 2 else " " * size.width, faint)]) for row in range(size.height)
            ]
        first = min(float(steps[0]) for _, steps, _, _ in found if len(steps))
        last = max(float(steps[-1]) for _, steps, _, _ in found if len(steps))
        low = min(float(values.min()) for _, steps, values, _ in found if len(steps))
        high = max(float(values.max()) for _, steps, values, _ in found if len(steps))
        canvas = _Canvas(columns, rows, (first, max(last, first + 1)), _widened(low, high))
        for line, steps, values, odd in found:
            canvas.line(steps, values, line.colour, faint=line.faint)
            canvas.mark(odd, line.colour)
        for line, steps, values, _ in found:
            if line.label and len(steps):
                canvas.label(float(steps[-1]), float(values[-1]), line.label, line.colour)
        return self._framed(canvas, low, high)

    def _framed(self, canvas: _Canvas, low: float, high: float) -> list[Strip]:
        numbers = {0: high, canvas.rows // 2: (low + high) / 2, canvas.rows - 1: low}
        labels = {row: 10**number if self._log else number for row, number in numbers.items()}
        strips = []
        for row in range(canvas.rows):
            text = _figure(labels[row]) if row in labels else ""
            head = Segment(text.rjust(_MARGIN - 1)[: _MARGIN - 1] + ("|" if self._plain else "│"), Style(dim=True))
            strips.append(Strip([head, *canvas.segments(row, plain=self._plain)]))
        first, last = f"{canvas.steps[0]:.0f}", f"{canvas.steps[1]:.0f}"
        foot = " " * _MARGIN + first + last.rjust(canvas.columns - len(first))
        return [*strips, Strip([Segment(foot[: canvas.columns + _MARGIN], Style(dim=True))])]


def _finite(line: Line, *, log: bool) -> tuple[Any, Any, Any]:
    """Steps and values that can be drawn, and the steps of those that are not finite."""
    import numpy as np

    steps, values = np.asarray(line.steps, dtype=float), np.asarray(line.values, dtype=float)
    finite = np.isfinite(values)
    odd = steps[~finite]
    keep = finite & (values > 0) if log else finite
    steps, values = steps[keep], values[keep]
    return steps, np.log10(values) if log else values, odd


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range with some room, also of a curve that is flat."""
    spread = (high - low) or abs(high) * 0.1 or 1.0
    return low - spread * 0.02, high + spread * 0.02


def _figure(value: float) -> str:
    return f"{value:.3g}"


class _Canvas:
    """Dots, two to a column and four to a row, and the style of each cell."""

    def __init__(self, columns: int, rows: int, steps: tuple[float, float], values: tuple[float, float]) -> None:
        import numpy as np

        self.columns, self.rows, self.steps = columns, rows, steps
        self._values = values
        self._bits = np.zeros((rows, columns), dtype=np.uint8)
        self._marks = np.zeros((rows, columns), dtype="<u4")
        self._styles = [Style()]
        self._style_of = np.zeros((rows, columns), dtype=int)

    def line(self, steps: Any, values: Any, colour: str, *, faint: bool) -> None:
        """Of each column of dots, from the lowest to the highest value, joined to the column before."""
        import numpy as np

        if not len(steps):
            return
        width, height = self.columns * 2, self.rows * 4
        places = ((steps - self.steps[0]) / (self.steps[1] - self.steps[0]) * (width - 1)).round().astype(int)
        heights = ((values - self._values[0]) / (self._values[1] - self._values[0]) * (height - 1)).round().astype(int)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        lowest, highest = np.minimum.reduceat(heights, starts), np.maximum.reduceat(heights, starts)
        firsts, lasts = heights[starts], heights[np.append(starts[1:], len(heights)) - 1]
        places = places[starts]
        self._styles.append(Style(color=colour, dim=faint))
        which, number = _each(highest - lowest + 1)
        self._dots(places[which], lowest[which] + number)
        across, up = np.diff(places), firsts[1:] - lasts[:-1]
        length = np.maximum(across, abs(up))
        which, number = _each(length - 1)
        share = (number + 1) / length[which]
        self._dots(
            (places[which] + across[which] * share).round().astype(int),
            (lasts[which] + up[which] * share).round().astype(int),
        )

    def _dots(self, places: Any, heights: Any) -> None:
        """Set them, in the style that came last."""
        import numpy as np

        rows, dots = np.divmod(self.rows * 4 - 1 - heights, 4)
        np.bitwise_or.at(self._bits, (rows, places // 2), np.array(_DOTS, np.uint8)[dots, places % 2])
        self._style_of[rows, places // 2] = len(self._styles) - 1

    def mark(self, steps: Any, colour: str) -> None:
        """A sign on the upper edge for each step whose value is not finite."""
        for step in steps[:: max(1, len(steps) // (self.columns * 2) or 1)]:
            share = (float(step) - self.steps[0]) / (self.steps[1] - self.steps[0])
            column = min(self.columns - 1, max(0, round(share * (self.columns - 1))))
            self._set(0, column, _NOT_FINITE, Style(color=colour, bold=True))

    def label(self, step: float, value: float, text: str, colour: str) -> None:
        """A character at a point; beside it where another stands there already."""
        column = round((step - self.steps[0]) / (self.steps[1] - self.steps[0]) * (self.columns - 1))
        row = round((self._values[1] - value) / (self._values[1] - self._values[0]) * (self.rows - 1))
        while self._marks[row, column] and column:
            column -= 1
        self._set(row, column, text, Style(color=colour, bold=True, reverse=True))

    def _set(self, row: int, column: int, text: str, style: Style) -> None:
        self._styles.append(style)
        self._marks[row, column], self._style_of[row, column] = ord(text), len(self._styles) - 1

    def segments(self, row: int, *, plain: bool) -> list[Segment]:
        """A row, cells of one style together."""
        import numpy as np

        bits, marks, styles = self._bits[row], self._marks[row], self._style_of[row]
        dots = ord("*") if plain else 0x2800 + bits.astype("<u4")
        cells = np.where(marks, marks, np.where(bits, dots, ord(" "))).astype("<u4")
        edges = [0, *(np.flatnonzero(np.diff(styles)) + 1).tolist(), self.columns]
        text = cells.tobytes().decode("utf-32-le")
        return [Segment(text[one:other], self._styles[styles[one]]) for one, other in pairwise(edges)]


def _each(counts: Any) -> tuple[Any, Any]:
    """Of so many things of each kind: the kind of each, and its number among its kind."""
    import numpy as np

    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
