"""Animated files of pictures: WebP, which keeps every pixel, or GIF, which has 256 colours.

Pillow's own writers of animations hold all frames at once. Here each is written and let go before the next is taken:
Pillow writes it as a file of its own, whose picture is put into the animation. Both formats allow that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import Any, Final

from PIL import Image
from PIL.GifImagePlugin import getdata

from pgsynth_core.data.files import unread
from pgsynth_core.data.stamp import gif_comment, xmp_packet
from pgsynth_core.errors import UserError

__all__ = ["ANIMATED", "write_animation"]

ANIMATED: Final = (".webp", ".gif")
"""Endings of animated files."""

_LARGEST: Final = 2**32 - 2
"""Bytes that a WebP says it has, at most."""


def write_animation(
    file: BufferedIOBase,
    frames: Iterable[Image.Image | Path],
    suffix: str = ".webp",
    *,
    fps: float,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write an animation that plays forever, one frame after the other: however many there are, one is held.

    Args:
        file: Where to; it can seek.
        frames: One at least, of one size: pictures, or files of them, each opened when its turn comes.
        suffix: One of `ANIMATED`.
        fps: Frames a second.
        about: How it was made, which becomes its stamp, see `data.stamp`; None for no stamp.

    Raises:
        UserError: If a frame's file cannot be read, or a WebP becomes larger than 4 GiB.
        ValueError: If there is no frame, or they are of several sizes.
    """
    write: Callable[..., None] = {".webp": _write_webp, ".gif": _write_gif}[suffix]
    write(file, _opened(frames), round(1000 / fps), about)


def _opened(frames: Iterable[Image.Image | Path]) -> Iterator[Image.Image]:
    size = None
    for frame in frames:
        picture = _read(frame) if isinstance(frame, Path) else frame.convert("RGB")
        if size not in (None, picture.size):
            raise ValueError(f"all frames are of one size; there are {size} and {picture.size}")
        size = picture.size
        yield picture
    if size is None:
        raise ValueError("an animation has one frame at least")


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except (OSError, SyntaxError) as error:
        message = f"this frame of an animation cannot be read: {unread(error, path)}."
        raise UserError(message, where=str(path), cure="The other frames stand beside it.") from error


# ------------------------------------------------------------------------------------------- WebP
def _write_webp(
    file: BufferedIOBase, frames: Iterator[Image.Image], duration: int, about: Mapping[str, Any] | None
) -> None:
    """Its form: https://developers.google.com/speed/webp/docs/riff_container."""
    begin, first = file.tell(), next(frames)
    canvas = _three(first.width - 1) + _three(first.height - 1)
    file.write(b"RIFF\0\0\0\0WEBP")
    flags = 0x02 | (0x04 if about is not None else 0)  # it moves; there is XMP
    file.write(_chunk(b"VP8X", struct.pack("<I", flags) + canvas))
    file.write(_chunk(b"ANIM", bytes(6)))  # on black, forever
    for frame in _first_and(first, frames):
        held = BytesIO()
        frame.save(held, format="WEBP", lossless=True)
        place = bytes(6) + canvas + _three(duration) + b"\x02"  # at the corner, all of it, in place of what was there
        file.write(_chunk(b"ANMF", place + _picture_of(held.getvalue())))
        _require_room(file, begin)
    if about is not None:
        file.write(_chunk(b"XMP ", xmp_packet(about)))
        _require_room(file, begin)
    end = file.tell()
    file.seek(begin + 4)
    file.write(struct.pack("<I", end - begin - 8))
    file.seek(end)


def _require_room(file: BufferedIOBase, begin: int) -> None:
    if file.tell() - begin > _LARGEST:
        cure = "The frames are there, each as a picture of its own; a tool for video takes them as they are."
        raise UserError("an animation cannot be larger than 4 GiB.", where="animation", cure=cure)


def _picture_of(file: bytes) -> bytes:
    """Of a WebP file the chunks that hold its pixels."""
    at, found = 12, []
    while at + 8 <= len(file):
        (length,) = struct.unpack_from("<I", file, at + 4)
        end = at + 8 + length + length % 2
        if file[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            found.append(file[at:end])
        at = end
    return b"".join(found)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _three(number: int) -> bytes:
    return struct.pack("<I", number)[:3]


# ------------------------------------------------------------------------------------------- GIF
def _write_gif(
    file: BufferedIOBase, frames: Iterator[Image.Image], duration: int, about: Mapping[str, Any] | None
) -> None:
    """Its form: https://www.w3.org/Graphics/GIF/spec-gif89a.txt; each frame with its own colours."""
    first = next(frames)
    file.write(b"GIF89a" + struct.pack("<HHBBB", first.width, first.height, 0x70, 0, 0))
    file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # forever
    if about is not None:
        file.write(gif_comment(about))
    for frame in _first_and(first, frames):
        colours = frame.convert("P", palette=Image.Palette.ADAPTIVE)
        file.writelines(getdata(colours, duration=duration, include_color_table=True))
    file.write(b";")


def _first_and(first: Image.Image, rest: Iterator[Image.Image]) -> Iterator[Image.Image]:
    yield first
    yield from rest
