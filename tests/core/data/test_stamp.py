"""Stamps: what a picture says of itself comes back, and no file makes reading fail, slow or large."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data.animation import ANIMATED
from pgsynth_core.data.stamp import gif_comment, stamp_of, stamped, xmp_packet

from ...fixtures.animations import animated

ABOUT: dict[str, Any] = {
    "pgsynth": "0.1",
    "run": "größe-🧍",
    "seed": 3,
    "ema": True,
    "sample": {"guidance": {"all": 2.0}, "steps": [1, 2]},
}
PICTURE = Image.fromarray(np.arange(9 * 7 * 3, dtype=np.uint8).reshape(9, 7, 3))


def chunk(kind: bytes, content: bytes, crc: int | None = None) -> bytes:
    """A chunk of a PNG."""
    right = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", right if crc is None else crc)


def with_chunk(path: Path, inserted: bytes) -> Path:
    """A picture with something between its header and its pixels."""
    plain = stamped(PICTURE, {})
    end = plain.index(b"iTXt") - 4
    path.write_bytes(plain[:end] + inserted + plain[plain.index(b"IDAT") - 4 :])
    return path


def itxt(said: bytes, *, flags: bytes = b"\0\0", keyword: bytes = b"pgsynth") -> bytes:
    """A text chunk."""
    return chunk(b"iTXt", keyword + b"\0" + flags + b"\0\0" + said)


def test_it_comes_back_and_the_pixels_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(stamped(PICTURE, ABOUT))
    assert stamp_of(path) == ABOUT
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(PICTURE))
        assert json.loads(opened.info["pgsynth"]) == ABOUT, "any reader of PNG finds it"


def test_others_chunks_are_passed_over(tmp_path: Path) -> None:
    others = itxt(b"{}", keyword=b"pgsynth2") + chunk(b"tEXt", b"pgsynth\0{}") + chunk(b"gAMA", b"\0\1\2\3")
    assert stamp_of(with_chunk(tmp_path / "a.png", others + itxt(b'{"seed": 1}'))) == {"seed": 1}
    packed = itxt(zlib.compress(b'{"seed": 2}'), flags=b"\1\0")
    assert stamp_of(with_chunk(tmp_path / "a.png", others + packed)) == {"seed": 2}


@pytest.mark.parametrize(
    "inserted",
    [
        b"",
        itxt(b"[1]"),
        itxt(b"{"),
        itxt(b"\xff"),
        itxt(b'{"seed": NaN}'),
        itxt(b'{"sample": {"x": [1, 1e999]}}'),
        itxt(b'{"seed": -1e999}'),
        itxt(b'{"a":' * 100_000),
        itxt(b"{}", flags=b"\1\0"),
        itxt(zlib.compress(b'{"seed": 1}')[:-6], flags=b"\1\0"),
        itxt(b"{}", flags=b"\2\0"),
        itxt(b"{}", flags=b"\1\7"),
        chunk(b"iTXt", b"pgsynth\0"),
        chunk(b"iTXt", b"pgsynth\0\0\0\0\0{}", crc=1),
        chunk(b"tEXt", b"") * 5000 + itxt(b"{}"),
    ],
)
def test_what_is_no_stamp_is_none(tmp_path: Path, inserted: bytes) -> None:
    assert stamp_of(with_chunk(tmp_path / "a.png", inserted)) is None


def test_files_that_are_no_png_or_end_early_have_none(tmp_path: Path) -> None:
    whole = stamped(PICTURE, ABOUT)
    path = tmp_path / "a.png"
    pixels = whole.index(b"IDAT") - 4
    for end in range(pixels):
        path.write_bytes(whole[:end])
        assert stamp_of(path) is None, end
    PICTURE.save(tmp_path / "a.jpg")
    assert stamp_of(tmp_path / "a.jpg") is None
    with pytest.raises(FileNotFoundError):
        stamp_of(tmp_path / "none.png")


def test_reading_stays_small_whatever_the_file_claims(tmp_path: Path) -> None:
    bomb = itxt(zlib.compress(b'{"a": "' + b"a" * 50_000_000 + b'"}', 9), flags=b"\1\0")
    path = with_chunk(tmp_path / "bomb.png", bomb)
    large = tmp_path / "large.png"
    with large.open("wb") as file:  # 2 GiB that no disk holds
        file.write(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31) + b"iTXtpgsynth\0\0\0\0\0")
        file.truncate(2**31 + 64)
    tracemalloc.start()
    try:
        assert stamp_of(path) is None and stamp_of(large) is None
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_what_no_json_holds_is_refused() -> None:
    for wrong, error in (
        ({"a": float("nan")}, ValueError),
        ({"a": Path()}, TypeError),
        ({"a": "x" * 2**20}, ValueError),
    ):
        with pytest.raises(error):
            stamped(PICTURE, wrong)


# ------------------------------------------------------------------------------------------- animations
def moving(suffix: str, **about: Any) -> bytes:
    """An animation of a few frames, with that for a stamp."""
    return animated([PICTURE.rotate(turn) for turn in (0, 180, 90, 0)], suffix, fps=8.0, about={**ABOUT, **about})


@pytest.mark.parametrize("suffix", ANIMATED)
def test_animations_have_stamps_too(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    odd = {"note": "a < b & c > d </pgsynth:stamp> ]]>", "long": "x" * 1000}
    path.write_bytes(moving(suffix, **odd))
    assert stamp_of(path) == {**ABOUT, **odd}
    with Image.open(path) as opened:
        kept = opened.info["xmp" if suffix == ".webp" else "comment"]
        assert getattr(opened, "n_frames", 1) == 4 and b'"seed": 3' in kept, "any reader finds it"
    path.write_bytes(animated([PICTURE], suffix, fps=8.0))
    assert stamp_of(path) is None


@pytest.mark.parametrize("suffix", ANIMATED)
def test_an_animation_that_ends_early_or_lies_has_no_stamp(tmp_path: Path, suffix: str) -> None:
    path, whole = tmp_path / f"a{suffix}", moving(suffix)
    last = whole.index(b"pgsynth") + 60
    for end in range(0, last, 3):
        path.write_bytes(whole[:end])
        assert stamp_of(path) is None, end
    for at in range(0, last, 3):
        path.write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        assert stamp_of(path) in (None, ABOUT), at
    for wrong in (b'"seed": 1e999', b'"seed": NaN  '):
        path.write_bytes(whole.replace(b'"seed": 3,', wrong[:9] + b"1e999,"[: len(wrong) - 9]))
        assert stamp_of(path) is None


@pytest.mark.parametrize("written", [gif_comment, xmp_packet])
def test_a_stamp_that_is_none_is_not_written_into_animations(written: Callable[[Any], bytes]) -> None:
    for wrong in ({"a": float("inf")}, {"a": "x" * 2**20}):
        with pytest.raises(ValueError, match=r"JSON compliant|larger than"):
            written(wrong)


def test_what_stands_behind_many_frames_is_found_and_endless_files_are_left(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    whole = animated([PICTURE], fps=8.0, about=ABOUT)
    begin, end = whole.index(b"ANMF"), whole.index(b"XMP ")
    path.write_bytes(whole[:begin] + whole[begin:end] * 5000 + whole[end:])
    assert stamp_of(path) == ABOUT
    gif = tmp_path / "a.gif"
    gif.write_bytes(b"GIF89a" + bytes(7) + b"!\xfe" + (b"\xff" + b"a" * 255) * 40_000)
    tracemalloc.start()
    try:
        assert stamp_of(gif) is None
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
