"""Which tiles of a table of pictures are shown in so much room: arithmetic alone. No Textual.

A picture is not drawn smaller than is any use. Where not all columns fit, source and pose go first, for the output is
held against the target; where the runs are more than fit, they are paged. What is pointed at is always among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pgsynth_tui.stores.albums import GIVEN

__all__ = ["SIZES", "TARGET", "USUAL", "Frame", "frame"]

SIZES: Final = ((10, 7), (14, 12), (20, 16), (30, 24), (45, 36), (999, 999))
"""Columns and rows of cells that a picture has at least, as long as there is that much room; the last shows one."""
USUAL: Final = 1
"""Of them, what is shown at first: 60 columns hold source, pose, target and one output."""
TARGET: Final = GIVEN.index("target")
"""Its column."""
_WORDS: Final = 2
"""Rows of cells that a tile has beside its picture: title and scores."""


@dataclass(frozen=True)
class Frame:
    """What is shown of a table.

    Attributes:
        columns: Of the table, ascending.
        rows: Of the table.
    """

    columns: Sequence[int]
    rows: range


def frame(
    room: tuple[int, int],
    table: tuple[int, int],
    cursor: tuple[int, int],
    *,
    least: tuple[int, int] = SIZES[USUAL],
    aspect: float = 4 / 3,
) -> Frame:
    """Choose the tiles.

    Args:
        room: Columns and rows of cells.
        table: Columns (those given, then the runs') and rows of tiles; at least one of each.
        cursor: Column and row of the tile that is pointed at.
        least: Columns and rows of cells below which no picture goes, where another could be left out for it.
        aspect: Height of a picture over its width, in pixels.
    """
    columns = _columns(max(1, room[0] // least[0]), table[0], cursor[0])
    full = math.ceil(room[0] // len(columns) * aspect / 2)  # a cell is twice as high as wide
    count = min(table[1], max(1, room[1] // (min(full, least[1]) + _WORDS)))
    first = min(cursor[1] // count * count, table[1] - count)
    return Frame(columns, range(first, first + count))


def _columns(fits: int, total: int, at: int) -> Sequence[int]:
    given = len(GIVEN)
    if total <= fits:
        return range(total)
    if fits == 1:
        return (at,)
    if at < TARGET:
        return range(fits) if fits > at else (at,)
    room, runs = fits - 1, total - given
    output = max(0, at - given)
    first = max(0, min(output // room * room, runs - room))
    return (TARGET, *range(given + first, min(total, given + first + room)))
