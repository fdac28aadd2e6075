"""Pictures by the Kitty graphics protocol: the text that hands one over, and the cells that show it. No Textual.

The cells are ordinary text (Unicode placeholders, protocol of kitty 0.28): they scroll, are covered and cleared as any
other, so a program that draws rows can show pictures. Each says by its colour which picture, and by its marks which of
the picture's cells it is.
"""

from __future__ import annotations

import base64
from itertools import count
from typing import Final

__all__ = ["MOST_CELLS", "forget", "next_number", "placeholders", "transmission"]

CHUNK: Final = 4096
"""Characters of base64 in one escape, at most."""
_PLACEHOLDER: Final = "\U0010eeee"
_MARKS: Final = "".join(
    chr(code)
    for first, last in (
        *((0x305, 0x305), (0x30D, 0x30E), (0x310, 0x310), (0x312, 0x312), (0x33D, 0x33F), (0x346, 0x346)),
        *((0x34A, 0x34C), (0x350, 0x352), (0x357, 0x357), (0x35B, 0x35B), (0x363, 0x36F), (0x483, 0x487)),
        *((0x592, 0x595), (0x597, 0x599), (0x59C, 0x5A1), (0x5A8, 0x5A9), (0x5AB, 0x5AC), (0x5AF, 0x5AF)),
        *((0x5C4, 0x5C4), (0x610, 0x617), (0x657, 0x65B), (0x65D, 0x65E), (0x6D6, 0x6DC), (0x6DF, 0x6E2)),
        *((0x6E4, 0x6E4), (0x6E7, 0x6E8), (0x6EB, 0x6EC), (0x730, 0x730), (0x732, 0x733), (0x735, 0x736)),
        *((0x73A, 0x73A), (0x73D, 0x73D), (0x73F, 0x741), (0x743, 0x743), (0x745, 0x745), (0x747, 0x747)),
        *((0x749, 0x74A), (0x7EB, 0x7F1), (0x7F3, 0x7F3)),
    )
    for code in range(first, last + 1)
)
"""Combining characters that stand for 0, 1, 2 ...: the beginning of the protocol's table."""
MOST_CELLS: Final = len(_MARKS)
"""Columns or rows of a picture, at most."""
_numbers: Final = count(0x5067_01)


def next_number() -> int:
    """A number that no other picture of this process has; 24 bits, of which none of the three bytes is missed."""
    return next(_numbers) & 0xFFFFFF


def transmission(png: bytes, number: int, columns: int, rows: int) -> str:
    """The escapes that hand a PNG over, to be shown by placeholders in so many cells; the terminal answers nothing."""
    text = base64.standard_b64encode(png).decode("ascii")
    chunks = [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]
    head = f"a=T,U=1,f=100,t=d,q=2,i={number},c={columns},r={rows},"
    return "".join(
        f"\x1b_G{head if not at else 'q=2,'}m={int(at + 1 < len(chunks))};{chunk}\x1b\\"
        for at, chunk in enumerate(chunks)
    )


def placeholders(columns: int, rows: int) -> tuple[str, ...]:
    """The rows of cells that show it, to be drawn in the colour that is its number."""
    return tuple(
        "".join(f"{_PLACEHOLDER}{_MARKS[row]}{_MARKS[column]}" for column in range(columns)) for row in range(rows)
    )


def forget(number: int) -> str:
    """The escape that frees a picture."""
    return f"\x1b_Ga=d,d=I,q=2,i={number}\x1b\\"
