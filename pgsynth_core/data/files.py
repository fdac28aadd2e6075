"""Files of a dataset: pictures, label maps, and paths that may not leave the dataset's folder.

Whatever is wrong with a file becomes a `DataError` that names it; no decoder's own error comes through.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngImageFile, PngInfo

from pgsynth_core.data.labels import label_set_of, voc_palette
from pgsynth_core.data.records import BadRecord, DataError, Image, LabelMap

__all__ = [
    "PARSING_SUFFIX",
    "POSE_SUFFIX",
    "Listing",
    "beside",
    "image_size",
    "inside",
    "read_image",
    "read_label_map",
    "read_labels",
    "said_label_set",
    "unread",
    "write_label_map",
]

POSE_SUFFIX = ".pose.json"
PARSING_SUFFIX = ".parsing.png"
"""What lies beside ``NAME.jpg`` is ``NAME`` and one of these."""

_LONGEST = 255
"""Bytes of a file's name, on every common file system."""

_SINGLE_CHANNEL = ("P", "L", "1")

_FROM_BYTES: Final = ("JPEG", "PNG", "WEBP")
"""What is decoded of bytes, which may come from anywhere; for some other formats Pillow calls other programs."""


def inside(root: Path, given: str) -> Path:
    """The path that a table of a dataset names, held inside the dataset's folder.

    The rule is about the text alone: a link that the owner of the folder put there may lead anywhere.

    Args:
        root: The dataset's folder.
        given: A path relative to it, with forward slashes.

    Raises:
        ValueError: If it is empty, absolute, or has a part ``..``; the message is a reason for a `BadRecord`.
    """
    if not given.strip() or "\0" in given:
        raise ValueError(f"the path {given!r} is empty; write one relative to the dataset's folder.")
    if any(len(part.encode()) > _LONGEST for part in PurePosixPath(given).parts):
        raise ValueError(f"the path {given[:40]!r}... has a part longer than file names can be.")
    if PurePosixPath(given).is_absolute() or PureWindowsPath(given).drive or given.startswith("\\"):
        raise ValueError(f"the path {given!r} is absolute; paths are relative to the dataset's folder.")
    if ".." in PurePosixPath(given).parts or ".." in PureWindowsPath(given).parts:
        raise ValueError(f"the path {given!r} leads upwards; paths stay in the dataset's folder, without '..'.")
    return root / given


def beside(image: str, suffix: str) -> str:
    """The file beside a photo: ``folder/NAME.jpg`` and `suffix` give ``folder/NAME.pose.json``."""
    return without_suffix(image) + suffix


def without_suffix(path: str) -> str:
    """``folder/NAME`` of ``folder/NAME.jpg``; plain text, for a hundred thousand of them."""
    head, dot, suffix = path.rpartition(".")
    return head if dot and "/" not in suffix and head and not head.endswith("/") else path


class Listing:
    """Which files lie below a folder. Each of its folders is listed once, when it is first asked about.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, frozenset[str]] = {}

    def has(self, path: str) -> bool:
        """Whether there is a file of that path, relative to the root and with forward slashes."""
        folder, _, name = path.rpartition("/")
        if folder not in self._names:
            self._names[folder] = _files_in(self.root / folder)
        # A disk that ignores case, or spells an accent otherwise, knows a file by names that it does not list.
        return name in self._names[folder] or (self.root / path).is_file()


def _files_in(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except OSError:  # no such folder, or none that may be listed
        return frozenset()


MOST_PIXELS: Final = 2**26
"""Of a picture, 8192 by 8192: a file of some kilobytes may claim more than the memory holds."""


@contextmanager
def _decoding(path: Path | bytes, shown: str) -> Iterator[Pillow.Image]:
    """The decoded picture; whatever goes wrong from here on is said of the file."""
    held = isinstance(path, bytes)
    named = shown or ("a picture" if held else str(path))
    try:
        with (
            Pillow.open(BytesIO(path), formats=_FROM_BYTES) if isinstance(path, bytes) else Pillow.open(path) as opened
        ):
            if opened.width * opened.height > MOST_PIXELS:
                size = _by((opened.height, opened.width))
                raise ValueError(f"it is {size} pixels, height by width; at most {MOST_PIXELS:,} are read")
            opened.load()
            yield opened
    except FileNotFoundError:
        raise DataError.of(BadRecord(named, 0, "there is no such file.", "missing")) from None
    except Exception as failure:  # a damaged file makes decoders raise anything, SyntaxError and struct.error included
        raise DataError.of(
            BadRecord(named, 0, f"it cannot be read: {unread(failure, path)}.", "unreadable")
        ) from failure


def unread(failure: Exception, picture: Path | bytes) -> str:
    """Why a picture cannot be read, in the same words each time: Pillow's hold the place of an object in memory."""
    if isinstance(failure, Pillow.DecompressionBombError):  # that a photo is an attack would be said too soon
        return f"it has more than {MOST_PIXELS:,} pixels, the most that are read"
    if isinstance(failure, UnidentifiedImageError):
        if isinstance(picture, bytes):
            return f"it is none of {', '.join(_FROM_BYTES)}"
        with suppress(OSError):
            if not picture.stat().st_size:
                return "the file is empty"
        return "no picture that can be read"
    return str(getattr(failure, "strerror", None) or failure).rstrip(".") or type(failure).__name__


