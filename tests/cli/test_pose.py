"""`pgsynth pose`: converting, drawing, retargeting, and what is refused before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import read_image
from pgsynth_core.data.poses import PoseFrame, poses_as, read_poses
from pgsynth_core.data.sheet import Sheet

from ..fixtures.fake_packages import FakePackages
from ..fixtures.finders import install_finders, photo_of
from ..fixtures.people import annotation_row, standing, write_annotations

Said = Callable[..., Any]


@pytest.fixture
def kick(tmp_path: Path) -> Path:
    path = tmp_path / "kick.pose.json"
    path.write_bytes(poses_as([PoseFrame("kick", standing((256, 176)), (256, 176))], "openpose")["kick.pose.json"])
    return path


def test_a_pose_is_drawn_and_read_back(run: Said, kick: Path, tmp_path: Path) -> None:
    drawn, back = tmp_path / "kick.png", tmp_path / "back.npy"
    assert run("pose", str(kick), "-o", str(drawn)).code == 0
    assert read_image(drawn).shape == (256, 176, 3)
    said = run("pose", str(drawn), "-o", str(back), "--json")
    facts = json.loads(said.out)
    assert facts["frames"] == [{"name": "kick", "joints": 18, "canvas": [256, 176]}]
    assert facts["files"] == [str(back)] and facts["sheet"] is None and facts["ratios"] is None
    assert np.abs(np.load(back)[:, :2] + 0.5 - standing((256, 176))[:, :2]).max() < 1


def test_a_sequence_goes_into_a_folder_with_a_sheet(run: Said, tmp_path: Path) -> None:
    table = write_annotations(tmp_path / "t.csv", [annotation_row(f"f{number}.jpg") for number in range(6)])
    out = tmp_path / "out"
    said = run("pose", str(table), "--canvas", "72x48", "--to", "png", "-o", str(out))
    assert said.code == 0 and said.out == f"{out}\n"
    assert {path.name for path in out.iterdir()} == {*(f"f{number}.png" for number in range(6)), "poses-sheet.png"}
    before = (out / "f0.png").read_bytes()
    again = run("pose", str(table), "--canvas", "72x48", "--to", "png", "-o", str(out))
    assert again.code == 2 and "the file exists" in again.err and "--force" in again.err
    assert run("pose", str(table), "--canvas", "72x48", "--to", "png", "-o", str(out), "--force").code == 0
    assert (out / "f0.png").read_bytes() == before


def test_retargeting_tells_its_ratios(run: Said, kick: Path, tmp_path: Path) -> None:
    table = write_annotations(tmp_path / "t.csv", [annotation_row("f.jpg")])
    out = tmp_path / "out"
    said = run("pose", str(table), "--canvas", "72x48", "--onto", str(kick), "-o", str(out), "--json")
    facts = json.loads(said.out)
    assert facts["ratios"]["whole"] == pytest.approx(256 / 72, rel=0.03) and facts["ratios"]["measured"] == "torso"
    assert facts["frames"][0]["canvas"] == [256, 176] and facts["sheet"] == str(out / "poses-sheet.png")
    made = read_poses(out / "f.pose.json")[0].joints
    assert abs(made[10, 1] - standing((256, 176))[10, 1]) < 0.01, "on the source's ground"
    height, width, _ = read_image(out / "poses-sheet.png").shape
    assert width > 3 * 170 and height > 256


def test_a_folder_that_was_made_is_read_again(run: Said, kick: Path, tmp_path: Path) -> None:
    made, again = tmp_path / "made", tmp_path / "again"
    assert run("pose", str(kick), "--to", "png", "-o", str(made)).code == 0
    assert {path.name for path in made.iterdir()} == {"kick.png", "poses-sheet.png"}
    facts = json.loads(run("pose", str(made), "-o", str(again), "--json").out)
    assert [frame["name"] for frame in facts["frames"]] == ["kick"]


def test_annotators_look_for_people_in_photos(run: Said, fake_packages: FakePackages, tmp_path: Path) -> None:
    install_finders(fake_packages)
    photo = photo_of(tmp_path / "me.png", ((30, 10, 250), (10, 30, 200)))
    words = ("pose", str(photo), "-o", str(tmp_path / "me.npy"), "--device", "cpu", "--person", "2", "--annotator")
    assert run(*words, "finder").code == 0
    assert np.load(tmp_path / "me.npy")[0, :2].tolist() == [30, 10]
    for name, message in {"findr": "Did you mean 'finder'?", "finder.leest=1": "no option 'leest'"}.items():
        said = run(*words, name, "--force")
        assert said.code == 2 and message in said.err
    out = tmp_path / "onto"
    facts = json.loads(
        run(
            "pose", str(photo), "--onto", str(photo), "-o", str(out), *words[4:6], "--annotator", "finder", "--json"
        ).out
    )
    assert facts["ratios"]["whole"] == pytest.approx(1)


def test_who_of_several_is_taken_is_told_and_another_can_be(run: Said, kick: Path, tmp_path: Path) -> None:
    alone = standing((256, 176)) - np.array([0.5, 0.5, 0], np.float32)
    people = [{"pose_keypoints_2d": (alone * (size, size, 1)).reshape(-1).tolist()} for size in (0.5, 1)]
    couple = tmp_path / "couple.json"
    couple.write_text(json.dumps({"people": people, "canvas_height": 256, "canvas_width": 176}), encoding="utf-8")
    words = ("pose", str(kick), "--onto", str(couple), "--json", "-o", str(tmp_path / "out"))
    facts = run(*words).facts
    assert facts["ratios"]["whole"] == pytest.approx(0.5, rel=0.01)
    (told,) = facts["warnings"]
    assert told.startswith(f"{couple}: 2 people are in it, and number 1 is taken. Another by --onto-person: largest,")
    facts = run(*words, "--onto-person", "largest", "--force").facts
    assert facts["ratios"]["whole"] == pytest.approx(1, rel=0.01) and "number 2 is taken" in facts["warnings"][0]
    assert run(*words, "--onto-person", "2", "--force").facts["warnings"] == []
    said = run(*words, "--onto-person", "3", "--force")
    assert said.code == 2 and "Give a number from 1 to 2" in said.facts["problems"][0]["cure"]


def test_the_sheet_says_how_many_poses_there_are(run: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sheet] = []
    monkeypatch.setattr(Sheet, "picture", lambda self: made.append(self) or Image.new("RGB", (4, 4)))  # type: ignore[func-returns-value]
    for number in (3, 20):
        np.save(tmp_path / "dance.npy", np.stack([standing()] * number))
        words = ("pose", str(tmp_path / "dance.npy"), "--canvas", "72x48", "-o", str(tmp_path / "out"), "--force")
        assert run(*words).code == 0
    assert [sheet.title for sheet in made] == ["poses", "the first 16 of 20 poses"]
    assert [list(names) for names in made[0].captions] == [["dance-0000", "dance-0001", "dance-0002"]]


def test_a_single_joint_is_drawn_on_the_sheet(run: Said, tmp_path: Path) -> None:
    joints = np.zeros((18, 3), np.float32)
    joints[0] = 50, 60, 1
    np.save(tmp_path / "one.npy", joints)
    said = run("pose", str(tmp_path / "one.npy"), "-o", str(tmp_path / "out"), "--sheet", str(tmp_path / "s.png"))
    assert said.code == 0 and (tmp_path / "s.png").is_file(), said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["KICK", "-o", "OUT.jpg"], "no pose is written to .jpg files"),
        (["KICK", "-o", "OUT.npz"], "*.json, *.csv, *.npy or *.png"),
        (["KICK", "-o", "OUT.webp", "--to", "png"], "no pose is written to .webp files"),
        (["KICK", "-o", "OUT", "--person", "2"], "there is no person 2; 1 is in it"),
        (["KICK", "-o", "OUT/x.csv"], "there is no folder"),
        (["KICK", "-o", "OUT.json", "--to", "npy"], "npy is written to .npy files"),
        (["KICK", "-o", "OUT", "--root", "target"], "nothing is retargeted"),
        (["KICK", "-o", "OUT", "--to", "openpos"], "Did you mean 'openpose'"),
        (["KICK", "-o", "OUT", "--canvas", "12"], "write HEIGHTxWIDTH"),
        (["KICK", "KICK", "-o", "OUT.png"], "there are 2 frames"),
        (["KICK", "-o", "OUT", "--person", "leftest"], "Did you mean 'leftmost'"),
        (["gone.json", "-o", "OUT"], "no such file"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(
    words: list[str], message: str, run: Said, kick: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    said = run("pose", *(str(kick) if word == "KICK" else word.replace("OUT", out) for word in words))
    assert said.code == 2 and message in said.err and "Traceback" not in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["kick.pose.json"]
