"""What is done to a picture before it is scored: a part is cut out of it, and it is brought to the protocol's size.

How a picture is resized moves scores more than many a method does, so each way is spelled out, and a result names it.
A picture that has the size already is taken as it is stored, by every way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation.versions import here, series
from pgsynth_core.metrics import Picture
from pgsynth_core.shipped import Resizing

__all__ = ["WHOLE", "Cut", "cut_of", "resize_id", "resized"]


@dataclass(frozen=True)
class Cut:
    """The columns of a picture that are the picture: of a strip of several side by side, or between margins.

    Attributes:
        rule: As written: ``I/N``, the I-th of N equal parts from the left; ``A:B``, columns A up to but without B; or
            empty for all.
    """

    rule: str = ""

    def of(self, picture: Picture) -> Picture:
        """What is cut out of a picture.

        Raises:
            ValueError: If the rule does not fit its width; the message says how.
        """
        low, high = self._columns(picture.shape[1])
        return picture[:, low:high]

    def width(self, width: int) -> int:
        """How many columns are cut out of so many; ValueError as `of`."""
        low, high = self._columns(width)
        return high - low

    def _columns(self, width: int) -> tuple[int, int]:
        if not self.rule:
            return 0, width
        first, sign, last = re.split("([/:])", self.rule)
        low, high = int(first), int(last)
        if sign == ":":
            if high > width:
                raise ValueError(f"it is {width} wide, and the cut {self.rule} wants columns up to {high}")
            return low, high
        if width % high:
            raise ValueError(f"it is {width} wide, and the cut {self.rule} wants {high} equal parts")
        part = width // high
        return (low - 1) * part, low * part


WHOLE: Final = Cut()


def cut_of(rule: str, *, where: str) -> Cut:
    """Read a rule.

    Args:
        rule: See `Cut`.
        where: What gave it, for messages.

    Raises:
        UserError: If it is none.
    """
    if not rule:
        return WHOLE
    found = re.fullmatch(r"([0-9]{1,6})([/:])([0-9]{1,6})", rule)
    if found:
        low, high = int(found[1]), int(found[3])
        if 1 <= low <= high if found[2] == "/" else low < high:
            return Cut(f"{low}{found[2]}{high}")
    raise UserError(
        f"{rule!r} is no cut.",
        where=where,
        cure="Write I/N for the I-th of N pictures side by side, e.g. 3/3, or A:B for columns A up to B, e.g. 40:216.",
    )


def resized(picture: Picture, size: tuple[int, int], way: Resizing) -> Picture:
    """A picture brought to a size.

    Args:
        picture: RGB.
        size: (height, width); the aspect is not kept.
        way: ``pillow-bicubic`` or ``torch-bicubic-truncated``.

    Raises:
        ValueError: If the size differs and the way is ``none``.
    """
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture
    if way == "none":
        raise ValueError(f"it is {height}x{width}, not {size[0]}x{size[1]}, and this protocol does not resize")
    return _WAYS[way](picture, size)


def _pillow_bicubic(picture: Picture, size: tuple[int, int]) -> Picture:
    """As torchvision's Resize does it on Pillow pictures: bicubic, support widened when shrinking, 8-bit result."""
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC))


def _torch_bicubic_truncated(picture: Picture, size: tuple[int, int]) -> Picture:
    """In float32 on [0, 1] by ``interpolate(bicubic, antialias)``; then times 255, clamped, the fraction dropped."""
    import torch  # only for who resizes so

    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    small = torch.nn.functional.interpolate(pixels, size, mode="bicubic", antialias=True)
    bytes_ = (small * 255.0).clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(bytes_[0].permute(1, 2, 0).numpy())


_WAYS: Final[Mapping[str, Callable[[Picture, tuple[int, int]], Picture]]] = {
    "pillow-bicubic": _pillow_bicubic,
    "torch-bicubic-truncated": _torch_bicubic_truncated,
}


def resize_id(way: Resizing) -> str:
    """A way with the release series of what computes it: ``pillow-bicubic/pillow-12.0``."""
    library = {"pillow-bicubic": "pillow", "torch-bicubic-truncated": "torch"}.get(way, "")
    return f"{way}/{library}-{series(here(library))}" if library else way
