"""What is drawn: every spike, every scale, nothing beyond the edge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from textual.geometry import Size

from pgsynth_tui.widgets.plot import Line, Plot


def drawn(*lines: Line, size: tuple[int, int] = (50, 12), log: bool = False, plain: bool = False) -> list[str]:
    """The rows of a plot, as text."""
    plot = Plot()
    plot.show(lines, log=log, plain=plain)
    strips = plot._draw(Size(*size))
    assert all(strip.cell_length == size[0] for strip in strips), [strip.cell_length for strip in strips]
    assert len(strips) == size[1]
    return [strip.text for strip in strips]


def line(values: list[float], first: int = 1) -> Line:
    """A curve over consecutive steps."""
    return Line(range(first, first + len(values)), values, "#56b4e9")


def dots(row: str) -> int:
    """Dots that are set in a row."""
    return sum((ord(char) - 0x2800).bit_count() for char in row if 0x2800 <= ord(char) < 0x2900)


def test_axes_say_the_range() -> None:
    rows = drawn(line([3.0, 2.0, 1.0]))
    assert rows[0].startswith("        3│") and rows[10].startswith("        1│")
    assert rows[11].split() == ["1", "3"]


def test_the_same_curves_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(Plot, "refresh", lambda self: drawn.append(self))
    plot, steps, values = Plot(), [1, 2], [3.0, 2.0]
    for _ in range(3):
        plot.show([Line(steps, values, "red")])
    assert len(drawn) == 1
    plot.show([Line([1, 2, 3], [*values, 1.0], "red")])
    plot.show([])
    plot.empty = "why"
    plot.show([])
    plot.show([], log=True)
    assert len(drawn) == 5
    for changed in ({"faint": True}, {"label": "a"}, {"colour": "green"}):
        plot.show([Line(steps, values, **{"colour": "red", **changed})])
    assert len(drawn) == 8


def test_a_falling_curve_falls() -> None:
    rows = drawn(line([float(-number) for number in range(80)]))
    firsts = [next(column for column, char in enumerate(row[10:]) if char != " ") for row in rows[:-1]]
    assert firsts == sorted(firsts) and firsts[0] == 0 and firsts[-1] > 30


def test_no_spike_is_lost() -> None:
    values = np.zeros(100_000)
    values[54_321] = 9.0
    rows = drawn(Line(np.arange(100_000), values, "red"))
    assert rows[0].startswith("        9│") and dots(rows[0]) and all(dots(row) for row in rows[:-1])


def test_a_logarithmic_scale_makes_a_decay_straight() -> None:
    values = [10.0**-number for number in range(5)]
    rows = drawn(line(values), log=True)
    assert rows[0].startswith("        1│") and rows[10].startswith("   0.0001│") and rows[5].startswith("     0.01│")
    assert all(dots(row) for row in rows[:-1]), "a straight line crosses every row"
    linear = drawn(line(values))
    assert not dots(linear[5][34:]) and dots(linear[10][30:]), "it lies on the floor otherwise"


def test_what_is_not_finite_or_not_above_zero_is_marked_or_left_out() -> None:
    rows = drawn(line([1.0, math.nan, 2.0, math.inf]))
    assert rows[0].count("!") == 2 and "inf" not in "".join(rows)
    assert "nothing yet" in "".join(drawn(line([-1.0, 0.0]), log=True))
    assert "nothing yet" in "".join(drawn()) and "nothing yet" in "".join(drawn(line([math.nan])))


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-30, 1e300, 1e-320])
def test_a_flat_curve_and_a_single_point_are_drawn(value: float) -> None:
    assert sum(map(dots, drawn(line([value] * 9)))) and sum(map(dots, drawn(line([value])))) == 1


def test_in_ascii_it_is_ascii() -> None:
    rows = drawn(line([1.0, 2.0, 1.0]), plain=True)
    assert all(row.isascii() for row in rows) and "*" in "".join(rows)


@pytest.mark.parametrize("size", [(1, 1), (10, 2), (13, 3), (14, 3), (200, 60)])
def test_any_size_will_do(size: tuple[int, int]) -> None:
    drawn(line([1.0, 3.0, 2.0]), line([2.0, 2.0], first=7), size=size)


def test_later_curves_stand_before_earlier_ones() -> None:
    plot = Plot()
    plot.show([Line([1, 2], [1.0, 1.0], "red", faint=True), Line([1, 2], [1.0, 1.0], "blue")])
    colours = {
        segment.style.color.name
        for strip in plot._draw(Size(30, 5))
        for segment in strip
        if segment.style and segment.style.color
    }
    assert colours == {"blue"}


def test_a_label_stands_at_the_end_of_each_curve() -> None:
    first, second = Line([1, 9], [1.0, 1.0], "red", label="1"), Line([1, 9], [1.0, 0.0], "blue", label="2")
    rows = drawn(first, second)
    assert rows[0].endswith("1") and rows[10].endswith("2")
    rows = drawn(first, Line([1, 9], [1.0, 1.0], "blue", label="2"), line([0.0]))
    assert rows[0].endswith("21"), "one beside the other"
