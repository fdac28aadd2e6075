"""Bad pairs end the run or are passed over: always named, always the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from pgsynth_core.data import BadRecord, DataContext, DataError, Dataset, Pair, no_keypoints
from pgsynth_core.data.taking import PATIENCE, lacking, take
from pgsynth_core.options import PartConfig

from ...fixtures.people import MakePerson


class Pairs(Dataset):
    """So many pairs, some of which are bad."""

    def __init__(self, good: Mapping[int, Pair], length: int, bad: str = "fail") -> None:
        super().__init__(PartConfig(), DataContext("train", (4, 3)))
        self.good, self.length = good, length
        assert bad in ("fail", "skip")
        self.bad = "skip" if bad == "skip" else "fail"

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        return f"pair {index}"

    def pair(self, index: int) -> Pair:
        if index not in self.good:
            raise DataError.of(BadRecord(f"{index}.jpg", 0, "truncated.", "unreadable"))
        return self.good[index]


@pytest.fixture
def pair(person: MakePerson) -> Pair:
    return Pair("a___b", person("a"), person("b"))


def test_a_good_pair_is_taken_as_it_is(pair: Pair) -> None:
    taken = take(Pairs({2: pair}, 3), 2)
    assert (taken.index, taken.pair, taken.skipped) == (2, pair, ())


def test_a_bad_pair_ends_the_run_by_default(pair: Pair) -> None:
    with pytest.raises(DataError, match=r"1\.jpg: truncated"):
        take(Pairs({2: pair}, 3), 1)


def test_a_bad_pair_is_passed_over_counted_and_named(pair: Pair) -> None:
    dataset = Pairs({1: pair}, 4, bad="skip")
    for _ in range(2):
        taken = take(dataset, 2)
        assert taken.index == 1, "after the last comes the first"
        assert [record.file for record in taken.skipped] == ["2.jpg", "3.jpg", "0.jpg"]
    assert [record.file for record in dataset.problems] == ["2.jpg", "3.jpg", "0.jpg"], "each once"


@pytest.mark.parametrize("length", [3, 10 * PATIENCE])
def test_patience_ends(length: int) -> None:
    with pytest.raises(DataError, match="no accident") as caught:
        take(Pairs({}, length, bad="skip"), 0)
    assert len(caught.value.records) == min(length, PATIENCE)


def test_there_is_no_pair_beyond_the_last(pair: Pair) -> None:
    for index in (-1, 1):
        with pytest.raises(IndexError, match=f"there is no pair {index}"):
            take(Pairs({0: pair}, 1), index)


def test_what_a_method_needs_must_be_there(pair: Pair, person: MakePerson) -> None:
    everything = ("source_keypoints", "target_keypoints", "source_parsing", "source_image")
    blind = Pair("x___y", person("x", keypoints=no_keypoints()), person("y", keypoints=no_keypoints()))
    assert [record.file for record in lacking(blind, everything)] == ["x", "y", "x"]
    assert [record.file for record in lacking(blind, ["target_keypoints"])] == ["y"]
    assert not list(lacking(blind, ["source_image"]))
    parsed = Pair("z", person("z", parsing=np.zeros((72, 48), np.uint8)), person())
    assert not list(lacking(parsed, everything))
    with pytest.raises(
        DataError, match=r"y: not one joint is known.*NAME\.pose\.json beside the photo, or its row in the CSV"
    ):
        take(Pairs({0: blind}, 1), 0, needs=["target_keypoints"])
    with pytest.raises(DataError, match=r"a: there is no label map.*Put it beside the photo: NAME\.parsing\.png"):
        take(Pairs({0: pair}, 1), 0, needs=["source_parsing"])


def test_a_pair_that_lacks_something_is_passed_over_too(pair: Pair, person: MakePerson) -> None:
    blind = Pair("x___y", person("x"), person("y", keypoints=no_keypoints()))
    taken = take(Pairs({0: blind, 1: pair}, 2, bad="skip"), 0, needs=["target_keypoints"])
    assert taken.pair is pair and [record.file for record in taken.skipped] == ["y"]
