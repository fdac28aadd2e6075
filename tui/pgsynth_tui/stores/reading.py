"""A picture file as 8-bit pixels, or the reason why not: whatever lies there, nothing is raised. No Textual.

Pictures are looked at while they are written, copied or removed, and come from anywhere: a file that ends too soon says
that it is being written as long as it is young, one that claims more pixels than the memory holds is refused before it
is decoded, and only formats are read for which Pillow calls no other program.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

__all__ = ["MOST_PIXELS", "Piece", "Unreadable", "read_picture", "stamp_of"]

MOST_PIXELS: Final = 2**26
"""Of a picture, 8192 by 8192, as wherever pgsynth reads one."""
FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
_YOUNG: Final = 10.0
"""Seconds since its last change for which a file that ends too soon is taken to be being written."""
_KEPT_SHEETS, _KEPT_PIXELS = 4, 2**23
"""Decoded sheets that are kept, and how large each may be."""
_CUT: Final = ("truncated", "broken png", "unexpected end", "eof", "end of file")
"""How Pillow words a file that ends too soon."""


@dataclass(frozen=True)
class Piece:
    """A picture, or a part of one.

    Attributes:
        path: The file.
        box: Left, top, right, bottom in its pixels; None for all of it.
        scale: How many times as large its pixels are drawn there; they are brought back to one.
    """

    path: Path
    box: tuple[int, int, int, int] | None = None
    scale: int = 1


@dataclass(frozen=True)
class Unreadable:
    """Why there is no picture.

    Attributes:
        reason: In a few words.
        writing: Whether it is being written: worth another look after a second.
    """

    reason: str
    writing: bool = False


def stamp_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file does; None if there is none."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return None
    return facts.st_mtime_ns, facts.st_size


def read_picture(piece: Piece) -> Pillow.Image | Unreadable:
    """Decode it: upright as its EXIF says, the first frame; RGB, or RGBA where anything shows through.

    More than 8 bits a channel are brought to 8: whole numbers from 16 bits, floats from their own range.
    """
    try:
        facts = os.stat(piece.path)
        if not stat.S_ISREG(facts.st_mode):
            return Unreadable("this is no file")
    except FileNotFoundError:
        return Unreadable("there is no such file")
    except (OSError, ValueError) as error:
        return Unreadable(_said(error))
    young = time.time() - facts.st_mtime < _YOUNG
    if piece.box and (sheet := _sheets.get((piece.path, facts.st_mtime_ns, facts.st_size))):
        return _cut(sheet, piece)
    if not facts.st_size:
        return Unreadable("being written", writing=True) if young else Unreadable("the file is empty")
    try:
        with Pillow.open(piece.path, formats=FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return Unreadable(f"{opened.width} x {opened.height} pixels; at most {MOST_PIXELS:,} are read")
            opened.load()
            picture = _eight_bit(ImageOps.exif_transpose(opened))
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning):
        return Unreadable(f"too many pixels; at most {MOST_PIXELS:,} are read")
    except UnidentifiedImageError:  # also of one whose head is not there yet
        return Unreadable("being written", writing=True) if young else Unreadable("no picture that can be read")
    except Exception as error:  # noqa: BLE001 - a damaged file makes decoders raise anything
        if not any(word in str(error).lower() for word in _CUT):
            return Unreadable(_said(error))
        return Unreadable("being written", writing=True) if young else Unreadable("the file ends too soon")
    if piece.box:
        _sheets.keep((piece.path, facts.st_mtime_ns, facts.st_size), picture)
    return _cut(picture, piece)


class _Sheets:
    """The last few pictures that something was cut from: of a sheet, some twenty pieces are shown."""

    def __init__(self) -> None:
        self._all: dict[object, Pillow.Image] = {}
        self._lock = threading.Lock()

    def get(self, key: object) -> Pillow.Image | None:
        with self._lock:
            return self._all.get(key)

    def keep(self, key: object, picture: Pillow.Image) -> None:
        if picture.width * picture.height > _KEPT_PIXELS:
            return
        with self._lock:
            self._all[key] = picture
            while len(self._all) > _KEPT_SHEETS:
                del self._all[next(iter(self._all))]


_sheets: Final = _Sheets()


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _eight_bit(picture: Pillow.Image) -> Pillow.Image:
    """As RGB, or RGBA where it has transparency."""
    if picture.mode.startswith("I"):
        whole = picture.convert("I")
        return whole.point(lambda value: value * (255 / 65535)).convert("L").convert("RGB")
    if picture.mode == "F":
        low, high = picture.getextrema()
        assert isinstance(low, float) and isinstance(high, float), "it has one channel"
        spread = (high - low) or 1.0
        return picture.point(lambda value: value * (255 / spread) - low * 255 / spread).convert("L").convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture.convert("RGB")


def _cut(picture: Pillow.Image, piece: Piece) -> Pillow.Image | Unreadable:
    if piece.box:
        left, top, right, bottom = piece.box
        if not (0 <= left < right <= picture.width and 0 <= top < bottom <= picture.height):
            return Unreadable(f"the sheet is only {picture.width} x {picture.height} pixels")
        picture = picture.crop(piece.box)
    if piece.scale > 1:
        size = max(1, picture.width // piece.scale), max(1, picture.height // piece.scale)
        picture = picture.resize(size, Pillow.Resampling.NEAREST)
    return picture
