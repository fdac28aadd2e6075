"""`check_data`: counts, what is missing, unreadable or wrong, which dataset a folder is, the sheet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.api.data_check import SHEET_ROWS, check_data
from pgsynth_core.data import write_label_map, write_pose
from pgsynth_core.data.check import contact_sheet
from pgsynth_core.errors import SpecError, UserError

from ..fixtures.fake_packages import FakePackages, fake_packages
from ..fixtures.people import STANDING, annotation_row, shared, standing, write_annotations, write_pairs, write_photo

__all__ = ["fake_packages", "shared"]

MISSING = [(-1, -1)] * 18


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A dataset in DeepFashion's layout: three photos for training, two for testing."""
    root = tmp_path / "fashion"
    for number, name in enumerate(("a", "b", "c", "d", "e")):
        write_photo(root / "img" / f"{name}.png", seed=number, size=(72, 48) if name != "c" else (36, 24))
    write_annotations(root / "fasion-resize-annotation-train.csv", map(annotation_row, ("a.png", "b.png", "c.png")))
    write_annotations(root / "fasion-resize-annotation-test.csv", map(annotation_row, ("d.png", "e.png")))
    pairs = [("a.png", "b.png"), ("b.png", "a.png"), ("a.png", "c.png")]
    write_pairs(root / "fasion-resize-pairs-train.csv", pairs)
    write_pairs(root / "fasion-resize-pairs-test.csv", [("d.png", "e.png")])
    return root


def test_a_folder_in_order(fashion: Path) -> None:
    found = check_data(fashion)
    train = found.reports["train"]
    assert found.dataset == "pgsynth:deepfashion" and found.root == str(fashion) and found.ok
    assert (train.pairs, train.photos, train.read, train.joints) == (3, 3, 3, 18)
    assert train.sizes == {(72, 48): 2, (36, 24): 1} and train.label_maps == 0 and not train.without_keypoints
    assert found.reports["test"].pairs == 1 and not found.absent and not found.shared
    assert json.loads(json.dumps(found.facts()))["splits"]["train"]["sizes"] == {"72x48": 2, "36x24": 1}


def test_everything_wrong_is_named_and_the_rest_is_still_counted(fashion: Path) -> None:
    (fashion / "img" / "a.png").write_bytes((fashion / "img" / "a.png").read_bytes()[:500])
    (fashion / "img" / "c.png").unlink()
    with open(fashion / "fasion-resize-pairs-train.csv", "a", encoding="utf-8") as file:
        file.write("b.png,nobody.png\n")
    found = check_data(fashion)
    train = found.reports["train"]
    assert not found.ok and train.pairs == 2 and train.sizes == {(72, 48): 1}
    said = {(record.kind, record.file) for record in train.problems}
    assert said == {("unreadable", "img/a.png"), ("missing", "c.png"), ("row", "fasion-resize-pairs-train.csv")}
    assert not found.reports["test"].problems


def test_sources_without_a_pose_are_counted_and_no_fault(fashion: Path) -> None:
    rows = [
        annotation_row("a.png"),
        annotation_row("b.png", MISSING),
        annotation_row("c.png", [STANDING[0], *MISSING[1:]]),
    ]
    write_annotations(fashion / "fasion-resize-annotation-train.csv", rows)
    found = check_data(fashion, splits=("train",))
    assert [record.file for record in found.faults] == ["b.png"], "it is a target"
    write_pairs(fashion / "fasion-resize-pairs-train.csv", [("b.png", "a.png"), ("a.png", "c.png")])
    found = check_data(fashion, splits=("train",))
    assert found.ok and found.reports["train"].without_keypoints == ("b.png",)
    assert found.reports["train"].joints == pytest.approx((18 + 0 + 1) / 3)


PARSING = "data.deepfashion.parsing=true"


@pytest.fixture
def parsed(fashion: Path) -> Path:
    """With label maps that do not say their set."""
    for name in ("a", "b", "d"):
        Image.fromarray(np.full((72, 48), 4, np.uint8)).save(fashion / "img" / f"{name}.parsing.png")
    return fashion


def test_a_source_without_a_label_map_is_a_fault(parsed: Path) -> None:
    assert check_data(parsed, PARSING).ok, "c and e are targets only"
    (parsed / "img" / "b.parsing.png").unlink()
    found = check_data(parsed, PARSING)
    (record,) = found.faults
    assert (record.file, record.kind, found.ok) == ("img/b.parsing.png", "missing", False)
    assert found.reports["train"].pairs == 2 and check_data(parsed).ok


@pytest.mark.parametrize(
    ("words", "label_set", "origin"),
    [
        ((), "atr18", "default"),
        (("data.deepfashion.label_set=atr18",), "atr18", "option"),
        (("data.pgsynth:deepfashion.label_set=lip20",), "lip20", "option"),
    ],
)
def test_by_what_the_label_set_is_known(parsed: Path, words: tuple[str, ...], label_set: str, origin: str) -> None:
    train = check_data(parsed, PARSING, *words).reports["train"]
    assert train.label_set == label_set and train.labels_from == {origin: 2}
    write_label_map(parsed / "img/a.parsing.png", np.full((72, 48), 4, np.uint8), label_set=label_set)
    assert check_data(parsed, PARSING, *words).reports["train"].labels_from == {"file": 1, origin: 1}


