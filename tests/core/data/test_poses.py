"""Poses read from every form, written in every form and read back; what is no pose is refused with the cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import JOINTS, DataError, Keypoints, present, read_image, read_pose, skeleton, write_label_map
from pgsynth_core.data.people import said_choice
from pgsynth_core.data.poses import POSE_FORMS, PoseFrame, poses_as, poses_in, read_poses
from pgsynth_core.data.stamp import stamped
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.figures.body.bones import pose_bones, rest_joints
from pgsynth_plugins.datasets.figures.body.build import draw_build
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.joints import joint_points
from pgsynth_plugins.datasets.figures.poses import VIEWS, draw_pose, turns_of

from ...fixtures.people import STANDING, Shared, annotation_row, standing, write_annotations, write_photo

SIZE = (256, 176)


def dancing(missing: tuple[int, ...] = (4, 16)) -> Keypoints:
    joints = standing(SIZE)
    joints[7, :2] = 130.25, 40.5
    joints[list(missing)] = 0
    joints[9, 2] = 0.25
    return joints


def put(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------- round trips
@pytest.mark.parametrize("form", [form for form in POSE_FORMS if form != "png"])
def test_what_is_written_is_read_back(form: str, tmp_path: Path) -> None:
    frames = [PoseFrame("kick", dancing(), SIZE), PoseFrame("jump", dancing(missing=(1,)), SIZE)]
    for name, content in poses_as(frames, form).items():
        (tmp_path / name).write_bytes(content)
    read = {frame.name: frame for frame in read_poses(tmp_path)}
    if form in ("dwpose", "npy"):
        read = dict(zip(("kick", "jump"), read.values(), strict=True))
    assert set(read) == {"kick", "jump"}
    for frame in frames:
        back, wanted = read[frame.name].joints.copy(), frame.joints.copy()
        if form == "coco" and frame.name == "jump":
            assert back[1, 2] == 1, "COCO has no neck: it is made of the shoulders"
            back[1] = 0
        if form == "coco":
            back[1] = wanted[1]
        if form == "csv":
            wanted[:, 2] = present(wanted)
        assert np.allclose(back, wanted, atol=1e-4), form
        assert read[frame.name].canvas == (None if form in ("csv", "npy") else SIZE)


def test_openpose_25_has_the_middle_of_the_hips_and_no_feet() -> None:
    content = json.loads(poses_as([PoseFrame("a", standing(SIZE), SIZE)], "openpose25")["a.json"])
    points = np.array(content["people"][0]["pose_keypoints_2d"]).reshape(25, 3)
    hips = standing(SIZE)[[8, 11], :2].mean(axis=0) - 0.5
    assert np.allclose(points[8, :2], hips, atol=1e-3) and not points[19:].any()
    missing = standing(SIZE)
    missing[8] = 0
    content = json.loads(poses_as([PoseFrame("a", missing, SIZE)], "openpose25")["a.json"])
    assert content["people"][0]["pose_keypoints_2d"][24:27] == [0, 0, 0]


def test_sample_reads_what_is_written_as_openpose(tmp_path: Path) -> None:
    (name, content), *_ = poses_as([PoseFrame("a", dancing(), SIZE)], "openpose").items()
    (tmp_path / name).write_bytes(content)
    assert (read_pose(tmp_path / name) == dancing()).all()


def test_files_of_frames_have_names_of_their_own(tmp_path: Path) -> None:
    frames = [PoseFrame(name, dancing(), SIZE) for name in ("a", "a", "../../b", ".c")]
    assert set(poses_as(frames, "openpose")) == {f"{name}.pose.json" for name in ("a", "a.2", "_.._b", "c")}
    with pytest.raises(UserError, match=r"does not say the size.*--canvas"):
        poses_as([PoseFrame("a", dancing())], "png")


# ------------------------------------------------------------------------------------------- drawings
def test_a_drawn_skeleton_is_read_back_within_a_pixel(tmp_path: Path) -> None:
    for number in range(4):
        generator = np.random.default_rng(number)
        joints = standing(SIZE)
        joints[:, :2] += generator.normal(0, 4, (18, 2)).astype(np.float32)
        joints[generator.choice(18, number, replace=False)] = 0
        Image.fromarray(skeleton(joints, SIZE)).save(tmp_path / "a.png")
        (frame,) = read_poses(tmp_path / "a.png")
        assert frame.canvas == SIZE and (present(frame.joints) == present(joints)).all(), number
        assert np.hypot(*(frame.joints - joints)[:, :2].T).max() < 1


def test_joints_hidden_under_others_are_found_by_what_is_seen_of_them() -> None:
    joints = standing(SIZE)
    joints[4, :2] = joints[8, :2] + 1.5  # a hand on the hip: a rim of its disc is seen
    joints[3, :2] = joints[4, :2] + (-25, -10)
    from pgsynth_core.data.poses.drawn import joints_drawn

    found = joints_drawn(skeleton(joints, SIZE))
    assert (found[:, 2] > 0).all() and np.hypot(*(found - joints)[4, :2]) < 1
    joints[4, :2] = joints[8, :2]  # all of it is hidden, and its limb is seen
    found = joints_drawn(skeleton(joints, SIZE))
    assert found[4, 2] and np.hypot(*(found - joints)[4, :2]) < 1


def read_back(poses: list[Keypoints]) -> int:
    """Joints that are left missing; each that is given is within a pixel, and none is invented."""
    from pgsynth_core.data.poses.drawn import joints_drawn

    missing = 0
    for joints in poses:
        found = joints_drawn(skeleton(joints, SIZE))
        given = present(found)
        assert not (given & ~present(joints)).any()
        assert np.hypot(*(found - joints)[given, :2].T).max() < 1, np.flatnonzero(given)
        missing += int((present(joints) & ~given).sum())
    return missing


@pytest.mark.slow
def test_joints_of_figures_are_read_within_a_pixel_or_left_missing() -> None:
    """Of all views, in which arms and legs cover each other; and with a hand that is beyond the picture."""
    made = figures(12)
    assert read_back(made) <= 3
    for joints in made[:4]:
        joints[JOINTS["left-wrist"], 0] = 190
    assert read_back(made[:4]) <= 6


@pytest.mark.slow
def test_joints_of_many_figures_are_read_within_a_pixel_or_left_missing() -> None:
    assert read_back(figures(45)) <= 6


def figures(count: int) -> list[Keypoints]:
    """Poses of the painted figures, in all views, that lie in the picture."""
    made = []
    for number in range(count):
        build = draw_build(Chance("drawn", number % 3).of("build"))
        rest = rest_joints(build)
        points = joint_points(build, rest, pose_bones(rest, turns_of(draw_pose(Chance("poses", str(number)), VIEWS))))
        joints = np.ones((18, 3), np.float32)
        joints[:, :2] = 105.0 * points[:, :2] * (1, -1)
        joints[:, :2] += (88, 128) - (joints[:, :2].min(axis=0) + joints[:, :2].max(axis=0)) / 2
        made.append(joints)
    return made


@pytest.mark.slow
def test_every_pose_of_deepfashion_is_read_back_within_a_pixel(shared: Shared) -> None:
    tables = [shared("deepfashion_mini", f"fasion-resize-annotation-{part}.csv") for part in ("test", "train")]
    poses = [frame.joints for table in tables for frame in read_poses(table)]
    assert len(poses) == 282 and read_back(poses) <= 2


def test_a_picture_that_is_no_skeleton_is_refused_with_the_cure(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "me.png")
    with pytest.raises(
        DataError, match=r"no drawn skeleton .*background is not black.*pgsynth annotate .*me.png --pose"
    ):
        read_poses(photo)
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match="black all over"):
        read_poses(tmp_path / "b.png")
    pair = np.maximum(skeleton(standing(SIZE), (256, 400)), np.roll(skeleton(standing(SIZE), (256, 400)), 200, axis=1))
    Image.fromarray(pair).save(tmp_path / "c.png")
    with pytest.raises(DataError, match="several skeletons"):
        read_poses(tmp_path / "c.png")


def test_a_photo_takes_the_pose_beside_it_or_what_an_annotator_finds(tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "me.png")
    people = [standing(), standing() * np.array([0.5, 0.5, 1], np.float32)]
    (frame,) = read_poses(photo, person="2", found_in=lambda image: people)
    assert (frame.joints == people[1]).all() and frame.canvas == (72, 48)
    put(tmp_path / "me.pose.json", {"people": [{"pose_keypoints_2d": [5, 5, 1] * 18}]})
    assert (read_poses(photo)[0].joints[:, :2] == 5.5).all()
    assert [frame.name for frame in read_poses(tmp_path)] == ["me"], "the photo and its pose are one"


# ------------------------------------------------------------------------------------------- forms
def test_dwpose_fractions_become_pixels_of_the_canvas(tmp_path: Path) -> None:
    bodies = {"candidate": [[x / 48, y / 72] for x, y in STANDING], "subset": [[*range(17), -1]]}
    path = put(tmp_path / "a.json", {"bodies": bodies, "canvas_height": 72, "canvas_width": 48})
    (frame,) = read_poses(path)
    assert np.allclose(frame.joints[:17, :2], STANDING[:17], atol=1e-4) and not frame.joints[17].any()
    put(path, {"bodies": bodies})
    with pytest.raises(DataError, match=r"fractions from 0 to 1.*--canvas HEIGHTxWIDTH"):
        read_poses(path)
    assert read_poses(path, canvas=(144, 96))[0].joints[0, 0] == pytest.approx(48)


def test_coco_in_its_forms(tmp_path: Path) -> None:
    coco = json.loads(poses_as([PoseFrame("a", dancing(missing=()), SIZE)], "coco")["a.json"])
    flat = coco["annotations"][0]["keypoints"]
    rows = np.array(flat).reshape(17, 3)
    forms = {
        "flat": flat,
        "rows": rows.tolist(),
        "pairs": rows[:, :2].tolist(),
        "results": [{"image_id": 1, "keypoints": flat, "score": 0.9}],
        "mmpose": {"instance_info": [{"frame_id": 0, "instances": [{"keypoints": rows[:, :2].tolist()}]}]},
        "keypoints": {"keypoints": rows.tolist()},
    }
    for name, content in forms.items():
        (frame,) = read_poses(put(tmp_path / f"{name}.json", content))
        assert np.allclose(frame.joints[5, :2], dancing()[5, :2], atol=1e-3), name
        assert frame.joints[JOINTS["left-wrist"], 0] == pytest.approx(130.25, abs=1e-3), name
    frames = read_poses(put(tmp_path / "frames.json", [rows.tolist()] * 3))
    assert [frame.name for frame in frames] == ["frames-0000", "frames-0001", "frames-0002"]


def test_csv_in_its_forms(tmp_path: Path) -> None:
    rows = [annotation_row("b.jpg"), annotation_row("a.jpg", [(-1, -1), *STANDING[1:]])]
    path = write_annotations(tmp_path / "poses.csv", rows)
    assert [frame.name for frame in read_poses(path)] == ["b", "a"]
    (frame,) = read_poses(f"{path}:a.jpg")
    assert not frame.joints[0].any() and (frame.joints[1:, :2] == np.array(STANDING[1:]) + 0.5).all()
    with pytest.raises(DataError, match=r"no row 'c.jpg'"):
        read_poses(f"{path}:c.jpg")
    with pytest.raises(DataError, match="header of no poses"):
        read_poses(put(tmp_path / "pairs.csv", "from,to\na,b\n"))


@pytest.mark.parametrize("joints", [17, 18, 25])
def test_arrays_of_each_length(joints: int, tmp_path: Path) -> None:
    array = np.ones((3, joints, 3)) * np.arange(5, 5 + joints)[None, :, None]
    array[:, :, 2] = 1
    np.save(tmp_path / "a.npy", array)
    frames = read_poses(tmp_path / "a.npy")
    assert len(frames) == 3 and frames[0].joints[0, 0] == 5.5 and present(frames[0].joints).all()
    array[1, 0] = np.nan
    np.save(tmp_path / "a.npy", array[..., :2])
    assert not read_poses(tmp_path / "a.npy")[1].joints[0].any(), "without confidences, what is no number is missing"


def scored_row(score: float, x: float = 50, file: str = "") -> str:
    """A row of TensorFlow's CSV, of which the nose has this score and everything else 0.9."""
    numbers = [f"{x + joint},{60 + joint},{score if joint == 0 else 0.9}" for joint in range(17)]
    return ",".join(([file] if file else []) + numbers)


