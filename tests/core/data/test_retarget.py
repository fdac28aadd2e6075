"""Retargeting: the same body gives the same pose, limbs keep their directions, another body's true pose is recovered."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.data import JOINTS, LIMBS, OPENPOSE_18, Keypoints, present, skeleton
from pgsynth_core.data.poses import PoseFrame, read_poses
from pgsynth_core.data.retarget import body_of, ratios_of, retarget, retarget_frames, scaled_limbs
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.figures.body.bones import pose_bones, rest_joints
from pgsynth_plugins.datasets.figures.body.build import Build, draw_build
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.joints import joint_points
from pgsynth_plugins.datasets.figures.poses import VIEWS, draw_pose, turns_of

from ...fixtures.people import Shared, standing


def somebody(number: int) -> Build:
    return draw_build(Chance("retarget", number).of("build"))


@cache
def poses(build: Build, key: int | str, count: int, scale: float = 140.0) -> list[Keypoints]:
    """True joints of a figure in poses that depend on the key alone, before one camera, feet on one floor."""
    rest, made = rest_joints(build), []
    for number in range(count):
        frames = pose_bones(rest, turns_of(draw_pose(Chance("poses", str(key), number), VIEWS)))
        points = joint_points(build, rest, frames)
        points[:, 1] -= min(points[JOINTS["right-ankle"], 1], points[JOINTS["left-ankle"], 1]) - build.ankle
        joints = np.ones((18, 3), np.float32)
        joints[:, 0], joints[:, 1] = 88 + scale * points[:, 0], 250 - scale * points[:, 1]
        made.append(joints)
    return made


def errors(made: Keypoints, true: Keypoints, height: float, *, placed: bool = False) -> np.ndarray:
    """How far each joint is off, in shares of the person's height: as it is placed, or the poses laid over each other."""
    apart = (made - true)[:, :2]
    return np.asarray(np.hypot(*(apart - (0 if placed else apart.mean(axis=0))).T) / height)


# ------------------------------------------------------------------------------------------- the same body
@pytest.mark.parametrize("root", ["source", "target"])
def test_onto_the_same_body_nothing_changes(root: str) -> None:
    for number in range(3):
        several = poses(somebody(number), number, 6)
        assert all(
            np.allclose(a, b, atol=1e-3) for a, b in zip(retarget(several, several, root=root), several, strict=True)
        )
        one = several[0].copy()
        one[[0, 4, 9]] = 0
        assert np.allclose(retarget([one], [one], root=root)[0], one, atol=1e-3), "a single picture with missing joints"


def test_onto_a_body_seen_at_another_size_poses_are_scaled_about_where_the_source_stands() -> None:
    several = poses(somebody(1), 1, 6)
    larger = [one * np.array([1.5, 1.5, 1], np.float32) + np.array([30, -20, 0], np.float32) for one in several]
    for made, wanted in zip(retarget(several, larger), larger, strict=True):
        assert np.abs(made - wanted).max() < 0.01


# ------------------------------------------------------------------------------------------- limbs
def test_limbs_keep_their_directions() -> None:
    for number in range(2):
        source, targets = poses(somebody(number), "s", 6), poses(somebody(number + 50), "t", 6)
        ratios = ratios_of(body_of(source), body_of(targets))
        for before, after, rounded in zip(
            targets, (scaled_limbs(one, ratios) for one in targets), retarget(targets, source), strict=True
        ):
            for start, end in LIMBS:
                old = before[end, :2].astype(float) - before[start, :2]
                for places, tolerance in ((after, 1e-6), (rounded[:, :2].astype(float), 1e-4)):
                    new = places[end] - places[start]
                    cross = old[0] * new[1] - old[1] * new[0]
                    length = np.hypot(*old) * np.hypot(*new)
                    if np.hypot(*old) > 1:  # of a limb shorter than a pixel float32 holds no direction
                        assert abs(cross) <= tolerance * length and old @ new > 0


