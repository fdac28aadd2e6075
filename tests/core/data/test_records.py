"""Persons are checked when they are made, and bad records are said in full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pgsynth_core.data import BadRecord, DataContext, DataError, Dataset, Pair, Person
from pgsynth_core.options import PartConfig

from ...fixtures.people import MakePerson, noise


def test_a_person_knows_its_size(person: MakePerson) -> None:
    assert person(size=(5, 3), keypoints=np.zeros((18, 3), np.float32)).size == (5, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image": np.zeros((4, 3), np.uint8)}, r"an image is uint8 \[H, W, 3\]; given: uint8 \[4, 3\]"),
        ({"image": np.zeros((4, 3, 3), np.float32)}, "given: float32"),
        ({"image": np.zeros((0, 3, 3), np.uint8)}, r"given: uint8 \[0, 3, 3\]"),
        ({"keypoints": np.zeros((17, 3), np.float32)}, r"keypoints are float32 \[18, 3\]; given: float32 \[17, 3\]"),
        ({"keypoints": np.zeros((18, 3))}, "given: float64"),
        ({"keypoints": np.full((18, 3), np.nan, np.float32)}, "finite"),
        ({"parsing": np.zeros((72, 47), np.uint8)}, r"of the image's size 72x48; given: uint8 \[72, 47\]"),
        ({"parsing": np.zeros((72, 48), np.int64)}, "given: int64"),
    ],
)
def test_what_is_no_person_is_refused(given: dict[str, Any], said: str, person: MakePerson) -> None:
    unchecked = object.__new__(Person)  # past the shape-checking hook, which users do not have
    for name, value in (vars(person()) | given).items():
        object.__setattr__(unchecked, name, value)
    with pytest.raises(ValueError, match=said):
        unchecked.__post_init__()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (BadRecord("pairs.csv", 7, "too short."), "pairs.csv:7: too short."),
        (BadRecord("a.jpg", 0, "truncated."), "a.jpg: truncated."),
    ],
)
def test_a_record_says_file_row_and_reason(record: BadRecord, said: str) -> None:
    assert str(record) == said
    error = DataError.of(record, cure="Mend it.")
    assert str(error) == f"{said} Mend it." and error.records == (record,) and error.exit_code == 2


def test_many_records_are_counted_and_the_first_shown() -> None:
    error = DataError.of([BadRecord("a.csv", row, "bad.") for row in range(2, 52)], cure="Mend them.", shown=3)
    assert str(error).splitlines() == [
        "a.csv:2: bad.",
        "a.csv:3: bad.",
        "a.csv:4: bad.",
        "and 47 more of 50. Mend them.",
    ]
    assert len(error.records) == 50


class Few(Dataset):
    """The least a dataset must be."""

    def __init__(self) -> None:
        super().__init__(PartConfig(), DataContext("train", (4, 3)))

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        return "only"

    def pair(self, index: int) -> Pair:
        somebody = Person("somebody", noise((4, 3)), np.zeros((18, 3), np.float32))
        return Pair("only", somebody, somebody)


def test_a_dataset_needs_three_methods_only() -> None:
    few = Few()
    assert (few.label_set, few.bad, few.people(), few.facts(), few.problems) == ("", "fail", (), {}, ())
    with pytest.raises(KeyError, match="no photo 'x'"):
        few.person("x")


def test_problems_are_kept_once_in_order() -> None:
    few, first, second = Few(), BadRecord("b", 1, "x"), BadRecord("a", 1, "x")
    few.report([first, second])
    few.report([first])
    assert few.problems == (first, second)
