"""Which tiles fit into so much room, and that what is pointed at is always one of them."""

from __future__ import annotations

import itertools

import pytest

from pgsynth_tui.stores.frame import SIZES, TARGET, frame


@pytest.mark.parametrize(
    ("room", "runs", "columns"),
    [
        ((60, 15), 1, [0, 1, 2, 3]),
        ((80, 19), 1, [0, 1, 2, 3]),
        ((80, 19), 2, [0, 1, 2, 3, 4]),
        ((60, 15), 2, [2, 3, 4]),
        ((80, 19), 3, [2, 3, 4, 5]),
        ((140, 35), 7, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ((20, 15), 2, [3]),
    ],
)
def test_columns_that_fit(room: tuple[int, int], runs: int, columns: list[int]) -> None:
    """One run with all that it is of at 60 columns; of several, the target and their outputs."""
    assert list(frame(room, (3 + runs, 4), (3, 0)).columns) == columns


def test_more_runs_than_fit_are_paged_beside_the_target() -> None:
    seen = [list(frame((60, 15), (3 + 5, 1), (column, 0)).columns) for column in range(8)]
    assert seen[:2] == [[0, 1, 2, 3]] * 2, "source and pose can be had by pointing at them"
    assert seen[2:6] == [[2, 3, 4, 5]] * 4 and seen[6:] == [[2, 5, 6, 7]] * 2


def test_rows_are_paged_and_the_last_page_is_full() -> None:
    def rows(row: int) -> list[int]:
        return list(frame((140, 45), (4, 7), (3, row)).rows)

    assert [rows(row) for row in (0, 2, 3, 6)] == [[0, 1, 2], [0, 1, 2], [3, 4, 5], [4, 5, 6]]
    assert list(frame((80, 19), (4, 7), (3, 5)).rows) == [5], "one at the usual size"
    assert list(frame((140, 45), (4, 2), (3, 0)).rows) == [0, 1], "no more than there are"


def test_what_is_pointed_at_is_shown_whatever_the_room() -> None:
    rooms, tables = [(1, 1), (20, 5), (60, 15), (80, 19), (200, 60)], [(3, 1), (4, 3), (6, 9), (11, 4)]
    for room, table, least in itertools.product(rooms, tables, SIZES):
        for cursor in itertools.product(range(table[0]), range(table[1])):
            for aspect in (0.3, 1.0, 4.0):
                shown = frame(room, table, cursor, least=least, aspect=aspect)
                assert cursor[0] in shown.columns and cursor[1] in shown.rows, (room, table, cursor, least)
                assert list(shown.columns) == sorted({*shown.columns}) and max(shown.columns) < table[0]
                assert shown.rows.start >= 0 and shown.rows.stop <= table[1]
                assert cursor[0] <= TARGET or len(shown.columns) == 1 or TARGET in shown.columns
