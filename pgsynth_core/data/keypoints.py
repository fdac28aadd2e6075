"""OpenPose-18: names, limbs, colours, and the mirror. How other formats become this one is in `formats`.

Left and right are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool

from pgsynth_core.data.records import Keypoints

__all__ = [
    "JOINTS",
    "JOINT_COLOURS",
    "LIMBS",
    "LIMB_COLOURS",
    "MIRRORED_JOINTS",
    "OPENPOSE_18",
    "at_one_point",
    "flip_keypoints",
    "no_keypoints",
    "present",
]

OPENPOSE_18: Final = (
    "nose",
    "neck",
    "right-shoulder",
    "right-elbow",
    "right-wrist",
    "left-shoulder",
    "left-elbow",
    "left-wrist",
    "right-hip",
    "right-knee",
    "right-ankle",
    "left-hip",
    "left-knee",
    "left-ankle",
    "right-eye",
    "left-eye",
    "right-ear",
    "left-ear",
)
"""The joints, in order."""

JOINTS: Final[Mapping[str, int]] = {name: joint for joint, name in enumerate(OPENPOSE_18)}
"""Name -> row of a `Keypoints` array."""

LIMBS: Final[tuple[tuple[int, int], ...]] = (
    (1, 2),
    (1, 5),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 0),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
"""Pairs of joints that are drawn joined, in OpenPose's drawing order."""

JOINT_COLOURS: Final[tuple[tuple[int, int, int], ...]] = (
    (255, 0, 0),
    (255, 85, 0),
    (255, 170, 0),
    (255, 255, 0),
    (170, 255, 0),
    (85, 255, 0),
    (0, 255, 0),
    (0, 255, 85),
    (0, 255, 170),
    (0, 255, 255),
    (0, 170, 255),
    (0, 85, 255),
    (0, 0, 255),
    (85, 0, 255),
    (170, 0, 255),
    (255, 0, 255),
    (255, 0, 170),
    (255, 0, 85),
)
"""RGB of each joint as ControlNet, and with it the field, draws them; OpenPose's own rendering has white joints."""

LIMB_COLOURS: Final[tuple[tuple[int, int, int], ...]] = JOINT_COLOURS[: len(LIMBS)]
"""RGB of each limb before it is dimmed: the colours in order, as ControlNet draws them."""


def _mirrored(name: str) -> str:
    if name.startswith("left-"):
        return name.replace("left-", "right-")
    return name.replace("right-", "left-")


MIRRORED_JOINTS: Final[tuple[int, ...]] = tuple(JOINTS[_mirrored(name)] for name in OPENPOSE_18)
"""Joint -> the joint it becomes in a mirror."""


def present(keypoints: Keypoints) -> Bool[np.ndarray, " 18"]:
    """Which joints there are: those with a confidence above 0."""
    found: np.ndarray = keypoints[:, 2] > 0
    return found


def at_one_point(keypoints: Keypoints) -> bool:
    """Whether several joints are known, and no two are a pixel apart: that is no pose."""
    known = keypoints[present(keypoints), :2]
    return len(known) > 1 and bool(np.ptp(known, axis=0).max() < 1)


def no_keypoints() -> Keypoints:
    """Eighteen missing joints."""
    return np.zeros((18, 3), np.float32)


def flip_keypoints(keypoints: Keypoints, width: int) -> Keypoints:
    """The joints in the mirror of an image `width` pixels wide: x reversed, left and right exchanged."""
    flipped = keypoints[list(MIRRORED_JOINTS)]
    flipped[:, 0] = np.where(present(flipped), np.float32(width) - flipped[:, 0], 0)
    return flipped
