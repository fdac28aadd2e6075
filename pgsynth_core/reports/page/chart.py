"""Curves as SVG: one plot, lines with their names at their ends, ticks at round numbers. Colours are the page's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pgsynth_core.reports.markup import Markup, element

__all__ = ["SERIES", "Line", "chart", "series_class"]

SERIES: Final = 8
"""Colours there are."""
_DASHES: Final = 5
"""Dash patterns, which tell apart what shares a colour."""
_WIDTH, _HEIGHT = 560, 320
_LEFT, _TOP, _BOTTOM, _END = 62, 12, 44, 92
"""Pixels around the plot; the names of lines stand in the last."""
_LETTERS: Final = 15
"""Pixels between two names at least."""
_TICKS: Final = 5
_DECADES: Final = 0.7
"""A logarithmic scale is taken where values go over so many powers of ten."""


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        label: Stands at its end.
        series: Which colour, from 0; with each `SERIES` more, the same colour with other dashes.
        steps: Where its points are, ascending.
        values: At those; what is not finite is a gap.
        faint: Steps and values that are drawn faintly behind it.
        marked: Whether its points are marked.
    """

    label: str
    series: int
    steps: Sequence[int]
    values: Sequence[float]
    faint: tuple[Sequence[int], Sequence[float]] | None = None
    marked: bool = False


