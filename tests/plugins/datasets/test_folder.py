"""Anyone's folder: what lies beside the photos, what a row may name, and every fault with its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import DataContext, DataError, write_label_map, write_pose
from pgsynth_core.data.check import check_dataset, contact_sheet
from pgsynth_core.data.taking import take
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.folder import Config
from pgsynth_plugins.datasets.folder.reader import Folder

from ...fixtures.people import standing, write_pairs, write_photo


def opened(root: Path, split: Literal["train", "test"] = "train", **options: Any) -> Folder:
    return Folder(Config(root=str(root), **options), DataContext(split, (64, 44)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photos with poses, one of them with a label map."""
    for seed, name in enumerate(("anna/1", "anna/2", "ben")):
        write_photo(tmp_path / f"{name}.png", (72, 48), seed)
        write_pose(tmp_path / f"{name}.pose.json", standing())
    write_label_map(tmp_path / "anna/1.parsing.png", np.full((72, 48), 4, np.uint8), label_set="atr18")
    rows = [("anna/1.png", "anna/2.png"), ("./anna/2.png", "anna/1.png"), ("ben.png", "ben.png")]
    write_pairs(tmp_path / "pairs.csv", rows, header="source,target")
    return tmp_path


def test_pairs_are_read_with_what_lies_beside_them(root: Path) -> None:
    dataset = opened(root)
    assert [dataset.name(index) for index in range(3)] == ["anna-1___anna-2", "anna-2___anna-1", "ben___ben"]
    assert dataset.people() == ("anna/1.png", "anna/2.png", "ben.png") and dataset.label_set == ""
    pair = dataset.pair(0)
    assert (pair.source.keypoints == standing()).all() and pair.source.parsing is None
    assert check_dataset(dataset).ok


def test_label_maps_are_read_where_they_are_asked_for(root: Path) -> None:
    write_pairs(root / "pairs.csv", [("anna/1.png", "anna/2.png"), ("anna/1.png", "anna/1.png")], "source,target")
    dataset = opened(root, parsing=True)
    assert dataset.label_set == "atr18" and dataset.targets() == {"anna/1.png", "anna/2.png"}
    there, both = dataset.pair(0), dataset.pair(1)
    assert (there.source.parsing == 4).all() and there.target.parsing is None, "nobody reads a target's"
    assert (both.source.parsing == 4).all() and (both.target.parsing == 4).all()
    assert there.source.label_set == "atr18" and both.source.image.shape == (72, 48, 3)
    assert take(dataset, 0, needs=["source_parsing"]).index == 0
    assert contact_sheet(dataset, rows=3).width > 900
    with pytest.raises(DataError, match="its labels are of atr18"):
        opened(root, parsing=True, label_set="cihp20").pair(0)


def test_a_label_map_that_does_not_say_its_set_is_of_the_options(root: Path) -> None:
    Image.fromarray(np.full((72, 48), 4, np.uint8)).save(root / "anna/1.parsing.png")
    write_pairs(root / "pairs.csv", [("anna/1.png", "ben.png")], "source,target")
    assert opened(root, parsing=True, label_set="lip20").pair(0).source.label_set == ""


# ------------------------------------------------------------------------------------------- what is not there
def test_what_is_not_there_is_found_when_the_folder_is_opened(root: Path) -> None:
    (root / "ben.pose.json").unlink()
    with pytest.raises(DataError) as caught:
        opened(root)
    (record,) = caught.value.records
    assert (record.file, record.kind) == ("ben.pose.json", "missing") and "ben.png (pairs.csv:4)" in record.reason
    with pytest.raises(DataError) as caught:
        opened(root, parsing=True)
    said = [(record.file, record.kind) for record in caught.value.records]
    lost = ["anna/2.parsing.png", "ben.pose.json", "ben.parsing.png"]
    assert said == [(file, "missing") for file in lost] and "bad=skip" in str(caught.value)


def test_pairs_of_what_is_not_there_are_left_out_and_counted(root: Path) -> None:
    (root / "ben.pose.json").unlink()
    rows = [
        ("anna/1.png", "anna/2.png"),
        ("anna/2.png", "anna/1.png"),
        ("anna/1.png", "ben.png"),
        ("ben.png", "ben.png"),
    ]
    write_pairs(root / "pairs.csv", rows, header="source,target")
    dataset = opened(root, bad="skip")
    assert [dataset.name(index) for index in range(len(dataset))] == ["anna-1___anna-2", "anna-2___anna-1"]
    assert [record.file for record in dataset.problems] == ["ben.pose.json"], "each file once"
    parsed = opened(root, bad="skip", parsing=True)
    assert [parsed.name(index) for index in range(len(parsed))] == ["anna-1___anna-2"]
    assert {record.file for record in parsed.problems} == {"anna/2.parsing.png", "ben.pose.json", "ben.parsing.png"}
    assert {"anna/1.png", "anna/2.png"} == set(parsed.people())


def test_a_folder_is_listed_and_no_file_in_it_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: looked.append(path.name) or is_file(path))
    write_pairs(root / "pairs.csv", [("anna/1.png", "anna/2.png"), ("anna/1.png", "ben.png")], header="source,target")
    assert len(opened(root)) == 2 and looked == ["pairs.csv"]


HEADER = "source,target,split,source_pose,target_pose,source_parsing"


