"""The bones: where the joints are when the body stands straight, and where they go in a pose.

The world has x to the right of the picture, y up and z towards the viewer, in metres. At rest the person faces the
viewer with hanging arms, so the person's left is at +x, and every bone's own axes are those of the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.maths import Array, Matrix, Vector, matmul

__all__ = ["BONES", "PARENTS", "Frames", "bone", "pose_bones", "rest_joints"]

PARENTS: Final[Mapping[str, str]] = {
    "pelvis": "",
    "chest": "pelvis",
    "neck": "chest",
    "head": "neck",
    **{
        f"{side}_{name}": parent if parent in ("pelvis", "chest") else f"{side}_{parent}"
        for side in ("left", "right")
        for name, parent in {
            "collar": "chest",
            "arm": "collar",
            "forearm": "arm",
            "hand": "forearm",
            "thigh": "pelvis",
            "shin": "thigh",
            "foot": "shin",
        }.items()
    },
}
"""Each bone and the bone that carries it, carriers first."""

BONES: Final = tuple(PARENTS)


def bone(name: str) -> int:
    """The bone's number."""
    return BONES.index(name)


def rest_joints(build: Build) -> Float[Array, "18 3"]:
    """Where each bone begins when the body stands straight."""
    arm = (build.shoulder_joint, build.shoulder_joint - build.upper_arm)
    back = -0.010 * build.height
    heights = {
        "pelvis": (0.0, build.hip_joint, 0.0),
        "chest": (0.0, build.waistline, 0.0),
        "neck": (0.0, build.neck_base - 0.012 * build.height, back),
        "head": (0.0, build.chin + 0.22 * build.head, back),
        "collar": (0.25 * build.shoulder, build.shoulder_joint, back),
        "arm": (build.shoulder, arm[0], back),
        "forearm": (build.shoulder, arm[1], back),
        "hand": (build.shoulder, arm[1] - build.forearm, back),
        "thigh": (build.hip, build.hip_joint, 0.0),
        "shin": (build.hip, build.knee, 0.0),
        "foot": (build.hip, build.ankle, 0.0),
    }
    joints = np.zeros((len(BONES), 3))
    for number, name in enumerate(BONES):
        x, y, z = heights[name.split("_")[-1]]
        joints[number] = (-x if name.startswith("right") else x, y, z)
    return joints


@dataclass(frozen=True)
class Frames:
    """Bones in a pose: a point p of the resting body, moved with bone b, is at ``turn[b] p + shift[b]``."""

    turn: Float[Array, "18 3 3"]
    shift: Float[Array, "18 3"]

    def moved(self, name: str, point: Float[Array, 3]) -> Float[Array, 3]:
        """Where a point of the resting body goes with a bone."""
        b = bone(name)
        moved: Vector = _applied(self.turn[b], point) + self.shift[b]
        return moved

    def raised(self, metres: float) -> Frames:
        """The same, higher above the floor."""
        return Frames(self.turn, self.shift + np.array([0.0, metres, 0.0]))


def pose_bones(rest: Float[Array, "18 3"], turns: Mapping[str, Matrix]) -> Frames:
    """Forward kinematics.

    Args:
        rest: From `rest_joints`.
        turns: Each bone's rotation against the bone that carries it; the pelvis' against the world.
    """
    turn = np.zeros((len(BONES), 3, 3))
    origin = np.zeros((len(BONES), 3))
    for b, (name, carrier) in enumerate(PARENTS.items()):
        if not carrier:
            turn[b], origin[b] = turns[name], rest[b]
            continue
        p = bone(carrier)
        turn[b] = matmul(turn[p], turns[name]) if name in turns else turn[p]
        origin[b] = origin[p] + _applied(turn[p], rest[b] - rest[p])
    shift = np.stack([origin[b] - _applied(turn[b], rest[b]) for b in range(len(BONES))])
    return Frames(turn, shift)


def _applied(turn: Matrix, vector: Float[Array, 3]) -> Float[Array, 3]:
    turned: Array = turn[:, 0] * vector[0] + turn[:, 1] * vector[1] + turn[:, 2] * vector[2]
    return turned