NAMES = [f"{side}{part}" for part in ("nose",) for side in ("",)] + [
    f"{side}_{part}"
    for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
]


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_csv_of_names_has_scores_and_frames(case: Any, tmp_path: Path) -> None:
    header = ",".join(case(f"{name}_{axis}") for name in NAMES for axis in ("x", "y", "score"))
    frames = read_poses(put(tmp_path / "a.csv", f"{header}\n{scored_row(0.01)}\n{scored_row(0.4)}\n"))
    assert [frame.name for frame in frames] == ["a-0000", "a-0001"]
    assert not frames[0].joints[0].any() and frames[0].joints[5, 2] == np.float32(0.9), "nobody saw that nose"
    assert frames[1].joints[0].tolist() == [50.5, 60.5, np.float32(0.4)]
    rows = [scored_row(0.9, x, file) for file, x in (("b.jpg", 50), ("b.jpg", 10), ("a.jpg", 20))]
    path = put(tmp_path / "b.csv", "\n".join([case("file_name") + "," + header, *rows]))
    assert [frame.name for frame in read_poses(path)] == ["b", "a"], "rows of one file are of one frame"
    assert read_poses(f"{path}:b.jpg", person="leftmost")[0].joints[0, 0] == 10.5
    rows = [f"{frame},0,{joint},0.9,{joint},{frame}" for frame in (3, 4) for joint in range(17)]
    path = put(
        tmp_path / "c.csv", "\n".join(["frame_id,pose_id,keypoint_id,keypoint_score,keypoint_x,keypoint_y", *rows])
    )
    assert [frame.joints[0, 1] for frame in read_poses(path)] == [3.5, 4.5]


