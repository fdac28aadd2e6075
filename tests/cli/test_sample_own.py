"""`pgsynth sample` on photos of one's own: grids, sequences, what is found beside and in a photo, and every bad input."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.api import drawing
from pgsynth_core.api.telling import Hooks
from pgsynth_core.data import write_pose
from pgsynth_core.data.poses import PoseFrame, poses_as
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.stamp import stamp_of

from ..fixtures.fake_packages import FakePackages
from ..fixtures.finders import install_finders, photo_of
from ..fixtures.people import noise, shared, smooth, standing, write_photo
from .conftest import Made

__all__ = ["shared"]

Run = Callable[..., Any]


@pytest.fixture
def sample(run: Run, lively_trained: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Sample from a run in two steps, in an empty folder with a pose."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_pose(Path("kick.json"), standing())
    return lambda *words: run("sample", *lively_trained.run, "--steps", "2", "-o", "out", *map(str, words))


def opened(path: str | Path) -> Image.Image:
    """A picture, its file closed."""
    with Image.open(path) as image:
        image.load()
        return image.copy()


def names(facts: dict[str, Any], what: str = "pictures") -> list[str]:
    return [Path(path).name for path in facts[what]]


# ------------------------------------------------------------------------------------------- several
def test_several_photos_and_poses_are_a_grid(sample: Run) -> None:
    for number, name in enumerate(("a.png", "b.jpg")):
        write_photo(Path("photos") / name, seed=number)
    write_pose(Path("jump.pose.json"), standing((60, 40)))
    said = sample("--source", "photos", "--pose", "kick.json", "jump.pose.json", "-n", "2", "--json")
    assert said.code == 0, said.err
    facts = said.facts
    assert names(facts) == [
        f"{photo}-{pose}-seed{seed}.png" for photo in "ab" for pose in ("kick", "jump") for seed in (0, 1)
    ]
    grid, one = opened(facts["grid"]), opened(facts["sheet"])
    assert Path(facts["grid"]).name == "grid.png" and grid.width > grid.height * 0.5 and one.height > grid.height
    again = sample("--source", "photos/b.jpg", "--pose", "jump.pose.json", "--seed", "1", "--json").facts
    alone, among = (np.asarray(opened(path)).astype(int) for path in (again["pictures"][0], facts["pictures"][7]))
    assert np.abs(alone - among).max() <= 1


def test_somebody_who_moves_is_an_animation(sample: Run) -> None:
    write_photo(Path("me.png"))
    np.save("dance.npy", np.stack([standing() + np.float32([step, 0, 0]) for step in range(3)]))
    said = sample("--source", "me.png", "--pose", "dance.npy", "--fps", "5", "--back", "--json")
    assert said.code == 0, said.err
    facts = said.facts
    assert names(facts) == ["dance-0000.png", "dance-0001.png", "dance-0002.png"]
    assert {Path(path).parent.name for path in facts["pictures"]} == {"me-dance-seed0"}
    animation, back = facts["animations"]
    with Image.open(animation) as moving:
        assert moving.n_frames == 3
        for number, path in enumerate(facts["pictures"]):
            moving.seek(number)
            moving.load()
            assert moving.info["duration"] == 200
            assert np.array_equal(np.asarray(moving.convert("RGB")), np.asarray(opened(path)))
    assert len(facts["back"]) == 3 and opened(facts["back"][0]).size == (48, 72)
    assert Path(back).name == "me-dance-seed0-photo.webp"
    with Image.open(back) as moving:
        assert moving.n_frames == 3 and moving.size == (48, 72)


def test_each_animation_says_what_it_was_made_of(sample: Run) -> None:
    for number, name in enumerate(("me", "you")):
        write_photo(Path(f"{name}.png"), seed=number)
    for name in ("dance", "walk"):
        np.save(f"{name}.npy", np.stack([standing()] * 2))
    words = ("--source", "me.png", "you.png", "--pose", "kick.json", "dance.npy", "walk.npy", "-n", "2", "--back")
    facts = sample(*words, "--steps", "1", "--json").facts
    made = {Path(path).name: stamp_of(Path(path)) or {} for path in facts["animations"]}
    assert len(made) == 16 and Path(facts["sheet"]).name == "own-sheet.png"
    for name, about in made.items():
        photo, pose, seed = name.removesuffix(".webp").split("-")[:3]
        assert (about["source"], about["pose"], f"seed{about['seed']}") == (f"{photo}.png", f"{pose}.npy", seed), name


def test_the_sheet_of_somebody_who_moves_shows_some_of_all_frames(sample: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Sheet] = []
    monkeypatch.setattr(Sheet, "picture", lambda self: made.append(self) or Image.new("RGB", (4, 4)))  # type: ignore[func-returns-value]
    write_photo(Path("me.png"))
    frames = np.stack([standing()] * 26)
    frames[0] = 0
    np.save("dance.npy", frames)
    assert sample("--source", "me.png", "--pose", "dance.npy", "--steps", "1").code == 0
    (sheet,) = made
    shown = [str(name).split(", ")[1] for name in sheet.captions]
    assert len(shown) == 12 and (shown[0], shown[1], shown[-1]) == ("dance-0001", "dance-0003", "dance-0025")
    assert sheet.title == "12 of 25 pictures"


def test_poses_of_a_folder_are_apart_unless_they_are_a_sequence(sample: Run) -> None:
    write_photo(Path("me.png"))
    Path("poses").mkdir()
    for name in ("10", "9"):
        write_pose(Path("poses") / f"{name}.json", standing())
    apart = sample("--source", "me.png", "--pose", "poses", "--json").facts
    assert names(apart) == ["me-9-seed0.png", "me-10-seed0.png"] and "animations" not in apart
    moving = sample("--source", "me.png", "--pose", "poses", "--sequence", "--json").facts
    assert names(moving) == ["9.png", "10.png"] and names(moving, "animations") == ["me-poses-seed0.webp"]


def test_photos_of_one_name_in_several_folders_stay_apart(sample: Run) -> None:
    for folder in "ab":
        write_photo(Path("photos") / folder / "front.png", seed=ord(folder))
    np.save("dance.npy", np.stack([standing(), standing()]))
    facts = sample("--source", "photos", "--pose", "dance.npy", "--json").facts
    assert names(facts, "animations") == ["front-dance-seed0.webp", "front-dance-seed0.2.webp"]
    assert [Path(path).parent.name for path in facts["pictures"]] == [
        *["front-dance-seed0"] * 2,
        *["front-dance-seed0.2"] * 2,
    ]
    assert opened(facts["grid"]).height > 3 * 192
    write_pose(Path("me.json"), standing())
    said = sample("--source", "photos", "--pose", "dance.npy", "--source-pose", "me.json")
    assert said.code == 2 and "one file cannot be of several photos" in said.err


# ------------------------------------------------------------------------------------------- what is known of a photo
def test_joints_beside_the_photo_retarget_and_frame(sample: Run) -> None:
    write_photo(Path("me.png"), (200, 300))
    small = standing()
    small[:, :2] += 60
    write_pose(Path("me.pose.json"), small)
    facts = sample("--source", "me.png", "--pose", "kick.json", "--back", "--json").facts
    about = stamp_of(Path(facts["pictures"][0]))
    assert about is not None and about["retargeted"] and about["window"]["width"] < 150
    assert about["source"] == "me.png" and about["pose"] == "kick.json" and about["seed"] == 0
    whole, photo = np.asarray(opened(facts["back"][0])), noise((200, 300))
    assert whole.shape == photo.shape and (whole != photo).any() and (whole[:40] == photo[:40]).all()
    off = sample("--source", "me.png", "--pose", "kick.json", "--frame", "whole", "--retarget", "off", "--json").facts
    about = stamp_of(Path(off["pictures"][0]))
    assert about is not None and not about["retargeted"] and about["window"] is None
    assert opened(facts["sheet"]).width > opened(off["sheet"]).width, "the pose before and after"


def test_an_annotator_finds_who_is_in_a_photo_of_a_pose(sample: Run, fake_packages: FakePackages) -> None:
    install_finders(fake_packages)
    photo_of(Path("friend.png"))
    photo_of(Path("couple.png"), ((30, 10, 250), (40, 40, 150)))
    photo_of(Path("nobody.png"), ())
    write_photo(Path("me.png"), (96, 64))
    said = sample("--source", "me.png", "--pose", "friend.png", "--annotator", "finder", "--json")
    assert said.code == 0 and names(said.facts) == ["me-friend-seed0.png"], said.err
    both = sample(
        "--source", "couple.png", "--pose", "friend.png", "--annotator", "finder", "--frame", "person", "--json"
    )
    assert any(
        "2 people are in it, and number 1 is taken. Another by --person" in one for one in both.facts["warnings"]
    )
    third = ("--annotator", "finder", "--frame", "person", "--person", "3")
    for words, expected in (
        (
            ("--source", "nobody.png", "--pose", "kick.json", "--annotator", "finder", "--frame", "person"),
            "nobody is seen",
        ),
        (("--source", "couple.png", "--pose", "kick.json", *third), "2 people are seen in it, and no person 3"),
        (("--source", "me.png", "--pose", "nobody.png", "--annotator", "finder"), "has no joint"),
    ):
        said = sample(*words)
        assert said.code == 2 and expected in said.err and "cure:" in said.err, said.err


def test_a_photo_or_pose_may_be_given_again_and_again(sample: Run) -> None:
    for number, name in enumerate("ab"):
        write_photo(Path(f"{name}.png"), seed=number)
    facts = sample("--source", "a.png", "--source", "b.png", "--pose", "kick.json", "--n", "2", "--json").facts
    assert names(facts) == [f"{name}-kick-seed{seed}.png" for name in "ab" for seed in (0, 1)]


def test_a_table_of_joints_is_no_photos_joints_but_its_row_is(sample: Run) -> None:
    write_photo(Path("me.png"), (200, 300))
    small = standing() + np.array([60, 60, 0], np.float32)
    frames = [PoseFrame("other", standing()), PoseFrame("me", small)]
    Path("joints.csv").write_bytes(poses_as(frames, "csv")["poses.csv"])
    said = sample("--source", "me.png", "--pose", "kick.json", "--source-pose", "joints.csv")
    assert said.code == 2 and "2 poses in it, and one is wanted" in said.err
    said = sample("--source", "me.png", "--pose", "kick.json", "--source-pose", "joints.csv:me.jpg", "--json")
    assert said.code == 0, said.err
    about = stamp_of(Path(said.facts["pictures"][0]))
    assert about is not None and about["window"]["left"] > 40


def test_joints_of_another_photo_are_refused(sample: Run) -> None:
    write_photo(Path("me.png"))
    write_pose(Path("me.pose.json"), standing() + np.array([500, 500, 0], np.float32))
    said = sample("--source", "me.png", "--pose", "kick.json")
    assert said.code == 2 and "lie outside the photo" in said.err and "me.pose.json" in said.err


def test_what_cannot_be_drawn_is_told_before_anything_is(sample: Run) -> None:
    write_photo(Path("me.png"))
    write_pose(Path("far.json"), standing() + np.array([500, 500, 0], np.float32))
    said = sample("--source", "me.png", "--pose", "kick.json", "far.json", "--batch", "1")
    assert said.code == 2 and "lie outside the photo" in said.err and not Path("out").exists()


def test_a_photo_of_a_folder_that_cannot_be_used_is_left_out_and_told(sample: Run) -> None:
    for number, name in enumerate("ac"):
        write_photo(Path("photos") / f"{name}.png", seed=number)
    Path("photos/b.png").write_bytes(b"none")
    said = sample("--source", "photos", "--pose", "kick.json", "--json")
    assert said.code == 0 and names(said.facts) == ["a-kick-seed0.png", "c-kick-seed0.png"], said.err
    assert any("photos/b.png is left out" in one for one in said.facts["warnings"]) and "b.png" in said.err
    Path("photos/a.png").unlink()
    Path("photos/c.png").unlink()
    said = sample("--source", "photos", "--pose", "kick.json")
    assert said.code == 2 and "nothing was drawn" in said.err and "photos/b.png" in said.err


def test_frames_of_pictures_of_several_sizes_are_not_one_body(sample: Run) -> None:
    write_photo(Path("me.png"))
    write_pose(Path("me.pose.json"), standing())
    for number, canvas in enumerate(((72, 48), (144, 96))):
        Path("walk").mkdir(exist_ok=True)
        (content,) = poses_as([PoseFrame(str(number), standing(canvas), canvas)], "dwpose").values()
        Path(f"walk/{number}.json").write_bytes(content)
    facts = sample("--source", "me.png", "--pose", "walk", "--sequence", "--json").facts
    assert any("not retargeted" in one and "several sizes" in one for one in facts["warnings"])
    said = sample("--source", "me.png", "--pose", "walk", "--sequence", "--retarget", "on")
    assert said.code == 2 and "several sizes" in said.err


def test_a_plugin_is_told_of_what_was_drawn(sample: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(Hooks, "sampled", lambda self, home, step, paths: told.append([path.name for path in paths]))
    write_photo(Path("me.png"))
    sample("--source", "me.png", "--pose", "kick.json", "-n", "2")
    assert told == [["me-kick-seed0.png", "me-kick-seed1.png"]]


def test_a_setting_may_stand_behind_the_files(sample: Run) -> None:
    write_photo(Path("me.png"))
    said = sample("--source", "me.png", "--pose", "kick.json", "sample.scheduler=dpm", "--json")
    assert said.code == 0 and names(said.facts) == ["me-kick-seed0.png"], said.err
    assert "dpm" in str(stamp_of(Path(said.facts["pictures"][0])))
    said = sample("--source", "me.png", "--pose", "kick.json", "sample.schedular=dpm")
    assert said.code == 2 and "'scheduler'" in said.err
    write_photo(Path("data.a=b.png"))
    said = sample("--source", "data.a=b.png", "me.png", "--pose", "kick.json", "--json")
    assert said.code == 0 and names(said.facts)[0] == "data.a=b-kick-seed0.png", "a file that is called so"
    said = sample("--source", "me.png", "--pose", "sample.scheduler=dpm")
    assert said.code == 2 and "argument --pose\n  expected at least one argument." in said.err


def test_what_was_drawn_before_ctrl_c_is_told_and_what_comes_next_has_one_name(
    sample: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photo(Path("me.png"))
    np.save("dance.npy", np.stack([standing()] * 2))
    words = ("--source", "me.png", "--pose", "dance.npy", "--back")

    def broken_off(*given: Any, **more: Any) -> Iterator[Any]:
        yield next(whole(*given, **more))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        whole = drawing.draw_own
        patched.setattr(drawing, "draw_own", broken_off)
        said = sample(*words)
    assert said.code == 130 and "1 picture was drawn, the last is out/me-dance-seed0/dance-0000.png." in said.err
    said = sample(*words)
    assert said.code == 0, said.err
    assert "back    out/me-dance-seed0.2/dance-0001-photo.png" in said.out
    assert "moving  out/me-dance-seed0.2.webp" in said.out and "sheet   out/me-dance-seed0.2-sheet.png" in said.out


# ------------------------------------------------------------------------------------------- bad input
def test_a_misspelt_file_is_guessed(sample: Run) -> None:
    write_photo(Path("me.png"))
    said = sample("--source", "mee.png", "--pose", "kick.jsn")
    assert said.code == 2 and "Did you mean me.png?" in said.err and "Did you mean kick.json?" in said.err


def test_a_folder_without_photos_is_named(sample: Run) -> None:
    Path("nothing").mkdir()
    said = sample("--source", "nothing", "--pose", "kick.json")
    assert said.code == 2 and "no photo is in nothing." in said.err and ".jpg" in said.err and not Path("out").exists()


def test_a_pose_of_the_photo_with_nobody_in_it_is_told(sample: Run) -> None:
    write_photo(Path("me.png"))
    Path("nobody.json").write_text('{"people": []}', encoding="utf-8")
    said = sample("--source", "me.png", "--source-pose", "nobody.json", "--pose", "kick.json")
    assert said.code == 0 and "nobody is in it" in said.err and "no pose is retargeted" in said.err


def write_bad(kind: str) -> Path:
    """A photo that is odd, or none."""
    path = Path(f"{kind}.png")
    photo = Image.fromarray(noise((72, 48)))
    if kind == "zero-byte":
        path.write_bytes(b"")
    elif kind == "cut-off":
        photo.save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "sixteen-bit":
        Image.fromarray(np.full((72, 48), 40_000, np.uint16)).save(path)
    elif kind in ("huge", "large"):
        Image.new("1", (20_000, 20_000) if kind == "huge" else (9_000, 9_000)).save(path)
    elif kind == "text":
        path.write_text("<html>", encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["zero-byte", "cut-off", "sixteen-bit", "huge", "large", "text", "missing"])
def test_a_photo_that_cannot_be_read_is_refused_and_nothing_is_written(sample: Run, kind: str) -> None:
    said = sample("--source", write_bad(kind), "--pose", "kick.json")
    assert said.code == 2 and f"{kind}.png" in said.err and "cure:" in said.err and "Traceback" not in said.err
    assert "attack" not in said.err
    assert not Path("out").exists()


@pytest.mark.parametrize("kind", ["CMYK", "RGBA", "L", "P", "rotated", "animated"])
def test_photos_of_every_usual_kind_are_read(sample: Run, kind: str) -> None:
    """What the method is shown of it, the sheet's first tile, is the photo upright and in its colours."""
    photo, path, how = Image.fromarray(smooth((96, 72))), Path("me.png"), dict[str, Any]()
    wanted = np.asarray(photo.convert("L" if kind == "L" else "RGB").convert("RGB").resize((24, 32))).astype(int)
    if kind == "CMYK":
        path = Path("me.jpg")
    elif kind == "rotated":
        path, exif = Path("me.jpg"), Image.Exif()
        exif[0x0112] = 6
        photo, how = photo.rotate(90, expand=True), {"exif": exif}
    elif kind == "animated":
        path, how = Path("me.gif"), {"save_all": True, "append_images": [photo.rotate(180)]}
    (photo.convert(kind) if kind.isupper() else photo).save(path, **how)
    facts = sample("--source", path, "--pose", "kick.json", "--json").facts
    assert facts["ok"] and opened(facts["pictures"][0]).size == (24, 32)
    shown = np.asarray(opened(facts["sheet"]).crop((6, 30, 6 + 6 * 24, 30 + 6 * 32)))[::6, ::6].astype(int)

    def apart(other: np.ndarray) -> float:
        return float(np.abs(shown - other).mean())

    assert apart(wanted) < 5
    assert min(apart(wanted[::-1]), apart(wanted[:, ::-1]), apart(wanted[::-1, ::-1])) > 20
    assert kind == "L" or min(apart(wanted[..., order]) for order in ([2, 1, 0], [1, 0, 2], [0, 2, 1])) > 20


