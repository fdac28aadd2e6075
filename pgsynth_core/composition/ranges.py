"""Value ranges: the data path keeps images in [-1, 1] and core hands each encoder the range its manifest asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

Image = Float[Tensor, "*batch 3 H W"]

IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP: Final = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def _standardised(image: Image, statistics: tuple[tuple[float, ...], tuple[float, ...]]) -> Image:
    """Channel by channel, with numbers: a tensor of them, made on the host, would be waited for in each step."""
    channels = zip(image.unbind(-3), *statistics, strict=True)
    return torch.stack([((channel + 1) / 2 - mean) / deviation for channel, mean, deviation in channels], dim=-3)


_FROM_SIGNED: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "any": lambda image: image,
    "[-1,1]": lambda image: image,
    "[0,1]": lambda image: (image + 1) / 2,
    "imagenet": lambda image: _standardised(image, IMAGENET),
    "clip": lambda image: _standardised(image, CLIP),
}


def to_range(image: Float[Tensor, "*batch 3 H W"], wanted: str) -> Float[Tensor, "*batch 3 H W"]:
    """An image of [-1, 1] in another range.

    Args:
        image: RGB.
        wanted: ``any``, ``[-1,1]``, ``[0,1]``, ``imagenet`` or ``clip`` (that data set's mean and deviation).
    """
    return _FROM_SIGNED[wanted](image)