def test_joints_of_which_a_detector_is_unsure_are_missing_and_ours_are_kept(tmp_path: Path) -> None:
    points = [[10 + joint, 11] for joint in range(17)]
    scores = [0.9] * 11 + [0.01] * 6
    item = {"keypoints": points, "keypoint_scores": scores}
    flat = [number for (x, y), score in zip(points, scores, strict=True) for number in (x, y, score)]
    for content in ({"instances": [item]}, item, [{"image_id": 1, "keypoints": flat}]):
        (frame,) = read_poses(put(tmp_path / "a.json", content))
        legs = [JOINTS[f"{side}-{part}"] for part in ("hip", "knee", "ankle") for side in ("left", "right")]
        assert set(np.flatnonzero(~present(frame.joints))) == set(legs), content
    faint = dancing(missing=(1,))
    faint[:, 2] = np.float32(0.015) * np.arange(18)
    faint[:2] = 0
    for form in ("openpose", "coco", "dwpose", "npy"):
        ((name, content),) = poses_as([PoseFrame("kick", faint, SIZE)], form).items()
        (tmp_path / name).write_bytes(content)
        (frame,) = read_poses(tmp_path / name)
        if form == "coco":
            assert frame.joints[1, 2] > 0
            frame.joints[1] = 0
        assert (frame.joints == faint).all(), form


