"""One's own photo in a pose of one's own: retargeted or not, the window, and the output back in the photo."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core import load
from pgsynth_core.api.drawing import Drawn, draw_own
from pgsynth_core.api.model import Model
from pgsynth_core.api.own import Framing, OwnPhoto, place
from pgsynth_core.api.own_reading import OwnPoses
from pgsynth_core.data import no_keypoints, present, write_pose
from pgsynth_core.data.poses import PoseFrame
from pgsynth_core.data.records import Keypoints
from pgsynth_core.errors import UserError
from pgsynth_core.runs import RUNS_VARIABLE

from ..fixtures.people import annotation_row, noise, smooth, standing, write_annotations, write_photo

SIZE = (32, 24)


def photo(joints: Keypoints | None = None, size: tuple[int, int] = (72, 48), name: str = "me") -> OwnPhoto:
    return OwnPhoto(name, noise(size), no_keypoints() if joints is None else joints)


def small(shift: tuple[float, float] = (100, 60), height: int = 72) -> Keypoints:
    """Somebody who stands small in a large photo."""
    joints = standing((height, height * 2 // 3))
    joints[:, :2] += np.array(shift, np.float32)
    return joints


def frame(joints: Keypoints, canvas: tuple[int, int] | None = None, name: str = "kick") -> PoseFrame:
    return PoseFrame(name, joints, canvas)


def raised(joints: Keypoints) -> Keypoints:
    """The same body with both arms up."""
    moved = joints.copy()
    for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
        for inner, outer in ((shoulder, elbow), (elbow, wrist)):
            length = np.hypot(*(joints[outer, :2] - joints[inner, :2]))
            moved[outer, :2] = moved[inner, :2] - np.array([0, length], np.float32)
    return moved


# ------------------------------------------------------------------------------------------- placing
def test_onto_the_same_body_a_pose_stays_where_it_is() -> None:
    placed = place(photo(standing()), [frame(standing(), (72, 48))], size=SIZE, fit="pad")
    assert placed.retargeted and placed.window is None
    assert np.abs(placed.poses[0] - standing()).max() < 0.5


def test_without_joints_of_the_photo_the_canvas_lies_over_it() -> None:
    twice = standing((144, 96))
    placed = place(photo(), [frame(twice, (144, 96))], size=SIZE, fit="pad")
    assert not placed.retargeted and np.allclose(placed.poses[0], standing(), atol=1e-4)
    assert np.allclose(place(photo(), [frame(standing())], size=SIZE, fit="pad").poses[0], standing())


def test_another_body_is_brought_to_the_size_of_this_one() -> None:
    mine, theirs = small(), raised(standing((216, 144)))
    placed = place(photo(mine, (200, 300)), [frame(theirs, (216, 144))], size=SIZE, fit="pad")
    assert placed.retargeted and placed.window is not None
    wanted = placed.window.joints(raised(mine))
    assert np.abs(placed.poses[0][:, :2] - wanted[:, :2]).max() < 1.5
    off = place(
        photo(mine, (200, 300)), [frame(theirs, (216, 144))], size=SIZE, fit="pad", framing=Framing(retarget="off")
    )
    assert not off.retargeted and off.window is not None
    spans = [np.ptp(one.poses[0][:, 1]) / one.source.size[0] for one in (placed, off)]
    assert spans[1] > 0.8 > spans[0] / 1.2, "without, the canvas fills the window"


@pytest.mark.parametrize("frame_mode", ["auto", "person", "whole"])
def test_a_window_shows_somebody_who_stands_small_and_the_output_goes_back_there(frame_mode: Any) -> None:
    me = photo(small(), (200, 300))
    placed = place(me, [frame(small())], size=SIZE, fit="pad", framing=Framing(frame=frame_mode))
    assert (placed.window is None) == (frame_mode == "whole")
    drawn = np.full((*SIZE, 3), 200, np.uint8)
    whole = placed.back(drawn)
    assert whole.shape == me.image.shape
    if placed.window is None:
        assert (whole == 200).all()
        return
    window = placed.window
    known = small()[:, :2]
    assert (known >= [window.left, window.top]).all()
    assert (known <= [window.left + window.width, window.top + window.height]).all()
    changed = (whole != me.image).any(axis=2)
    assert not changed[: window.top].any() and not changed[:, : window.left].any()
    assert (whole[window.top : window.top + window.height, window.left : window.left + window.width] == 200).all()
    assert abs(placed.source.size[1] / placed.source.size[0] - SIZE[1] / SIZE[0]) < 0.02


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_what_is_seen_in_a_window_goes_back_to_where_it_was(fit: Any) -> None:
    size = (512, 352)
    for height in (20, 33, 47):  # of widths that are rounded most
        me = OwnPhoto("me", smooth((200, 300)), small((100, 60), height))
        placed = place(me, [frame(small((100, 60), height))], size=size, fit=fit, framing=Framing("person"))
        assert placed.window is not None and placed.fit == "squash"
        off = np.abs(placed.back(placed.seen.image).astype(int) - me.image)
        assert off.max() <= 3, "neither grey strips nor a cut"


def test_auto_leaves_somebody_who_fills_the_photo_as_they_are() -> None:
    filling = place(photo(standing()), [frame(standing())], size=SIZE, fit="pad")
    assert filling.window is None
    assert place(photo(standing()), [frame(standing())], size=SIZE, fit="pad", framing=Framing("person")).window


def test_a_person_who_moves_is_one_body_in_one_window() -> None:
    steps = [replace(frame(raised(small((100 + 10 * step, 60)))), name=f"{step}") for step in range(4)]
    placed = place(photo(small(), (200, 300)), steps, size=SIZE, fit="pad")
    places = [one[1, 0] for one in placed.poses]
    assert np.allclose(np.diff(places), 10, atol=0.5), "steps stay steps"


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(UserError, match=r"frame person: the joints of the photo me are not known.*--source-pose"):
        place(photo(), [frame(standing())], size=SIZE, fit="pad", framing=Framing("person"))
    with pytest.raises(UserError, match="retarget on: the joints of the photo me"):
        place(photo(), [frame(standing())], size=SIZE, fit="pad", framing=Framing(retarget="on"))
    with pytest.raises(UserError, match="has no joint"):
        place(photo(), [frame(no_keypoints())], size=SIZE, fit="pad")
    with pytest.raises(UserError, match="18 of the 18 known joints of the pose lie outside the photo"):
        place(photo(), [frame(small((500, 500)))], size=SIZE, fit="pad")
    point = standing()
    point[:, :2] = 20
    with pytest.raises(UserError, match="all 18 joints of the target pose lie at one point"):
        place(photo(standing()), [frame(point)], size=SIZE, fit="pad")
    head = no_keypoints()
    head[0] = 20, 20, 1
    told: list[str] = []
    placed = place(photo(standing()), [frame(head)], size=SIZE, fit="pad", on_warning=told.append)
    assert not placed.retargeted and "is not retargeted" in told[0]
    told.clear()
    mine = replace(photo(standing()), file="me.png")
    place(mine, [frame(small((30, 10)))], size=SIZE, fit="pad", framing=Framing(retarget="off"), on_warning=told.append)
    assert re.match(r"kick in me.png: \d+ of the 18 known joints of the pose lie outside the photo", told[0])
    place(mine, [frame(head)], size=SIZE, fit="pad", on_warning=told.append)
    assert told[1].startswith("kick in me.png is not retargeted: there is no part")
    with pytest.raises(UserError, match=r"kick in me.png: 18 of the 18"):
        place(mine, [frame(small((500, 500)))], size=SIZE, fit="pad", framing=Framing(retarget="off"))


def test_a_pose_that_was_made_somewhere_else_is_shown_all_the_same() -> None:
    placed = place(photo(small((200, 120)), (300, 400)), [frame(raised(standing()))], size=(64, 48), fit="pad")
    assert placed.retargeted and placed.window is not None
    _, given, pose = placed.tiles(0)
    assert all((tile > 0).any(axis=2).mean() > 0.05 for tile in (given, pose))


# ------------------------------------------------------------------------------------------- drawing
@pytest.fixture(scope="module")
def model(lively_run: Path) -> Model:
    return load(lively_run)


def drawn(model: Model, photos: list[OwnPhoto], poses: list[OwnPoses], **how: Any) -> list[Drawn]:
    return list(draw_own(model, photos, poses, **how))


def test_which_of_several_people_is_meant_can_be_said_in_python(model: Model, tmp_path: Path) -> None:
    told: list[str] = []
    flats = [
        (joints - np.array([0.5, 0.5, 0], np.float32)).reshape(-1).tolist() for joints in (standing(), small((5, 3)))
    ]
    couple = {"people": [{"pose_keypoints_2d": flat} for flat in flats]}
    (tmp_path / "couple.json").write_text(json.dumps(couple), encoding="utf-8")
    for pose in (couple, tmp_path / "couple.json"):
        (first,), (second,) = (
            model.sample(noise((72, 48)), pose, person=person, steps=1, on_warning=told.append)
            for person in ("largest", 2)
        )
        (alone,) = model.sample(noise((72, 48)), small((5, 3)), steps=1)
        assert np.array_equal(np.asarray(second), np.asarray(alone)) and not np.array_equal(first, second)
        assert "number 1 is taken. Another by --person, in Python person=" in told.pop() and not told
    with pytest.raises(UserError, match="no person 3"):
        model.sample(noise((72, 48)), couple, person=3)
    with pytest.raises(UserError, match="person: 'largst' says of no one"):
        model.edit(noise((72, 48)), noise((72, 48)), mask=np.ones((72, 48), np.bool_), pose=couple, person="largst")
    with pytest.raises(UserError, match="all 18 joints of the photo's pose lie at one point"):
        model.sample(noise((72, 48)), standing(), source_pose=np.full((18, 3), 1, np.float32))


def test_who_looks_at_photos_is_said_when_a_model_is_loaded(lively_run: Path) -> None:
    with pytest.raises(UserError, match="no annotator 'vitpos'"):
        load(lively_run, annotators=["vitpos"])
    assert load(lively_run, annotators=["vitpose.least_joint=0.5"]).looking().words == ("vitpose.least_joint=0.5",)


def test_a_picture_is_the_same_alone_and_in_a_grid_of_any_batch(model: Model) -> None:
    photos = [photo(standing(), name="a"), photo(small(), (200, 300), name="b")]
    poses = [
        OwnPoses(name, (frame(joints, name=name),)) for name, joints in (("x", standing()), ("y", raised(standing())))
    ]
    alone = [one for each in photos for pose in poses for one in drawn(model, [each], [pose], n=2, batch=1)]
    for batch in (1, 3, 8):
        grid = drawn(model, photos, poses, n=2, batch=batch)
        assert [(one.placed.photo.name, one.frame.name, one.seed) for one in grid] == [
            (name, pose, seed) for name in "ab" for pose in "xy" for seed in (0, 1)
        ]
        assert (
            max(np.abs(one.picture.astype(int) - two.picture).max() for one, two in zip(grid, alone, strict=True)) <= 1
        )


def test_it_is_what_sample_draws(model: Model) -> None:
    (one,) = drawn(model, [photo()], [OwnPoses("x", (frame(standing()),))])
    (two,) = model.sample(noise((72, 48)), standing())
    assert np.array_equal(one.picture, np.asarray(two))
    (framed,) = model.sample(noise((200, 300)), small(), source_pose=small())
    (own,) = drawn(model, [photo(small(), (200, 300))], [OwnPoses("x", (frame(small()),))])
    assert np.array_equal(np.asarray(framed), own.picture)
    sheet = model.sheet(noise((200, 300)), small(), [framed], source_pose=small())
    assert sheet.width > model.sheet(noise((72, 48)), standing(), [two]).width, "one column more: retargeted"


def test_files_and_folders_are_drawn_from_python_as_one_by_one(model: Model, tmp_path: Path) -> None:
    write_photo(tmp_path / "photos/a.png")
    write_photo(tmp_path / "photos/b.png", (200, 300), seed=1)
    write_pose(tmp_path / "photos/b.pose.json", small())
    (tmp_path / "photos/c.png").write_bytes(b"none")
    write_pose(tmp_path / "kick.json", raised(standing()))
    lost: list[str] = []
    given: dict[str, Any] = {"n": 2, "steps": 2, "seed": 3}
    found = list(model.draw([tmp_path / "photos"], [tmp_path / "kick.json"], on_skip=lost.append, **given))
    assert [(one.placed.photo.file, one.frame.name, one.seed) for one in found] == [
        (photo, "kick", seed) for photo in ("a.png", "b.png") for seed in (3, 4)
    ]
    assert len(lost) == 1 and "c.png is left out" in lost[0] and found[3].back().size == (300, 200)
    alone = model.sample(tmp_path / "photos/b.png", tmp_path / "kick.json", **given)
    assert np.abs(np.asarray(alone[1]).astype(int) - np.asarray(found[3].image)).max() <= 1
    with pytest.raises(UserError, match=r"c\.png"):
        list(model.draw([tmp_path / "photos"], [tmp_path / "kick.json"], steps=1))


def test_of_a_sequence_frames_without_anybody_are_left_out_and_told(model: Model) -> None:
    frames = (frame(standing(), name="0"), frame(no_keypoints(), name="1"), frame(raised(standing()), name="2"))
    told: list[str] = []
    found = drawn(model, [photo(standing())], [OwnPoses("walk", frames, moving=True)], on_warning=told.append)
    assert [one.frame.name for one in found] == ["0", "2"] and told == ["1: nobody is in it, and it is left out."]
    apart = drawn(model, [photo(standing())], [OwnPoses("folder", frames)], on_warning=told.append)
    assert [one.frame.name for one in apart] == ["0", "2"] and told[1:] == ["1: nobody is in it, and it is left out."]
    assert found[1].number == 2 and present(found[1].placed.poses[2]).all()


def test_the_python_that_the_readme_shows_runs(
    lively_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = Path(__file__).resolve().parents[2] / "README.md"
    block = re.search(
        r'^ {4}model = load\("latest"\).*?(?=\n\n)', readme.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    code = textwrap.dedent(block[0])
    moved = '.to("cuda").compile()'
    assert moved in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUNS_VARIABLE, str(lively_run.parent))
    for number, name in enumerate(("me.jpg", "you.jpg", "photos/a.jpg", "photos/b.jpg")):
        write_photo(Path(name), seed=number)
    for name in ("me.pose.json", "kick.json"):
        write_pose(Path(name), standing())
    write_annotations(Path("dance.csv"), [annotation_row("one"), annotation_row("two")])
    Image.fromarray(np.eye(72, 48, dtype=np.uint8) * 255).save("shirt.png")
    made: dict[str, Any] = {"load": load}
    exec(compile(code.replace(moved, ""), "README.md", "exec"), made)  # noqa: S102 - it is ours
    assert made["picture"].size and made["other"].size == (48, 72)
    assert {path.name for path in tmp_path.glob("?-*.png")} == {
        f"{photo}-{pose}-{seed}.png" for photo in "ab" for pose in ("kick", "one", "two") for seed in (0, 1)
    }