def test_a_dataset_that_paints_its_label_maps_knows_their_set() -> None:
    train = check_data(None, dataset="figures", limit=1, splits=("train",)).reports["train"]
    assert train.labels_from == {"dataset": 1} and train.label_set == "atr18"


def test_photos_in_both_splits_are_told(fashion: Path) -> None:
    write_annotations(fashion / "fasion-resize-annotation-test.csv", map(annotation_row, ("d.png", "a.png")))
    write_pairs(fashion / "fasion-resize-pairs-test.csv", [("d.png", "a.png")])
    assert check_data(fashion).shared == ("a.png",)


def test_a_split_that_is_not_there_is_no_fault_unless_it_is_asked_for(fashion: Path) -> None:
    (fashion / "fasion-resize-annotation-test.csv").unlink()
    found = check_data(fashion)
    assert found.ok and list(found.reports) == ["train"] and "keypoints" in found.absent["test"]
    with pytest.raises(UserError, match="no file of keypoints for test"):
        check_data(fashion, splits=("test",))


def test_a_split_whose_table_is_broken_is_a_fault(fashion: Path) -> None:
    (fashion / "fasion-resize-annotation-test.csv").write_text("name:keypoints_y\nd.png:[1]\n", encoding="utf-8")
    found = check_data(fashion)
    assert not found.ok and list(found.reports) == ["train"] and not found.absent
    ((record, splits),) = found.faults.items()
    assert splits == ("test",) and "'keypoints_x'" in record.reason and found.unusable == {"test": (record,)}
    (fault,) = json.loads(json.dumps(found.facts()))["faults"]
    assert fault["splits"] == ["test"] and fault["file"] == "fasion-resize-annotation-test.csv" and fault["row"] == 1


def test_photos_of_which_none_has_a_joint_are_a_fault(fashion: Path) -> None:
    rows = [annotation_row(name, MISSING) for name in ("a.png", "b.png", "c.png")]
    write_annotations(fashion / "fasion-resize-annotation-train.csv", rows)
    ((record, splits),) = check_data(fashion).faults.items()
    assert splits == ("train",) and "row in the CSV file" in record.reason and "(3)" in record.reason


def test_an_invented_split_is_answered_with_those_there_are(fashion: Path) -> None:
    code = "from pgsynth_core.data import DataContext\nDataContext('tset', (64, 44))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "UserError: split: there is no split 'tset'. Did you mean 'test'? Splits: train, test." in done.stderr


def test_a_missing_column_is_said_once_with_its_file(fashion: Path) -> None:
    for name in ("train", "test"):
        write_pairs(fashion / f"fasion-resize-pairs-{name}.csv", [("a.png", "b.png")], header="from,two")
    with pytest.raises(UserError) as caught:
        check_data(fashion)
    assert len(caught.value.problems) == 2
    assert "'to'" in str(caught.value) and "fasion-resize-pairs-train.csv" in str(caught.value)


def test_limit_opens_photos_from_everywhere(fashion: Path) -> None:
    events: list[Any] = []
    found = check_data(fashion, limit=2, splits=("train",), on_event=events.append)
    assert found.reports["train"].read == 2 and found.reports["train"].photos == 3
    assert [(event["kind"], event["done"], event["of"]) for event in events] == [("count", 1, 2), ("count", 2, 2)]


# ------------------------------------------------------------------------------------------- which dataset
def test_options_are_given_in_the_words_of_a_spec(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_photo(tmp_path / f"{name}.png")
        write_pose(tmp_path / f"{name}.pose.json", standing())
    write_pairs(tmp_path / "mine.csv", [("one.png", "two.png")], header="source,target")
    found = check_data(tmp_path, "data.folder.pairs=mine.csv", dataset="folder")
    assert found.ok and found.reports["train"].pairs == 1
    with pytest.raises(SpecError, match="'pairs'"):
        check_data(tmp_path, "data.folder.pars=mine.csv", dataset="folder")


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("train.steps=3", "Write data.figures.OPTION=value or size=HxW; leave anything else out."),
        ("encoder=qfft", "Write data.figures.OPTION=value"),
        ("fit=crop", "Write data.figures.OPTION=value"),
        ("data=figures", "Write data.figures.OPTION=value"),
        ("data.figures=figures", "Write data.figures.OPTION=value"),
        ("data.fgures.seed=1", "Write data.figures.OPTION=value"),
        ("data.folder.root=/x", "Choose that dataset: --dataset folder."),
        ("data=folder", "Choose that dataset: --dataset folder."),
    ],
)
def test_words_about_something_else_are_refused(word: str, cure: str) -> None:
    with pytest.raises(UserError) as caught:
        check_data(None, word, "train.batch_size=1", dataset="figures", limit=1)
    (problem, other) = caught.value.problems
    assert problem.where == word and other.where == "train.batch_size=1" and cure in problem.cure