def test_flags_of_photos_need_a_photo(run: Run, lively_trained: Made) -> None:
    for flag in (["--back"], ["--frame", "person"], ["--fps", "3"], ["--person", "largest"], ["--batch", "2"]):
        said = run("sample", *lively_trained.run, *flag)
        assert said.code == 2 and flag[0] in said.err and "--source" in said.err
    said = run("sample", *lively_trained.run, "--source", "a", "--pose", "b", "--frame", "persn")
    assert said.code == 2 and "Did you mean 'person'?" in said.err


def test_poses_of_one_name_are_told_apart_by_nobody(sample: Run) -> None:
    write_photo(Path("me.png"))
    Path("other").mkdir()
    shutil.copy("kick.json", "other/kick.json")
    said = sample("--source", "me.png", "--pose", "kick.json", "other/kick.json")
    assert said.code == 2 and "kick: several poses have this name" in said.err.replace("error: kick\n ", "kick:")


@pytest.mark.slow
def test_real_photos_of_any_size(sample: Run, run: Run, shared: Any) -> None:
    folder = shared("photos")
    ski = next(folder.rglob("*000785.jpg"))
    assert run("pose", str(next(folder.rglob("coco_785.json"))), "-o", "ski.pose.json").code == 0
    shutil.copy(ski, "ski.jpg")
    others = [path for path in folder.rglob("*") if path.suffix in (".jpg", ".png", ".jpeg", ".bmp")]
    facts = sample("--source", "ski.jpg", "--pose", "ski.pose.json", "--back", "--json").facts
    assert opened(facts["back"][0]).size == opened(ski).size
    said = sample("--source", *others, "--pose", "kick.json", "--retarget", "off", "--json")
    assert said.code == 0 and len(said.facts["pictures"]) == len(others), said.err