# ------------------------------------------------------------------------------------------- people and sequences
def test_which_of_several_people(tmp_path: Path) -> None:
    small, large = standing() * np.array([0.5, 0.5, 1], np.float32), standing()
    large[:, :2] += 100
    large[:, 2] = 0.5
    flats = [(joints - np.array([0.5, 0.5, 0], np.float32)).reshape(-1).tolist() for joints in (small, large)]
    path = put(tmp_path / "a.json", {"people": [{"pose_keypoints_2d": flat} for flat in flats]})
    chosen = {"most-certain": small, "largest": large, "leftmost": small, "rightmost": large, "1": small, "2": large}
    for person, wanted in chosen.items():
        assert np.allclose(read_poses(path, person=person)[0].joints, wanted, atol=1e-4), person
    flats.insert(0, [0] * 54)
    put(path, {"people": [{"pose_keypoints_2d": flat} for flat in flats]})
    assert np.allclose(read_poses(path, person="2")[0].joints, large, atol=1e-4), "who has no joint has no number"
    for person, message in {"3": "no person 3; 2 are in it", "leftest": "Did you mean 'leftmost'"}.items():
        with pytest.raises(UserError, match=message):
            read_poses(path, person=person)


def test_who_of_several_is_taken_is_told(tmp_path: Path) -> None:
    path, told = put(tmp_path / "couple.json", couple(0, 100, 1)), list[tuple[str, int, int]]()

    def read(given: Path, **how: Any) -> tuple[str, int, int] | None:
        told.clear()
        read_poses(given, **how, on_choice=lambda *choice: told.append(choice))
        assert len(told) < 2, "a sequence, once"
        return told[0] if told else None

    assert read(path) == (str(path), 2, 1) and read(path, person="leftmost") == (str(path), 2, 0)
    assert read(path, person="2") is None
    assert read(put(tmp_path / "one.json", {"people": couple(0, 100, 0)["people"][:1]})) is None
    nobody = {"people": [], "canvas_height": 100, "canvas_width": 200}
    dance = put(tmp_path / "dance.json", [nobody, *[couple(0, 100, 0)] * 3])
    assert read(dance) == (str(dance), 2, 0), "in the first frame that has somebody"
    assert said_choice("a.json", 2, 0).startswith("a.json: 2 people are in it, and number 1 is taken. Another by --per")
    with pytest.raises(DataError) as refused:
        read_poses(path, person="3")
    assert refused.value.problems[0].cure.startswith("Give a number from 1 to 2, or largest")
    with pytest.raises(DataError) as refused:
        read_poses(put(tmp_path / "empty.json", []))  # type: ignore[arg-type]
    assert "an empty list" in refused.value.problems[0].message


