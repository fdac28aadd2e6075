"""`data check`: every fault is found and named, and the sheet shows skeletons on their people."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pgsynth_core.data import BadRecord, DataContext, DataError, Dataset, Pair, Person, no_keypoints
from pgsynth_core.data.check import DRAWN_PHOTOS, check_dataset, contact_sheet
from pgsynth_core.data.sheet import label_legend
from pgsynth_core.options import PartConfig

from ...fixtures.people import MakePerson, smooth, standing


class Shelf(Dataset):
    """Photos by name, paired with the next; a name without a photo cannot be read."""

    label_set = "atr18"

    def __init__(
        self, photos: dict[str, Person | None], *, listed: bool = True, aimed_at: tuple[str, ...] = ()
    ) -> None:
        super().__init__(PartConfig(), DataContext("train", (72, 48)))
        self.bad = "skip"
        self.photos, self.listed, self.aimed_at = photos, listed, aimed_at

    def __len__(self) -> int:
        return len(self.photos)

    def name(self, index: int) -> str:
        return f"pair {index}"

    def person(self, name: str) -> Person:
        if (found := self.photos[name]) is None:
            raise DataError.of(BadRecord(f"{name}.jpg", 0, "truncated.", "unreadable"))
        return found

    def pair(self, index: int) -> Pair:
        names = list(self.photos)
        return Pair(self.name(index), self.person(names[index]), self.person(names[(index + 1) % len(names)]))

    def people(self) -> tuple[str, ...]:
        return tuple(self.photos) if self.listed else ()

    def targets(self) -> tuple[str, ...]:
        return tuple(self.aimed_at)

    def facts(self) -> dict[str, int]:
        return {"rows": 9}


@pytest.fixture
def photos(person: MakePerson) -> dict[str, Person | None]:
    parsing = np.zeros((72, 48), np.uint8)
    parsing[:9], parsing[9:20] = 2, 11
    away = standing((90, 60))
    away[4] = 400, 20, 1
    return {
        "a": person("a", parsing=parsing),
        "b": None,
        "c": person("c", size=(90, 60), keypoints=away),
        "d": person("d", keypoints=no_keypoints()),
    }


def test_everything_is_counted_and_every_fault_named(photos: dict[str, Person | None]) -> None:
    shelf, seen = Shelf(photos), []
    shelf.report([BadRecord("pairs.csv", 3, "too short."), BadRecord("z.jpg", 0, "not there.", "missing")])
    report = check_dataset(shelf, progress=lambda done, of: seen.append((done, of)))
    assert (report.pairs, report.photos, report.read, dict(report.facts)) == (4, 4, 4, {"rows": 9})
    assert list(report.sizes.items()) == [((72, 48), 2), ((90, 60), 1)]
    assert report.without_keypoints == ("d",) and report.joints_outside == ("c",) and report.joints == 12
    assert (report.label_maps, dict(report.labels)) == (1, {"background": 1, "hair": 1, "face": 1})
    assert [record.file for record in report.problems] == ["pairs.csv", "z.jpg", "b.jpg"] and not report.ok
    assert [record.file for kind in ("row", "missing", "unreadable") for record in report.of_kind(kind)] == [
        "pairs.csv",
        "z.jpg",
        "b.jpg",
    ]
    assert report.readable == 3
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    plain = json.loads(json.dumps(report.to_mapping()))
    assert plain["sizes"] == {"72x48": 2, "90x60": 1} and plain["problems"][2]["reason"] == "truncated."


def test_a_limit_reads_a_spread_of_photos(photos: dict[str, Person | None]) -> None:
    report = check_dataset(Shelf(photos), limit=2)
    assert (report.photos, report.read, list(report.sizes)) == (4, 2, [(72, 48), (90, 60)])
    assert check_dataset(Shelf(photos), limit=0).read == 0


def test_a_dataset_that_cannot_list_its_photos_is_read_by_pairs(photos: dict[str, Person | None]) -> None:
    del photos["b"]
    report = check_dataset(Shelf(photos, listed=False))
    assert (report.pairs, report.photos, report.read) == (3, 6, 6) and report.without_keypoints == ("d",)
    assert [(record.file, record.kind) for record in report.problems] == [("d", "missing")], "d is a target too"
    many: dict[str, Person | None] = dict.fromkeys(map(str, range(1000)), photos["a"])
    assert check_dataset(Shelf(many, listed=False)).read == DRAWN_PHOTOS < 2000
    assert check_dataset(Shelf(many)).read == 1000


def test_a_target_without_a_joint_is_a_fault_and_a_source_is_none(photos: dict[str, Person | None]) -> None:
    del photos["b"]
    for aimed_at, faulty in ((("a", "c"), []), (("a", "d"), ["d"])):
        report = check_dataset(Shelf(photos, aimed_at=aimed_at))
        assert [record.file for record in report.problems] == faulty and report.without_keypoints == ("d",)
    del photos["a"], photos["c"]
    (record,) = check_dataset(Shelf(photos, aimed_at=("d",))).problems
    assert "in all that could be read (1)" in record.reason


def test_by_what_a_label_set_is_known_is_counted(person: MakePerson) -> None:
    parsing = np.full((72, 48), 4, np.uint8)
    says = dict.fromkeys("ab", person("a", parsing=parsing, label_set="atr18"))
    mute = dict.fromkeys("cde", person("c", parsing=parsing))
    report = check_dataset(Shelf(says | mute), labels_from="default")
    assert report.label_set == "atr18" and report.labels_from == {"file": 2, "default": 3}
    assert check_dataset(Shelf(mute)).labels_from == {"dataset": 3}
    bare = check_dataset(Shelf({"a": person("a")}))
    assert (bare.label_set, bare.labels_from) == ("", {})


# ------------------------------------------------------------------------------------------- the sheet
def test_the_sheet_shows_pairs_and_their_poses(photos: dict[str, Person | None], person: MakePerson) -> None:
    grey = person("grey", image=np.full((72, 48, 3), 100, np.uint8))
    sheet = np.asarray(contact_sheet(Shelf({"x": grey, "y": grey}), rows=2))
    for colour, what in (((100, 100, 100), "photo"), ((50, 50, 50), "photo outside the mask"), ((255, 0, 0), "nose")):
        assert (sheet == colour).all(axis=2).any(), what
    del photos["b"]
    parsed = np.asarray(contact_sheet(Shelf(photos), rows=4))
    assert (parsed == [192, 128, 0]).all(axis=2).sum() > 100, "the face's label in its colour"
    assert parsed.shape[1] > sheet.shape[1]


def test_the_sheet_names_the_colours_of_the_label_maps(person: MakePerson) -> None:
    parsing = np.full((72, 48), 9, np.uint8)  # left-shoe of one set, pants of the other
    sheets = {}
    for name in ("atr18", "lip20"):
        shelf = Shelf({"x": person("x", parsing=parsing)})
        shelf.label_set = name
        sheets[name] = np.asarray(contact_sheet(shelf, rows=1))
    legend = np.asarray(label_legend(parsing, "lip20"))
    places = np.lib.stride_tricks.sliding_window_view(sheets["lip20"][..., 0], legend.shape[:2])
    rows, columns = np.nonzero((places[:, :, ::16, ::16] == legend[::16, ::16, 0]).all(axis=(2, 3)))
    windows = [
        sheets["lip20"][y : y + legend.shape[0], x : x + legend.shape[1]] for y, x in zip(rows, columns, strict=True)
    ]
    assert sum(np.array_equal(window, legend) for window in windows) == 1
    assert sheets["atr18"].shape == sheets["lip20"].shape and (sheets["atr18"] != sheets["lip20"]).any()


def test_the_title_is_above_the_sheet(photos: dict[str, Person | None]) -> None:
    del photos["b"]
    bare, train, test = (
        np.asarray(contact_sheet(Shelf(photos), rows=2, title=title)) for title in ("", "train", "test")
    )
    above = len(train) - len(bare)
    assert above > 0 and (train[above:] == bare).all() and (test[above:] == bare).all()
    assert (train[:above] < 100).any() and (train[:above] != test[:above]).any()


def test_a_sheet_of_nothing_says_what_was_wrong() -> None:
    with pytest.raises(DataError, match=r"a\.jpg: truncated"):
        contact_sheet(Shelf({"a": None, "b": None}))


def test_pairs_on_the_sheet_are_spread(person: MakePerson) -> None:
    plain = smooth((72, 48))
    people: dict[str, Person | None] = {str(number): person(str(number), image=plain) for number in range(20)}
    tall, taller = (np.asarray(contact_sheet(Shelf(people), rows=rows)).shape[0] for rows in (2, 4))
    assert taller > 1.8 * tall - 60
