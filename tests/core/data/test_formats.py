"""Keypoint formats: what each means, what is refused, and files as the field writes them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgsynth_core.data import (
    JOINTS,
    DataError,
    from_coco,
    from_openpose,
    present,
    read_image,
    read_pose,
    skeleton,
    to_openpose,
    write_pose,
)
from pgsynth_core.data.poses import read_poses

from ...fixtures.people import Shared, standing

COCO_17 = [
    "nose",
    "left-eye",
    "right-eye",
    "left-ear",
    "right-ear",
    "left-shoulder",
    "right-shoulder",
    "left-elbow",
    "right-elbow",
    "left-wrist",
    "right-wrist",
    "left-hip",
    "right-hip",
    "left-knee",
    "right-knee",
    "left-ankle",
    "right-ankle",
]
BODY_25 = [
    "nose",
    "neck",
    "right-shoulder",
    "right-elbow",
    "right-wrist",
    "left-shoulder",
    "left-elbow",
    "left-wrist",
    "mid-hip",
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
    "left-big-toe",
    "left-small-toe",
    "left-heel",
    "right-big-toe",
    "right-small-toe",
    "right-heel",
]


def numbered(names: list[str]) -> np.ndarray:
    """Joint i of a format at x = 10 i, y = 10 i + 5."""
    places = np.arange(len(names)) * 10.0
    return np.stack([places, places + 5, np.full(len(names), 2.0)], axis=1)


# ------------------------------------------------------------------------------------------- joint by joint
def test_coco_joints_go_by_name_and_the_neck_is_mid_shoulder() -> None:
    joints = from_coco(numbered(COCO_17))
    for name, joint in JOINTS.items():
        if name != "neck":
            place = COCO_17.index(name) * 10
            assert joints[joint].tolist() == [place + 0.5, place + 5.5, 1]
    shoulders = joints[[JOINTS["left-shoulder"], JOINTS["right-shoulder"]]]
    assert joints[JOINTS["neck"]].tolist() == shoulders.mean(axis=0).tolist()


@pytest.mark.parametrize("missing", ["left-shoulder", "right-shoulder"])
def test_no_neck_without_both_shoulders(missing: str) -> None:
    points = numbered(COCO_17)
    points[COCO_17.index(missing)] = 0
    joints = from_coco(points)
    assert not joints[JOINTS["neck"]].any() and not joints[JOINTS[missing]].any()
    assert present(joints).sum() == 16


def test_coco_visibility_and_confidence() -> None:
    points = numbered(COCO_17)
    points[:, 2] = [0, 1, 2] + [2] * 14
    joints = from_coco(points)
    seen = {name: float(joints[JOINTS[name], 2]) for name in ("nose", "left-eye", "right-eye")}
    assert seen == {"nose": 0, "left-eye": 0.5, "right-eye": 1}
    points[:, 2] = [0.25, 0, 1.5] + [1] * 14
    joints = from_coco(points, third="confidence")
    seen = {name: float(joints[JOINTS[name], 2]) for name in ("nose", "left-eye", "right-eye")}
    assert seen == {"nose": 0.25, "left-eye": 0, "right-eye": 1}


@pytest.mark.parametrize("names", [list(JOINTS), BODY_25], ids=["18", "25"])
def test_openpose_joints_go_by_name(names: list[str]) -> None:
    joints = from_openpose(numbered(names))
    for name, joint in JOINTS.items():
        assert joints[joint].tolist() == [names.index(name) * 10 + 0.5, names.index(name) * 10 + 5.5, 1]


def test_a_joint_at_zero_is_no_missing_joint() -> None:
    points = np.zeros((18, 3))
    points[0] = 0, 0, 1
    assert from_openpose(points)[0].tolist() == [0.5, 0.5, 1] and present(from_openpose(points)).sum() == 1


@pytest.mark.parametrize("points", [np.zeros((17, 3)), np.zeros((18, 2)), np.full((18, 3), np.inf)])
def test_what_is_not_openpose_is_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="18 or 25 joints|finite"):
        from_openpose(points)


# ------------------------------------------------------------------------------------------- files
@pytest.mark.parametrize("seed", range(10))
def test_written_poses_are_read_back_to_the_bit(seed: int, tmp_path: Path) -> None:
    joints = np.random.default_rng(seed).uniform(0.001, 1, (18, 3)).astype(np.float32)
    joints[:, :2] *= 500
    joints[seed] = 0
    write_pose(f"{tmp_path}/a.pose.json", joints)
    assert (read_pose(tmp_path / "a.pose.json") == joints).all()
    assert (read_pose(tmp_path / "a.pose.json", size=(9, 9)) == joints).all(), "no canvas is named: pixels stay"


def test_the_written_form_is_openpose() -> None:
    joints = standing()
    joints[3] = 0
    numbers = to_openpose(joints)["people"][0]["pose_keypoints_2d"]
    assert len(numbers) == 54 and numbers[9:12] == [0, 0, 0]
    assert numbers[:3] == [joints[0, 0] - 0.5, joints[0, 1] - 0.5, 1]


FLAT = [number for x, y in [(10 * joint, 5 * joint) for joint in range(18)] for number in (x, y, 0.9)]
HALF, FRACTIONS = ([number / by if place % 3 < 2 else number for place, number in enumerate(FLAT)] for by in (2, 200))


@pytest.mark.parametrize(
    "content",
    [
        {"people": [{"pose_keypoints_2d": FLAT}]},
        {"version": 1.0, "people": [{"pose_keypoints": FLAT, "face_keypoints": []}]},
        [{"people": [{"pose_keypoints_2d": FLAT}], "canvas_height": 200, "canvas_width": 200}],
        {"people": [{"pose_keypoints_2d": HALF}], "canvas_height": 100, "canvas_width": 100},
        [{"people": [{"pose_keypoints_2d": FRACTIONS, "hand_left_keypoints_2d": None}], "canvas_height": 768, "canvas_width": 512}],
        {"people": [{"pose_keypoints_2d": FRACTIONS}]},
        {"keypoints": [[*FLAT[3 * joint : 3 * joint + 3], joint] for joint in range(18)]},
        {"people": [{"pose_keypoints_2d": None}, {"pose_keypoints_2d": []}, {"pose_keypoints_2d": FLAT}]},
        {"people": [{"pose_keypoints_2d": [0.1] * 54}, {"pose_keypoints_2d": FLAT}]},
    ],
    ids=["people", "old", "list", "canvas", "fractions", "bare fractions", "points", "empty people", "most confident"],
)  # fmt: skip
def test_the_forms_in_circulation_are_one(content: Any, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    joints = read_pose(tmp_path / "a.json", size=(200, 200))
    assert np.allclose(joints[:, 0], np.arange(18) * 10 + 0.5, atol=0.51), joints
    assert np.allclose(joints[:, 1], np.arange(18) * 5 + 0.5, atol=0.51)
    assert np.allclose(joints[:, 2], 0.9)


def test_nobody_is_eighteen_missing_joints(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"people": []}', encoding="utf-8")
    assert not read_pose(tmp_path / "a.json").any()


def pose_of(number: str, canvas: str = "64") -> str:
    """A file of one person, whose every x is this number."""
    numbers = f"{number}, 5, 1, " * 17 + f"{number}, 5, 1"
    sides = f'"canvas_height": {canvas}, "canvas_width": {canvas}'
    return f'{{"people": [{{"pose_keypoints_2d": [{numbers}]}}], {sides}}}'


@pytest.mark.parametrize("canvas", ["1" + "0" * 400, "1e39", "1e999", "NaN", "1e-300", "0", "-5", "null"])
def test_a_canvas_that_is_none_scales_nothing(canvas: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(pose_of("5", canvas), encoding="utf-8")
    assert (read_pose(tmp_path / "a.json", size=(32, 32))[:, :2] == 5.5).all()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is no JSON file"),
        ("[" * 100_000, "it is no JSON file"),
        ("[]", "an empty list"),
        ('{"shapes": 1}', "but 'shapes'"),
        ('{"people": [1]}', "`people` is a list of objects"),
        ('{"people": [{"pose_keypoints_2d": "x"}]}', "keypoints are a list"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "a flat list has 51 numbers .* given: 2"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, true]}]}', "a flat list has 51 numbers"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 1]}]}', "54 or 75 .18 or 25 of OpenPose"),
        ('{"keypoints": [[1]]}', "a joint is x, y, confidence"),
        ('{"people": [{"pose_keypoints_2d": [' + "NaN, 1, 1, " * 17 + "1, 1, 1]}]}", "finite"),
        ('{"annotations": [{"keypoints": 5, "image_id": 1}], "images": []}', "keypoints are a list"),
        (f"[{pose_of('1')}, {pose_of('2')}]", "it holds 2 frames, and one is wanted"),
        (pose_of("1" + "0" * 400), "a number is too large for any place"),
        (pose_of("1" + "0" * 5000), "no keypoints in it"),
        (pose_of("1e39"), "a joint's place is a number of pixels"),
        (pose_of("-2e6"), "a joint's place is a number of pixels"),
        (pose_of("1e999"), "finite"),
        ("\xff", "it is no JSON file: it is no text"),
    ],
)
def test_what_holds_no_keypoints_is_named(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=reason) as caught:
        read_pose(tmp_path / "a.json", shown="img/a.json")
    assert str(caught.value).startswith("img/a.json: ") and caught.value.records[0].kind == "unreadable"


def test_what_other_readers_read_a_dataset_reads_too(tmp_path: Path) -> None:
    """COCO's 17 joints, and what Windows puts before JSON."""
    points = [[10 * joint + 1, 5, 1] for joint in range(17)]
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"keypoints": points}).encode())
    joints = read_pose(tmp_path / "a.json")
    assert present(joints).all() and joints[JOINTS["left-ankle"], 0] == 151.5
    assert (read_poses(tmp_path / "a.json")[0].joints == joints).all()


