"""Contact sheets: rows of pictures side by side under headings, and what the colours of label maps mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from pgsynth_core.data.labels import label_set_of, voc_palette
from pgsynth_core.data.records import LabelMap

__all__ = ["Sheet", "label_legend"]

Tile = UInt8[np.ndarray, "_ _ 3"]
"""RGB; each of a sheet's tiles has its own size."""

TILE_HEIGHT = 192
"""Pixels a tile is brought to at least, by whole factors, so that small pictures keep their pixels."""

GAP, HEADING_HEIGHT, FONT_SIZE = 6, 24, 14
TITLE_HEIGHT, TITLE_SIZE = 34, 20
PAPER, INK = (250, 250, 248), (40, 40, 40)
_SWATCH, _ROW, _LEGEND_WIDTH, _LEGEND_TEXT = 12, 18, 190, 12


@dataclass(frozen=True)
class Sheet:
    """A table of pictures.

    Attributes:
        headings: One per column.
        rows: Pictures, as many in a row as there are headings, each uint8 [H, W, 3]; sizes may differ.
        captions: One per row, written below it; or one per picture of the row, each cut to the picture's width; empty
            for none.
        title: Written above all, at the left; empty for none.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Tile]]
    captions: Sequence[str | Sequence[str]] = field(default=())
    title: str = ""

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
        above = TITLE_HEIGHT if self.title else 0
        height = above + HEADING_HEIGHT + sum(heights) + GAP * (len(heights) + 1)
        size = (sum(widths) + GAP * (len(widths) + 1), height)
        sheet = Pillow.new("RGB", size, PAPER)
        pen = ImageDraw.Draw(sheet)
        font = ImageFont.load_default(FONT_SIZE)
        pen.text((GAP, above / 2 + 2), self.title, INK, font=ImageFont.load_default(TITLE_SIZE), anchor="lm")
        lefts = [GAP + sum(widths[:column]) + GAP * column for column in range(len(widths))]
        for left, width, heading in zip(lefts, widths, self.headings, strict=True):
            pen.text((left + width / 2, above + HEADING_HEIGHT / 2 + 2), heading, INK, font=font, anchor="mm")
        top = above + HEADING_HEIGHT + GAP
        for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
            for left, tile in zip(lefts, row, strict=True):
                sheet.paste(tile, (left, top))
            if self.captions:
                said, middle = self.captions[number], top + height - HEADING_HEIGHT / 2
                texts = [said] if isinstance(said, str) else map(partial(_cut, font=font), said, widths)
                for left, text in zip(lefts, texts, strict=False):
                    pen.text((left, middle), text, INK, font=font, anchor="lm")
            top += height + GAP
        return sheet


def label_legend(parsing: LabelMap, label_set: str) -> Tile:
    """The labels that occur in a label map: the colour of each, its name and its share of the area."""
    names, palette = label_set_of(label_set).names, voc_palette()
    found, counts = np.unique(parsing, return_counts=True)
    legend = Pillow.new("RGB", (_LEGEND_WIDTH, max(TILE_HEIGHT, _ROW * len(found))), PAPER)
    pen, font = ImageDraw.Draw(legend), ImageFont.load_default(_LEGEND_TEXT)
    for row, (label, count) in enumerate(zip(found.tolist(), counts.tolist(), strict=True)):
        top = row * _ROW
        pen.rectangle((0, top + 2, _SWATCH, top + 2 + _SWATCH), fill=tuple(palette[label].tolist()))
        pen.text((_SWATCH + 6, top + _ROW / 2), names[label], INK, font=font, anchor="lm")
        share = f"{100 * count / parsing.size:.1f} %"
        pen.text((_LEGEND_WIDTH - 4, top + _ROW / 2), share, INK, font=font, anchor="rm")
    return np.asarray(legend)


def _cut(text: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """A text, or its beginning and end where it is wider than so many pixels: what differs is often the end."""
    keep = len(text)
    while keep > 2 and font.getlength(_shortened(text, keep)) > width:
        keep -= 1
    return _shortened(text, keep)


def _shortened(text: str, keep: int) -> str:
    return text if keep == len(text) else f"{text[: keep // 2]}...{text[len(text) - (keep - keep // 2) :]}"


def _scaled(picture: Tile) -> Pillow.Image:
    factor = max(1, round(TILE_HEIGHT / picture.shape[0]))
    tile = Pillow.fromarray(np.ascontiguousarray(picture))
    return tile.resize((tile.width * factor, tile.height * factor), Pillow.Resampling.NEAREST)