def test_files_of_a_folder_that_is_no_sequence_are_read_each_by_itself(tmp_path: Path) -> None:
    for name, surer in (("a", 0), ("b", 1)):
        put(tmp_path / f"{name}.json", couple(0, 100, surer))
    told: list[tuple[str, int, int]] = []
    followed, apart = (
        read_poses(tmp_path, follow=follow, on_choice=lambda *choice: told.append(choice)) for follow in (True, False)
    )
    assert [round(frame.joints[1, 0] - 25) for frame in followed] == [0, 0]
    assert [round(frame.joints[1, 0] - 25) for frame in apart] == [0, 100]
    assert told[1:] == [(str(tmp_path / "a.json"), 2, 0), (str(tmp_path / "b.json"), 2, 1)]


def test_what_is_read_already_is_read_as_its_file_is(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    (frame,) = poses_in(couple(0, 100, 1), name="pose", on_choice=lambda *choice: told.append(choice))
    assert round(frame.joints[1, 0] - 25) == 100 and told == [("pose", 2, 1)]
    for content in ({"instance_info": []}, {"people": 5}, {}):
        with pytest.raises(DataError) as refused:
            poses_in(content, name="pose")
        assert refused.value.problems[0].where == "pose" and refused.value.problems[0].cure


def couple(left: float, right: float, surer: int, canvas: int = 200) -> dict[str, Any]:
    """Two people who stand at these x, and which of them is the more certain."""
    people = []
    for place, x in enumerate((left, right)):
        joints = standing() + np.array([x, 0, 0], np.float32)
        joints[:, 2] = 0.9 if place == surer else 0.5
        people.append({"pose_keypoints_2d": joints.reshape(-1).tolist()})
    return {"people": people, "canvas_height": 100, "canvas_width": canvas}


def test_through_a_sequence_one_person_is_followed(tmp_path: Path) -> None:
    frames = [couple(0, 100, 0), couple(10, 90, 1), {"people": couple(20, 80, 1)["people"][:1]}, couple(25, 80, 1)]
    frames[2] |= {"canvas_height": 100, "canvas_width": 200}
    path = put(tmp_path / "dance.json", frames)
    assert [round(frame.joints[1, 0] - 25) for frame in read_poses(path)] == [0, 10, 20, 25]
    assert [round(frame.joints[1, 0] - 25) for frame in read_poses(path, person="rightmost")] == [100, 90, 20, 25]
    second = read_poses(path, person="2")
    assert [present(frame.joints).any() for frame in second] == [True, True, False, True]
    assert second[2].canvas == (100, 200) and round(second[3].joints[1, 0] - 25) == 80
    other = read_poses(put(tmp_path / "other.json", [couple(0, 100, 0), couple(10, 90, 1, canvas=400)]))
    assert round(other[1].joints[1, 0] - 25) == 90, "a picture of another size is no frame of the same camera"
    with pytest.raises(DataError, match="no person 3; 2 are in it"):
        read_poses(path, person="3")
    gap = put(tmp_path / "gap.json", [couple(0, 100, 0), {**frames[2], "people": []}, couple(10, 90, 1)])
    assert round(read_poses(gap)[2].joints[1, 0] - 25) == 10, "who was not seen in a frame is followed from before it"
    alone = put(tmp_path / "one.json", frames[2])
    with pytest.raises(DataError, match="no person 2; 1 is in it"):
        read_poses(alone, person="2", exact=True)
    assert (read_poses(alone, person="2")[0].joints == read_poses(alone)[0].joints).all()


def test_what_stands_beside_poses_is_passed_over_and_says_their_canvas(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((90, 60, 3), np.uint8)).save(tmp_path / "me.jpg", exif=turned())
    put(tmp_path / "me.pose.json", {"people": [{"pose_keypoints_2d": [5, 5, 1] * 18}]})
    write_label_map(tmp_path / "me.parsing.png", np.zeros((60, 90), np.uint8), label_set="atr18")
    sheet = stamped(Image.new("RGB", (9, 9)), {"made_with": "sheet"})
    for name in ("sheet.png", "poses-sheet.png"):
        (tmp_path / name).write_bytes(sheet)
    (frame,) = read_poses(tmp_path)
    assert (frame.name, frame.canvas) == ("me", (60, 90)), "upright, as its EXIF says"
    for path in ("me.jpg", "me.pose.json"):
        (same,) = read_poses(tmp_path / path)
        assert same.canvas == (60, 90) and (same.joints == frame.joints).all()
    assert read_poses(tmp_path, canvas=(30, 45))[0].canvas == (30, 45)
    Image.fromarray(skeleton(standing((90, 60)), (90, 60))).save(tmp_path / "mysheet.png")
    assert [one.name for one in read_poses(tmp_path)] == ["me", "mysheet"], "without our stamp it is none"


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[274] = 6
    return exif


def test_more_than_a_picture_holds_is_not_drawn() -> None:
    with pytest.raises(UserError, match=r"pose a: its canvas is 1000000x1000000; at most 67,108,864 pixels"):
        poses_as([PoseFrame("a", dancing(), (1_000_000, 1_000_000))], "png")


def test_a_folder_is_a_sequence_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        put(tmp_path / f"f{number}.json", {"people": []})
    put(tmp_path / ".hidden.json", "{")
    put(tmp_path / "notes.txt", "x")
    frames = read_poses(tmp_path)
    assert [frame.name for frame in frames] == ["f1", "f2", "f10"] and not frames[0].joints.any()
    assert [frame.name for frame in read_poses([tmp_path / "f10.json", tmp_path / "f1.json"])] == ["f10", "f1"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "no JSON file"),
        ("a.json", "", "no JSON file"),
        ("a.json", '{"shapes": 1}', "holds none of people, bodies"),
        ("a.json", "[[1, 2, 3]]", "17 joints .COCO., 18 or 25 .OpenPose.; given: 1"),
        ("a.json", str([1] * 40), "flat list has 51 numbers"),
        ("a.json", '{"people": [{"pose_keypoints_2d": [1, true, 1]}]}', "flat list"),
        ("a.json", '{"people": 3}', "`people` is a list of objects"),
        ("a.json", '{"bodies": {"candidate": [[0, 0]], "subset": [' + str([9] * 18) + "]}}", "rows of `candidate`"),
        ("a.json", '{"annotations": [], "images": []}', "hold no `keypoints`"),
        ("a.json", '{"annotations": [{"keypoints": 5, "image_id": 1}], "images": []}', "keypoints are a list"),
        ("a.json", str([[1e9, 1, 1]] * 18), "a number of pixels"),
        ("a.json", "[[NaN, 1, 1]" + ", [1, 1, 1]" * 17 + "]", "finite"),
        ("a.npy", "\x93NUMPY broken", "no array of numbers"),
        ("a.png", "no picture", "cannot be read"),
        ("a.csv", "", "header of no poses"),
        ("a.csv", "name:keypoints_y:keypoints_x\na: [1]: [2]\n", "list of 18 numbers"),
        ("a.csv", "pose_id,keypoint_id,keypoint_score,keypoint_x,keypoint_y\n0,99,1,2,3\n", "'99' is no joint"),
        ("a.csv", "pose_id,keypoint_id,keypoint_score,keypoint_x,keypoint_y\n0,1,1,x,3\n", "keypoint_x is a number"),
    ],
)
def test_what_is_no_pose_is_named(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=message) as caught:
        read_poses(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name)) and caught.value.problems[-1].cure


