"""`pgsynth data check` as a user meets it; `tests/api/test_data_check.py` tests what it finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import no_keypoints, write_label_map, write_pose

from ..fixtures.people import standing, write_pairs, write_photo

Run = Callable[..., Any]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three photos in three pairs."""
    root = tmp_path / "photos"
    for number, name in enumerate("abc"):
        write_photo(root / f"{name}.png", seed=number)
        write_pose(root / f"{name}.pose.json", standing())
    write_pairs(root / "pairs.csv", [("a.png", "b.png"), ("b.png", "c.png"), ("c.png", "a.png")], "source,target")
    return root


def test_what_a_folder_holds(run: Run, photos: Path) -> None:
    said = run("data", "check", str(photos), "--split", "train")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == f"pgsynth:folder in {photos}" and lines[-1] == "nothing is missing, unreadable or wrong"
    for words in ("  train: 3 pairs of 3 photos", "opened 3 photos: 72x48 (3)", "joints known: 18.0 of 18 a photo"):
        assert words in said.out


def test_faults_are_listed_and_end_with_2(run: Run, photos: Path) -> None:
    (photos / "a.png").write_bytes((photos / "a.png").read_bytes()[:900])
    (photos / "c.png").unlink()
    said = run("data", "check", str(photos), "--split", "train")
    assert said.code == 2 and "error" not in said.err and "Traceback" not in said.err
    assert "3 faults:" in said.out and "  train: unreadable: a.png: it cannot be read" in said.out
    assert "  train: missing: pairs.csv:3: there is no photo 'c.png'" in said.out
    assert "    opened 2 photos, 1 can be read: 72x48 (1)" in said.out
    both = run("data", "check", str(photos))
    assert "3 faults:" in both.out and "  train, test: unreadable: a.png" in both.out, "each is one fault"


def test_a_pose_or_label_map_that_is_not_there_ends_with_2(run: Run, photos: Path) -> None:
    labels = np.full((72, 48), 4, np.uint8)
    for name in "abc":
        write_label_map(photos / f"{name}.parsing.png", labels, label_set="lip20")
    words = ("data", "check", str(photos), "data.folder.parsing=true", "data.folder.label_set=lip20")
    assert run(*words).code == 0
    for file in ("b.parsing.png", "c.pose.json"):
        (photos / file).unlink()
        said = run(*words)
        assert said.code == 2 and "nothing is missing" not in said.out
        assert f"train, test: missing: {file}: there is no such" in said.out


def test_label_maps_of_a_guessed_set_are_warned_of(run: Run, photos: Path) -> None:
    for name in "abc":
        Image.fromarray(np.full((72, 48), 4, np.uint8)).save(photos / f"{name}.parsing.png")
    words = ("data", "check", str(photos), "data.folder.parsing=true")
    guess = run(*words)
    assert guess.code == 0
    for word in ("read as atr18", "guess", "data.folder.label_set=atr18 | lip20 | cihp20"):
        assert word in guess.out
    told = run(*words, "data.folder.label_set=lip20")
    assert "read as lip20; data.folder.label_set says so" in told.out and "another set" not in told.out
    for name in "abc":
        write_label_map(photos / f"{name}.parsing.png", np.full((72, 48), 4, np.uint8), label_set="atr18")
    said = run(*words)
    assert "read as atr18; their files say so (text chunk label_set)" in said.out and "another set" not in said.out


def test_a_folder_without_a_single_joint_is_a_fault(run: Run, photos: Path) -> None:
    write_pairs(photos / "pairs.csv", [("a.png", "b.png"), ("b.png", "c.png")], "source,target")
    write_pose(photos / "a.pose.json", no_keypoints())
    one = run("data", "check", str(photos))
    assert one.code == 0 and "1 photo without a single joint, e.g. a.png" in one.out
    write_pose(photos / "b.pose.json", no_keypoints())
    two = run("data", "check", str(photos))
    assert two.code == 2 and "1 fault:" in two.out and "b.png: not one joint is known, and `target_k" in two.out
    write_pose(photos / "c.pose.json", no_keypoints())
    said = run("data", "check", str(photos))
    assert said.code == 2 and "1 fault:" in said.out and "nothing is missing" not in said.out
    assert "train, test: missing: a.png: not one joint is known" in said.out and "NAME.pose.json beside" in said.out


