"""`pgsynth annotate` as a user meets it: files beside photos, who is meant, what is kept, what is odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import no_keypoints, present, read_label_map, read_pose, write_label_map, write_pose
from pgsynth_core.data.poses import read_poses

from ..fixtures.fake_packages import FakePackages
from ..fixtures.finders import install_finders, photo_of
from ..fixtures.networks import write_detector, write_estimator, write_parser
from ..fixtures.people import shared

__all__ = ["shared"]

Run = Callable[..., Any]
SEVERAL = ((30, 10, 250), (10, 30, 200), (40, 50, 150))
"""People, the most certain first: number 3 is the largest and rightmost, number 1 leftmost."""


@pytest.fixture
def annotate(run: Run, fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with the annotator that reads pixels, in an empty folder."""
    install_finders(fake_packages)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return lambda *words: run("annotate", *map(str, words), "--annotator", "finder")


def first_joint(pose: Path) -> tuple[float, float]:
    x, y, _ = read_pose(pose)[0].tolist()
    return x, y


# ------------------------------------------------------------------------------------------- what is written
def test_one_photo_gets_its_pose_and_its_label_map(annotate: Run) -> None:
    photo_of(Path("me.png"))
    said = annotate("me.png")
    assert said.code == 0, said.err
    assert first_joint(Path("me.pose.json")) == (20.5, 20.5)
    facts = json.loads(Path("me.pose.json").read_text("utf-8"))
    assert (facts["canvas_width"], facts["canvas_height"], facts["annotator"]) == (64, 96, "finder/0")
    labels = read_label_map(Path("me.parsing.png"), label_set="atr18", size=(96, 64))
    assert labels[40, 5] == 4 and labels[5, 5] == 0
    with Image.open("me.parsing.png") as parsing:
        assert parsing.info["label_set"] == "atr18"
    assert said.out.splitlines()[0] == "photos  1: 1 annotated, 0 known before"
    assert Path("outputs/annotated/sheet.png").is_file() and "outputs/annotated/sheet.png" in said.out


