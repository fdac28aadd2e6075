"""Animated files of pictures: WebP, which keeps every pixel, or GIF, which has 256 colours."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Final

from PIL.Image import Image

__all__ = ["ANIMATED", "animated"]

ANIMATED: Final = {".webp": "WEBP", ".gif": "GIF"}
"""Endings of animated files, and Pillow's names of their formats."""


def animated(frames: Iterable[Image], suffix: str = ".webp", *, fps: float) -> bytes:
    """An animated file that plays frames forever.

    Args:
        frames: One at least, of one size; taken one after the other.
        suffix: One of `ANIMATED`.
        fps: Frames a second.
    """
    rest, held = iter(frames), BytesIO()
    next(rest).save(
        held,
        format=ANIMATED[suffix],
        save_all=True,
        append_images=rest,
        duration=round(1000 / fps),
        loop=0,
        **({"lossless": True} if suffix == ".webp" else {}),
    )
    return held.getvalue()
