"""What readers of stored photos share: names of pairs, folders, and what is done about bad records."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from pgsynth_core.data import (
    BadRecord,
    DataContext,
    DataError,
    FileDataset,
    Person,
    PhotoFolders,
    existing_root,
    no_keypoints,
    read_image,
)
from pgsynth_core.data.stored import known_photos, pair_names
from pgsynth_core.errors import UserError
from pgsynth_core.options import PartConfig

from ...fixtures.people import write_photo


# ------------------------------------------------------------------------------------------- names
@pytest.mark.parametrize(
    ("pairs", "names"),
    [
        ([("a.jpg", "b.jpg")], ["a___b"]),
        ([("x/a.v1.jpg", "y/b.png")], ["x-a.v1___y-b"]),
        ([("a.jpg", "b.jpg"), ("a.png", "b.jpg"), ("a.jpg", "b.jpg")], ["a___b", "a___b.2", "a___b.3"]),
        ([("a", "b.2.jpg"), ("a", "b.jpg"), ("a", "b.jpg")], ["a___b.2", "a___b", "a___b.3"]),
    ],
)
def test_names_say_both_photos_and_are_unique(pairs: list[tuple[str, str]], names: list[str]) -> None:
    assert list(pair_names(pairs)) == names


def test_names_fit_into_file_names_and_differ() -> None:
    long = "ä" * 120
    names = list(pair_names([(f"{long}1.jpg", "b.jpg"), (f"{long}2.jpg", "b.jpg"), (f"{long}1.jpg", "b.jpg")]))
    assert len(set(names)) == 3 and all(name.startswith("ää") and len(name.encode()) <= 200 for name in names)
    assert names == list(pair_names([(f"{long}1.jpg", "b.jpg"), (f"{long}2.jpg", "b.jpg"), (f"{long}1.jpg", "b.jpg")]))


# ------------------------------------------------------------------------------------------- folders
@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a.png", "img/b.png", "img/a.png", "img/deep/c.png"):
        write_photo(tmp_path / name, (4, 3))
    return tmp_path


def test_photos_are_found_in_the_order_of_the_folders(root: Path) -> None:
    folders = PhotoFolders(root, (".", "nowhere", "img", "."))
    assert folders.folders == (".", "img")
    found = {name: folders.find(name) for name in ("a.png", "b.png", "deep/c.png", "img/b.png", "d.png", "x/y.png")}
    assert found == {
        "a.png": "a.png",
        "b.png": "img/b.png",
        "deep/c.png": "img/deep/c.png",
        "img/b.png": "img/b.png",
        "d.png": None,
        "x/y.png": None,
    }
    assert PhotoFolders(root, ("img", ".")).find("a.png") == "img/a.png"


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "img/../a.png", "..\\a.png", ""])
def test_no_photo_is_looked_for_outside(name: str, root: Path) -> None:
    with pytest.raises(ValueError, match="leads upwards|is absolute|is empty"):
        PhotoFolders(root / "img", (".",)).find(name)


def test_lost_photos_are_named_once_with_the_row(root: Path) -> None:
    wanted = {"a.png": ("p.csv", 2), "z.png": ("p.csv", 3), "../a.png": ("p.csv", 4)}
    photos, problems = known_photos(wanted, PhotoFolders(root, (".", "img")))
    assert photos == {"a.png": "a.png"}
    assert [(record.file, record.row, record.kind) for record in problems] == [
        ("z.png", 0, "missing"),
        ("p.csv", 4, "row"),
    ]
    assert problems[0].reason == "there is no such photo in the folder itself, img/ (named in p.csv:3)."


# ------------------------------------------------------------------------------------------- the root
def test_a_root_must_be_given_and_be_a_folder(root: Path) -> None:
    assert existing_root(str(root), part="deepfashion") == root
    with pytest.raises(UserError, match=r"given no folder to read\. Set data\.deepfashion\.root=FOLDER"):
        existing_root("", part="deepfashion")
    with pytest.raises(UserError, match=rf"'{root}/img/none/x' does not exist.*; {root}/img is there") as caught:
        existing_root(f"{root}/img/none/x", part="deepfashion")
    assert caught.value.exit_code == 2 and caught.value.problems[0].where == "data.deepfashion.root"
    with pytest.raises(UserError, match="is a file, not a folder"):
        existing_root(f"{root}/a.png", part="deepfashion")


# ------------------------------------------------------------------------------------------- datasets
class Photos(FileDataset):
    """Pairs of names of files, nothing more."""

    def __init__(
        self,
        root: Path,
        pairs: list[tuple[str, str]],
        problems: list[BadRecord] | None = None,
        bad: Literal["fail", "skip"] = "fail",
    ) -> None:
        super().__init__(PartConfig(), DataContext("train", (4, 3)), root=root, bad=bad)
        self.use(pairs, problems or [])

    def person(self, name: str) -> Person:
        return Person(name, read_image(self.root / name, shown=name), no_keypoints())


def test_a_dataset_of_files_reads_when_asked(root: Path) -> None:
    photos = Photos(root, [("a.png", "img/b.png"), ("none.png", "a.png"), ("a.png", "a.png")])
    assert len(photos) == 3 and photos.name(1) == "none___a"
    assert photos.people() == ("a.png", "img/b.png", "none.png")
    assert photos.photos_of(1) == ("none.png", "a.png")
    pair = photos.pair(0)
    assert (pair.name, pair.source.name, pair.target.name) == ("a___img-b", "a.png", "img/b.png")
    assert (photos.pair(0).source.image == pair.source.image).all()
    with pytest.raises(DataError, match=r"none\.png: there is no such file"):
        photos.pair(1)
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"there is no pair {index}; there are 0 to 2"):
            photos.pair(index)


def test_bad_rows_end_it_or_are_skipped(root: Path) -> None:
    problem = BadRecord("p.csv", 3, "too short.")
    with pytest.raises(DataError, match=r"^p\.csv:3: too short\. Mend it, or set the dataset's option bad=skip"):
        Photos(root, [("a.png", "a.png")], [problem])
    skipping = Photos(root, [("a.png", "a.png")], [problem], bad="skip")
    assert skipping.problems == (problem,) and len(skipping) == 1 and skipping.bad == "skip"
    with pytest.raises(DataError, match="No pair is left without them"):
        Photos(root, [], [problem], bad="skip")
    with pytest.raises(UserError, match="there is not one pair in"):
        Photos(root, [], [])
