"""Crops of the source's parsing regions: what an encoder of regions looks at."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image as Pillow

from pgsynth_core.data.fit import PADDING
from pgsynth_core.data.records import Image, LabelMap

__all__ = ["region_crops"]


def region_crops(image: Image, parsing: LabelMap, *, regions: int, side: int) -> UInt8[np.ndarray, "R side side 3"]:
    """One square crop per label.

    Reading: the paper (TruePose) does not say how regions are cropped. Here the smallest upright box around all pixels
    of the label is widened to a square about its middle, cut from the photo as it is stored with everything else that
    is in the box, and resized; beyond the photo's edge it is grey.

    Args:
        image: The photo.
        parsing: Its label map.
        regions: How many labels there are, background included.
        side: Of a crop, in pixels.

    Returns:
        The crops; all `PADDING` for a label that does not occur.
    """
    crops = np.full((regions, side, side, 3), PADDING, np.uint8)
    for region in np.unique(parsing):
        if region < regions:
            crops[region] = _crop(image, parsing == region, side)
    return crops


def _crop(image: Image, mask: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    tall, wide = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
    edge = max(tall, wide)
    top, left = top - (edge - tall) // 2, left - (edge - wide) // 2
    square = np.full((edge, edge, 3), PADDING, np.uint8)
    inner = image[max(top, 0) : top + edge, max(left, 0) : left + edge]
    down, across = max(-top, 0), max(-left, 0)
    square[down : down + inner.shape[0], across : across + inner.shape[1]] = inner
    return np.asarray(Pillow.fromarray(square).resize((side, side), Pillow.Resampling.BICUBIC))