def test_the_sheet_shows_what_is_known_in_colours_and_nothing_else(annotate: Run) -> None:
    photo_of(Path("me.png"), SEVERAL)
    annotate("me.png")
    annotate("me.png", "--pose", "-o", "posed")
    photo_of(Path("other.png"), SEVERAL)
    annotate("other.png", "--pose", "-o", "alone")
    with Image.open("outputs/annotated/sheet.png") as both, Image.open("alone/sheet.png") as pose:
        assert both.width > pose.width + 300, "label maps have their columns only where there are some"
        pixels = np.asarray(pose.convert("RGB")).astype(int)
    coloured = (np.ptp(pixels, axis=2) > 150).any(axis=0)
    assert coloured[pose.width // 2 :].any() and not coloured[: pose.width // 2].all()


def test_a_folder_is_read_with_all_below_it(annotate: Run) -> None:
    for name in ("a.png", "b/c.JPG", "b/d/e.webp"):
        photo_of(Path("photos") / name)
    for name in (".hidden.png", "b/.git/x.png", "notes.txt", "b/y.json"):
        (Path("photos") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("photos") / name).write_text("{}", encoding="utf-8")
    Path("photos/again").symlink_to("b")
    facts = annotate("photos", "--pose", "--json").facts
    assert (facts["photos"], facts["annotated"], facts["written"]) == (3, 3, {"pose": 3})
    written = {path.as_posix() for path in Path("photos").rglob("*.pose.json")}
    assert {"photos/a.pose.json", "photos/b/c.pose.json", "photos/b/d/e.pose.json"} <= written
    assert not list(Path("photos").rglob("*.parsing.png")) and not list(Path("photos").rglob("*.tmp"))


def test_elsewhere_it_has_the_same_places_and_nothing_stands_beside(annotate: Run) -> None:
    photo_of(Path("photos/b/c.png"))
    facts = annotate("photos", "-o", "out/deep", "--json").facts
    assert {path.as_posix() for path in Path("out").rglob("*.*")} == {
        "out/deep/b/c.pose.json",
        "out/deep/b/c.parsing.png",
        "out/deep/sheet.png",
    }
    assert facts["sheet"] == "out/deep/sheet.png" and [path.name for path in Path("photos/b").iterdir()] == ["c.png"]
    assert annotate("photos", "-o", "out/deep", "--json").facts["sheet"] == "out/deep/sheet.2.png"


# ------------------------------------------------------------------------------------------- what is known
def test_what_is_there_is_not_found_again(annotate: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = ("photos", "--annotator", f"finder.log={log}", "--json")
    for name in "abc":
        photo_of(Path(f"photos/{name}.png"))
    assert annotate(*words).facts["annotated"] == 3
    asked = log.read_text("utf-8")
    facts = annotate(*words).facts
    assert (facts["annotated"], facts["kept"], facts["annotators"]) == (0, 3, {})
    assert log.read_text("utf-8") == asked, "nobody was built"
    Path("photos/b.parsing.png").unlink()
    facts = annotate(*words).facts
    assert (facts["annotated"], facts["kept"], facts["written"]) == (1, 2, {"parsing": 1})
    assert annotate(*words, "--fresh").facts["written"] == {"pose": 3, "parsing": 3}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_made_anew(share: float, annotate: Run) -> None:
    photo_of(Path("me.png"))
    annotate("me.png")
    files = [Path("me.pose.json"), Path("me.parsing.png")]
    before = [file.read_bytes() for file in files]
    for file, content in zip(files, before, strict=True):
        file.write_bytes(content[: int(share * len(content)) - 20 if share else 0])
    assert annotate("me.png", "--json").facts["written"] == {"pose": 1, "parsing": 1}
    assert [file.read_bytes() for file in files] == before


def test_what_somebody_else_wrote_is_kept_and_copied_where_it_should_be(annotate: Run) -> None:
    photo_of(Path("me.png"))
    own = no_keypoints()
    own[0] = 7, 9, 1
    write_pose(Path("me.pose.json"), own)
    write_label_map(Path("me.parsing.png"), np.ones((96, 64), np.uint8), label_set="lip20")
    before = [Path(name).read_bytes() for name in ("me.pose.json", "me.parsing.png")]
    assert annotate("me.png", "--json").facts["kept"] == 1
    assert annotate("me.png", "-o", "out", "--json").facts["kept"] == 1
    for folder in (Path(), Path("out")):
        assert [(folder / name).read_bytes() for name in ("me.pose.json", "me.parsing.png")] == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("me.pose.json", b'{"mine": 1}', "holds none of people"),
        ("me.pose.json", b'{"people": [', "no JSON"),
        ("me.pose.json", b"left hand moved, see mail\n", "no JSON"),
        ("me.pose.json", b'{"people": [,]}', "no JSON"),
        ("me.parsing.png", b"GIF89a", "cannot be read"),
    ],
)
def test_what_is_of_another_form_is_not_written_over(name: str, content: bytes, said: str, annotate: Run) -> None:
    photo_of(Path("me.png"))
    photo_of(Path("other.png"))
    Path(name).write_bytes(content)
    answer = annotate("me.png", "other.png")
    assert answer.code == 0 and said in answer.err and "--fresh" in answer.err and "1 left out" in answer.out
    assert Path(name).read_bytes() == content and Path("other.pose.json").is_file()


@pytest.mark.parametrize(("ending", "after"), [("\r\n", b""), ("\n", b"\t"), ("\n", b"\r\n\t ")])
def test_what_somebody_corrected_is_kept_however_their_editor_ends_it(ending: str, after: bytes, annotate: Run) -> None:
    photo_of(Path("me.png"))
    annotate("me.png")
    pose = json.dumps(json.loads(Path("me.pose.json").read_text("utf-8")), indent=1).replace("\n", ending)
    Path("me.pose.json").write_bytes(b"\xef\xbb\xbf" + pose.encode() + after)
    with Path("me.parsing.png").open("ab") as file:
        file.write(b"what some programs add to a picture")
    before = [Path(name).read_bytes() for name in ("me.pose.json", "me.parsing.png")]
    assert annotate("me.png", "--json").facts["kept"] == 1
    assert [Path(name).read_bytes() for name in ("me.pose.json", "me.parsing.png")] == before


def test_a_known_photo_that_is_damaged_and_a_huge_label_map_end_nothing(annotate: Run) -> None:
    photo_of(Path("photos/a.png"))
    annotate("photos", "-o", "out")
    Path("photos/a.png").write_bytes(b"\x89PNG no more")
    photo_of(Path("photos/b.png"))
    Image.new("L", (14_000, 14_000)).save("photos/b.parsing.png")
    said = annotate("photos", "-o", "out")
    assert said.code == 0 and "1 known before, 1 left out" in said.out, said.err
    assert "photos/b.parsing.png" in said.err and "cannot be read" in said.err
    with Image.open("out/sheet.2.png") as sheet:
        assert sheet.height > 200


