"""Tables: every bad row is named with its line, and the good ones are read all the same."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.data import DataError, present, read_annotations, read_table

from ...fixtures.people import STANDING, Shared, annotation_row, write_annotations


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------- any table
def test_rows_keep_their_lines(tmp_path: Path) -> None:
    text = '\ufefffrom , to,extra\r\na.jpg, b.jpg,1\r\n\r\n"c,c.jpg",d.jpg,\r\n'
    table = read_table(written(tmp_path / "p.csv", text), columns=("to", "from"))
    assert table.columns == ("from", "to", "extra") and not table.problems
    assert [(row.line, dict(row.cells)) for row in table.rows] == [
        (2, {"from": "a.jpg", "to": "b.jpg", "extra": "1"}),
        (4, {"from": "c,c.jpg", "to": "d.jpg", "extra": ""}),
    ]


def test_short_and_long_rows_are_named(tmp_path: Path) -> None:
    table = read_table(written(tmp_path / "p.csv", "from,to\na\nb,c\nd,e,f\n"), columns=("from", "to"))
    assert [row.line for row in table.rows] == [3]
    assert [str(record) for record in table.problems] == [
        "p.csv:2: 1 cells between ','; the header has 2.",
        "p.csv:4: 3 cells between ','; the header has 2.",
    ]


def test_every_cell_may_be_in_quotes(tmp_path: Path) -> None:
    text = '"","from","to","what, else"\r\n"1","a.jpg","b,b.jpg",""\r\n'
    table = read_table(written(tmp_path / "p.csv", text), columns=("from", "to"))
    assert table.columns == ("", "from", "to", "what, else") and not table.problems
    assert dict(table.rows[0].cells) == {"": "1", "from": "a.jpg", "to": "b,b.jpg", "what, else": ""}


def test_a_cell_that_is_too_long_is_named(tmp_path: Path) -> None:
    long = f'"{"x" * 200_000}"'
    table = read_table(written(tmp_path / "p.csv", f"from,to\na,{long}\nb,c\n"), columns=("from", "to"))
    assert [row.line for row in table.rows] == [3]
    assert [str(record) for record in table.problems] == [
        "p.csv:2: it cannot be split into cells: field larger than field limit (131072)."
    ]
    with pytest.raises(DataError, match=r"p\.csv:1: it cannot be split into cells"):
        read_table(written(tmp_path / "p.csv", f"from,to,{long}\n"), columns=("from", "to"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("source,target\na,b\n", r"p\.csv:1: the header lacks 'from', 'to'; it holds 'source', 'target' between ','"),
        ("from;to\n", r"the header lacks 'from', 'to'; it holds 'from;to'"),
        ("From,to\n", r"the header lacks 'from'; it holds 'From', 'to' between ',' \('From' is there\)"),
        ("", "it holds nothing"),
    ],
)
def test_a_header_without_its_columns_is_named(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason):
        read_table(written(tmp_path / "p.csv", text), columns=("from", "to"))


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^p\.csv: there is no such file"):
        read_table(tmp_path / "p.csv", columns=("from",))
    with pytest.raises(DataError, match=r"^it: it is a folder.*Give a file with the columns from") as caught:
        read_table(tmp_path, columns=("from",), shown="it")
    assert "Errno" not in str(caught.value) and "UTF-8" not in str(caught.value)
    (tmp_path / "p.csv").write_bytes(b"from,to\n\xff\xfe,b\n")
    with pytest.raises(DataError, match=r"it holds p\.csv") as caught:
        read_table(tmp_path, columns=(), shown="it")
    with pytest.raises(DataError, match=r"^p\.csv: it is no table: at its byte 8 it is no UTF-8 text. Give"):
        read_table(tmp_path / "p.csv", columns=("from",))
    with pytest.raises(DataError, match=r"no such file. Did you mean 'p\.csv'\?"):
        read_table(tmp_path / "pp.csv", columns=("from",))


# ------------------------------------------------------------------------------------------- keypoints
def test_lists_become_keypoints(tmp_path: Path) -> None:
    points = [*STANDING[:16], (-1, 12), (12, -1)]
    file = write_annotations(tmp_path / "a.csv", [annotation_row("a.jpg", points), annotation_row("b.jpg")])
    table = read_annotations(file)
    joints = table.keypoints("a.jpg")
    assert dict(table.lines) == {"a.jpg": 2, "b.jpg": 3} and not table.problems
    assert joints[0].tolist() == [STANDING[0][0] + 0.5, STANDING[0][1] + 0.5, 1]
    assert present(joints).sum() == 16 and not joints[16:].any()
    doubled = table.keypoints("a.jpg", scale=(4.0, 2.0))
    assert doubled[0].tolist() == [joints[0, 0] * 2, joints[0, 1] * 4, 1]
    assert table.having([2, 5, 16]) == {"b.jpg"} and table.empty() == ()


def test_rows_without_a_joint_are_known(tmp_path: Path) -> None:
    rows = [annotation_row("a.jpg", [(-1, -1)] * 18), annotation_row("b.jpg")]
    table = read_annotations(write_annotations(tmp_path / "a.csv", rows))
    assert table.empty() == ("a.jpg",) and table.having([]) == {"a.jpg", "b.jpg"}


LIST = str([0] * 18)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"a.jpg:{LIST}", "2 cells between ':'; the header has 3"),
        (f":{LIST}:{LIST}", "the name is empty"),
        (f"b.jpg:{LIST}:{LIST}", "b.jpg has a row already, line 2"),
        (f"a.jpg:{LIST}:[1, 2]", "a list of 18 numbers is wanted, one per joint; given: 2"),
        (f"a.jpg:{LIST}:7", "a list of 18 numbers is wanted, one per joint; given: '7'"),
        (f"a.jpg:{LIST}:[1, 2", r"no JSON list of 18 numbers: '\[1, 2'"),
        (f"a.jpg:{LIST}:" + str(["x"] * 18).replace("'", '"'), "a joint's place is a number of pixels"),
        (f"a.jpg:{LIST}:[NaN" + ", 1" * 17 + "]", "NaN is no number of pixels"),
        (f"a.jpg:{LIST}:[1e999" + ", 1" * 17 + "]", "a joint's place is a number of pixels"),
        (f"a.jpg:{LIST}:[true" + ", 1" * 17 + "]", "a joint's place is a number of pixels"),
        (f"a.jpg:{LIST}:" + "[" * 100_000, "no JSON list"),
    ],
)
def test_bad_rows_are_named_and_the_rest_is_read(row: str, reason: str, tmp_path: Path) -> None:
    file = write_annotations(tmp_path / "a.csv", [annotation_row("b.jpg"), row, annotation_row("c.jpg")])
    table = read_annotations(file, shown="annotation.csv")
    assert set(table.lines) == {"b.jpg", "c.jpg"} and table.keypoints("c.jpg").any()
    [record] = table.problems
    assert (record.file, record.row) == ("annotation.csv", 3) and re.search(reason, record.reason)


def test_an_empty_table_has_no_photos(tmp_path: Path) -> None:
    table = read_annotations(write_annotations(tmp_path / "a.csv", []))
    assert not table.lines and table.joints.shape == (0, 18, 3)
    assert table.empty() == () and table.having([1]) == frozenset()


# ------------------------------------------------------------------------------------------- the official lists
def test_the_official_test_list_is_read_whole(shared: Shared) -> None:
    table = read_annotations(shared("deepfashion_lists", "fasion-resize-annotation-test.csv"))
    assert len(table.lines) == 4038 and len(table.empty()) == 619 and not table.problems
    places = table.joints[table.joints[..., 2] > 0]
    assert 0 < places[:, 1].min() and places[:, 1].max() < 256
    beside = (places[:, 0] < 0).sum(), (places[:, 0] > 176).sum()
    assert beside == (11, 8), "the list has some joints beside their photos; they are kept as they are"


def test_all_of_deepfashion_is_read_in_about_a_second(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    rows = []
    for number in range(52_712):
        y, x = (chance.integers(-1, 176, 18).tolist() for _ in range(2))
        rows.append(f"fashionWOMENDressesid{number:010}_1front.jpg: {y}: {x}")
    file = write_annotations(tmp_path / "a.csv", rows)
    start = time.process_time()
    table = read_annotations(file)
    assert len(table.lines) == 52_712
    assert time.process_time() - start < 4, "0.6 s of processor time, without the shape-checking hook"
