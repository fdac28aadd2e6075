"""Pictures of poses against their definitions, pixel by pixel, and on real photos."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pgsynth_core.data import (
    JOINT_COLOURS,
    JOINTS,
    LIMB_COLOURS,
    LIMBS,
    Keypoints,
    flip_keypoints,
    heatmaps,
    label_set_of,
    no_keypoints,
    pose_mask,
    present,
    read_annotations,
    read_image,
    read_label_map,
    read_pose,
    skeleton,
)
from pgsynth_core.data.draw import HEATMAP_SIGMA, LIMB_DIMMING, stroke

from ...fixtures.people import Shared, standing

SIZES = [(72, 48), (37, 53), (256, 176)]


def drawn_slowly(keypoints: Keypoints, size: tuple[int, int]) -> np.ndarray:
    """The skeleton as its docstring defines it, one pixel after the other."""
    canvas, width = np.zeros((*size, 3)), stroke(size[0])
    known = present(keypoints)
    shapes = [
        (limb, colour, LIMB_DIMMING)
        for limb, colour in zip(LIMBS, LIMB_COLOURS, strict=True)
        if known[list(limb)].all()
    ]
    shapes += [((joint, joint), JOINT_COLOURS[joint], 1.0) for joint in range(18) if known[joint]]
    for (start, end), colour, dimming in shapes:
        a, b = keypoints[start, :2].astype(float), keypoints[end, :2].astype(float)
        for row, column in np.ndindex(size):
            pixel = np.array([column + 0.5, row + 0.5])
            if start == end:
                inside = width - np.linalg.norm(pixel - a)
            else:
                half, (cos, sin) = np.linalg.norm(b - a) / 2, (b - a) / np.linalg.norm(b - a)
                x, y = pixel - (a + b) / 2
                along, across = (x * cos + y * sin) / half, abs(y * cos - x * sin)
                inside = width * np.sqrt(1 - along**2) - across if abs(along) <= 1 else -1
            cover = np.clip(inside + 0.5, 0, 1)
            canvas[row, column] = canvas[row, column] * (1 - cover) + np.array(colour) * dimming * cover
    return canvas


@pytest.mark.parametrize("missing", [(), (0, 3, 17)])
def test_the_skeleton_is_what_its_definition_says(missing: tuple[int, ...]) -> None:
    joints = standing((40, 30))
    joints[list(missing)] = 0
    assert np.abs(skeleton(joints, (40, 30)) - drawn_slowly(joints, (40, 30))).max() <= 0.51


@pytest.mark.parametrize("size", SIZES)
def test_every_joint_has_its_colour_where_nothing_covers_it(size: tuple[int, int]) -> None:
    for joint in range(18):
        alone = no_keypoints()
        alone[joint] = 10.5, 20.5, 0.01
        picture = skeleton(alone, size)
        assert tuple(picture[20, 10]) == JOINT_COLOURS[joint]
        assert (picture.max(axis=2) > 0).sum() < 60


def test_strokes_grow_with_the_picture_and_never_vanish() -> None:
    assert stroke(512) == 4 and stroke(1024) == 8 and stroke(32) == stroke(16) == 0.75
    small = skeleton(standing((32, 24)), (32, 24))
    assert (small.max(axis=2) > 100).sum() > 25


def test_a_pose_drawn_twice_as_large_is_the_same_picture() -> None:
    large = skeleton(standing((512, 352)), (512, 352)).astype(float)
    halved = large.reshape(256, 2, 176, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - skeleton(standing((256, 176)), (256, 176))).mean() < 0.5


@pytest.mark.parametrize("size", SIZES)
def test_the_mirror_of_the_drawing_is_the_drawing_of_the_mirror(size: tuple[int, int]) -> None:
    joints, width = standing(size), size[1]
    flipped = flip_keypoints(joints, width)
    mask, maps = pose_mask(joints, size), heatmaps(joints, size)
    assert (pose_mask(flipped, size)[:, ::-1] != mask).sum() <= 2, "a pixel on the threshold may fall either way"
    mirrored = heatmaps(flipped, size)[:, :, ::-1]
    swapped = [JOINTS[name.replace("left", "x").replace("right", "left").replace("x", "right")] for name in JOINTS]
    assert np.allclose(mirrored[swapped], maps, atol=1e-5)
    lit = skeleton(joints, size).max(axis=2) > 60
    assert ((skeleton(flipped, size)[:, ::-1].max(axis=2) > 60) != lit).sum() <= 4


@pytest.mark.parametrize("draw", [skeleton, heatmaps, pose_mask])
def test_nobody_draws_nothing(draw: object) -> None:
    assert callable(draw) and not draw(no_keypoints(), (9, 7)).any()


@pytest.mark.parametrize("place", [(-1e30, 5), (1e30, -1e30), (-3, 100), (3e9, 4), (48, 72), (0, 0)])
def test_joints_outside_do_no_harm(place: tuple[float, float]) -> None:
    joints = standing()
    joints[JOINTS["left-wrist"]] = *place, 1
    for picture in (skeleton(joints, (72, 48)), heatmaps(joints, (72, 48)), pose_mask(joints, (72, 48))):
        assert np.isfinite(picture).all()
    assert (skeleton(joints, (72, 48))[:30, :18] == skeleton(standing(), (72, 48))[:30, :18]).any()


def test_joints_on_one_spot_make_no_limb() -> None:
    joints = standing()
    joints[JOINTS["left-wrist"]] = joints[JOINTS["left-elbow"]]
    assert skeleton(joints, (72, 48)).any()


@pytest.mark.parametrize("size", SIZES)
def test_heat_maps_are_gaussians_about_the_joints(size: tuple[int, int]) -> None:
    joints = standing(size)
    joints[4] = 0
    maps = heatmaps(joints, size)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    for joint in range(18):
        distance = (x - joints[joint, 0]) ** 2 + (y - joints[joint, 1]) ** 2
        expected = np.exp(-distance / (2 * (HEATMAP_SIGMA * size[0]) ** 2)) if joint != 4 else 0 * x
        assert np.abs(maps[joint] - expected).max() < 1e-5
    assert maps.dtype == np.float32 and maps.max() <= 1


def test_the_mask_is_the_blurred_skeleton() -> None:
    """One horizontal limb: far from its ends the mask reaches where a blurred strip falls below the threshold."""
    joints = no_keypoints()
    joints[2], joints[3] = (-2000, 128.5, 1), (2000, 128.5, 1)
    mask = pose_mask(joints, (256, 176))
    sigma, reach = 8, np.flatnonzero(mask[:, 88])
    rows = np.arange(256)
    strip = np.abs(rows - 128) < 2  # stroke(256) = 2 is half the width at the very middle, a little less beside it
    weights = np.exp(-((rows[:, None] - rows[None]) ** 2) / (2 * sigma**2))
    blurred = (weights / weights.sum(axis=1, keepdims=True)) @ strip
    assert reach.tolist() == np.flatnonzero(blurred >= 0.02).tolist()
    assert (mask == mask[:, :1]).all(axis=1).sum() > 200


def test_the_mask_holds_the_skeleton_and_little_more(person_cover: tuple[float, float]) -> None:
    recall, precision = person_cover
    assert recall > 0.7 and precision > 0.7


@pytest.fixture(scope="module")
def person_cover(shared: Shared) -> tuple[float, float]:
    """Of parsed photos: the share of the body in the mask, and of the mask that is body."""
    folder = shared("parsing", "viton_lip20")
    recall, precision = [], []
    for file in sorted((folder / "pose").glob("*.json")):
        labels = read_label_map(
            folder / "image-parse" / file.name.replace("_keypoints.json", ".png"), label_set="lip20"
        )
        mask = pose_mask(read_pose(file, size=(256, 192)), (256, 192))
        recall.append((mask & (labels > 0)).sum() / (labels > 0).sum())
        precision.append((mask & (labels > 0)).sum() / mask.sum())
    return float(np.mean(recall)), float(np.mean(precision))


def test_joints_of_dresscode_lie_on_their_labels(shared: Shared) -> None:
    """Left and right of keypoints and of label maps are the same: a wrist or elbow lies on the arm of its own side."""
    labels, hits = label_set_of("atr18"), []
    for file in sorted(shared("parsing", "dresscode_atr18").glob("*/keypoints/*.json")):
        parsing = read_label_map(
            file.parents[1] / "label_maps" / file.name.replace("_2.json", "_4.png"), label_set="atr18"
        )
        joints = read_pose(file)
        for side, other in (("left", "right"), ("right", "left")):
            x, y, known = joints[JOINTS[f"{side}-wrist"]] * [2, 2, 1]
            around = (
                parsing[max(int(y) - 30, 0) : int(y) + 30, max(int(x) - 30, 0) : int(x) + 30] if known else np.zeros(0)
            )
            own, wrong = ((around == labels.index(f"{which}-arm")).sum() for which in (side, other))
            hits += [own > wrong] if own + wrong else []
    assert len(hits) >= 6 and np.mean(hits) > 0.8


def test_skeletons_of_deepfashion_lie_on_their_people(shared: Shared) -> None:
    folder = shared("deepfashion_mini")
    table = read_annotations(folder / "fasion-resize-annotation-test.csv")
    hits = []
    for name in table.lines:
        photo, joints = read_image(folder / "img" / name).astype(int), table.keypoints(name)
        background = np.median(photo[:4].reshape(-1, 3), axis=0)
        body = np.abs(photo - background).max(axis=2) > 30
        hits += [
            bool(body[max(int(y) - 2, 0) : int(y) + 3, max(int(x) - 2, 0) : int(x) + 3].any())
            for x, y, _ in joints[present(joints)]
        ]
    assert len(hits) > 500 and np.mean(hits) > 0.9


def test_drawing_takes_milliseconds() -> None:
    joints = standing((512, 352))
    start = time.process_time()
    for _ in range(5):
        skeleton(joints, (512, 352))
        pose_mask(joints, (512, 352))
        heatmaps(joints, (512, 352))
    assert (time.process_time() - start) / 5 < 0.25, "about 0.02 s on an idle machine"
