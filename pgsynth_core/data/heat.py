"""Heat maps: numbers on a token grid laid over a picture, in colours that show equal steps as equal; with legends.

A figure is made of groups under a heading; a group holds blocks side by side, one a site: tiles, a legend with the
range, and a caption. Only Pillow and numpy are used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

__all__ = ["Bars", "Block", "Figure", "Maps", "colours", "overlay"]

Values = Float[np.ndarray, "h w"]
Tile = UInt8[np.ndarray, "_ _ 3"]

PAPER, INK, FAINT, RULE, BAR = (250, 250, 248), (40, 40, 40), (95, 95, 93), (200, 200, 196), (70, 110, 160)
GAP, PAD = 6, 22
WIDTH: Final = 1500
"""Pixels that a figure is wide at most, unless a single block is wider."""

SIDE, SMALL_SIDE, FEW = 176, 104, 4
"""Pixels of a map's longer side: of up to `FEW` maps in a block, and of more."""

LEAST_CELL: Final = 2
"""Pixels along a cell of a token grid at least."""

LEGEND_HEIGHT, LEGEND_WIDTH, LINE, BAR_ROW, BAR_WIDTH = 10, 96, 15, 17, 110
HEADING, TEXT = 15, 12
"""Pixels of letters."""

STRENGTH: Final = 0.7
"""How much of an overlay is heat; the rest is the picture in grey, of less contrast around a middle grey."""

MIDDLE, CONTRAST = 128.0, 0.5

