"""`pgsynth edit` and `pgsynth interpolate`, over one trained run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import write_label_map, write_pose
from pgsynth_core.data.stamp import stamp_of

from ..fixtures.fake_packages import FakePackages
from ..fixtures.finders import install_finders, photo_of
from ..fixtures.people import noise, standing, write_photo
from .conftest import Made

Run = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder we are in: ``me.png`` with its pose, label map and a mask, and ``you.png``."""
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "me.png")
    write_photo(tmp_path / "you.png", seed=1)
    write_pose(tmp_path / "me.pose.json", standing())
    write_pose(tmp_path / "kick.json", standing() + np.array([5, -3, 0], np.float32))
    parsing = np.zeros((72, 48), np.uint8)
    parsing[18:38, 14:34], parsing[38:60, 16:32] = 4, 6
    write_label_map(tmp_path / "me.parsing.png", parsing, label_set="atr18")
    Image.fromarray((parsing == 4).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    return tmp_path


def array(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


EDIT = ("--source", "me.png", "--reference", "you.png", "--steps", "2")


def test_a_photo_is_edited(run: Run, lively_trained: Made, photos: Path) -> None:
    said = run("edit", *lively_trained.run, *EDIT, "--mask", "mask.png", "-n", "2")
    assert said.code == 0, said.err
    *paths, sheet = said.out.splitlines()
    assert paths == [f"outputs/{lively_trained.id}/me-edit-seed{seed}.png" for seed in (0, 1)]
    assert sheet == f"sheet   outputs/{lively_trained.id}/me-edit-sheet.png"
    inside = array("mask.png") > 0
    for path in paths:
        changed = (array(path) != noise((72, 48))).any(axis=2)
        assert changed[inside].mean() > 0.9 and not changed[~inside].any()
    facts = run("edit", *lively_trained.run, *EDIT, "--region", "upper-clothes", "--seed", "1", "--json").facts
    assert set(facts) == {"ok", "run", "step", "pictures", "sheet", "keep", "warnings", "broken"}
    assert facts["pictures"] == [f"outputs/{lively_trained.id}/me-edit-seed1.2.png"] and facts["warnings"] == []
    assert np.array_equal(array(facts["pictures"][0]), array(paths[1])), "the same seed and area, the same picture"


def test_references_have_weights_by_region(run: Run, lively_trained: Made, photos: Path) -> None:
    write_photo(photos / "a:b.png", seed=2)
    base = ("edit", *lively_trained.run, "--source", "me.png", "--steps", "2", "--json")
    words = ["--reference", "you.png:upper-clothes", "--reference", "a:b.png:pants=0.5,upper-clothes=1", "--soft", "3"]
    said = run(*base, *words, "--keep", "codec")
    assert said.code == 0 and said.facts["keep"] == "codec" and array(said.facts["pictures"][0]).shape == (32, 24, 3)
    for weights in ("pants=2", "pants=x", "pants,pants", "=1", ""):
        said = run(*base, "--reference", f"you.png:{weights}")
        assert said.code == 2 and "you.png:upper-clothes=0.5,pants" in said.err + said.out, weights


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "what is to change"),
        (["--mask", "you.pose.json"], "no such file"),
        (["--mask", "mask.png", "--region", "pants"], "said twice"),
        (["--region", "pant"], "'pants'"),
        (["--region", "pants", "--label-set", "lip2"], "'lip20'"),
        (["--mask", "mask.png", "--soft", "-1"], "no width in pixels"),
        (["--mask", "mask.png", "--keep", "all"], "photo"),
        (["--mask", "mask.png", "--source", "you.png"], "needed, and not given"),
        (["--mask", "mask.png", "--parsing", "me.png"], "does not say what its labels mean"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    run: Run, lively_trained: Made, photos: Path, words: list[str], expected: str
) -> None:
    said = run("edit", *lively_trained.run, *EDIT, *words)
    assert said.code == 2 and expected in said.err and "Traceback" not in said.err
    assert not (photos / "outputs").exists()


def test_labels_that_a_file_does_not_say_are_said(run: Run, lively_trained: Made, photos: Path) -> None:
    Image.fromarray(np.where(array("mask.png") > 0, 5, 0).astype(np.uint8)).save("plain.png")
    words = ("--region", "upper-clothes", "--parsing", "plain.png", "--json")
    refused = run("edit", *lively_trained.run, *EDIT, *words)
    assert refused.code == 2 and "--label-set lip20" in refused.facts["problems"][0]["cure"]
    facts = run("edit", *lively_trained.run, *EDIT, *words, "--label-set", "lip20").facts
    changed = (array(facts["pictures"][0]) != array("me.png")).any(axis=2)
    assert changed.any() and not changed[array("mask.png") == 0].any()
    about = stamp_of(Path(facts["pictures"][0]))
    assert about is not None and (about["label_set"], about["person"]) == ("lip20", "most-certain")


def test_an_empty_mask_is_told(run: Run, lively_trained: Made, photos: Path) -> None:
    Image.new("L", (48, 72)).save("black.png")
    said = run("edit", *lively_trained.run, *EDIT, "--mask", "black.png", "--json")
    assert said.facts["warnings"] == ["the mask is black all over: nothing changes."] and "warning: " in said.err
    assert np.array_equal(array(said.facts["pictures"][0]), noise((72, 48)))


def test_a_picture_says_what_was_edited(run: Run, lively_trained: Made, photos: Path) -> None:
    words = ("--mask", "mask.png", "--soft", "3", "--reference", "me.png:all=0.5", "--json")
    facts = run("edit", *lively_trained.run, *EDIT, *words).facts
    about, sheet = stamp_of(Path(facts["pictures"][0])), stamp_of(Path(facts["sheet"]))
    assert about is not None and sheet is not None and sheet["made_with"] == "sheet"
    assert (about["reference"], about["weights"]) == (["you.png", "me.png"], [{"all": 1.0}, {"all": 0.5}])
    assert (about["mask"], about["soft"], about["keep"], about["source"]) == ("mask.png", 3.0, "photo", "me.png")


def test_annotators_find_who_is_edited_and_what_they_wear(
    run: Run, lively_trained: Made, photos: Path, fake_packages: FakePackages
) -> None:
    install_finders(fake_packages)
    photo_of(photos / "couple.png", ((30, 10, 250), (40, 40, 150)), (120, 200))
    photo_of(photos / "nobody.png", (), (120, 200))
    base = ("edit", *lively_trained.run, "--reference", "you.png", "--steps", "2", "--annotator", "finder", "--json")
    region = ("--region", "upper-clothes")
    first = run(*base, "--source", "couple.png", *region)
    assert first.code == 0 and "number 1 is taken" in first.facts["warnings"][0], first.err
    other = run(*base, "--source", "couple.png", *region, "--person", "2").facts
    one, two = (array(facts["pictures"][0]).astype(int) for facts in (first.facts, other))
    assert np.abs(one - two).max() > 10, "another pose"
    changed = (array(first.facts["pictures"][0]) != array("couple.png")).any(axis=2)
    assert changed[40:80].mean() > 0.9 and not changed[:40].any() and not changed[80:].any()
    for words, expected in (
        (("--source", "nobody.png", *region), "nobody is seen in it"),
        (("--source", "couple.png", *region, "--person", "3"), "2 people are seen in it, and no person 3"),
        (("--source", "couple.png", "--region", "dress"), "no dress"),
    ):
        said = run(*base[:-1], *words)
        assert said.code == 2 and expected in said.err and "cure:" in said.err, said.err


# ------------------------------------------------------------------------------------------- interpolate
BETWEEN = ("--source", "me.png", "you.png", "--pose", "me.pose.json", "kick.json", "--steps", "2")


@pytest.mark.parametrize("form", ["webp", "gif"])
def test_frames_between_photos_and_poses(run: Run, lively_trained: Made, photos: Path, form: str) -> None:
    words = (*BETWEEN, "--frames", "5", "--format", form, "--fps", "20", "--png", "-o", "out")
    facts = run("interpolate", *lively_trained.run, *words, "--json").facts
    assert set(facts) == {
        "ok", "run", "step", "animation", "sheet", "pictures", "frames", "fps", "warnings", "broken",
    }  # fmt: skip
    assert facts["animation"] == f"out/me-you-me-kick.{form}" and facts["fps"] == 20
    assert len(facts["pictures"]) == facts["frames"] == 5 and Path(facts["sheet"]).is_file()
    with Image.open(facts["animation"]) as opened:
        assert opened.format == form.upper() and opened.size == (24, 32)
    shares = [about["share"] for about in map(stamp_of, map(Path, facts["pictures"])) if about is not None]
    assert shares == [0, 0.25, 0.5, 0.75, 1]
    again = run("interpolate", *lively_trained.run, *words)
    assert f"out/me-you-me-kick.2.{form}" in again.out.splitlines(), "nothing is written over"


def test_the_ends_are_what_sample_draws(run: Run, lively_trained: Made, photos: Path) -> None:
    """Of somebody small at the side of a photo, with joints beside it: framed, and the pose is fitted to the body."""
    write_photo(photos / "wide.png", (200, 300))
    write_pose(photos / "wide.pose.json", standing() + np.array([100, 60, 0], np.float32))
    write_pose(photos / "tall.json", standing((144, 96)))
    ends = [("wide.png", "tall.json"), ("me.png", "kick.json")]
    base = (*lively_trained.run, "--steps", "2", "--json", "-o", "out")
    facts = run(
        "interpolate", *base, "--png", "--frames", "3", "--source", *ends_of(ends, 0), "--pose", *ends_of(ends, 1)
    )
    assert facts.code == 0, facts.err
    frames = facts.facts["pictures"]
    for frame, (photo, pose) in zip((frames[0], frames[-1]), ends, strict=True):
        alone = run("sample", *base, "--source", photo, "--pose", pose).facts["pictures"][0]
        whole = run("sample", *base, "--source", photo, "--pose", pose, "--retarget", "off", "--frame", "whole").facts
        assert np.abs(array(alone).astype(int) - array(frame)).max() <= 1
        assert photo == "me.png" or np.abs(array(whole["pictures"][0]).astype(int) - array(frame)).max() > 5
    flat = run("interpolate", *base, *BETWEEN[:-2], "--frame", "whole", "--retarget", "off", "--frames", "3")
    assert flat.code == 0, flat.err


def ends_of(ends: list[tuple[str, str]], which: int) -> list[str]:
    return [end[which] for end in ends]


def test_a_photo_tells_a_pose_between_which_is_drawn(
    run: Run, lively_trained: Made, photos: Path, fake_packages: FakePackages
) -> None:
    install_finders(fake_packages)
    photo_of(photos / "friend.png")
    words = ("--source", "me.png", "--pose", "me.pose.json", "friend.png", "--frames", "3", "--steps", "1")
    said = run("interpolate", *lively_trained.run, *words, "--annotator", "finder", "--json")
    assert said.code == 0 and said.facts["animation"].endswith("me-me-friend.webp"), said.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--source", "me.png", "--pose", "kick.json"], "nothing between"),
        (["--source", "me.png", "you.png", "me.png", "--pose", "kick.json"], "3 are given"),
        ([*BETWEEN, "--frames", "1"], "--frames"),
        ([*BETWEEN, "--fps", "0"], "frames a second"),
        ([*BETWEEN, "--parsing", "me.parsing.png"], "1 label maps for 2 photos"),
        ([*BETWEEN, "--source-pose", "kick.json"], "1 poses of photos for 2 photos"),
        ([*BETWEEN, "--person", "somebody"], "--person"),
        ([*BETWEEN, "--annotator", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    run: Run, lively_trained: Made, photos: Path, words: list[str], expected: str
) -> None:
    said = run("interpolate", *lively_trained.run, *words)
    assert said.code == 2 and expected in said.err and not (photos / "outputs").exists()
