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

    Args:
        area: On the photo, 0 where the fit cuts it off.
        fit: How the photo lies in the picture.
        stride: Pixels of the picture along one side of a cell.
    """
    height, width = fit.size
    grid = -(-height // stride), -(-width // stride)
    weights = np.zeros(grid, np.float32)
    rows, columns = np.nonzero(area)
    (down, across), (left, top, _, _), (seen_left, seen_top, _, _) = fit.scale, fit.place, fit.seen
    y = np.floor((rows + 0.5 - seen_top) * down + top).astype(int).clip(0, height - 1) // stride
    x = np.floor((columns + 0.5 - seen_left) * across + left).astype(int).clip(0, width - 1) // stride
    np.maximum.at(weights, (y, x), area[rows, columns])
    if min(down, across) > 1:  # a pixel of the photo is several of the picture
        nearest = fit.labels(np.ceil(area * 255).astype(np.uint8)).astype(np.float32) / 255
        np.maximum.at(weights, tuple(np.indices(fit.size) // stride), nearest)
    return weights


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
