"""How a whole photo becomes the input of a network that reads it in square patches. Floor 0; imports torch.

The libraries' own preparation cuts out the middle square, and with it the head and feet of everybody in a tall photo.
Here nothing is cut off: the photo keeps its shape, is framed, or is stretched. Which patch shows which part of the
photo is known, for whoever asks where a network looks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["PatchFit", "fit_patches", "patch_places", "spread"]

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
    placed = _placed((image.shape[-2], image.shape[-1]), fit=fit, patch=patch, side=side)
    resized = _resized(image, placed.inner)
    if placed.whole == placed.inner:
        return resized
    (above, left), (height, width) = placed.before, placed.whole
    frame = (left, width - placed.inner[1] - left, above, height - placed.inner[0] - above)
    return F.pad(resized, frame)


def patch_places(size: tuple[int, int], *, fit: PatchFit, patch: int, side: int) -> Float[Tensor, "N h w"]:
    """Which part of the photo each patch of `fit_patches` shows, for `Encoder.places`.

    Args:
        size: (height, width) of the photo in pixels.
        fit: As `fit_patches` was told.
        patch: Side of a patch in pixels.
        side: Of the square the network was trained on, in pixels.

    Returns:
        Of each patch, in row order, its share of each cell of a grid over the photo, with cells about as large as
        patches: its sum is 1, or 0 for a patch that shows nothing but the frame.
    """
    placed = _placed(size, fit=fit, patch=patch, side=side)
    rows, columns = (
        _overlaps(whole // patch, patch, before=before, length=inner, cells=max(1, round(inner / patch)))
        for whole, inner, before in zip(placed.whole, placed.inner, placed.before, strict=True)
    )
    return torch.einsum("ih,jw->ijhw", rows, columns).flatten(0, 1).float()


def spread(maps: Float[Tensor, "*maps h w"], grid: tuple[int, int]) -> Float[Tensor, "*maps rows columns"]:
    """Maps of shares brought to another grid over the same picture: what a cell holds is spread evenly over its area.

    Args:
        maps: On grids of cells of one size, over the whole picture.
        grid: (rows, columns) that are wanted.

    Returns:
        Maps of the same sums.
    """
    rows, columns = (
        _overlaps(count, 1, before=0, length=count, cells=cells).to(maps)
        for count, cells in zip(maps.shape[-2:], grid, strict=True)
    )
    return rows.transpose(0, 1) @ maps @ columns


def _overlaps(count: int, step: int, *, before: int, length: int, cells: int) -> Float[Tensor, "{count} {cells}"]:
    """How intervals in a row share themselves out over the cells of a line; in whole numbers, so that none leaks.

    Args:
        count: Of the intervals.
        step: Length of each.
        before: How much of them lies before the line begins.
        length: Of the line.
        cells: Into how many equal parts it is cut.
    """
    start = ((torch.arange(count) * step - before) * cells).unsqueeze(1)
    low = torch.arange(cells) * length
    shared = (torch.minimum(start + step * cells, low + length) - torch.maximum(start, low)).clamp(min=0)
    return shared.double() / shared.sum(1, keepdim=True).clamp(min=1)


@dataclass(frozen=True)
class _Placed:
    """How a photo lies in what a network sees of it; (height, width) in pixels each.

    Attributes:
        whole: What the network sees.
        inner: The photo in it.
        before: What lies above and left of the photo.
    """

    whole: tuple[int, int]
    inner: tuple[int, int]
    before: tuple[int, int] = (0, 0)


def _placed(size: tuple[int, int], *, fit: PatchFit, patch: int, side: int) -> _Placed:
    height, width = size
    side = _whole(float(side), patch)
    if fit == "aspect":
        scale = min(1.0, side / math.sqrt(height * width))
        whole = _whole(height * scale, patch), _whole(width * scale, patch)
        return _Placed(whole, whole)
    if fit == "squash":
        return _Placed((side, side), (side, side))
    scale = side / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    return _Placed((side, side), inner, ((side - inner[0]) // 2, (side - inner[1]) // 2))


def _whole(length: float, patch: int) -> int:
    """The nearest multiple of the patch, at least one."""
    return max(1, round(length / patch)) * patch


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[-2:]) == size:
        return image
    return F.interpolate(image, size, mode="bicubic", antialias=True)
