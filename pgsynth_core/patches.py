"""How a whole photo becomes the input of a network that reads it in square patches. Floor 0; imports torch.

The libraries' own preparation cuts out the middle square, and with it the head and feet of everybody in a tall photo.
Here nothing is cut off: the photo keeps its shape, is framed, or is stretched.
"""

from __future__ import annotations

import math
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["PatchFit", "fit_patches"]

PatchFit = Literal["aspect", "pad", "squash"]
"""``aspect``: as many whole patches as the photo's shape asks for; ``pad``, ``squash``: the network's own square."""


def fit_patches(
    image: Float[Tensor, "B 3 H W"], *, fit: PatchFit, patch: int, side: int
) -> Float[Tensor, "B 3 rows columns"]:
    """The whole photo at a size that is a multiple of the patch.

    Reading: with ``aspect`` a photo that is larger than `side` x `side` pixels is brought to about as many, which is
        what a network trained on that square was made for; a smaller one is not enlarged, for it has no more to show.
        A side is stretched or squeezed by half a patch at most.

    Args:
        image: In whatever range the network takes; ``pad`` frames with zeros, the mean colour of a standardised range.
        fit: ``aspect``, ``pad`` (its shape kept, in the middle of a square) or ``squash`` (stretched to the square).
        patch: Side of a patch in pixels.
        side: Of the square the network was trained on, in pixels; taken to the nearest multiple of the patch.

    Returns:
        The photo, resampled bicubically with antialiasing; as it is if its size fits already.
    """
    height, width = image.shape[-2:]
    side = _whole(float(side), patch)
    if fit == "aspect":
        scale = min(1.0, side / math.sqrt(height * width))
        return _resized(image, (_whole(height * scale, patch), _whole(width * scale, patch)))
    if fit == "squash":
        return _resized(image, (side, side))
    scale = side / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    above, before = ((side - length) // 2 for length in inner)
    frame = (before, side - inner[1] - before, above, side - inner[0] - above)
    return F.pad(_resized(image, inner), frame)


def _whole(length: float, patch: int) -> int:
    """The nearest multiple of the patch, at least one."""
    return max(1, round(length / patch)) * patch


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size, mode="bicubic", antialias=True)
