"""Keypoint formats to OpenPose-18 and back: COCO-17, OpenPose's 18 or 25 joints. Files are read by `poses`.

Files count pixels from 0 at the *centre* of the first pixel, as detectors and annotators do; `Keypoints` count from its
edge. So half a pixel is added on the way in and taken off on the way out, and a joint stays on the same spot when an
image is resized.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float

from pgsynth_core.data.keypoints import present
from pgsynth_core.data.records import Keypoints

__all__ = [
    "FAR",
    "PIXEL_CENTRE",
    "from_coco",
    "from_openpose",
    "to_openpose",
    "write_pose",
]

PIXEL_CENTRE: Final = 0.5
"""What is added to a file's coordinates: its 0 is the centre of the first pixel."""

FAR: Final = 1e6
"""Pixels. No joint is further away than this; a number that is, is no place."""

_COCO_OF: Final = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose-18 joint -> COCO-17 joint; the neck is made of the shoulders."""

_BODY_25_OF: Final = (*range(8), 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""OpenPose-18 joint -> joint of OpenPose's 25, whose 8 is the middle of the hips."""

_NECK, _RIGHT_SHOULDER, _LEFT_SHOULDER = 1, 2, 5


def _cleaned(points: Float[np.ndarray, "18 3"]) -> Keypoints:
    """Missing joints to 0, confidence into [0, 1]; adds the half pixel."""
    if not np.isfinite(points).all():
        raise ValueError(f"coordinates are finite numbers; given: {points.tolist()}")
    known = points[:, 2] > 0
    if (np.abs(points[known, :2]) > FAR).any():
        raise ValueError(f"a joint's place is a number of pixels; given: {points[known, :2].tolist()!r:.120}")
    cleaned = np.zeros((18, 3), np.float32)
    cleaned[known, :2] = points[known, :2] + PIXEL_CENTRE
    cleaned[known, 2] = np.minimum(points[known, 2], 1)
    return cleaned


def from_coco(
    points: Float[np.ndarray, "17 3"], *, third: Literal["visibility", "confidence"] = "visibility"
) -> Keypoints:
    """COCO's 17 joints; the neck is the middle of the shoulders where both are known.

    Args:
        points: x, y in pixels and a third number.
        third: What that is. COCO's visibility: 0 missing, 1 known but hidden (confidence 0.5), 2 seen (1). Or the
            confidence of a detector, 0 = missing.

    Raises:
        ValueError: If a number is not finite, or a joint further away than `FAR`.
    """
    scored = points.astype(np.float64)
    if third == "visibility":
        scored[:, 2] = np.minimum(scored[:, 2], 2) / 2
    joints = np.zeros((18, 3))
    for joint, coco in enumerate(_COCO_OF):
        joints[joint] = scored[coco] if coco >= 0 else 0
    shoulders = joints[[_RIGHT_SHOULDER, _LEFT_SHOULDER]]
    if (shoulders[:, 2] > 0).all():
        joints[_NECK] = *shoulders[:, :2].mean(axis=0), shoulders[:, 2].min()
    return _cleaned(joints)


def from_openpose(points: Float[np.ndarray, "joints columns"]) -> Keypoints:
    """OpenPose's 18 (COCO model) or 25 (BODY_25) joints; further columns than x, y, confidence are ignored.

    Raises:
        ValueError: If there are other than 18 or 25 joints, fewer than three columns, a number is not finite, or a
            joint further away than `FAR`.
    """
    if points.shape[0] not in (18, 25) or points.shape[1] < 3:
        raise ValueError(
            f"OpenPose has 18 or 25 joints of x, y, confidence; given: {' x '.join(map(str, points.shape))}"
        )
    if points.shape[0] == 25:
        points = points[list(_BODY_25_OF)]
    return _cleaned(points[:, :3].astype(np.float64))


# ------------------------------------------------------------------------------------------- JSON
def to_openpose(keypoints: Keypoints) -> dict[str, Any]:
    """OpenPose JSON of one person with 18 joints; `from_openpose` gives back the very same numbers."""
    points = keypoints.astype(np.float64)
    points[:, :2] = np.where(present(keypoints)[:, None], points[:, :2] - PIXEL_CENTRE, 0)
    return {"version": 1.3, "people": [{"pose_keypoints_2d": points.reshape(-1).tolist()}]}


def write_pose(path: str | Path, keypoints: Keypoints) -> None:
    """Write `to_openpose` to a file, e.g. ``me.pose.json`` beside ``me.jpg``.

    Raises:
        OSError: If it cannot be written.
    """
    Path(path).write_text(json.dumps(to_openpose(keypoints)) + "\n", encoding="utf-8")