def test_what_is_made_is_read_as_poses_and_its_sheet_is_no_photo(annotate: Run) -> None:
    for name in ("a.png", "b.png"):
        photo_of(Path("photos") / name)
    assert annotate("photos", "-o", "photos").code == 0
    assert {path.name for path in Path("photos").iterdir()} >= {"sheet.png", "a.parsing.png", "a.pose.json"}
    assert [(frame.name, frame.canvas) for frame in read_poses("photos")] == [("a", (96, 64)), ("b", (96, 64))]
    assert annotate("photos", "--json").facts["photos"] == 2


def test_an_annotator_that_fails_is_named_with_its_package(annotate: Run) -> None:
    photo_of(Path("me.png"))
    said = annotate("me.png", "--annotator", "finder.most=77")
    told = " ".join(said.err.split())
    assert said.code == 2 and "finder/0: pgsynth_plugin_finder" in told and "KeyError: 'legs'" in told, told


# ------------------------------------------------------------------------------------------- who is meant
@pytest.mark.parametrize(
    ("who", "number"),
    [("most-certain", 1), ("largest", 3), ("leftmost", 1), ("rightmost", 3), ("2", 2), ("1", 1)],
)
def test_of_several_people_one_is_chosen_and_that_is_told(who: str, number: int, annotate: Run) -> None:
    photo_of(Path("three.png"), SEVERAL)
    said = annotate("three.png", "--pose", "--person", who)
    row, column, _ = SEVERAL[number - 1]
    assert first_joint(Path("three.pose.json")) == (column + 0.5, row + 0.5)
    told = " ".join(said.err.split())
    assert f"several people are seen, and {who} was taken" in told and "three.png (3)" in told and "--person" in told


def test_where_nobody_is_seen_that_is_written_and_told(annotate: Run) -> None:
    photo_of(Path("empty.png"), ())
    photo_of(Path("one.png"))
    said = annotate("empty.png", "one.png", "--pose")
    assert said.code == 0 and "nobody is seen" in said.err and "empty.png" in said.err and "one.png" not in said.err
    assert json.loads(Path("empty.pose.json").read_text("utf-8"))["people"] == []
    assert not present(read_pose(Path("empty.pose.json"))).any()
    assert annotate("empty.png", "--pose", "--json").facts["kept"] == 1


def test_a_number_that_nobody_has_writes_no_pose(annotate: Run) -> None:
    photo_of(Path("two.png"), SEVERAL[:2])
    facts = annotate("two.png", "--pose", "--person", "3", "--json").facts
    assert facts["absent"] == {"count": 1, "names": ["two.png (2)"]} and not Path("two.pose.json").exists()


# ------------------------------------------------------------------------------------------- what is odd
def test_photos_that_cannot_be_read_are_named_and_counted_or_end_it(annotate: Run) -> None:
    photo_of(Path("photos/a.png"))
    Path("photos/b.jpg").write_bytes(b"\xff\xd8\xff no photo")
    Path("photos/c.png").write_bytes(b"")
    photo_of(Path("photos/d.png"))
    said = annotate("photos", "--json")
    assert said.code == 0 and said.facts["annotated"] == 2 and said.facts["bad"]["count"] == 2
    assert "b.jpg" in said.facts["bad"]["names"][0] and "photos/b.jpg" in said.err and "photos/c.png" in said.err
    said = annotate("photos", "--fresh", "--bad", "fail")
    assert said.code == 2 and "photos/b.jpg" in said.err and "Traceback" not in said.err


def test_photos_of_one_name_are_not_confused(annotate: Run) -> None:
    photo_of(Path("photos/a.png"))
    photo_of(Path("photos/a.webp"), ((50, 50, 255),))
    said = annotate("photos", "--pose")
    assert said.code == 0 and "a.webp: it has the name of a.png beside it" in said.err
    assert first_joint(Path("photos/a.pose.json")) == (20.5, 20.5)