def test_a_missing_pose_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json: there is no such file") as caught:
        read_pose(tmp_path / "a.json")
    assert caught.value.records[0].kind == "missing"


# ------------------------------------------------------------------------------------------- real files
@pytest.mark.parametrize("number", [2, 3])
def test_openpose_files_lie_on_their_own_rendering(number: int, shared: Shared) -> None:
    """Every joint of the file is a white spot of the picture that OpenPose drew of it."""
    picture = read_image(shared("pose_json", f"kp_full_{number}.png"))
    joints = read_pose(shared("pose_json", f"kp_full_{number}.json"), size=picture.shape[:2])
    for x, y, confidence in joints[present(joints)]:
        spot = picture[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
        assert spot.max() > 150, (x, y, confidence)
    ours = skeleton(joints, picture.shape[:2]).max(axis=2) > 40
    theirs = picture.max(axis=2) > 40
    assert (ours & theirs).sum() / ours.sum() > 0.55, "limbs that both draw; ours has two for the torso, theirs one"


def test_viton_poses_lie_on_their_people(shared: Shared) -> None:
    folder = shared("parsing", "viton_lip20")
    hits = []
    for file in sorted((folder / "pose").glob("*.json")):
        joints = read_pose(file, size=(256, 192))
        body = (
            np.asarray(read_image(folder / "image" / file.name.replace("_keypoints.json", ".jpg"))).mean(axis=2) < 250
        )
        inside = [body[min(int(y), 255), min(int(x), 191)] for x, y, _ in joints[present(joints)]]
        hits.append(np.mean(inside))
    assert len(hits) == 21 and np.mean(hits) > 0.9


def test_coco_annotation_lies_in_its_polygon(shared: Shared) -> None:
    from PIL import Image, ImageDraw

    content = json.loads(shared("photos", "coco_ccby20", "coco_785.json").read_text(encoding="utf-8"))
    photo = read_image(shared("photos", "coco_ccby20", "000000000785.jpg"))
    person = next(item for item in content["annotations"] if item.get("num_keypoints"))
    joints = from_coco(np.array(person["keypoints"], np.float64).reshape(17, 3))
    body = Image.new("1", (photo.shape[1], photo.shape[0]))
    for polygon in person["segmentation"]:
        ImageDraw.Draw(body).polygon(polygon, fill=1)
    inside = [bool(np.asarray(body)[int(y), int(x)]) for x, y, _ in joints[present(joints)]]
    assert len(inside) == 18 and sum(inside) >= 16


def test_detector_output_is_read_as_confidence(shared: Shared) -> None:
    file = shared("photos", "google_coral_apache2", "squat.movenet_thunder.csv")
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))[:17]
    points = np.array([[float(row[f"keypoint_{key}"]) for key in ("x", "y", "score")] for row in rows])
    joints = from_coco(points * [639, 853, 1], third="confidence")
    assert joints[JOINTS["nose"], 2] == np.float32(points[0, 2]) and present(joints).all()
    assert joints[JOINTS["nose"], 1] < joints[JOINTS["neck"], 1] < joints[JOINTS["left-ankle"], 1]