def test_pickles_empty_folders_and_nothing_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
    for path, message in {
        tmp_path / "a.npy": "allow_pickle=False",
        tmp_path / "b.json": "no such file",
        write_photo(tmp_path / "x" / "d" / "p.png").parent.parent: "no file of this folder is read",
    }.items():
        with pytest.raises(DataError, match=message):
            read_poses(path)


# ------------------------------------------------------------------------------------------- real files
def test_every_pose_of_the_real_data_is_read(shared: Shared) -> None:
    counts = {
        ("arm_wave_sequence", "annotation.csv"): 15,
        ("photos", "tensorflow_examples_apache2", "pose_landmark_truth.csv"): 2,
        ("photos", "google_coral_apache2", "test_couple.posenet_resnet_640x480.csv"): 1,
        ("photos", "coco_ccby20", "coco_785.json"): 1,
        ("pose_json", "kp_full_2.json"): 1,
        ("parsing", "viton_lip20", "pose"): 21,
    }
    for parts, count in counts.items():
        frames = read_poses(shared(*parts))
        assert len(frames) == count and all(present(frame.joints).sum() > 5 for frame in frames), parts
        sides = [JOINTS[f"{side}-{part}"] for side in ("left", "right") for part in ("shoulder", "hip")]
        seen = np.array([frame.joints[sides, 0] for frame in frames if present(frame.joints)[sides].all()])
        facing = (seen[:, :2].mean(axis=1) > seen[:, 2:].mean(axis=1)).mean() if len(seen) else 1.0
        assert facing >= 0.5, (parts, "who faces us has the left at the right: a swap of sides fails")
    squat = shared("photos", "google_coral_apache2", "squat.movenet_thunder.csv")
    photo = read_image(squat.parent / "squat.bmp")
    joints = read_poses(squat, canvas=photo.shape[:2])[0].joints
    assert joints[:, 0].max() > 100 and (joints[:, :2] <= photo.shape[1::-1]).all()


