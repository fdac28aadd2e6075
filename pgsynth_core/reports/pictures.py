"""Pictures within the page: read, made no larger than a page needs, encoded, counted; and error maps.

Small pictures stay what they are, pixel by pixel; larger ones become WebP of high quality. What cannot be read is
named, and the page is made all the same.
"""

from __future__ import annotations

import base64
import io
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image as Pillow

from pgsynth_core.data import read_image
from pgsynth_core.data.heat import colours
from pgsynth_core.data.records import DataError
from pgsynth_core.reports.markup import Markup, element

__all__ = ["LEVELS", "LEVELS_SUM", "MOST_BYTES", "Album", "Level", "beside_each_other", "coloured", "deviation"]

T = TypeVar("T")
S = TypeVar("S")
Picture = UInt8[np.ndarray, "_ _ 3"]
Deviation = UInt16[np.ndarray, "_ _"]

MOST_BYTES: Final = 50_000_000
"""Of the pictures of a page, as they stand in it."""
LEVELS_SUM: Final = 3 * 255
"""The largest `deviation`."""
_PARTS: Final = 5
"""Of a path that are named: the run's folder, and what lies in it."""
_SMALL: Final = 160
"""Pixels of the longer side up to which a picture is kept to the bit, and shown pixel by pixel."""


@dataclass(frozen=True)
class Level:
    """How large pictures are made: pixels of the longer side at most, and WebP's quality."""

    side: int
    quality: int


LEVELS: Final = (Level(512, 88), Level(352, 82), Level(256, 75))
"""From the best to the smallest."""


@dataclass
class Album:
    """The pictures of one page.

    Attributes:
        most: Bytes they may have together.
        bytes: That they have.
        count: How many.
        problems: What could not be read, a sentence each.
    """

    most: int = MOST_BYTES
    bytes: int = 0
    count: int = 0
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, file: Path) -> Picture | str:
        """A picture, or in a few words why there is none, which is then among the problems."""
        try:
            return read_image(file)
        except DataError as error:
            reason = error.problems[0].message if error.problems else str(error)
        except (OSError, ValueError, MemoryError) as error:
            reason = str(error)
        reason = reason.removeprefix("it cannot be read: ")
        with self._lock:
            self.problems.append(f"{'/'.join(file.parts[-_PARTS:])} cannot be read: {reason}")
        return "cannot be read"

    def shown(self, picture: Picture | str, alt: str, level: Level = LEVELS[0], *, zoom: bool = True) -> Markup:
        """A picture to look at; the words, where there is none.

        Args:
            picture: Or why there is none.
            alt: What it shows.
            level: How large it may be.
            zoom: Whether it can be enlarged.
        """
        if isinstance(picture, str):
            return element("div", picture, class_="none", role="img", aria_label=f"{alt}: {picture}")
        made = _fitted(picture, level.side)
        small = max(picture.shape[:2]) <= _SMALL
        kind, content = _encoded(made, level.quality, exact=small)
        source = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
        with self._lock:
            self.bytes += len(source)
            self.count += 1
        image = _image(source, alt, made.size, small=small)
        return element("button", image, type="button", class_="zoom") if zoom else image

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return self.bytes >= self.most


def _image(source: str, alt: str, size: tuple[int, int], *, small: bool) -> Markup:
    width, height = size
    more = {"loading": "lazy", "decoding": "async", "class_": "small" if small else None}
    return element("img", src=source, alt=alt, width=width, height=height, **more)


def _fitted(picture: Picture, side: int) -> Pillow.Image:
    made = Pillow.fromarray(np.ascontiguousarray(picture))
    if max(made.size) <= side:
        return made
    part = side / max(made.size)
    size = max(1, round(made.width * part)), max(1, round(made.height * part))
    return made.resize(size, Pillow.Resampling.LANCZOS)


def _encoded(picture: Pillow.Image, quality: int, *, exact: bool) -> tuple[str, bytes]:
    held = io.BytesIO()
    if exact:
        picture.save(held, "PNG")
        return "png", held.getvalue()
    try:
        picture.save(held, "WEBP", quality=quality, method=1)
        return "webp", held.getvalue()
    except (KeyError, OSError):  # a Pillow that was built without it
        held = io.BytesIO()
        picture.save(held, "JPEG", quality=quality, subsampling=0)
        return "jpeg", held.getvalue()


def beside_each_other(work: Callable[[S], T], some: Iterable[S]) -> list[T]:
    """The work done for each, in order, on all cores: decoders and encoders hold up no other thread."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as several:
        return list(several.map(work, some))


# ------------------------------------------------------------------------------------------- error maps
def deviation(output: Picture, target: Picture) -> Deviation:
    """How far each pixel is from the target: the sum over red, green and blue of |output - target|, 0 to 765."""
    apart: Deviation = np.abs(output.astype(np.int16) - target).sum(axis=2, dtype=np.uint16)
    return apart


def coloured(apart: Deviation, most: float) -> Picture:
    """An error map: `data.heat.colours` from no deviation to `most`, a share of the largest; above, the last colour."""
    scaled = np.clip(apart / (most * LEVELS_SUM), 0, 1)
    return colours()[np.round(255 * scaled).astype(np.uint8)]