def test_the_help_says_how_a_folder_is_laid_out(run: Run) -> None:
    for words in (("data", "check", "--help"), ("plugins", "show", "folder")):
        said = run(*words).out
        for word in ("NAME.pose.json", "OpenPose JSON", "source_pose", "target_pose", "target_parsing", "split"):
            assert word in said, (words, word)


def test_a_sheet_is_written_whole_and_never_over_another(run: Run, photos: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    said = run("data", "check", str(photos), "-o", str(sheet))
    assert said.code == 0 and f"wrote {sheet}" in said.err
    with Image.open(sheet) as picture:
        assert picture.format == "PNG" and picture.height > 200
    assert not list(tmp_path.glob(".*"))
    before = sheet.read_bytes()
    again = run("data", "check", str(photos), "-o", str(sheet))
    assert again.code == 2 and "--force" in again.err and sheet.read_bytes() == before
    assert run("data", "check", str(photos), "-o", str(sheet), "--force").code == 0


def test_a_place_where_no_sheet_can_be_is_told_before_the_work(run: Run, photos: Path, tmp_path: Path) -> None:
    said = run("data", "check", str(photos), "-o", str(tmp_path / "no" / "sheet.png"))
    assert said.code == 2 and "there is no folder" in said.err and "opening" not in said.err


def test_as_data_it_has_the_documented_keys(run: Run, photos: Path, tmp_path: Path) -> None:
    facts = run("data", "check", str(photos), "--json", "-o", str(tmp_path / "sheet.png")).facts
    assert set(facts) == {"ok", "dataset", "root", "splits", "absent", "faults", "shared", "sheet", "broken"}
    documented = {"ok", "pairs", "photos", "read", "facts", "sizes", "joints", "without_keypoints", "joints_outside"}
    assert facts["ok"] and set(facts["splits"]["train"]) == documented | {
        *("label_maps", "labels", "label_set", "labels_from", "problems")
    }
    assert facts["shared"] == ["a.png", "b.png", "c.png"], "without a column split, every row is in both"


def test_photos_in_both_splits_are_warned_of(run: Run, photos: Path) -> None:
    assert "3 photos in both splits, e.g. a.png" in run("data", "check", str(photos)).out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["nowhere"], ["nowhere", "no such folder"]),
        (["{photos}", "{photos}"], ["several folders"]),
        (["{photos}", "--dataset", "foldr"], ["'folder'"]),
        (["{photos}", "data.folder.parsng=true"], ["argument 1: data.folder.parsng=true", "'parsing'"]),
        (["{photos}", "--data.folder.parsing=true"], ["data.folder.parsing=true"]),
        (["{photos}", "--split", "val"], ["'val'", "train, test"]),
        (["{photos}", "--limit", "0"], ["'0'", "from 1 on"]),
        (["{photos}", "--limit", "many"], ["'many'"]),
        ([], ["nothing to check", "--dataset"]),
        (["{photos}", "data.folder.pairs=none.csv"], ["none.csv"]),
    ],
)
def test_what_is_refused(run: Run, photos: Path, words: list[str], expected: list[str]) -> None:
    said = run("data", "check", *(word.format(photos=photos) for word in words))
    assert said.code == 2 and said.out == "" and "cure: " in said.err and "Traceback" not in said.err
    for word in expected:
        assert word in said.err


def test_a_missing_column_is_one_message(run: Run, photos: Path) -> None:
    write_pairs(photos / "pairs.csv", [("a.png", "b.png")], "from,to")
    said = run("data", "check", str(photos))
    assert said.code == 2 and said.err.count("error: ") == 1 and "pairs.csv" in said.err and "'source'" in said.err