def test_every_limb_is_multiplied_by_its_ratio_and_missing_joints_stay_missing() -> None:
    source, targets = poses(somebody(3), "s", 6), [one.copy() for one in poses(somebody(4), "t", 6)]
    targets[2][[JOINTS["right-elbow"], JOINTS["nose"], JOINTS["neck"]]] = 0
    ratios = ratios_of(body_of(source), body_of(targets))
    made = retarget(targets, source)
    for before, after in zip(targets, made, strict=True):
        assert (present(before) == present(after)).all() and (before[:, 2] == after[:, 2]).all()
        assert not after[~present(after)].any()
        for start, end in LIMBS:
            if before[start, 2] and before[end, 2]:
                old, new = (np.hypot(*(one[end, :2] - one[start, :2])) for one in (before, after))
                assert new == pytest.approx(ratios.limbs[end] * old, rel=1e-3, abs=1e-3)
    wrist, shoulder = JOINTS["right-wrist"], JOINTS["right-shoulder"]
    old, new = ((one[wrist] - one[shoulder])[:2] for one in (targets[2], made[2]))
    between = [ratios.limbs[JOINTS[name]] for name in ("right-elbow", "right-wrist")]
    assert np.allclose(new, np.mean(between) * old, atol=1e-3), "the wrist hangs on the shoulder"


def test_left_and_right_have_one_ratio() -> None:
    ratios = ratios_of(body_of(poses(somebody(3), "s", 8)), body_of(poses(somebody(4), "t", 8)))
    for name in ("elbow", "wrist", "hip", "knee", "ankle"):
        assert ratios.limbs[JOINTS[f"left-{name}"]] == ratios.limbs[JOINTS[f"right-{name}"]]
    assert ratios.own == set(ratios.limbs)


