"""Pictures of keypoints: the coloured skeleton, one heat map per joint, and the mask of the body. Only numpy.

Every length is relative to the picture's height, so a pose drawn at any size is the same picture. Coordinates are those
of `Keypoints`: the centre of the pixel in row i, column j is (x, y) = (j + 0.5, i + 0.5). Missing joints, limbs that
lack an end, and whatever lies outside the picture are not drawn.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32

from pgsynth_core.data.keypoints import JOINT_COLOURS, LIMB_COLOURS, LIMBS, present
from pgsynth_core.data.records import Image, Keypoints

__all__ = [
    "HEATMAP_SIGMA",
    "LIMB_DIMMING",
    "MASK_SIGMA",
    "MASK_THRESHOLD",
    "STROKE",
    "heatmaps",
    "pose_mask",
    "skeleton",
]

STROKE: Final = 4 / 512
"""Half the width of a limb at its middle, and radius of a joint, as a fraction of the height: ControlNet's."""

_THINNEST: Final = 0.75
"""Pixels. The stroke is never less, or a small picture would show a faint grey skeleton."""

LIMB_DIMMING: Final = 0.6
"""Limbs have this share of their colour, so that joints stand out; ControlNet's."""

HEATMAP_SIGMA: Final = 6 / 256
"""Standard deviation of a joint's heat map, as a fraction of the height: 6 pixels at 256, the field's."""

MASK_SIGMA: Final = 8 / 256
"""Standard deviation of the blur that dilates the body mask, as a fraction of the height."""

MASK_THRESHOLD: Final = 0.02
"""Blurred values from here on are body."""

_DEVIATIONS: Final = 40
"""exp(-40^2 / 2) is 0 in float32; further away is the same, and squares stay finite."""

_Place = tuple[slice, slice]


def stroke(height: int) -> float:
    """Half the width of a limb, and radius of a joint, in pixels of a picture of that height."""
    return max(_THINNEST, STROKE * height)


def skeleton(keypoints: Keypoints, size: tuple[int, int]) -> Image:
    """The skeleton as ControlNet draws it, in its colours on black.

    First the limbs, in the order of `LIMBS`, dimmed, each an ellipse from joint to joint; then the joints, as discs.
    Each covers what is below it by its coverage of the pixel, which is what smooths the edges:
    clip(0.5 + inside, 0, 1), where `inside` is the distance of the pixel's centre to the edge, inwards, measured across
    the limb, or along the disc's radius.

    Args:
        keypoints: In pixels of the picture to draw.
        size: (height, width) of it.

    Returns:
        RGB, 0 to 255.
    """
    return np.asarray(np.rint(drawn_with(keypoints, size, stroke(size[0]))), np.uint8)


def drawn_with(keypoints: Keypoints, size: tuple[int, int], width: float) -> Float32[np.ndarray, "H W 3"]:
    """As `skeleton`, before rounding, with limbs half of whose width, and discs whose radius, is `width` pixels."""
    canvas = np.zeros((*size, 3), np.float32)
    there = present(keypoints)
    for (start, end), colour in zip(LIMBS, LIMB_COLOURS, strict=True):
        if there[start] and there[end]:
            _paint(canvas, _limb(keypoints[start, :2], keypoints[end, :2], width, size), colour, LIMB_DIMMING)
    for joint in np.flatnonzero(there):
        _paint(canvas, _disc(keypoints[joint, :2], width, size), JOINT_COLOURS[joint], 1.0)
    return canvas


def heatmaps(keypoints: Keypoints, size: tuple[int, int]) -> Float32[np.ndarray, "18 H W"]:
    """One map per joint: exp(-d^2 / 2 sigma^2), d from the pixel's centre to the joint; zero for a missing joint.

    Args:
        keypoints: In pixels of the maps.
        size: (height, width) of them; sigma is `HEATMAP_SIGMA` times the height.
    """
    across = _bells(keypoints[:, 0], size[1], HEATMAP_SIGMA * size[0])
    down = _bells(keypoints[:, 1], size[0], HEATMAP_SIGMA * size[0])
    down *= present(keypoints)[:, None]
    return np.asarray(down[:, :, None] * across[:, None, :])