def test_rows_may_name_split_poses_and_label_map(root: Path) -> None:
    joints = standing()
    joints[0] = 0
    write_pose(root / "other.json", joints)
    write_label_map(root / "labels.png", np.full((72, 48), 5, np.uint8), label_set="atr18")
    assert "ben.parsing.png" not in {file.name for file in root.iterdir()}, "of a target it need not be"
    rows = [
        ("anna/1.png", "ben.png", "train", "other.json", "", "labels.png"),
        ("anna/1.png", "ben.png", "test", "", "other.json", ""),
        ("anna/1.png", "anna/2.png", "", "", "", ""),
    ]
    write_pairs(root / "pairs.csv", rows, header=HEADER)
    train, test = (opened(root, split, parsing=True) for split in ("train", "test"))
    assert (len(train), len(test)) == (2, 2)
    pair, usual = train.pair(0), train.pair(1)
    assert not pair.source.keypoints[0].any() and (pair.source.parsing == 5).all()
    assert usual.source.keypoints[0].any() and (usual.source.parsing == 4).all()
    assert pair.source.name == "anna/1.png with other.json with labels.png" and usual.source.name == "anna/1.png"
    assert pair.name == "anna-1.png with other.json with labels___ben" and "/" not in pair.name
    assert not test.pair(0).target.keypoints[0].any()


def test_another_file_of_pairs_can_be_named(root: Path) -> None:
    (root / "pairs.csv").rename(root / "few.csv")
    assert len(opened(root, pairs="few.csv")) == 3 and not Folder.recognises(root)
    with pytest.raises(UserError, match=r"there is no pairs\.csv in .* Write it: a line source,target"):
        opened(root)
    for outside in (str(root / "few.csv"), "../few.csv"):
        with pytest.raises(UserError, match=r"data\.folder\.pairs: the path .*few\.csv' .* Put it into the folder"):
            opened(root, pairs=outside)


# ------------------------------------------------------------------------------------------- what is wrong
FAULTS = [
    (("nobody.png", "ben.png"), "there is no photo 'nobody.png'."),
    (("../ben.png", "ben.png"), "the path '../ben.png' leads upwards"),
    (("ben.png", "/etc/passwd"), "the path '/etc/passwd' is absolute"),
    (("ben.png", ""), "the path '' is empty"),
    (("ben.png", "ben.png", "trian"), "the split 'trian' is none. Did you mean 'train'? Splits: train, test."),
    (("ben.png", "ben.png", "train", "no.json"), "there is no file 'no.json'."),
    (("ben.png", "ben.png", "train", "../no.json"), "the path '../no.json' leads upwards"),
    (("ben.png", "ben.png", "train", "", "", "C:/x.png"), "the path 'C:/x.png' is absolute"),
]


def test_every_bad_row_is_named(root: Path) -> None:
    good = ("ben.png", "ben.png", "train", "", "", "")
    rows = [good, *(tuple([*row, "", "", "", "", ""][:6]) for row, _ in FAULTS), ("short",), good]
    write_pairs(root / "pairs.csv", rows, header=HEADER)
    with pytest.raises(DataError) as caught:
        opened(root)
    said = str(caught.value)
    for line, (_, reason) in enumerate(FAULTS, start=3):
        assert f"pairs.csv:{line}: {reason}" in said
    assert f"pairs.csv:{len(FAULTS) + 3}: 1 cells" in said
    left = opened(root, bad="skip")
    assert len(left) == 2 and len(left.problems) == len(FAULTS) + 1
    assert [left.name(index) for index in range(2)] == ["ben___ben", "ben___ben.2"]
    assert len(check_dataset(left).of_kind("missing")) == 2


def test_bad_files_are_named_when_they_are_read(root: Path) -> None:
    write_label_map(root / "anna/1.parsing.png", np.zeros((48, 72), np.uint8), label_set="atr18")
    with pytest.raises(DataError, match=r"anna/1\.parsing\.png: .*it is 48x72, and the photo is 72x48"):
        opened(root, parsing=True, bad="skip").pair(0)
    (root / "ben.pose.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"^ben\.pose\.json: no keypoints in it: it holds none of people"):
        opened(root).pair(2)
    (root / "anna/2.png").write_bytes((root / "anna/2.png").read_bytes()[:-200])
    with pytest.raises(DataError, match=r"^anna/2\.png: it cannot be read"):
        opened(root).pair(1)
    report = check_dataset(opened(root, bad="skip"))
    assert [record.file for record in report.problems] == ["anna/2.png", "ben.pose.json"]


def test_headers_without_source_and_target_are_fatal(root: Path) -> None:
    write_pairs(root / "pairs.csv", [("ben.png", "ben.png")], header="from,to")
    with pytest.raises(DataError, match=r"pairs\.csv:1: the header lacks 'source', 'target'; it holds 'from', 'to'"):
        opened(root, bad="skip")


@pytest.mark.parametrize("number", ["1e39", "1" + "0" * 400])
def test_joints_that_are_no_places_can_be_skipped(root: Path, number: str) -> None:
    numbers = ", ".join([number, "5", "1"] * 18)
    (root / "ben.pose.json").write_text(f'{{"people": [{{"pose_keypoints_2d": [{numbers}]}}]}}', encoding="utf-8")
    with pytest.raises(DataError, match=r"^ben\.pose\.json: no keypoints in it"):
        take(opened(root), 2)
    taken = take(opened(root, bad="skip"), 2)
    assert taken.index == 0 and [record.file for record in taken.skipped] == ["ben.pose.json"]
