"""Nothing that is drawn gives orders to the terminal, whoever wrote it: names of folders, reasons, lines of files.

Whatever a widget draws goes through the app's line filters, row by row, before it is written. What takes no column
there is left out, so that everything else stays where it is. Pictures of `stores.kitty` are handed over besides.

Where only ASCII is wanted, frames and scroll bars, which are Textual's, become ASCII there, too, column by column.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

__all__ = ["HARMLESS", "PLAIN"]

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


class _Plain(LineFilter):
    """Leaves ASCII only, of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments, of the same widths, in ASCII."""
        if all(segment.text.isascii() for segment in segments):
            return segments
        return [Segment("".join(map(_ascii, text)), style, control) for text, style, control in segments]


_LIKE: Final = {
    **dict.fromkeys("│┃║▏▎▍▌▐▕▊▋▉╎╏┆┇┊┋", "|"),
    **dict.fromkeys("─━═▁▂▔▀▄╌╍┄┅┈┉–—", "-"),
    **dict.fromkeys("█▓▒░▃▅▆▇", "#"),
    **dict.fromkeys("•·…", "."),
}


@cache
def _ascii(character: str) -> str:
    """What looks like it and takes as many columns."""
    if character.isascii():
        return character
    if like := _LIKE.get(character):
        return like
    if "\u2500" <= character <= "\u257f":
        return "+"
    width = cell_len(character)
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain if len(plain) == width else "?" * width


PLAIN: Final = _Plain()
"""The last filter of the app where only ASCII is drawn."""
HARMLESS: Final = _Harmless()
"""The last filter of the app."""
