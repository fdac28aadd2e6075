"""Stamps: how a picture was made, within its file, as JSON.

    PNG     a text chunk (iTXt) named ``pgsynth``
    WebP    XMP, whose property ``pgsynth:stamp`` it is; of animations
    GIF     a comment that begins with ``pgsynth``; of animations

A stamp is read without decoding the picture, and without believing it: a file may come from anywhere, so what is no
sound stamp is none.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["gif_comment", "is_sheet", "stamp_of", "stamped", "xmp_packet"]

_KEYWORD: Final = "pgsynth"
_MOST: Final = 2**20
"""Bytes of a stamp, both as it stands in the file and as JSON."""
_BEGINS: Final = _KEYWORD.encode("ascii") + b"\0"
_COMMENT: Final = _KEYWORD.encode("ascii") + b" "
_CHUNKS: Final = 4096
"""Chunks of a file that are looked at; pictures have a handful before their pixels."""
_FRAMES: Final = 2**17
"""Chunks of a WebP that are looked at: XMP stands behind all frames of an animation."""
_XMP_BEGINS: Final = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:pgsynth="urn:pgsynth:"><pgsynth:stamp>'
)
_XMP_ENDS: Final = b'</pgsynth:stamp></rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'


# ------------------------------------------------------------------------------------------- written
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
    text, held = PngInfo(), BytesIO()
    text.add_itxt(_KEYWORD, _said(about), zip=True)
    picture.save(held, format="PNG", pnginfo=text)
    return held.getvalue()


def xmp_packet(about: Mapping[str, Any]) -> bytes:
    """The XMP that says in a WebP how it was made.

    Raises:
        TypeError: As `stamped`.
        ValueError: As `stamped`.
    """
    return _XMP_BEGINS + _said(about).encode("ascii") + _XMP_ENDS


def gif_comment(about: Mapping[str, Any]) -> bytes:
    """The comment, a block of a GIF, that says how it was made.

    Raises:
        TypeError: As `stamped`.
        ValueError: As `stamped`.
    """
    said = _COMMENT + _said(about).encode("ascii")
    parts = [said[start : start + 255] for start in range(0, len(said), 255)]
    return b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _said(about: Mapping[str, Any]) -> str:
    """JSON in ASCII, without the letters that XML reads as its own."""
    said = json.dumps(about, allow_nan=False)
    for letter in "&<>":
        said = said.replace(letter, f"\\u{ord(letter):04x}")
    if len(said) > _MOST:
        raise ValueError(f"a stamp of {len(said):,} bytes is larger than {_MOST:,}")
    return said


# ------------------------------------------------------------------------------------------- read
def stamp_of(path: Path) -> Mapping[str, Any] | None:
    """How a picture was made, as its file says; None if it is no PNG, WebP or GIF, or has no sound stamp.

    Raises:
        OSError: If the system refuses to read the file.
    """
    with path.open("rb") as file:
        begin = file.read(12)
        form = next((form for form in _FORMS if begin.startswith(form)), None)
        if form is None:
            return None
        try:
            said = _FORMS[form](file)
            about = json.loads(said, parse_constant=_finite, parse_float=_finite) if said else None
        except (ValueError, RecursionError, zlib.error, struct.error):
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


def _in_png(file: BinaryIO) -> str:
    """What the stamp's chunk says, which stands before the pixels; empty if there is none."""
    file.seek(8)
    for _ in range(_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return ""
        (length,) = struct.unpack(">I", head[:4])
        begin = file.read(min(length, len(_BEGINS)))
        if head[4:] != b"iTXt" or begin != _BEGINS or length > _MOST:
            file.seek(length - len(begin) + 4, 1)
            continue
        content = begin + file.read(length - len(begin))
        (sum_,) = struct.unpack(">I", file.read(4))
        return _text(content) if zlib.crc32(head[4:] + content) == sum_ else ""
    return ""


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


def _in_webp(file: BinaryIO) -> str:
    """What the stamp in the file's XMP says; empty if there is none."""
    for _ in range(_FRAMES):
        head = file.read(8)
        if len(head) < 8:
            return ""
        (length,) = struct.unpack("<I", head[4:])
        if head[:4] == b"XMP " and length <= _MOST + len(_XMP_BEGINS) + len(_XMP_ENDS):
            packet = file.read(length)
            whole = packet.startswith(_XMP_BEGINS) and packet.endswith(_XMP_ENDS)
            return packet[len(_XMP_BEGINS) : -len(_XMP_ENDS)].decode("ascii") if whole else ""
        file.seek(length + length % 2, 1)
    return ""


def _in_gif(file: BinaryIO) -> str:
    """What the stamp in a comment before the first frame says; empty if there is none."""
    file.seek(10)
    (flags,) = file.read(1)
    file.seek(2 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 1)  # the colours of all frames
    for _ in range(_CHUNKS):
        kind = file.read(2)
        if kind[:1] != b"!":
            return ""
        content = _blocks(file)
        if kind == b"!\xfe" and content.startswith(_COMMENT):
            return content[len(_COMMENT) :].decode("ascii")
    return ""


def _blocks(file: BinaryIO) -> bytes:
    """The content of an extension of a GIF.

    Raises:
        ValueError: If it is too long, or the file ends in it.
    """
    held = bytearray()
    while len(held) <= _MOST + len(_COMMENT):
        size = file.read(1)
        part = file.read(size[0] if size else 0)
        if not size or len(part) < size[0]:
            raise ValueError("it ends too early")
        if not part:
            return bytes(held)
        held += part
    raise ValueError("it is too long")


def _finite(word: str) -> float:
    """A number of JSON, of which ``1e999`` is none that can be written again.

    Raises:
        ValueError: If it is not finite.
    """
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word} is no number that is finite")
    return value


_FORMS: Final[Mapping[bytes, Callable[[BinaryIO], str]]] = {
    b"\x89PNG\r\n\x1a\n": _in_png,
    b"RIFF": _in_webp,
    b"GIF89a": _in_gif,
}
