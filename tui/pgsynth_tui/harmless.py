"""Nothing that is drawn gives orders to the terminal, whoever wrote it: names of folders, reasons, lines of files.

Whatever a widget draws goes through the app's line filters, row by row, before it is written. What takes no column
there is left out, so that everything else stays where it is. Pictures of `stores.kitty` are handed over besides.
"""

from __future__ import annotations

import re
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

__all__ = ["HARMLESS"]

_ORDERS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and what turns the direction of a line; none takes a column."""
_HALVES: Final = re.compile("[\ud800-\udfff]")
"""Bytes of a name that are no text; a column each, and no stream can write them."""


class _Harmless(LineFilter):
    """Leaves control characters out."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, of the same widths, as plain text."""
        if all(segment.text.isprintable() for segment in segments):
            return segments
        return [Segment(_plain(text), style, control) for text, style, control in segments]


def _plain(text: str) -> str:
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", _ORDERS.sub("", text))


HARMLESS: Final = _Harmless()
"""The last filter of the app."""
