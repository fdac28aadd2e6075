"""Poses between poses: limbs turn and keep their length, trunks move straight, joints that one lacks come and go."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data import JOINTS, LIMBS, present
from pgsynth_core.data.between import pose_between
from pgsynth_core.data.keypoints import flip_keypoints

from ...fixtures.people import standing

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)


def raised() -> np.ndarray:
    """`standing`, with the right arm straight up: the elbow's limb and the wrist's point upwards, as long as before."""
    pose = standing()
    shoulder, elbow, wrist = (JOINTS[f"right-{name}"] for name in ("shoulder", "elbow", "wrist"))
    upper, lower = (np.hypot(*(pose[b, :2] - pose[a, :2])) for a, b in ((shoulder, elbow), (elbow, wrist)))
    pose[elbow, :2] = pose[shoulder, :2] - (0, upper)
    pose[wrist, :2] = pose[elbow, :2] - (0, lower)
    return pose


def length(pose: np.ndarray, first: str, second: str) -> float:
    return float(np.hypot(*(pose[JOINTS[first], :2] - pose[JOINTS[second], :2])))


def test_the_ends_are_the_poses_themselves() -> None:
    first, second = standing(), raised()
    assert np.array_equal(pose_between(first, second, 0.0), first)
    assert np.array_equal(pose_between(first, second, 1.0), second)
    for share in SHARES:
        np.testing.assert_allclose(pose_between(first, first, share), first, atol=1e-4)
    np.testing.assert_allclose(pose_between(first, second, 1e-6), first, atol=1e-3)
    np.testing.assert_allclose(pose_between(first, second, 1 - 1e-6), second, atol=1e-3)


def test_an_arm_that_swings_keeps_its_length_and_turns_evenly() -> None:
    first, second = standing(), raised()
    angles = []
    for share in (0.0, *SHARES, 1.0):
        between = pose_between(first, second, share)
        for a, b in (("right-shoulder", "right-elbow"), ("right-elbow", "right-wrist")):
            assert length(between, a, b) == pytest.approx(length(first, a, b), rel=1e-4), (share, a)
        angles.append(np.arctan2(*(between[JOINTS["right-elbow"], :2] - between[JOINTS["right-shoulder"], :2])))
    turned = np.diff(np.unwrap(angles)) / np.diff((0, *SHARES, 1))
    np.testing.assert_allclose(turned, turned[0], rtol=1e-3)
    halfway = pose_between(first, second, 0.5)
    straight = (first + second) / 2
    assert length(straight, "right-shoulder", "right-elbow") < 0.5 * length(halfway, "right-shoulder", "right-elbow")


def test_limbs_turn_by_the_shorter_way_round() -> None:
    """From 170 to -170 degrees an arm passes 180, not 0."""
    first, second = standing(), standing()
    shoulder, elbow = JOINTS["right-shoulder"], JOINTS["right-elbow"]
    for pose, degrees in ((first, 170), (second, -170)):
        angle = np.radians(degrees)
        pose[elbow, :2] = pose[shoulder, :2] + 10 * np.array([np.cos(angle), np.sin(angle)])
    between = pose_between(first, second, 0.5)
    np.testing.assert_allclose(between[elbow, :2] - between[shoulder, :2], (-10, 0), atol=1e-3)


def test_a_body_that_turns_around_passes_its_shoulders_through_each_other() -> None:
    first = standing()
    turned = flip_keypoints(first, 48)[[*range(18)]]
    turned[:, 0] = 48 - first[:, 0]  # the same joints on the other side: seen from behind
    halfway = pose_between(first, turned, 0.5)
    neck = halfway[JOINTS["neck"]]
    for joint in ("right-shoulder", "left-shoulder"):
        assert abs(halfway[JOINTS[joint], 0] - neck[0]) < 1 and halfway[JOINTS[joint], 1] == pytest.approx(18.5)


def test_joints_hang_together_at_every_share() -> None:
    rng = np.random.default_rng(0)
    first, second = (standing() + np.array([*offset, 0], np.float32) for offset in rng.normal(0, 5, (2, 2)))
    for share in SHARES:
        between = pose_between(first, second, share)
        np.testing.assert_allclose(between[:, :2], (first + (second - first) * share)[:, :2], atol=1e-3)
        assert present(between).all() and np.isfinite(between).all()


def test_a_joint_that_one_of_them_lacks_is_there_on_its_side_of_the_middle() -> None:
    first, second = standing(), raised()
    wrist, neck = JOINTS["right-wrist"], JOINTS["neck"]
    second[wrist] = 0
    early, late = pose_between(first, second, 0.25), pose_between(first, second, 0.75)
    assert present(early)[wrist] and not late[wrist].any() and present(late).sum() == 17
    assert early[wrist, 2] == first[wrist, 2], "as sure as where it is known"
    limb = early[wrist, :2] - early[JOINTS["right-elbow"], :2]
    np.testing.assert_allclose(limb, first[wrist, :2] - first[JOINTS["right-elbow"], :2], atol=1e-4)
    rootless = standing()
    rootless[neck] = 0
    for share in SHARES:
        between = pose_between(standing(), rootless, share)
        assert present(between)[neck] == (share <= 0.5) and present(between).sum() >= 17
        np.testing.assert_allclose(between[present(between)], standing()[present(between)], atol=1e-3)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_beyond_the_ends_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        pose_between(standing(), raised(), share)


def test_limbs_make_a_tree_from_the_neck() -> None:
    reached = {JOINTS["neck"]}
    for parent, child in LIMBS:
        assert parent in reached and child not in reached
        reached.add(child)
    assert len(reached) == 18