def test_options_and_the_size_have_an_effect() -> None:
    words = ("data.figures.identities=2", "data.pgsynth:figures.poses=2", "size=64x48")
    report = check_data(None, *words, dataset="pgsynth:figures", limit=1, splits=("train",)).reports["train"]
    assert (report.photos, report.sizes) == (4, {(64, 48): 1})


@pytest.mark.parametrize(
    ("make", "message", "cure"),
    [
        (lambda root: root / "fashon", "no such folder", "fashion"),
        (lambda root: root / "fashion" / "img" / "a.png", "this is a file", "folder"),
        (lambda root: root / "fashion" / "img", "no dataset recognises", "--dataset"),
        (lambda root: None, "nothing to check", "--dataset"),
    ],
    ids=["missing", "a file", "something else", "nothing"],
)
def test_a_folder_that_is_none(fashion: Path, make: Any, message: str, cure: str) -> None:
    with pytest.raises(UserError) as caught:
        check_data(make(fashion.parent))
    (problem,) = caught.value.problems
    assert message in problem.message and cure in problem.cure


def test_two_that_recognise_it_are_both_named(fashion: Path) -> None:
    write_pairs(fashion / "pairs.csv", [("img/a.png", "img/b.png")], header="source,target")
    with pytest.raises(UserError, match="deepfashion, folder") as caught:
        check_data(fashion)
    assert "--dataset deepfashion" in caught.value.problems[0].cure
    assert check_data(fashion, dataset="deepfashion").ok


STRANGER = """\
import numpy as np
from pgsynth_core.data import Dataset, Pair, Person
from pgsynth_core.options import PartConfig

class Config(PartConfig):
    pass

class Drawn(Dataset):
    def __len__(self): return 10**6
    def name(self, index): return str(index)
    def pair(self, index):
        image = np.full((32, 24, 3), index % 256, np.uint8)
        joints = np.ones((18, 3), np.float32)
        return Pair(str(index), Person(f"{index}s", image, joints), Person(f"{index}t", image, joints))

class Broken(Drawn):
    def __init__(self, config, build): raise RuntimeError("it fell over")
"""


def stranger(fake_packages: FakePackages, target: str) -> None:
    """Install a package whose dataset draws its photos."""
    lines = f"""
[[component]]
kind = "dataset"
name = "drawn"
summary = "Drawn."
target = "pgsynth_plugin_x.mine:{target}"
config = "pgsynth_plugin_x.mine:Config"
licence = "MIT"
"""
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", lines), files={"mine.py": STRANGER})


def test_a_dataset_that_draws_without_end_is_looked_at_a_little(fake_packages: FakePackages, tmp_path: Path) -> None:
    stranger(fake_packages, "Drawn")
    found = check_data(None, dataset="drawn")
    assert found.root == "" and found.reports["train"].pairs == 10**6 and found.reports["train"].read == 200
    assert check_data(None, dataset="drawn", limit=3).reports["train"].read == 3
    with pytest.raises(UserError, match="reads no folder"):
        check_data(tmp_path, dataset="drawn")


def test_one_that_breaks_is_named_with_its_package(fake_packages: FakePackages) -> None:
    stranger(fake_packages, "Broken")
    with pytest.raises(UserError, match="it fell over") as caught:
        check_data(None, dataset="drawn")
    assert "pgsynth plugins uninstall pgsynth-plugin-x" in caught.value.problems[0].cure


# ------------------------------------------------------------------------------------------- to look at
def test_the_sheet_shows_photos_and_poses_of_both_splits(fashion: Path) -> None:
    found = check_data(fashion)
    sheet, train = found.sheet(), check_data(fashion, splits=("train",)).sheet()
    assert isinstance(sheet, Image.Image) and isinstance(train, Image.Image)
    assert sheet.height > train.height > 3 * 150 and len(np.unique(np.asarray(sheet))) > 50
    for split in ("train", "test"):
        (dataset,) = check_data(fashion, splits=(split,))._datasets.values()
        block = np.asarray(contact_sheet(dataset, rows=SHEET_ROWS, title=split))
        there = [
            top
            for top in range(sheet.height - len(block) + 1)
            if np.array_equal(np.asarray(sheet)[top : top + len(block), : block.shape[1]], block)
        ]
        assert there == ([0] if split == "train" else [train.height]), "each under its split's name"


def test_without_a_pair_there_is_no_sheet(fashion: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        (fashion / "img" / f"{name}.png").write_bytes(b"no picture")
    found = check_data(fashion)
    assert found.sheet() is None and not found.ok


def test_it_imports_no_torch(fashion: Path) -> None:
    code = "import sys; from pgsynth_core.api.data_check import check_data; check_data(sys.argv[1]).sheet()\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(fashion)], check=True)


def test_real_photos(shared: Any) -> None:
    found = check_data(shared("deepfashion_mini"))
    assert found.ok and found.reports["train"].pairs == 256 and found.reports["test"].pairs == 72
    assert found.reports["train"].sizes == {(256, 176): 229} and not found.shared