def pose_mask(keypoints: Keypoints, size: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """The body as PMA's m_p: the skeleton, binarised, dilated by a Gaussian blur and a threshold.

    Reading: the paper gives neither. With `MASK_SIGMA` and `MASK_THRESHOLD` the mask overlaps best with the bodies of
    27 parsed photos (VITON, DressCode): it covers 77 % of a body, and 78 % of it is body.

    Args:
        keypoints: In pixels of the mask.
        size: (height, width) of it.

    Returns:
        True on the body; all False without joints.
    """
    drawn = np.zeros(size, np.float32)
    width = stroke(size[0])
    there = present(keypoints)
    limbs = [_limb(keypoints[a, :2], keypoints[b, :2], width, size) for a, b in LIMBS if there[a] and there[b]]
    for place, coverage in (*limbs, *(_disc(keypoints[joint, :2], width, size) for joint in np.flatnonzero(there))):
        drawn[place] = np.maximum(drawn[place], coverage >= 0.5)
    return _blurred(drawn, MASK_SIGMA * size[0]) >= MASK_THRESHOLD


# ------------------------------------------------------------------------------------------- shapes
def _grid(low: np.ndarray, high: np.ndarray, size: tuple[int, int]) -> tuple[_Place, np.ndarray, np.ndarray]:
    """The pixels between two corners (x, y), and the x and y of their centres."""
    left, top = (int(value) for value in np.clip(np.floor(low), 0, [size[1], size[0]]))
    right, bottom = (int(value) for value in np.clip(np.ceil(high), 0, [size[1], size[0]]))
    right, bottom = max(left, right), max(top, bottom)
    x = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5)
    y = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5)
    return (slice(top, bottom), slice(left, right)), x, y


def _limb(start: np.ndarray, end: np.ndarray, half_width: float, size: tuple[int, int]) -> tuple[_Place, np.ndarray]:
    """Where an ellipse from joint to joint lies, and its coverage there."""
    centre, axis = (start + end) / 2, (end - start) / 2
    half_length = float(np.hypot(axis[0], axis[1]))
    reach = np.abs(axis) + half_width + 1
    place, x, y = _grid(centre - reach, centre + reach, size)
    if half_length < 1e-3:
        return place, np.zeros((y.shape[0], x.shape[1]), np.float32)
    cos, sin = axis / np.float32(half_length)
    along = ((x - centre[0]) * cos + (y - centre[1]) * sin) / np.float32(half_length)
    across = np.abs((y - centre[1]) * cos - (x - centre[0]) * sin)
    wide = half_width * np.sqrt(np.maximum(1 - along**2, 0))
    return place, np.where(np.abs(along) <= 1, np.clip(wide - across + 0.5, 0, 1), 0)


def _disc(centre: np.ndarray, radius: float, size: tuple[int, int]) -> tuple[_Place, np.ndarray]:
    """Where a disc lies, and its coverage there."""
    place, x, y = _grid(centre - radius - 1, centre + radius + 1, size)
    return place, np.clip(radius - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1)


def _paint(canvas: np.ndarray, shape: tuple[_Place, np.ndarray], colour: tuple[int, int, int], dimming: float) -> None:
    place, coverage = shape
    cover = coverage[..., None]
    canvas[place] = canvas[place] * (1 - cover) + np.asarray(colour, np.float32) * np.float32(dimming) * cover


def _bells(centres: Float[np.ndarray, " 18"], length: int, sigma: float) -> Float32[np.ndarray, "18 length"]:
    distance = np.arange(length, dtype=np.float32)[None, :] + np.float32(0.5) - centres[:, None]
    deviations = np.clip(distance / np.float32(sigma), -_DEVIATIONS, _DEVIATIONS)
    return np.asarray(np.exp(-(deviations**2) / 2), np.float32)


def _blurred(drawn: Float32[np.ndarray, "H W"], sigma: float) -> Float32[np.ndarray, "H W"]:
    """A Gaussian blur; outside the picture there is nothing. Sums in a fixed order, so the same bits everywhere."""
    reach = int(np.ceil(4 * sigma))
    taps = np.exp(-(np.arange(-reach, reach + 1, dtype=np.float64) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (reach, reach)
        padded, length = np.pad(drawn, width), drawn.shape[axis]
        drawn = np.zeros_like(drawn)
        for shift, tap in enumerate(taps):
            drawn += tap * (padded[shift : shift + length] if axis == 0 else padded[:, shift : shift + length])
    return drawn
