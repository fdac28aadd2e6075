"""Joints, limbs and the mirror."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data import (
    JOINT_COLOURS,
    JOINTS,
    LIMB_COLOURS,
    LIMBS,
    MIRRORED_JOINTS,
    OPENPOSE_18,
    flip_keypoints,
    no_keypoints,
    present,
)

from ...fixtures.people import standing


def test_the_order_is_the_one_of_the_field() -> None:
    said = (
        "nose, neck, R-shoulder, R-elbow, R-wrist, L-shoulder, L-elbow, L-wrist, R-hip, R-knee, R-ankle, L-hip, L-knee, "
        "L-ankle, R-eye, L-eye, R-ear, L-ear"
    )
    ours = [name.replace("right-", "R-").replace("left-", "L-") for name in OPENPOSE_18]
    assert ours == said.split(", ") and list(JOINTS.values()) == list(range(18))


def test_limbs_join_all_joints_into_one_body() -> None:
    reached, left = {0}, set(LIMBS)
    while grown := {limb for limb in left if set(limb) & reached}:
        reached |= {joint for limb in grown for joint in limb}
        left -= grown
    assert reached == set(range(18)) and len(LIMBS) == len(set(LIMBS)) == 17
    assert len(JOINT_COLOURS) == len(set(JOINT_COLOURS)) == 18 and len(LIMB_COLOURS) == 17


def test_the_mirror_keeps_limbs_and_is_its_own_inverse() -> None:
    mirrored = {frozenset(MIRRORED_JOINTS[joint] for joint in limb) for limb in LIMBS}
    assert mirrored == {frozenset(limb) for limb in LIMBS}
    assert [MIRRORED_JOINTS[other] for other in MIRRORED_JOINTS] == list(range(18))
    assert [OPENPOSE_18[joint] for joint in range(18) if MIRRORED_JOINTS[joint] == joint] == ["nose", "neck"]


@pytest.mark.parametrize("seed", range(20))
def test_flipping_twice_gives_the_same_joints(seed: int) -> None:
    chance = np.random.default_rng(seed)
    width = int(chance.integers(1, 1000))
    joints = chance.uniform(-0.2, 1.2, (18, 3)).astype(np.float32) * np.array([width, width, 1], np.float32)
    joints[:, 2] = chance.uniform(0.01, 1, 18)
    joints[chance.random(18) < 0.3] = 0
    flipped = flip_keypoints(joints, width)
    assert np.allclose(flip_keypoints(flipped, width), joints, rtol=0, atol=1e-4 * width)
    assert present(flipped).sum() == present(joints).sum()
    assert not flipped[~present(flipped)].any()


def test_a_flip_exchanges_left_and_right_and_keeps_the_middle() -> None:
    joints = standing()
    joints[JOINTS["left-wrist"]] = 0
    flipped = flip_keypoints(joints, 48)
    wrist = joints[JOINTS["right-wrist"]]
    assert flipped[JOINTS["left-wrist"]].tolist() == [48 - wrist[0], wrist[1], 1]
    assert not flipped[JOINTS["right-wrist"]].any()
    assert flipped[JOINTS["nose"], 0] == 48 - joints[JOINTS["nose"], 0]
    assert joints[JOINTS["right-wrist"]].tolist() == wrist.tolist(), "the given joints stay"


def test_no_keypoints_are_eighteen_missing_ones() -> None:
    assert no_keypoints().shape == (18, 3) and not present(no_keypoints()).any()
