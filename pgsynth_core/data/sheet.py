"""Contact sheets: rows of pictures side by side under headings, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

__all__ = ["Sheet"]

Tile = UInt8[np.ndarray, "_ _ 3"]
"""RGB; each of a sheet's tiles has its own size."""

TILE_HEIGHT = 192
"""Pixels a tile is brought to at least, by whole factors, so that small pictures keep their pixels."""

GAP, HEADING_HEIGHT, FONT_SIZE = 6, 24, 14
PAPER, INK = (250, 250, 248), (40, 40, 40)


@dataclass(frozen=True)
class Sheet:
    """A table of pictures.

    Attributes:
        headings: One per column.
        rows: Pictures, as many in a row as there are headings, each uint8 [H, W, 3]; sizes may differ.
        captions: One per row, written below it; empty for none.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Tile]]
    captions: Sequence[str] = field(default=())

    def picture(self) -> Pillow.Image:
        """The sheet as one RGB picture.

        Raises:
            ValueError: If there is no row, or a row does not have as many pictures as there are headings.
        """
        wrong = [number for number, row in enumerate(self.rows) if len(row) != len(self.headings)]
        if wrong or not self.rows:
            raise ValueError(
                f"a sheet has rows of {len(self.headings)} pictures; wrong rows: {wrong or 'there is none'}"
            )
        rows = [[_scaled(picture) for picture in row] for row in self.rows]
        widths = [max(row[column].width for row in rows) for column in range(len(self.headings))]
        below = HEADING_HEIGHT if self.captions else 0
        heights = [max(tile.height for tile in row) + below for row in rows]
        size = (sum(widths) + GAP * (len(widths) + 1), HEADING_HEIGHT + sum(heights) + GAP * (len(heights) + 1))
        sheet = Pillow.new("RGB", size, PAPER)
        pen = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(FONT_SIZE)
        lefts = [GAP + sum(widths[:column]) + GAP * column for column in range(len(widths))]
        for left, width, heading in zip(lefts, widths, self.headings, strict=True):
            pen.text((left + width / 2, HEADING_HEIGHT / 2 + 2), heading, INK, font=font, anchor="mm")
        top = HEADING_HEIGHT + GAP
        for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
            for left, tile in zip(lefts, row, strict=True):
                sheet.paste(tile, (left, top))
            if self.captions:
                middle = top + height - HEADING_HEIGHT / 2
                pen.text((GAP, middle), self.captions[number], INK, font=font, anchor="lm")
            top += height + GAP
        return sheet


def _scaled(picture: Tile) -> Pillow.Image:
    factor = max(1, round(TILE_HEIGHT / picture.shape[0]))
    tile = Pillow.fromarray(np.ascontiguousarray(picture))
    return tile.resize((tile.width * factor, tile.height * factor), Pillow.Resampling.NEAREST)