@dataclass(frozen=True)
class _Scale:
    """From numbers to pixels, ``low`` to ``start`` and ``high`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        if self.log:
            part = math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        part = min(max(part, -1.0), 2.0)  # far outside the plot is outside
        return round(self.start + part * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        if self.log:
            inside = [tick for tick in _log_ticks(self.low, self.high) if self.low <= tick <= self.high]
            if len(inside) > 1:
                return inside
        step = _round_step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        return [round(number * step, 12) for number in range(first, int(self.high / step + 1e-9) + 1)]


def chart(lines: Sequence[Line], *, title: str, across: str = "step", up: str) -> Markup:
    """A figure of some lines.

    Args:
        lines: At least one with a finite value.
        title: What it shows, for who cannot see it.
        across: What the steps are.
        up: What the values are.
    """
    last = max((line.steps[-1] for line in lines if line.steps), default=1) or 1
    x = _Scale(0.0, float(last), 0.0, float(_WIDTH - _LEFT - _END))
    y = _up(lines)
    said = "; ".join(f"{line.label} ends at {_number(_last(line)[1])}" for line in lines)
    return element(
        "svg",
        element("title", f"{title}: {said}"),
        _axes(x, y, across, f"{up}, logarithmic" if y.log else up),
        element(
            "svg",  # of its own, so that what lies outside the plot is cut off
            [_path(line.faint, x, y, "faint", line.series) for line in lines if line.faint],
            [_path((line.steps, line.values), x, y, "line", line.series) for line in lines],
            [_marks(line, x, y) for line in lines if line.marked],
            x=_LEFT,
            y=_TOP,
            width=_WIDTH - _LEFT - _END,
            height=_HEIGHT - _TOP - _BOTTOM,
        ),
        list(_labels(lines, x, y)),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        class_="chart",
    )


def _up(lines: Sequence[Line]) -> _Scale:
    """Over all of the lines, and nearly all of what is faint: a few outliers do not flatten the rest."""
    clear = sorted(value for line in lines for value in line.values if math.isfinite(value))
    faint = sorted(value for line in lines if line.faint for value in line.faint[1] if math.isfinite(value))
    cut = len(faint) // 50
    values = clear + faint[cut : len(faint) - cut]
    low, high = min(values, default=0.0), max(values, default=1.0)
    log = low > 0 and math.log10(high / low) >= _DECADES
    if log:
        low, high = low / 1.08, high * 1.08
    else:
        room = 0.05 * (high - low) or 0.5 * abs(high) or 0.5
        low, high = (low - room if low < 0 or low > room else 0.0), high + room
    return _Scale(low, high, float(_HEIGHT - _TOP - _BOTTOM), 0.0, log)


def _axes(x: _Scale, y: _Scale, across: str, up: str) -> Iterator[Markup]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _END
    for tick in y.ticks():
        at = _TOP + y.at(tick)
        yield element("path", d=f"M{_LEFT} {at}H{right}", class_="grid")
        yield element("text", _number(tick), x=_LEFT - 6, y=at + 4, text_anchor="end")
    for tick in x.ticks():
        at = _LEFT + x.at(tick)
        yield element("path", d=f"M{at} {bottom}v4", class_="axis")
        yield element("text", f"{tick:,.0f}", x=at, y=bottom + 17, text_anchor="middle")
    yield element("path", d=f"M{_LEFT} {_TOP}V{bottom}H{right}", class_="axis")
    yield element("text", across, x=(_LEFT + right) / 2, y=_HEIGHT - 6, text_anchor="middle")
    middle = (_TOP + bottom) / 2
    yield element("text", up, transform=f"translate(14 {middle}) rotate(-90)", text_anchor="middle")


def _path(points: tuple[Sequence[int], Sequence[float]], x: _Scale, y: _Scale, what: str, series: int) -> Markup:
    said, pen = [], "M"
    for step, value in zip(*points, strict=True):
        if math.isfinite(value):
            said.append(f"{pen}{x.at(float(step)):g} {y.at(value):g}")
            pen = "L"
        else:
            pen = "M"
    return element("path", d="".join(said), class_=f"{what} {series_class(series)}")


def series_class(series: int) -> str:
    """Classes of the colour and the dashes of a series, see `Line`."""
    return f"s{series % SERIES} d{(series % SERIES + series // SERIES) % _DASHES}"


def _marks(line: Line, x: _Scale, y: _Scale) -> Iterator[Markup]:
    for step, value in zip(line.steps, line.values, strict=True):
        if math.isfinite(value):
            yield element("circle", cx=x.at(float(step)), cy=y.at(value), r=3, class_=f"mark s{line.series % SERIES}")


def _labels(lines: Iterable[Line], x: _Scale, y: _Scale) -> Iterator[Markup]:
    """Names at the ends of lines, moved apart where they would overlap, then with a thread to their line."""
    ends = sorted(((y.at(_last(line)[1]), line) for line in lines if line.steps), key=lambda one: one[0])
    places: list[float] = []
    for at, _ in ends:
        places.append(max(at, places[-1] + _LETTERS) if places else at)
    room = _HEIGHT - _TOP - _BOTTOM
    for number in range(len(places) - 1, -1, -1):  # and back from the bottom
        lowest = room if number == len(places) - 1 else places[number + 1] - _LETTERS
        places[number] = min(places[number], lowest)
    right = _WIDTH - _END
    for (at, line), place in zip(ends, places, strict=True):
        step, value = _last(line)
        began, colour = _LEFT + x.at(float(step)), f"s{line.series % SERIES}"
        yield element("path", d=f"M{began} {_TOP + at}L{right + 6} {_TOP + place}", class_=f"thread {colour}")
        words = f"{line.label}  {_number(value)}"
        yield element("text", words, x=right + 9, y=_TOP + place + 4, class_=f"name {colour}")


def _last(line: Line) -> tuple[int, float]:
    finite = [(step, value) for step, value in zip(line.steps, line.values, strict=True) if math.isfinite(value)]
    return finite[-1] if finite else (0, 0.0)


def _log_ticks(low: float, high: float) -> Iterator[float]:
    decades = math.log10(high / low)
    heads = (1, 2, 3, 5, 7) if decades < 1.2 else (1, 2, 5) if decades < 3 else (1,)
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (float(f"{head}e{power}") for head in heads)


def _round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, not below."""
    power = 10.0 ** math.floor(math.log10(about)) if about > 0 else 1.0
    return next((head * power for head in (1, 2, 5) if head * power >= about * (1 - 1e-9)), 10 * power)


def _number(value: float) -> str:
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"
