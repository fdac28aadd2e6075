"""Stamps: how a picture was made, within its PNG file, as JSON in a text chunk (iTXt) named ``pgsynth``.

A stamp is read without decoding the picture, and without believing it: a file may come from anywhere, so what is no
sound stamp is none.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["is_sheet", "stamp_of", "stamped"]

_KEYWORD: Final = "pgsynth"
_MOST: Final = 2**20
"""Bytes of a stamp, both as it stands in the file and as JSON."""
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_BEGINS: Final = _KEYWORD.encode("ascii") + b"\0"
_CHUNKS: Final = 4096
"""Chunks of a file that are looked at; pictures have a handful before their pixels."""


def stamped(picture: Image, about: Mapping[str, Any]) -> bytes:
    """A picture as a PNG file that says how it was made.

    Args:
        picture: Of any mode that PNG has.
        about: What `json` knows: ``pgsynth`` (version), ``run``, ``step``, ``ema``, ``made_with`` (a command),
            ``source`` and ``pose`` (names), ``seed``, ``sample`` (settings), ``spec`` (resolved), ``lock``.

    Raises:
        TypeError: If something in it is none of JSON's types.
        ValueError: If a number is not finite, or it is more than a MiB.
    """
    said = json.dumps(about, allow_nan=False)
    if len(said) > _MOST:
        raise ValueError(f"a stamp of {len(said):,} bytes is larger than {_MOST:,}")
    text, held = PngInfo(), BytesIO()
    text.add_itxt(_KEYWORD, said, zip=True)
    picture.save(held, format="PNG", pnginfo=text)
    return held.getvalue()


def stamp_of(path: Path) -> Mapping[str, Any] | None:
    """How a picture was made, as its file says; None if it is no PNG, or has no sound stamp.

    Raises:
        OSError: If the system refuses to read the file.
    """
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return None
        content = _chunk(file)
    try:
        about = json.loads(_text(content), parse_constant=_no_number) if content else None
    except (ValueError, RecursionError, zlib.error):
        return None
    return about if isinstance(about, dict) else None


def is_sheet(path: Path) -> bool:
    """Whether a picture is a sheet of ours, to look at: it has the word in its name, and its stamp says so.

    Where folders are read, sheets in them are no photos and no poses.
    """
    if "sheet" not in path.name.lower() or path.suffix.lower() != ".png":
        return False
    try:
        about = stamp_of(path)
    except OSError:
        return False
    return about is not None and about.get("made_with") == "sheet"


def _chunk(file: BinaryIO) -> bytes:
    """The content of the stamp's chunk, which stands before the pixels; empty if there is none."""
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return b""
        (length,) = struct.unpack(">I", head[:4])
        begin = file.read(min(length, len(_BEGINS)))
        if head[4:] != b"iTXt" or begin != _BEGINS or length > _MOST:
            file.seek(length - len(begin) + 4, 1)
            continue
        content = begin + file.read(length - len(begin))
        (sum_,) = struct.unpack(">I", file.read(4).rjust(4, b"\0"))
        return content if zlib.crc32(head[4:] + content) == sum_ else b""
    return b""


def _text(content: bytes) -> str:
    """The text of an iTXt chunk: after the keyword two flags, then language and translation, each ended by a zero.

    Raises:
        ValueError: If it has another form, or is too long.
    """
    flags, rest = content[len(_BEGINS) :][:2], content[len(_BEGINS) + 2 :]
    _, _, data = rest.split(b"\0", 2)
    if flags == b"\1\0":
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(data, _MOST + 1)
        if len(data) > _MOST or not unpacking.eof:
            raise ValueError("it is too long, or ends too early")
    elif flags[:1] != b"\0":
        raise ValueError("it is packed in another way")
    return data.decode("utf-8")


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")
