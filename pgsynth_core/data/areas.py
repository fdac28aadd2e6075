"""Areas of a photo that are to change: soft edges, the cells they cover, and shares of several. No torch.

Axes: H W pixels of the photo, h w cells of the latent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float32

from pgsynth_core.data.fit import Fit
from pgsynth_core.data.records import LabelMap

__all__ = ["cell_shares", "cell_weights", "softened"]

Area = Float32[np.ndarray, "H W"]
"""How far each pixel belongs to it, 0 to 1."""


def softened(inside: Bool[np.ndarray, "H W"], reach: float) -> Area:
    """1 inside, and around it a ramp that falls to 0; what is farther than `reach` pixels is 0.

    Args:
        inside: What is meant.
        reach: Width of the ramp in pixels; 0: a hard edge.
    """
    if reach <= 0 or not inside.any():
        return inside.astype(np.float32)
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~inside)
    return np.where(away <= reach, 1 - away / (reach + 1), 0).astype(np.float32)


def cell_weights(area: Area, fit: Fit, *, stride: int) -> Float32[np.ndarray, "h w"]:
    """Of each cell the largest weight of any of the photo's pixels that lies in it, so that none is left out.

    Where a pixel of the photo is several of the picture, it lies in each of their cells. A cell of nothing but padding
    has the weight of the nearest one that is not.

    Args:
        area: On the photo; what the fit cuts off does not count.
        fit: How the photo lies in the picture.
        stride: Pixels of the picture along one side of a cell.
    """
    (height, width), (left, top, right, bottom) = fit.stored, fit.place
    (down, across), (seen_left, seen_top, _, _) = fit.scale, fit.seen
    cells = -(-fit.size[0] // stride), -(-fit.size[1] // stride)
    rows = _pixels_of(cells[0], (top, bottom), stride, np.arange(height), (seen_top, down))
    columns = _pixels_of(cells[1], (left, right), stride, np.arange(width), (seen_left, across))
    tall = np.stack([area[some].max(axis=0) for some in rows])
    return np.stack([tall[:, some].max(axis=1) for some in columns], axis=1).astype(np.float32, copy=False)


def _pixels_of(
    cells: int, place: tuple[int, int], stride: int, pixels: np.ndarray, lies: tuple[float, float]
) -> list[slice]:
    """Along one side, the photo's pixels that lie in each cell.

    Args:
        cells: How many there are.
        place: Where the photo begins and ends in the picture.
        stride: Pixels of the picture along a cell.
        pixels: Of the photo, from 0 on.
        lies: The photo's pixel, with its fraction, at which it begins there; and the picture's pixels to one of it.
    """
    begins, scale = lies
    within = np.arange(*place)
    at = np.floor((pixels + 0.5 - begins) * scale).astype(int) + place[0]
    shown = (at >= place[0]) & (at < place[1])
    nearest = np.floor((within - place[0] + 0.5) / scale + begins).astype(int).clip(0, len(pixels) - 1)
    cell = np.concatenate([at[shown], within]) // stride
    pixel = np.concatenate([pixels[shown], nearest])
    first, last = np.full(cells, len(pixels)), np.zeros(cells, int)
    np.minimum.at(first, cell, pixel)
    np.maximum.at(last, cell, pixel)
    there = np.arange(cells).clip(place[0] // stride, (place[1] - 1) // stride)
    return [slice(start, end + 1) for start, end in zip(first[there].tolist(), last[there].tolist(), strict=True)]


def cell_shares(
    labels: LabelMap | None,
    wanted: Sequence[Mapping[int | None, float]],
    *,
    size: tuple[int, int],
    reach: float,
    stride: int,
) -> Float32[np.ndarray, "R h w"]:
    """What each of several has to say in each cell, together at most 1; the rest is nobody's.

    A label's weight holds where it is, and as far as `reach` around. Where weights add up to more than 1, each is
    divided by their sum. A cell has the mean over those of its pixels where anybody has a weight.

    Args:
        labels: Label map of the picture, (height, width) `size`; None where no label is named.
        wanted: Of each, label -> weight; None as a label is everywhere.
        size: Of the picture in pixels.
        reach: In pixels of the picture.
        stride: Pixels along one side of a cell.
    """
    weights = np.stack([np.full(size, one.get(None, 0.0), np.float32) for one in wanted])
    named = sorted({label for one in wanted for label in one if label is not None})
    if labels is not None and named and (there := np.isin(labels, named)).any():
        from scipy.ndimage import distance_transform_edt

        away, (rows, columns) = distance_transform_edt(~there, return_indices=True)
        nearest = np.where(away <= reach, labels[rows, columns], 0)
        for mine, one in zip(weights, wanted, strict=True):
            for label, weight in one.items():
                if label is not None:
                    mine += np.where((nearest == label) & (away <= reach), np.float32(weight), 0)
    weights /= np.maximum(weights.sum(0), 1)
    known = (weights.sum(0) > 0).astype(np.float32)
    total = _pooled(known[None], stride)
    return np.asarray(_pooled(weights, stride) / np.where(total > 0, total, 1))


def _pooled(values: Float32[np.ndarray, "R H W"], stride: int) -> Float32[np.ndarray, "R h w"]:
    """The sum over each cell's pixels."""
    count, height, width = values.shape
    h, w = -(-height // stride), -(-width // stride)
    padded = np.zeros((count, h * stride, w * stride), np.float32)
    padded[:, :height, :width] = values
    return np.asarray(padded.reshape(count, h, stride, w, stride).sum(axis=(2, 4)))