def read_image(path: Path | bytes, *, shown: str = "", managed: bool = False) -> Image:
    """A photo as RGB, turned upright as its EXIF says; transparency is laid over white.

    Args:
        path: JPEG, PNG or whatever Pillow reads; or what is in such a file: JPEG, PNG or WebP. Of an animation its
            first picture.
        shown: How messages call it; the path if empty.
        managed: Colours of another space than sRGB are brought there, as a telephone's Display P3 or a printer's CMYK.
            Without, numbers stay as they are stored, as everybody trains and scores.

    Raises:
        DataError: If it is missing, truncated, no picture, or has more than 8 bits a channel or `MOST_PIXELS` pixels.
    """
    with _decoding(path, shown) as opened:
        return as_rgb(opened, managed=managed)


_ORIENTATION: Final = 274
_LYING: Final = (5, 6, 7, 8)
"""EXIF orientations that turn a picture by a right angle."""


def image_size(path: Path) -> tuple[int, int] | None:
    """(height, width) that `read_image` gives, by the file's head alone; None if there is no picture that it reads."""
    try:
        with Pillow.open(path) as opened:
            width, height = opened.size
            # Pillow decodes a whole PNG to look behind its pixels for what is almost never there.
            bare = opened.format == "PNG" and "exif" not in opened.info
            lying = not bare and opened.getexif().get(_ORIENTATION) in _LYING
    except Exception:  # noqa: BLE001 - a damaged file makes decoders raise anything
        return None
    if width * height > MOST_PIXELS:
        return None
    return (width, height) if lying else (height, width)


def said_label_set(path: str | Path | bytes) -> str | None:
    """The label set that a PNG names in its text chunk; empty if none, None if it cannot be read."""
    try:
        with Pillow.open(BytesIO(path) if isinstance(path, bytes) else path) as opened:
            return str(opened.info.get("label_set", ""))
    except Exception:  # noqa: BLE001 - as above; and of a picture that is too large, Pillow's own error
        return None


def as_rgb(picture: Pillow.Image, *, managed: bool = False) -> Image:
    """A Pillow picture as uint8 RGB [H, W, 3], turned upright as its EXIF says; transparency is laid over white.

    Args:
        picture: Of any mode of 8 bits a channel.
        managed: As of `read_image`.

    Raises:
        ValueError: If it has more than 8 bits a channel.
    """
    if picture.mode.startswith(("I", "F")):
        raise ValueError(f"pixels of mode {picture.mode} have more than 8 bits a channel; save it as 8-bit RGB")
    upright = ImageOps.exif_transpose(picture)
    if managed:
        upright = _in_srgb(upright)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        upright = Pillow.alpha_composite(Pillow.new("RGBA", layer.size, "white"), layer)
    return np.array(upright.convert("RGB"))


def _in_srgb(picture: Pillow.Image) -> Pillow.Image:
    """The picture in sRGB, by the profile in its file; as it is without one, or where that is damaged."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    mode = picture.mode if picture.mode == "RGBA" else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        moved = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture
    return moved or picture


def read_label_map(
    path: Path | bytes, *, label_set: str, size: tuple[int, int] | None = None, shown: str = ""
) -> LabelMap:
    """A label map: a picture of one channel whose values are labels.

    Args:
        path: A PNG, mode P (indices) or L, or what is in it. Its text chunk ``label_set`` says which set the labels
            are of.
        label_set: The set that is wanted, and that is meant where the file does not say.
        size: (height, width) of the photo it is a map of; None if any size will do.
        shown: How messages call it; the path if empty.

    Raises:
        DataError: If it is missing or unreadable, not of one channel, of another label set or size, or holds a value
            that is no label of the set.
    """
    return read_labels(path, label_set=label_set, size=size, shown=shown)[0]


def read_labels(
    path: Path | bytes, *, label_set: str, size: tuple[int, int] | None = None, shown: str = ""
) -> tuple[LabelMap, str]:
    """`read_label_map`, and the label set that the file itself says it is of: empty if it does not say."""
    known = label_set_of(label_set)
    with _decoding(path, shown) as opened:
        if opened.mode not in _SINGLE_CHANNEL:
            raise ValueError(f"a label map has one channel of labels (mode P or L); this one has mode {opened.mode}")
        parsing = np.array(opened, dtype=np.uint8)
        said = opened.text.get("label_set", "") if isinstance(opened, PngImageFile) else ""
        if said and str(said) != label_set:
            raise ValueError(f"its labels are of {said!s}, and the dataset's option label_set says {label_set}")
        if size not in (None, parsing.shape):
            raise ValueError(f"it is {_by(parsing.shape)}, and the photo is {_by(size or ())}, height by width")
        if (top := int(parsing.max())) >= len(known):
            row, column = np.argwhere(parsing == top)[0].tolist()
            message = f"{top} at row {row}, column {column} is no label of {label_set} (0 to {len(known) - 1})"
            raise ValueError(message)
        return parsing, str(said)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def write_label_map(path: str | Path | BytesIO, parsing: LabelMap, *, label_set: str) -> None:
    """Write a label map as PNG of mode P, in the usual colours, with its label set in the text chunk ``label_set``.

    Raises:
        ValueError: If there is no such label set.
        OSError: If the file cannot be written.
    """
    picture = Pillow.fromarray(parsing)
    picture.putpalette(voc_palette().tobytes())
    text = PngInfo()
    text.add_text("label_set", label_set_of(label_set).name)
    picture.save(path, format="PNG", pnginfo=text)