_FROM_OKLAB: Final = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_LINEAR: Final = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def colours() -> UInt8[np.ndarray, "256 3"]:
    """256 colours from dark blue over red to light yellow: lightness rises evenly in OKLab (Ottosson, 2020)."""
    part = np.linspace(0, 1, 256)
    hue = np.radians(-85 + 190 * part)  # blue, violet, red, orange, yellow
    chroma = 0.06 + 0.10 * np.sin(np.pi * np.clip(0.12 + 0.76 * part, 0, 1))
    lab = np.stack([0.26 + 0.70 * part, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
    linear = np.clip((lab @ _FROM_OKLAB.T) ** 3 @ _TO_LINEAR.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: np.ndarray = np.round(255 * encoded).astype(np.uint8)
    return table


def overlay(values: Values, picture: Tile, *, low: float, high: float, size: tuple[int, int]) -> Tile:
    """A map over a picture: cells as squares of colour, the picture in grey behind them.

    Args:
        values: On a grid over the whole picture.
        picture: Of any size.
        low: Has the first colour.
        high: Has the last colour; if it equals `low`, everything has the first.
        size: (height, width) of the result in pixels.
    """
    scaled = np.zeros(values.shape) if high <= low else np.clip((values - low) / (high - low), 0, 1)
    cells = Pillow.fromarray(colours()[np.round(255 * scaled).astype(np.uint8)])
    heat = np.asarray(cells.resize(size[::-1], Pillow.Resampling.NEAREST), dtype=np.float64)
    grey = np.asarray(fitted(picture, size).convert("L"), dtype=np.float64)[..., None]
    return _mixed(heat, MIDDLE + CONTRAST * (grey - MIDDLE))


def _mixed(heat: np.ndarray, grey: np.ndarray | float) -> np.ndarray:
    mixed: np.ndarray = np.round(STRENGTH * heat + (1 - STRENGTH) * grey).astype(np.uint8)
    return mixed


def fitted(picture: Tile, size: tuple[int, int]) -> Pillow.Image:
    """A picture at (height, width) `size`: pixels kept where it grows, averaged where it shrinks."""
    grows = size[0] >= picture.shape[0]
    how = Pillow.Resampling.NEAREST if grows else Pillow.Resampling.BOX
    return Pillow.fromarray(np.ascontiguousarray(picture)).resize(size[::-1], how)


@dataclass(frozen=True)
class Maps:
    """Maps of one site that share a range.

    Attributes:
        values: One map per name.
        names: Written under the maps, if there are several.
        picture: What they lie over.
    """

    values: Float[np.ndarray, "n h w"]
    names: Sequence[str]
    picture: Tile

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value; 0 and 1 for a mask."""
        low, high = float(self.values.min()), float(self.values.max())
        return (0.0, 1.0) if set(np.unique(self.values)) <= {0.0, 1.0} else (low, high)

    def draw(self) -> Pillow.Image:
        """Tiles in rows, and the legend."""
        size, cell = self._sizes()
        count, under = len(self.names), LINE if len(self.names) > 1 else 0
        square = math.ceil(math.sqrt(count * (size[0] + under + GAP) / (cell + GAP)))
        columns = count if count <= FEW else min((square, square + 1, square - 1), key=lambda wide: -count % wide)
        columns = max(1, min(columns, (WIDTH - 2 * PAD + GAP) // (cell + GAP)))
        rows = math.ceil(count / columns)
        low, high = self.range
        block = _paper(
            max(columns * (cell + GAP) - GAP, _legend_width(low, high)),
            rows * (size[0] + under + GAP) + LEGEND_HEIGHT + LINE,
        )
        pen = ImageDraw.Draw(block)
        for number, (values, name) in enumerate(zip(self.values, self.names, strict=True)):
            left, top = number % columns * (cell + GAP), number // columns * (size[0] + under + GAP)
            tile = overlay(values, self.picture, low=low, high=high, size=size)
            block.paste(Pillow.fromarray(tile), (left + (cell - size[1]) // 2, top))
            if under:
                pen.text((left + cell / 2, top + size[0] + 1), _cut(name, cell), INK, font=_font(TEXT), anchor="ma")
        _legend(block, pen, low, high)
        return block

    def _sizes(self) -> tuple[tuple[int, int], int]:
        """(height, width) of a tile, and the width that it and its name need."""
        side = SIDE if len(self.names) <= FEW else SMALL_SIDE
        height, width = self.picture.shape[:2]
        h, w = self.values.shape[1:]
        scale = max(side / max(height, width), LEAST_CELL * h / height, LEAST_CELL * w / width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        named = max(_width(name, TEXT) for name in self.names) if len(self.names) > 1 else LEGEND_WIDTH
        return size, max(size[1], min(named + 4, 120))


@dataclass(frozen=True)
class Bars:
    """One number per name, as bars.

    Attributes:
        values: From 0 on; may be none.
        names: Beside the bars.
    """

    values: Float[np.ndarray, " n"]
    names: Sequence[str]

    def draw(self) -> Pillow.Image:
        """A row a name."""
        left = max((_width(name, TEXT) for name in self.names), default=0) + GAP
        block = _paper(left + BAR_WIDTH + 64, len(self.names) * BAR_ROW)
        pen = ImageDraw.Draw(block)
        high = float(self.values.max(initial=0.0))
        for number, (value, name) in enumerate(zip(self.values.tolist(), self.names, strict=True)):
            top = number * BAR_ROW
            pen.text((left - GAP, top + BAR_ROW / 2), name, INK, font=_font(TEXT), anchor="rm")
            length = round(BAR_WIDTH * max(value, 0.0) / high) if high else 0
            if length:
                pen.rectangle((left, top + 3, left + length, top + BAR_ROW - 4), fill=BAR)
            pen.text((left + length + 5, top + BAR_ROW / 2), _number(value), INK, font=_font(TEXT), anchor="lm")
        return block


@dataclass(frozen=True)
class Block:
    """What is shown of one site.

    Attributes:
        content: Its maps or bars.
        caption: Written under it, whole, on as many lines as it takes.
        note: Written under the caption; empty for none.
    """

    content: Maps | Bars
    caption: str
    note: str = ""

    def draw(self) -> Pillow.Image:
        """Content and caption."""
        drawn = self.content.draw()
        lines = [*_wrapped(self.caption, drawn.width), *_wrapped(self.note, drawn.width)]
        block = _paper(drawn.width, drawn.height + GAP + LINE * len(lines))
        block.paste(drawn, (0, 0))
        pen = ImageDraw.Draw(block)
        for number, line in enumerate(lines):
            pen.text((0, drawn.height + GAP + number * LINE), line, INK, font=_font(TEXT))
        return block


@dataclass(frozen=True)
class Figure:
    """Groups of blocks under headings.

    Attributes:
        title: Above all; several lines.
        groups: Heading -> blocks, side by side as far as there is room.
    """

    title: str
    groups: Sequence[tuple[str, Sequence[Block]]]

    def picture(self) -> Pillow.Image:
        """The figure as one RGB picture."""
        drawn = [(heading, [block.draw() for block in blocks]) for heading, blocks in self.groups]
        room = max([WIDTH - 2 * PAD, *(block.width for _, blocks in drawn for block in blocks)])
        rows = [(heading, [_row(row) for row in _rows(blocks, room)]) for heading, blocks in drawn]
        title = _text(self.title.splitlines(), room)
        wide = max([title.width, *(row.width for _, of_group in rows for row in of_group)])
        parts = [title, *(part for heading, of_group in rows for part in (_headed(heading, wide), *of_group))]
        width = max(part.width for part in parts) + 2 * PAD
        height = sum(part.height + GAP for part in parts) + 2 * PAD
        figure = _paper(width, height)
        top = PAD
        for part in parts:
            figure.paste(part, (PAD, top))
            top += part.height + GAP
        return figure


# ------------------------------------------------------------------------------------------- pieces
def _paper(width: int, height: int) -> Pillow.Image:
    return Pillow.new("RGB", (max(1, width), max(1, height)), PAPER)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    return math.ceil(_font(size).getlength(text))


def _number(value: float) -> str:
    return f"{value:.3g}"


def _cut(text: str, width: int) -> str:
    """The text, or as much of it as has room."""
    if _width(text, TEXT) <= width:
        return text
    while text and _width(f"{text}~", TEXT) > width:
        text = text[:-1]
    return f"{text}~"


def _wrapped(text: str, width: int, size: int = TEXT) -> Iterator[str]:
    """Lines that have room, broken behind spaces and the points and colons of a site's name."""
    line = ""
    for piece in re.findall(r"[^\s.:]*[\s.:]*", text):
        if line and _width(f"{line}{piece}".rstrip(), size) > width:
            yield line.rstrip()
            line = ""
        line += piece
    if line:
        yield line.rstrip()


def _legend_width(low: float, high: float) -> int:
    """Pixels that a legend needs for its numbers to stand apart."""
    return max(LEGEND_WIDTH, _width(_number(low), TEXT) + _width(_number(high), TEXT) + 2 * GAP)


def _legend(block: Pillow.Image, pen: ImageDraw.ImageDraw, low: float, high: float) -> None:
    """The colours from left to right at the bottom of a block, with the range under them."""
    least = _legend_width(low, high)
    width = min(block.width, max(least, block.width // 2), max(least, 2 * LEGEND_WIDTH))
    top = block.height - LEGEND_HEIGHT - LINE
    if high <= low:
        pen.text((0, top + 4), f"{_number(low)} everywhere", FAINT, font=_font(TEXT))
        return
    ramp = _mixed(colours()[None].astype(np.float64), MIDDLE)  # as it looks over a picture
    block.paste(Pillow.fromarray(ramp).resize((width, LEGEND_HEIGHT), Pillow.Resampling.NEAREST), (0, top))
    under = top + LEGEND_HEIGHT + 1
    pen.text((0, under), _number(low), FAINT, font=_font(TEXT))
    pen.text((width, under), _number(high), FAINT, font=_font(TEXT), anchor="ra")


def _text(lines: Sequence[str], width: int, *, above: int = 0) -> Pillow.Image:
    """Lines of text, wrapped."""
    wrapped = [part for text in lines for part in (list(_wrapped(text, width, HEADING)) or [""])]
    height = HEADING + 6
    part = _paper(max(_width(text, HEADING) for text in wrapped) + 2, height * len(wrapped) + above)
    pen = ImageDraw.Draw(part)
    for number, text in enumerate(wrapped):
        pen.text((0, above + number * height), text, INK, font=_font(HEADING))
    return part


def _headed(heading: str, width: int) -> Pillow.Image:
    """A heading under a rule that is as wide as what follows."""
    text = _text([heading], width, above=10)
    part = _paper(max(width, text.width), text.height)
    part.paste(text, (0, 0))
    ImageDraw.Draw(part).line((0, 3, part.width, 3), fill=RULE)
    return part


def _rows(blocks: Sequence[Pillow.Image], room: int) -> Iterator[list[Pillow.Image]]:
    row: list[Pillow.Image] = []
    for block in blocks:
        if row and sum(one.width + PAD for one in row) + block.width > room:
            yield row
            row = []
        row.append(block)
    if row:
        yield row


def _row(blocks: Sequence[Pillow.Image]) -> Pillow.Image:
    row = _paper(sum(block.width + PAD for block in blocks) - PAD, max(block.height for block in blocks) + PAD // 2)
    left = 0
    for block in blocks:
        row.paste(block, (left, 0))
        left += block.width + PAD
    return row