# ------------------------------------------------------------------------------------------- another body
def measured(frames: int, pairs: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Errors [pairs * frames, 18]: body A's poses onto body B, known from other poses at another scale.

    Apart from where they stand, and as they are placed: both stand before one camera on one floor, and each moves about
    a middle of its own.
    """
    found, placed = [], []
    for pair in range(pairs):
        first, second = somebody(2 * pair), somebody(2 * pair + 1)
        source = poses(second, f"source {pair}", frames, scale=182.0)
        made = retarget(poses(first, pair, frames), source)
        for one, true in zip(made, poses(second, pair, frames, scale=182.0), strict=True):
            found.append(errors(one, true, 182.0 * second.height))
            placed.append(errors(one, true, 182.0 * second.height, placed=True))
    return np.array(found), np.array(placed)


def told(of: str, found: np.ndarray, placed: np.ndarray) -> None:
    """The figures, with ``pytest -s``."""
    for how, shares in (("apart from where they stand", found), ("as placed", placed)):
        print(f"from {of}, {how}: mean {shares.mean():.2%}, worst joint {shares.max():.2%} of the height")


def test_from_a_few_pictures_every_joint_of_another_body_is_recovered_within_three_percent() -> None:
    found, placed = measured(6)
    told("six pictures", found, placed)
    assert placed.mean() < 0.012 and placed.max() < 0.05, "as they are placed"
    assert found.max() < 0.03 and found.mean() < 0.007


def test_from_single_pictures_another_bodys_pose_is_recovered_within_three_percent() -> None:
    found, placed = measured(1)
    told("single pictures", found, placed)
    assert placed.mean() < 0.03 and placed.max() < 0.09, "as they are placed: one picture does not tell the floor"
    assert found.mean() < 0.015 and found.mean(axis=1).max() < 0.03, "a pose's mean; one joint may be further off"
    unscaled = [
        errors(one, true, 182.0 * 1.7)
        for pair in range(4)
        for one, true in zip(poses(somebody(pair), pair, 1), poses(somebody(9), pair, 1, scale=182.0), strict=True)
    ]
    assert np.mean(unscaled) > 0.04, "what it is without"


# ------------------------------------------------------------------------------------------- where they stand
def test_a_jump_stays_a_jump_and_a_walk_a_walk() -> None:
    ground, jump, step = (standing() for _ in range(3))
    jump[:, 1] -= 10
    step[:, 0] += 5
    source = standing() * np.array([2, 2, 1], np.float32)
    made = retarget([ground, ground, jump, step, ground], [source])
    assert np.allclose(made[0], source, atol=1e-3)
    assert np.allclose(made[2][:, 1], source[:, 1] - 20, atol=1e-3)
    assert np.allclose(made[3][:, 0], source[:, 0] + 10, atol=1e-3)


def test_the_feet_stand_on_the_sources_ground_where_legs_differ() -> None:
    target, source = standing(), standing()
    source[[9, 10, 12, 13], 1] += np.array([3, 6, 3, 6], np.float32)
    made = retarget([target], [source])[0]
    assert made[10, 1] == pytest.approx(source[10, 1], abs=1e-3)


def test_root_target_keeps_the_place_on_the_canvas() -> None:
    target = PoseFrame("t", standing(), (72, 48))
    source = PoseFrame("s", standing((144, 96)) + np.array([40, 0, 0], np.float32), (144, 192))
    made = retarget_frames([target], [source], root="target")[0]
    torso = [1, 2, 5, 8, 11]
    assert made.joints[torso, 0].mean() == pytest.approx(4 * target.joints[torso, 0].mean(), abs=1e-3)
    assert made.canvas == (144, 192) and made.name == "t"
    assert retarget_frames([target], [source])[0].joints[0, 0] == pytest.approx(source.joints[0, 0], abs=1e-3)


# ------------------------------------------------------------------------------------------- what is seen of a body
def test_without_hips_the_shoulders_are_measured_and_then_the_head() -> None:
    half, source = standing(), standing((144, 96))
    half[8:14] = 0
    ratios = ratios_of(body_of([source]), body_of([half]))
    assert ratios.measured == "shoulders" and ratios.whole == pytest.approx(2)
    half[2] = 0
    assert ratios_of(body_of([source]), body_of([half])).measured == "head"
    half[0] = 0
    with pytest.raises(UserError, match="no part of the body that both poses show"):
        retarget([half], [source])


def test_a_limb_that_was_only_seen_foreshortened_has_a_bounded_ratio() -> None:
    target = standing()
    target[4, :2] = target[3, :2] + 0.1  # forearms that point at the viewer, in every frame
    target[7, :2] = target[6, :2] + 0.1
    ratios = ratios_of(body_of([standing()] * 3), body_of([target] * 3))
    assert ratios.limbs[4] == pytest.approx(2 * ratios.whole)


def test_frames_without_a_person_stay_and_nonsense_is_refused() -> None:
    nobody = np.zeros((18, 3), np.float32)
    made = retarget([standing(), nobody], [standing((144, 96)), nobody])
    assert np.allclose(made[0], standing((144, 96)), atol=1e-3) and not made[1].any()
    taller = standing((144, 96))
    taller[[9, 10, 12, 13], 1] += np.array([3, 6, 3, 6], np.float32)
    (onto,) = retarget([standing()], [taller])
    assert (retarget([standing()], [taller, nobody])[0] == onto).all(), "an empty frame moves nobody"
    with pytest.raises(UserError, match="no root 'sorce'.*'source'"):
        retarget([standing()], [standing()], root="sorce")
    with pytest.raises(UserError, match="there is no pose to retarget"):
        retarget([], [standing()])
    frames = [PoseFrame("a", standing(), (72, 48)), PoseFrame("b", standing(), (144, 96))]
    with pytest.raises(UserError, match="several sizes: 72x48, 144x96"):
        retarget_frames(frames, frames[:1])


# ------------------------------------------------------------------------------------------- real bodies
def test_a_real_waving_arm_is_that_of_deepfashions_bodies(shared: Shared, tmp_path: Path) -> None:
    """Each limb keeps its direction, and is as many times as long as the ratios of the bodies say; a sheet shows it."""
    waving = read_poses(shared("arm_wave_sequence", "annotation.csv"), canvas=(256, 176))
    table = read_poses(shared("deepfashion_mini", "fasion-resize-annotation-test.csv"), canvas=(256, 176))
    bodies = [frame for frame in table if "full" in frame.name and present(frame.joints).sum() >= 16][:3]
    assert len(bodies) == 3
    rows = []
    for body in bodies:
        ratios = ratios_of(body_of([body.joints]), body_of([frame.joints for frame in waving]))
        made = retarget_frames(waving, [body])
        for before, after in zip(waving, made, strict=True):
            assert (present(before.joints) == present(after.joints)).all() and after.canvas == (256, 176)
            for start, end in LIMBS:
                if before.joints[[start, end], 2].all():
                    old, new = (one.joints[end, :2] - one.joints[start, :2] for one in (before, after))
                    assert np.allclose(new, ratios.limbs[end] * old, atol=0.01), OPENPOSE_18[end]
        drawn = [skeleton(one.joints, (256, 176)) for one in (waving[0], body, *made[::5])]
        rows.append(drawn)
    headings = ["waving", "body", *["retargeted"] * (len(rows[0]) - 2)]
    Sheet(headings, rows).picture().save(tmp_path / "sheet.png")
