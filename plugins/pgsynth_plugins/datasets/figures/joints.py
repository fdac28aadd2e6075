"""The OpenPose-18 joints of a posed figure, and which of them a detector would give.

Exact: every joint is a point of the body that moves with its bone. What is missing is missing as in detected poses:

* The eyes, the nose and the ears are missing where the head hides them: no face from behind, one eye and one ear from
  the side. Hair, hats and sunglasses do not hide them.
* An elbow, wrist, knee or ankle is missing where another part of the body lies far in front of it (more than 6 % of the
  height: an arm behind the back, not a leg behind a skirt).
* Neck, shoulders and hips are always given: detectors infer them from what is around. Where they cannot be seen, as
  the far shoulder from the side, their confidence is 0.5; that of every other joint is 1.
* A joint outside the picture is missing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from pgsynth_core.data import JOINTS
from pgsynth_plugins.datasets.figures.body.bones import Frames, bone
from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.head import face_spots
from pgsynth_plugins.datasets.figures.maths import Array

__all__ = ["joint_points", "seen_joints"]

_LIMBS: Final = {
    "shoulder": "arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh", "knee": "shin", "ankle": "foot",
}  # fmt: skip


def joint_points(build: Build, rest: Float[Array, "18 3"], frames: Frames) -> Float[Array, "18 3"]:
    """Where the joints are in the world, in metres."""
    points = np.zeros((18, 3))
    for side in ("left", "right"):
        for joint, name in _LIMBS.items():
            points[JOINTS[f"{side}-{joint}"]] = frames.moved(f"{side}_{name}", rest[bone(f"{side}_{name}")])
    for joint, spot in face_spots(build).items():
        points[JOINTS[joint]] = frames.moved("head", spot)
    points[JOINTS["neck"]] = 0.5 * (points[JOINTS["left-shoulder"]] + points[JOINTS["right-shoulder"]])
    return points


def seen_joints(
    frames: Frames, hidden_by: Float[Array, " 18"], inside: Bool[np.ndarray, " 18"], height: float
) -> Float[Array, " 18"]:
    """Confidence of each joint; 0 is missing.

    Args:
        frames: The pose.
        hidden_by: How far the surface that is seen at the joint lies in front of it, in metres.
        inside: Whether the joint lies in the picture.
        height: The person's height in metres.
    """
    confidence = np.ones(18)
    facing = frames.turn[bone("head")][:, 2]  # the direction the face looks
    left = frames.turn[bone("head")][:, 0]
    ahead = float(facing[2])
    seen = {
        "nose": ahead > -0.15,
        "left-eye": ahead + 0.55 * float(left[2]) > 0.02,
        "right-eye": ahead - 0.55 * float(left[2]) > 0.02,
        "left-ear": float(left[2]) > -0.45 if ahead > -0.2 else float(left[2]) > -0.30,
        "right-ear": float(left[2]) < 0.45 if ahead > -0.2 else float(left[2]) < 0.30,
    }
    for name, visible in seen.items():
        confidence[JOINTS[name]] = float(visible)
    for side in ("left", "right"):
        for joint in ("elbow", "wrist", "knee", "ankle"):
            number = JOINTS[f"{side}-{joint}"]
            confidence[number] = float(hidden_by[number] <= 0.06 * height)
        for joint in ("shoulder", "hip"):
            number = JOINTS[f"{side}-{joint}"]
            confidence[number] = 1.0 if hidden_by[number] <= 0.09 * height else 0.5
    return np.where(inside, confidence, 0.0)
