"""Pictures in the cells of a terminal: half blocks, letters, or Kitty's protocol; and where two differ. No Textual.

A cell is taken to be twice as high as wide. What is larger than its place is brought down by Lanczos, what is smaller
is enlarged by whole factors only, so that every pixel stays one. Fine texture cannot be judged in half blocks: whoever
shows them says which mode it is.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

from PIL import Image as Pillow
from PIL import ImageChops, ImageStat

from pgsynth_tui.stores.kitty import MOST_CELLS, next_number, placeholders, transmission
from pgsynth_tui.stores.reading import Piece, Unreadable, read_picture, stamp_of

__all__ = [
    "GAIN",
    "LONGEST_NOTE",
    "Drawn",
    "ImageMode",
    "Mode",
    "Piece",
    "Unreadable",
    "cells",
    "difference",
    "image_mode",
]

Mode = Literal["cells", "ascii", "kitty"]
Colour = tuple[int, int, int]

GAIN: Final = 4
"""How many times a difference is amplified."""
LONGEST_NOTE: Final = f"difference x{GAIN}, mean 00.00%"
"""What `difference` says, before it is known."""
_RAMP: Final = " .:-=+*#%@"
_UPPER_HALF: Final = "▀"
_KITTY_CELL: Final = (10, 20)
"""Pixels of a cell for which a picture is handed over; the terminal does the rest."""
_SQUARE: Final = 4
_LIGHT, _DARK = (208, 208, 208), (160, 160, 160)
"""The checkerboard behind what shows through, and the side of its squares."""
_KEPT_BYTES: Final = 32 * 2**20


@dataclass(frozen=True)
class Drawn:
    """A picture, drawn.

    Attributes:
        mode: How.
        columns: Cells that it takes.
        rows: Likewise.
        size: Width and height of the picture in pixels, upright.
        pixels: Of half blocks: RGB of `columns` by 2 `rows` pixels, row by row.
        lines: Of the other modes: the text of each row.
        number: Of Kitty's: what the picture is called, as 24 bits of a colour.
        transmit: Of Kitty's: what to write to the terminal before the lines are drawn.
        note: What is to be said of it; empty if nothing.
    """

    mode: Mode
    columns: int
    rows: int
    size: tuple[int, int]
    pixels: bytes = b""
    lines: tuple[str, ...] = ()
    number: int = 0
    transmit: str = ""
    note: str = ""

    def runs(self, row: int) -> Iterator[tuple[str, Colour | None, Colour | None]]:
        """One row as text with its colours, of the letters and behind them; cells of the same colours together."""
        if self.mode != "cells":
            number = self.number
            colour = (number >> 16, number >> 8 & 255, number & 255) if self.mode == "kitty" else None
            yield self.lines[row], colour, None
            return
        width = self.columns * 3
        upper, lower = (self.pixels[at * width : (at + 1) * width] for at in (2 * row, 2 * row + 1))
        pairs = [(upper[at : at + 3], lower[at : at + 3]) for at in range(0, width, 3)]
        start = 0
        for at in range(1, self.columns + 1):
            if at == self.columns or pairs[at] != pairs[start]:
                above, below = pairs[start]
                yield _UPPER_HALF * (at - start), (above[0], above[1], above[2]), (below[0], below[1], below[2])
                start = at

    @property
    def weight(self) -> int:
        """Bytes that keeping it takes."""
        return len(self.pixels) + len(self.transmit) + 4 * sum(map(len, self.lines)) + 256


class _Kept:
    """What was drawn last, as much of it as there is room for."""

    def __init__(self, most: int) -> None:
        self._most, self._weight = most, 0
        self._all: OrderedDict[object, Drawn] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> Drawn | None:
        with self._lock:
            if key in self._all:
                self._all.move_to_end(key)
            return self._all.get(key)

    def put(self, key: object, drawn: Drawn) -> None:
        with self._lock:
            if before := self._all.pop(key, None):
                self._weight -= before.weight
            self._all[key] = drawn
            self._weight += drawn.weight
            while self._weight > self._most:
                self._weight -= self._all.popitem(last=False)[1].weight


_kept: Final = _Kept(_KEPT_BYTES)


def cells(
    source: Path | Piece, columns: int, rows: int, mode: Mode = "cells", *, light: bool = False
) -> Drawn | Unreadable:
    """A picture in at most so many cells, its sides in proportion.

    Args:
        source: A file, or a part of one.
        columns: Of the place; at least 1.
        rows: Likewise.
        mode: How.
        light: Of letters: on a light ground, where dark is what has many strokes.
    """
    piece = source if isinstance(source, Piece) else Piece(source)
    key = piece, stamp_of(piece.path), columns, rows, mode, light
    if known := _kept.get(key):
        return known
    picture = read_picture(piece)
    return picture if isinstance(picture, Unreadable) else _keep(key, picture, light=light)


def difference(
    one: Path | Piece, other: Path | Piece, columns: int, rows: int, mode: Mode = "cells"
) -> Drawn | Unreadable:
    """Where two pictures of one size differ: the absolute difference of each channel, `GAIN` times; black is equal.

    The note says how much was amplified and the mean difference, in percent of the range. Pictures of different sizes
    are refused: scaled to each other they would differ everywhere.
    """
    pieces = [piece if isinstance(piece, Piece) else Piece(piece) for piece in (one, other)]
    key = *((piece, stamp_of(piece.path)) for piece in pieces), columns, rows, mode
    if known := _kept.get(key):
        return known
    read = [read_picture(piece) for piece in pieces]
    pictures = [_opaque(picture) for picture in read if not isinstance(picture, Unreadable)]
    for picture in read:
        if isinstance(picture, Unreadable):
            return picture
    first, second = pictures
    if first.size != second.size:
        sizes = " and ".join(f"{picture.width} x {picture.height}" for picture in pictures)
        return Unreadable(f"{sizes} pixels: pictures of different sizes are not held against each other")
    apart = ImageChops.difference(first, second)
    mean = sum(ImageStat.Stat(apart).mean) / 3 / 255
    return _keep(key, apart.point(lambda value: value * GAIN), note=f"difference x{GAIN}, mean {mean:.2%}")


# ------------------------------------------------------------------------------------------- drawing
def _keep(key: tuple[object, ...], picture: Pillow.Image, *, light: bool = False, note: str = "") -> Drawn:
    columns, rows, mode = key[2:5]
    assert isinstance(columns, int) and isinstance(rows, int), "both keys are built alike"
    if mode == "kitty":
        drawn = _by_kitty(picture, columns, rows, note)
    elif mode == "ascii":
        drawn = _in_letters(picture, columns, rows, note, light=light)
    else:
        drawn = _in_halves(picture, columns, rows, note)
    _kept.put(key, drawn)
    return drawn


def _fitted(picture: Pillow.Image, width: float, height: float) -> tuple[int, int]:
    """The size that fits into a place of so many square pixels."""
    factor = min(width / picture.width, height / picture.height)
    factor = float(int(factor)) if factor > 1 else factor
    return max(1, round(picture.width * factor)), max(1, round(picture.height * factor))


def _scaled(picture: Pillow.Image, size: tuple[int, int]) -> Pillow.Image:
    if size[0] > picture.width or size[1] > picture.height:
        return _opaque(picture.resize(size, Pillow.Resampling.NEAREST))
    return _opaque(picture.resize(size, Pillow.Resampling.LANCZOS, reducing_gap=3.0))


def _opaque(picture: Pillow.Image) -> Pillow.Image:
    """RGB; over a checkerboard where it shows through."""
    if picture.mode != "RGBA":
        return picture
    board = Pillow.new("RGB", (2, 2), _LIGHT)
    board.putpixel((1, 0), _DARK)
    board.putpixel((0, 1), _DARK)
    across, down = -(-picture.width // (2 * _SQUARE)), -(-picture.height // (2 * _SQUARE))
    tile = board.resize((2 * _SQUARE, 2 * _SQUARE), Pillow.Resampling.NEAREST)
    ground = Pillow.new("RGB", picture.size)
    for number in range(across * down):
        ground.paste(tile, (number % across * 2 * _SQUARE, number // across * 2 * _SQUARE))
    ground.paste(picture, (0, 0), picture)
    return ground


def _in_halves(picture: Pillow.Image, columns: int, rows: int, note: str) -> Drawn:
    width, height = _fitted(picture, columns, rows * 2)
    height += height % 2  # a whole number of cells; half a pixel's stretch shows less than a ragged edge
    small = _scaled(picture, (width, height))
    return Drawn("cells", width, height // 2, picture.size, pixels=small.tobytes(), note=note)


def _in_letters(picture: Pillow.Image, columns: int, rows: int, note: str, *, light: bool) -> Drawn:
    width, height = _fitted(picture, columns, rows * 2)
    height = max(1, round(height / 2))
    size = min(width, picture.width), min(height, picture.height)  # brought down first, then each pixel repeated
    grey = _scaled(picture, size).convert("L").resize((width, height), Pillow.Resampling.NEAREST).tobytes()
    ramp = _RAMP[::-1] if light else _RAMP
    text = "".join(ramp[value * len(ramp) // 256] for value in grey)
    lines = tuple(text[at : at + width] for at in range(0, len(text), width))
    return Drawn("ascii", width, height, picture.size, lines=lines, note=note)


def _by_kitty(picture: Pillow.Image, columns: int, rows: int, note: str) -> Drawn:
    width, height = _fitted(picture, min(columns, MOST_CELLS), min(rows, MOST_CELLS) * 2)
    height = -(-height // 2)
    most = width * _KITTY_CELL[0], height * _KITTY_CELL[1]
    held = BytesIO()
    _scaled(picture, _fitted(picture, *most)).save(held, format="PNG")
    number = next_number()
    transmit = transmission(held.getvalue(), number, width, height)
    lines = placeholders(width, height)
    return Drawn("kitty", width, height, picture.size, b"", lines, number, transmit, note)


# ------------------------------------------------------------------------------------------- which mode
@dataclass(frozen=True)
class ImageMode:
    """How pictures are drawn here.

    Attributes:
        mode: How.
        words: That, the colours there are, and what could be done about either.
    """

    mode: Mode
    words: str


def image_mode(environ: Mapping[str, str], asked: str = "auto", *, plain: bool = False) -> ImageMode:
    """Choose how pictures are drawn, by what the terminal says of itself; it is not asked.

    Kitty's protocol needs 24-bit colours as they are: they say which picture is meant.

    Args:
        environ: The environment.
        asked: ``auto``, or a mode.
        plain: Whether only ASCII is drawn.
    """
    depth, colours = _colours(environ)
    if plain or asked == "ascii":
        return ImageMode("ascii", "letters, as asked")
    kitty = bool(environ.get("KITTY_WINDOW_ID")) or environ.get("TERM") == "xterm-kitty"
    apart = environ.get("TMUX") or "web" in environ.get("TEXTUAL_DRIVER", "")  # served to a browser from a Kitty
    usable = kitty and not apart and depth == 24 and not environ.get("NO_COLOR")
    if usable and asked in ("auto", "kitty"):
        return ImageMode("kitty", f"pictures by Kitty's protocol, {colours}")
    why = ""
    if asked == "kitty":
        missing = "not inside tmux" if kitty and environ.get("TMUX") else "only in Kitty, with 24-bit colours"
        why = f"; Kitty's protocol works {missing}"
    if depth < 8 and asked != "cells":
        return ImageMode("ascii", f"letters: {colours}{why}")
    return ImageMode("cells", f"half blocks, {colours}{why}")


def _colours(environ: Mapping[str, str]) -> tuple[int, str]:
    """Bits of a colour, and that in words; as rich and Textual find it."""
    term = environ.get("TERM", "").lower()
    if environ.get("NO_COLOR"):
        return 8, "in greys (NO_COLOR)"
    if environ.get("TEXTUAL_COLOR_SYSTEM") == "truecolor" or environ.get("COLORTERM", "").strip().lower() in (
        "truecolor",
        "24bit",
    ):
        return 24, "24-bit colours"
    if term.endswith(("-256color", "-kitty")) or environ.get("TEXTUAL_COLOR_SYSTEM") == "256":
        return 8, "256 colours, so bands show; if the terminal has more: COLORTERM=truecolor"
    if term in ("", "dumb", "unknown"):
        return 0, "no colours"
    return 4, "16 colours; if the terminal has more: COLORTERM=truecolor"