def test_the_couple_is_two_people(shared: Shared) -> None:
    path = shared("photos", "google_coral_apache2", "test_couple.posenet_resnet_640x480.csv")
    left, right = (read_poses(path, person=person)[0].joints for person in ("leftmost", "rightmost"))
    assert left[present(left), 0].mean() < right[present(right), 0].mean()


def test_the_communitys_table_is_read_with_left_and_right_as_they_are(shared: Shared) -> None:
    """The back of somebody shows their left at the left; the front at the right: a swap of sides fails."""
    frames = read_poses(shared("deepfashion_mini", "fasion-resize-annotation-test.csv"), canvas=(256, 176))
    assert len(frames) == 53 and {frame.canvas for frame in frames} == {(256, 176)}
    both = [JOINTS["left-shoulder"], JOINTS["right-shoulder"]]
    apart = {
        view: [
            left - right
            for frame in frames
            if view in frame.name and present(frame.joints)[both].all()
            for left, right in [frame.joints[both, 0]]
        ]
        for view in ("front", "back")
    }
    assert len(apart["front"]) > 10 and np.mean(np.array(apart["front"]) > 0) > 0.9
    assert len(apart["back"]) > 3 and np.mean(np.array(apart["back"]) < 0) > 0.9


def test_openposes_own_rendering_is_refused_for_its_colours(shared: Shared) -> None:
    with pytest.raises(DataError, match=r"no drawn skeleton that can be read"):
        read_poses(shared("pose_json", "kp_full_2.png"))
