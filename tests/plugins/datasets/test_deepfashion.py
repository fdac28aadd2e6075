"""DeepFashion: both spellings, every folder, any size; the official pairs; every fault with its file and row."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from pgsynth_core.data import (
    DataContext,
    DataError,
    flip_pair,
    no_keypoints,
    present,
    read_annotations,
    read_table,
    write_label_map,
)
from pgsynth_core.data.check import check_dataset, contact_sheet
from pgsynth_core.data.taking import take
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.deepfashion import Config
from pgsynth_plugins.datasets.deepfashion.reader import DeepFashion, official_pairs

from ...fixtures.people import STANDING, Shared, annotation_row, write_annotations, write_pairs, write_photo

FRONT, SIDE, OTHER = (
    "fashionWOMENDressesid0000000101_1front.jpg",
    "fashionWOMENDressesid0000000101_2side.jpg",
    "fashionWOMENDressesid0000000202_1front.jpg",
)
SPACE = [(x * 3, y * 3) for x, y in STANDING]
"""The standing pose in the files' own space of 256x176."""

Build = Callable[..., DeepFashion]


def opened(root: Path, split: Literal["train", "test"] = "train", **options: Any) -> DeepFashion:
    return DeepFashion(Config(root=str(root), **options), DataContext(split, (256, 176)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photos of two garments, for training."""
    rows = [annotation_row(name, SPACE) for name in (FRONT, SIDE, OTHER)]
    write_annotations(tmp_path / "fasion-resize-annotation-train.csv", rows)
    write_pairs(tmp_path / "fasion-resize-pairs-train.csv", [(FRONT, SIDE), (SIDE, FRONT)])
    for seed, name in enumerate((FRONT, SIDE, OTHER)):
        write_photo(tmp_path / "img" / name, (256, 176), seed)
    return tmp_path


# ------------------------------------------------------------------------------------------- what is read
def test_all_photos_of_the_split_are_those_of_its_list(root: Path) -> None:
    assert opened(root).photos() == ()
    (root / "train.lst").write_text(f"{FRONT}\n{OTHER}\n{SIDE}\n", encoding="utf-8")
    dataset = opened(root)
    assert dataset.photos() == tuple(root / "img" / name for name in (FRONT, OTHER, SIDE))
    assert OTHER not in dataset.people() and dataset.photos_of(0) == (FRONT, SIDE)
    (root / "img" / OTHER).unlink()
    with pytest.raises(DataError, match=rf"{OTHER}.*no such photo"):
        dataset.photos()


def test_pairs_are_read(root: Path) -> None:
    dataset = opened(root)
    stems = FRONT[:-4], SIDE[:-4]
    assert len(dataset) == 2 and dataset.name(0) == f"{stems[0]}___{stems[1]}" and not dataset.problems
    pair = dataset.pair(1)
    assert (pair.name, pair.source.name, pair.target.name) == (dataset.name(1), SIDE, FRONT)
    assert pair.source.size == (256, 176) and pair.source.keypoints[0].tolist() == [
        SPACE[0][0] + 0.5,
        SPACE[0][1] + 0.5,
        1,
    ]
    assert dataset.people() == (FRONT, SIDE) and dataset.label_set == ""
    assert dict(dataset.facts()) == {
        "photos with a row of keypoints": 3,
        "of these, without a single joint": 0,
        "pairs listed": 2,
    }


@pytest.mark.parametrize("spelling", ["fasion", "fashion"])
@pytest.mark.parametrize("folder", [".", "img", "train", "train_highres", "img/train", "test"])
def test_both_spellings_and_every_folder(spelling: str, folder: str, root: Path) -> None:
    for file in root.glob("*.csv"):
        file.rename(root / file.name.replace("fasion", spelling))
    (root / folder).mkdir(exist_ok=True)
    for photo in list((root / "img").glob("*.jpg")):
        shutil.move(photo, root / folder / photo.name)
    assert opened(root).pair(0).source.size == (256, 176)


@pytest.mark.parametrize("size", [(1101, 750), (512, 352), (64, 44), (100, 100)])
def test_keypoints_are_scaled_to_the_photo(size: tuple[int, int], root: Path) -> None:
    write_photo(root / "img" / FRONT, size)
    source = opened(root).pair(0).source
    expected = (np.array(SPACE) + 0.5) * [size[1] / 176, size[0] / 256]
    assert source.size == size and np.allclose(source.keypoints[:, :2], expected, atol=1e-3)


def test_the_split_decides_the_files(root: Path) -> None:
    for kind in ("annotation", "pairs"):
        (root / f"fasion-resize-{kind}-train.csv").rename(root / f"fasion-resize-{kind}-test.csv")
    assert len(opened(root, "test")) == 2
    with pytest.raises(
        UserError, match="no file of keypoints for train .* CSV files there: fasion-resize-annotation-test"
    ):
        opened(root, "train")


def test_without_a_file_of_pairs_the_rule_makes_them(root: Path) -> None:
    (root / "fasion-resize-pairs-train.csv").unlink()
    assert [opened(root).name(index) for index in range(2)] == [
        f"{a[:-4]}___{b[:-4]}" for a, b in ((FRONT, SIDE), (SIDE, FRONT))
    ]


def test_other_files_can_be_named(root: Path) -> None:
    write_pairs(root / "mine.csv", [(OTHER, OTHER)])
    assert opened(root, pairs="mine.csv").name(0) == f"{OTHER[:-4]}___{OTHER[:-4]}"
    with pytest.raises(
        UserError, match=r"data\.deepfashion\.pairs: there is no file 'mime\.csv'.*Did you mean 'mine\.csv'"
    ):
        opened(root, pairs="mime.csv")
    with pytest.raises(UserError, match="leads upwards"):
        opened(root, annotation="../a.csv")


def test_label_maps_beside_the_photos_are_read(root: Path) -> None:
    parsing = np.full((256, 176), 4, np.uint8)
    write_label_map(root / "img" / FRONT.replace(".jpg", ".parsing.png"), parsing, label_set="atr18")
    assert opened(root).pair(0).source.parsing is None
    write_pairs(root / "fasion-resize-pairs-train.csv", [(FRONT, SIDE)])
    dataset = opened(root, parsing=True)
    pair = dataset.pair(0)
    assert pair.source.label_set == "atr18"
    assert dataset.label_set == "atr18" and (pair.source.parsing == parsing).all() and pair.target.parsing is None
    with pytest.raises(DataError, match=r"img/fashion.*\.parsing\.png: it cannot be read: its labels are of atr18"):
        opened(root, parsing=True, label_set="lip20").pair(0)


def test_a_label_map_that_is_not_there_is_found_at_construction(root: Path) -> None:
    parsing = np.full((256, 176), 4, np.uint8)
    write_label_map(root / "img" / FRONT.replace(".jpg", ".parsing.png"), parsing, label_set="atr18")
    write_pairs(root / "fasion-resize-pairs-train.csv", [(FRONT, SIDE), (SIDE, FRONT), (SIDE, OTHER)])
    with pytest.raises(
        DataError, match=rf"^img/{SIDE[:-4]}\.parsing\.png: .*fasion-resize-pairs-train\.csv:3.*bad=skip"
    ):
        opened(root, parsing=True)
    dataset = opened(root, parsing=True, bad="skip")
    assert [dataset.name(index) for index in range(len(dataset))] == [f"{FRONT[:-4]}___{SIDE[:-4]}"]
    ((record, *more), facts) = dataset.problems, dataset.facts()
    assert (record.file, record.kind, more) == (f"img/{SIDE[:-4]}.parsing.png", "missing", [])
    assert facts["pairs listed"] == 3 and len(opened(root)) == 3, "without label maps nothing is missing"


def test_nothing_is_read_at_construction_but_tables(root: Path) -> None:
    for photo in (root / "img").iterdir():
        photo.write_bytes(b"")
    dataset = opened(root)
    assert len(dataset) == 2
    with pytest.raises(DataError, match=rf"^img/{FRONT}: it cannot be read"):
        dataset.pair(0)


@pytest.mark.parametrize("name", ["fasion-resize-annotation-test.csv", "fashion-resize-annotation-train.csv"])
def test_the_layout_is_recognised_by_name(name: str, tmp_path: Path) -> None:
    assert not DeepFashion.recognises(tmp_path)
    (tmp_path / name).touch()
    assert DeepFashion.recognises(tmp_path)


# ------------------------------------------------------------------------------------------- what is wrong
def broken(root: Path) -> list[str]:
    """Spoil six things; where and why each is wrong."""
    rows = [annotation_row(name, SPACE) for name in (FRONT, SIDE, OTHER)] + [f"{FRONT}:[1]:[1]", "short"]
    write_annotations(root / "fasion-resize-annotation-train.csv", [*rows, annotation_row("../secret.jpg", SPACE)])
    pairs = [(FRONT, SIDE), (FRONT, "ghost.jpg"), (FRONT,), (SIDE, OTHER), (FRONT, "../secret.jpg"), (FRONT, SIDE)]
    write_pairs(root / "fasion-resize-pairs-train.csv", pairs)
    (root / "img" / OTHER).unlink()
    return [
        "fasion-resize-annotation-train.csv:6: 1 cells",
        f"fasion-resize-annotation-train.csv:5: {FRONT} has a row already, line 2.",
        "fasion-resize-pairs-train.csv:4: 1 cells between ','; the header has 2.",
        "fasion-resize-pairs-train.csv:3: ghost.jpg without a usable row in fasion-resize-annotation-train.csv.",
        "fasion-resize-pairs-train.csv:7: this pair has a row already, line 2.",
        f"{OTHER}: there is no such photo in the folder itself, img/ (named in fasion-resize-pairs-train.csv:5).",
        "fasion-resize-pairs-train.csv:6: the path '../secret.jpg' leads upwards",
    ]


def test_everything_wrong_is_said_at_once(root: Path) -> None:
    faults = broken(root)
    with pytest.raises(DataError) as caught:
        opened(root)
    said = str(caught.value).splitlines()
    assert len(said) == len(faults) and all(any(line.startswith(fault) for line in said) for fault in faults), said
    assert said[-1].endswith("or set the dataset's option bad=skip to leave out every pair that cannot be used.")


def test_or_left_out_and_counted(root: Path) -> None:
    faults = broken(root)
    dataset = opened(root, bad="skip")
    assert [dataset.name(index) for index in range(len(dataset))] == [f"{FRONT[:-4]}___{SIDE[:-4]}"]
    assert len(dataset.problems) == len(faults) and dataset.facts()["pairs listed"] == 6
    report = check_dataset(dataset)
    assert len(report.problems) == len(faults) and len(report.of_kind("missing")) == 1 and report.photos == 2


def test_a_truncated_photo_is_skipped_if_the_spec_says_so(root: Path) -> None:
    photo = root / "img" / FRONT
    photo.write_bytes(photo.read_bytes()[:900])
    write_pairs(root / "fasion-resize-pairs-train.csv", [(FRONT, SIDE), (SIDE, OTHER)])
    with pytest.raises(DataError, match=rf"img/{FRONT}: it cannot be read: .*truncated"):
        take(opened(root), 0)
    taken = take(opened(root, bad="skip"), 0)
    assert taken.index == 1 and [record.file for record in taken.skipped] == [f"img/{FRONT}"]


def test_people_without_a_joint_are_named(root: Path) -> None:
    rows = [annotation_row(FRONT, SPACE), annotation_row(SIDE, [(-1, -1)] * 18)]
    write_annotations(root / "fasion-resize-annotation-train.csv", rows)
    dataset = opened(root)
    assert (dataset.pair(0).target.keypoints == no_keypoints()).all()
    report = check_dataset(dataset)
    assert report.without_keypoints == (SIDE,) and [record.file for record in report.problems] == [SIDE]
    with pytest.raises(DataError, match=rf"{SIDE}: not one joint is known, and `target_keypoints` is needed"):
        take(dataset, 0, needs=["target_keypoints"])


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("annotation", "name;keypoints_y;keypoints_x\n", "lacks 'name', 'keypoints_y', 'keypoints_x'"),
        ("annotation", "name:keypoints_y\n", r"annotation-train\.csv:1: the header lacks 'keypoints_x'"),
        ("pairs", "source,target\n", r"pairs-train\.csv:1: the header lacks 'from', 'to'"),
    ],
)
def test_missing_columns_are_fatal_in_any_case(file: str, text: str, said: str, root: Path) -> None:
    (root / f"fasion-resize-{file}-train.csv").write_text(text, encoding="utf-8")
    for bad in ("fail", "skip"):
        with pytest.raises(DataError, match=said):
            opened(root, bad=bad)


def test_a_missing_folder_is_said_with_its_cure(root: Path) -> None:
    with pytest.raises(UserError, match="given no folder to read"):
        DeepFashion(Config(), DataContext("train", (256, 176)))
    with pytest.raises(UserError, match=r"does not exist\. Set data\.deepfashion\.root"):
        opened(root / "nowhere")


def test_links_of_the_owner_may_lead_anywhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(root / "img", elsewhere / "img")
    os.symlink(elsewhere / "img", root / "img")
    assert opened(root).pair(0).source.size == (256, 176)


# ------------------------------------------------------------------------------------------- the real thing
def test_the_rule_gives_exactly_the_official_pairs(shared: Shared) -> None:
    folder = shared("deepfashion_lists")
    table = read_annotations(folder / "fasion-resize-annotation-test.csv")
    pairs = list(official_pairs(table))
    listed = read_table(folder / "fasion-resize-pairs-test.csv", columns=("from", "to"))
    assert len(pairs) == len(set(pairs)) == 8570
    assert set(pairs) == {(row.cells["from"], row.cells["to"]) for row in listed.rows}


@pytest.mark.parametrize(("split", "pairs", "photos"), [("train", 256, 229), ("test", 72, 53)])
def test_the_real_photos_are_all_usable(
    split: Literal["train", "test"], pairs: int, photos: int, shared: Shared
) -> None:
    dataset = opened(shared("deepfashion_mini"), split)
    report = check_dataset(dataset)
    assert (report.pairs, report.photos, dict(report.sizes)) == (pairs, photos, {(256, 176): photos}) and report.ok
    assert not report.without_keypoints and not report.joints_outside
    assert len({dataset.name(index) for index in range(pairs)}) == pairs
    assert contact_sheet(dataset, rows=2).width > 600


def test_splits_share_no_garment(shared: Shared) -> None:
    train, test = (opened(shared("deepfashion_mini"), split).people() for split in ("train", "test"))
    garments = [{name.split("_")[-2][-10:] for name in people} for people in (train, test)]
    assert not garments[0] & garments[1]


def test_a_real_pair_can_be_mirrored(shared: Shared) -> None:
    pair = opened(shared("deepfashion_mini")).pair(3)
    twice = flip_pair(flip_pair(pair))
    assert (twice.target.image == pair.target.image).all()
    assert np.allclose(twice.target.keypoints, pair.target.keypoints, atol=1e-3)


def test_the_waving_arm_is_read_by_naming_its_files(shared: Shared) -> None:
    dataset = opened(shared("arm_wave_sequence"), annotation="annotation.csv", pairs="pairs.csv")
    assert len(dataset) == 210 and len(dataset.people()) == 15
    assert present(dataset.pair(0).target.keypoints).all()
