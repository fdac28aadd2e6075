"""Poses: a stance of the library, varied a little, mirrored half of the time, seen from a view; and its rotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal

from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.maths import Matrix, matmul, rotation
from pgsynth_plugins.datasets.figures.stances import STANCES, Arm, Leg, Pose, Trunk

__all__ = ["VIEWS", "View", "draw_pose", "mirrored", "turns_of"]

View = Literal["front", "quarter", "side", "back"]
VIEWS: Final[Mapping[View, int]] = {"front": 8, "quarter": 6, "side": 4, "back": 3}
"""Where the person is seen from, and how often."""


def mirrored(pose: Pose) -> Pose:
    """The pose in a mirror: left and right exchanged, tilts and turns the other way."""

    def other(trunk: Trunk) -> Trunk:
        return Trunk(trunk.lean, -trunk.tilt, -trunk.turn)

    return replace(
        pose,
        left_arm=pose.right_arm,
        right_arm=pose.left_arm,
        left_leg=pose.right_leg,
        right_leg=pose.left_leg,
        hips=other(pose.hips),
        chest=other(pose.chest),
        head=other(pose.head),
        yaw=-pose.yaw,
    )


def draw_pose(chance: Chance, views: Mapping[View, int]) -> Pose:
    """A stance, varied, mirrored or not, from one of the views."""
    stance = STANCES[chance.pick("stance", tuple(STANCES))]
    if chance.happens("mirrored", 0.5):
        stance = mirrored(stance)

    def arm(name: str, arm: Arm) -> Arm:
        a = chance.of(name)
        out, forward = a.around("out", arm.out, 7.0), a.around("forward", arm.forward, 7.0)
        turn, bend = a.around("turn", arm.turn, 8.0), a.around("bend", arm.bend, 9.0)
        return Arm(max(out, 5.0), forward, turn, max(bend, 3.0), a.around("wrist", arm.wrist, 10.0))

    def leg(name: str, leg: Leg) -> Leg:
        a = chance.of(name)
        out, forward, turn = (
            a.around("out", leg.out, 3.0),
            a.around("forward", leg.forward, 4.0),
            a.around("turn", leg.turn, 6.0),
        )
        return Leg(out, forward, turn, max(a.around("bend", leg.bend, 4.0), 0.0), leg.point)

    def trunk(name: str, trunk: Trunk, spread: float) -> Trunk:
        a = chance.of(name)
        return Trunk(
            a.around("lean", trunk.lean, spread),
            a.around("tilt", trunk.tilt, spread),
            a.around("turn", trunk.turn, 2.0 * spread),
        )

    return Pose(
        left_arm=arm("left arm", stance.left_arm),
        right_arm=arm("right arm", stance.right_arm),
        left_leg=leg("left leg", stance.left_leg),
        right_leg=leg("right leg", stance.right_leg),
        hips=trunk("hips", stance.hips, 1.5),
        chest=trunk("chest", stance.chest, 3.0),
        head=trunk("head", stance.head, 8.0),
        yaw=_yaw(chance, chance.weighted("view", views)),
        lift=stance.lift,
    )


def _yaw(chance: Chance, view: View) -> float:
    side = 1.0 if chance.happens("to the left", 0.5) else -1.0
    if view == "front":
        return side * chance.between("yaw", 0.0, 16.0)
    if view == "quarter":
        return side * chance.between("yaw", 26.0, 58.0)
    return side * (chance.between("yaw", 74.0, 98.0) if view == "side" else chance.between("yaw", 148.0, 180.0))


# ------------------------------------------------------------------ rotations
def turns_of(pose: Pose) -> dict[str, Matrix]:
    """Each bone's rotation against the bone that carries it, for `pose_bones`."""
    facing = rotation(1, pose.yaw)
    turns = {
        "pelvis": matmul(facing, _trunk(pose.hips)),
        "chest": _trunk(pose.chest),
        "neck": _trunk(_part(pose.head, 0.4)),
        "head": _trunk(_part(pose.head, 0.6)),
    }
    upright = _transposed(_trunk(Trunk(pose.hips.lean, pose.hips.tilt, 0.0)))
    for side, name, arm, leg in (
        (1, "left", pose.left_arm, pose.left_leg),
        (-1, "right", pose.right_arm, pose.right_leg),
    ):
        raised = max(arm.out - 30.0, 0.0) + max(arm.forward - 50.0, 0.0) * 0.4
        shrug = 0.20 * raised
        turns[f"{name}_collar"] = rotation(2, side * shrug)
        turns[f"{name}_arm"] = _limb(side, arm.out - shrug, arm.forward, -arm.turn)
        turns[f"{name}_forearm"] = rotation(0, -arm.bend)
        turns[f"{name}_hand"] = rotation(0, -arm.wrist)
        turns[f"{name}_thigh"] = matmul(upright, _limb(side, leg.out, leg.forward, leg.turn))
        turns[f"{name}_shin"] = rotation(0, leg.bend)
        turns[f"{name}_foot"] = rotation(
            0, leg.point + leg.forward - leg.bend if abs(leg.forward) < 16 and leg.point < 10 else leg.point
        )
    return turns


def _part(trunk: Trunk, share: float) -> Trunk:
    return Trunk(trunk.lean * share, trunk.tilt * share, trunk.turn * share)


def _trunk(trunk: Trunk) -> Matrix:
    return matmul(rotation(1, trunk.turn), matmul(rotation(2, -trunk.tilt), rotation(0, trunk.lean)))


def _limb(side: int, out: float, forward: float, turn: float) -> Matrix:
    return matmul(rotation(2, side * out), matmul(rotation(0, -forward), rotation(1, side * turn)))


def _transposed(matrix: Matrix) -> Matrix:
    return matrix.T.copy()