def test_where_memory_ends_fewer_are_looked_at(annotate: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for number in range(11):
        photo_of(Path(f"photos/{number:02}.png"), ((number + 1, 5, 255),))
    options = ("--annotator", "finder.most=2", "--annotator", f"finder.log={log}")
    said = annotate("photos", "--pose", *options, "--batch", "8", "--json")
    assert said.code == 0 and (said.facts["annotated"], said.facts["batch"]) == (11, 2), said.err
    assert "8 photos at once were too many; 4 from here on" in said.err
    sizes = [int(line.split()[-1]) for line in log.read_text("utf-8").splitlines() if "looks" in line]
    assert sizes == [8, 4, 2, 2, 4, 2, 2, 2, 1]
    for number in range(11):
        assert first_joint(Path(f"photos/{number:02}.pose.json")) == (5.5, number + 1.5), "each its own"
    said = annotate("photos", "--pose", "--fresh", "--batch", "1", "--json")
    assert said.facts["batch"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.png"], ["there is no such file or folder", "nowhere.png"]),
        (["."], ["there is no photo"]),
        (["me.png", "--person", "largst"], ["Did you mean 'largest'?", "a number"]),
        (["me.png", "--person", "0"], ["'0' says of no one"]),
        (["me.png", "--bad", "skp"], ["Did you mean 'skip'?"]),
        (["me.png", "--batch", "0"], ["no whole number from 1 on"]),
        (["me.png", "--annotator", "findr"], ["Did you mean 'finder'?"]),
        (["me.png", "--annotator", "finder.leest=1"], ["has no option 'leest'", "Did you mean 'least'?"]),
        (["me.png", "--annotator", "finder.least=300"], ["is not what that option takes"]),
        (["me.png", "--annotator", "least=3"], ["names no option", "NAME.OPTION=VALUE"]),
        (["me.png", "--annotator", "posed"], ["both find poses", "Name one"]),
        (["me.png", "--parsing", "--annotator", "posed"], ["finds poses, and label maps are wanted"]),
        (["me.png", "me.png", "-o", "out"], ["of one name", "Run it once for each"]),
        (["me.png", "--device", "cuda:99"], ["no device 'cuda:99'"]),
        (["me.png", "-o", "me.png/x"], ["annotations cannot be written here"]),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(words: list[str], said: list[str], annotate: Run) -> None:
    if words != ["."]:
        photo_of(Path("me.png"))
    before = sorted(Path().rglob("*"))
    answer = annotate(*words)
    assert answer.code == 2 and "Traceback" not in answer.err
    told = " ".join(answer.err.split())
    assert all(word in told for word in said), told
    assert sorted(Path().rglob("*")) == before


def test_only_bad_photos_are_an_error(annotate: Run) -> None:
    Path("b.png").write_bytes(b"no photo")
    said = annotate("b.png")
    assert said.code == 2 and "b.png" in said.err and not Path("outputs").exists()


# ------------------------------------------------------------------------------------------- the true architectures
def network_words(root: Path) -> list[str]:
    """Small checkpoints of them; untrained, they see people everywhere."""
    options = {
        "vitpose.detector": write_detector(root / "detector"),
        "vitpose.estimator": write_estimator(root / "estimator"),
        "vitpose.least_person": 0.0,
        "vitpose.least_joint": 0.0,
        "vitpose.most_people": 2,
        "segformer_clothes.network": write_parser(root / "parser"),
    }
    return [word for option, value in options.items() for word in ("--annotator", f"{option}={value}")]


def test_the_default_annotators_annotate(
    run: Run, tmp_path: Path, shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real photos of any size, each form of file; the annotations are those of the photos' sizes."""
    monkeypatch.chdir(tmp_path)
    photos = shared("photos")
    said = run("annotate", str(photos), "-o", "out", "--device", "cpu", *network_words(tmp_path / "nets"), "--json")
    assert said.code == 0, said.err
    facts = said.facts
    assert facts["photos"] == facts["annotated"] == 8 and facts["bad"]["count"] == 0 and facts["label_set"] == "atr18"
    assert facts["annotators"]["pose"].startswith("vitpose/") and "Loading weights" not in said.err
    with Image.open(photos / "google_coral_apache2/squat.bmp") as photo:
        size = photo.size[::-1]
    read_label_map(Path("out/google_coral_apache2/squat.parsing.png"), label_set="atr18", size=size)
    assert present(read_pose(Path("out/google_coral_apache2/squat.pose.json"), size=size)).any()


def test_weights_that_are_not_there_are_told_with_what_gets_them(run: Run, tmp_path: Path) -> None:
    photo = photo_of(tmp_path / "me.png")
    said = run("annotate", str(photo), "--parsing", "--device", "cpu")
    assert said.code == 2 and "segformer_b2_clothes" in said.err and "hf download" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]
