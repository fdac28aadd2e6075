"""What there is to look at of some runs: cut from what they leave, aligned, stepped through together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.data.sheet import Sheet
from pgsynth_core.runs import RunFolder
from pgsynth_tui.stores import albums
from pgsynth_tui.stores.looks import LookStore
from pgsynth_tui.stores.reading import Unreadable, read_picture

from .drawn import drew, evaluated, pair, saved


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., RunFolder]:
    """A run that drew pairs at some steps."""

    def make(name: str, steps: Sequence[int], *, first: int = 0, size: tuple[int, int] = (32, 24)) -> RunFolder:
        folder = RunFolder(tmp_path / name)
        folder.samples.mkdir(parents=True)
        drew(folder, steps, first=first, size=size)
        return folder

    return make


def looked(*runs: RunFolder) -> LookStore:
    """A store that has looked."""
    store = LookStore(runs)
    assert store.look() and not store.look(), "the second time, nothing is otherwise"
    return store


# ------------------------------------------------------------------------------------------- what is on disk
@pytest.mark.parametrize("size", [(32, 24), (33, 17), (192, 144), (512, 352)])
def test_source_pose_and_target_are_cut_to_the_pixel(size: tuple[int, int], run: Callable[..., RunFolder]) -> None:
    table = looked(run("a", [20], size=size)).table()
    assert table.headings == ("source", "pose", "target", "a @ 20") and not table.notes
    assert [row.name for row in table.rows] == ["0000", "0001", "0002"]
    for number, row in enumerate(table.rows):
        for tile, pixels in zip(row.tiles, pair(number, output=20, size=size), strict=True):
            assert tile.piece is not None
            picture = read_picture(tile.piece)
            assert not isinstance(picture, Unreadable) and np.array_equal(np.asarray(picture), pixels), tile


def test_a_sheet_of_another_layout_is_left_alone(run: Callable[..., RunFolder]) -> None:
    one = run("a", [20])
    tiles = [pair(number)[:2] for number in range(3)]
    Sheet(("source", "output"), tiles).picture().save(one.samples / "00000020" / "sheet.png")
    (row, *_) = looked(one).table().rows
    assert [tile.words for tile in row.tiles] == ["not on disk"] * 3 + [""] and row.tiles[3].piece


def test_what_is_half_there_is_shown_as_far_as_it_goes(run: Callable[..., RunFolder]) -> None:
    one = run("a", [20])
    folder = one.samples / "00000020"
    (folder / "sheet.png").unlink()
    (folder / "0001.png").write_bytes(b"")
    (folder / "picture.1234.tmp").write_bytes(b"x")
    (one.samples / "notes").mkdir()
    (one.samples / "00000030").mkdir()
    store = looked(one)
    assert store.steps == (20,) and len(store.table().rows) == 3
    (folder / "0000.png").write_bytes(b"")
    assert LookStore([one]).look()
    (one.path / "evaluation" / "test-00000020").mkdir(parents=True)
    (one.path / "evaluation" / "test-00000020" / "scores.json").write_text('{"rows": [3, {}, {"name": "../x"}]}')
    assert not store.look(), "there is nothing in it"


def test_of_no_run_and_of_one_that_drew_nothing_there_is_nothing(run: Callable[..., RunFolder]) -> None:
    for store in (LookStore([]), LookStore([run("a", [])]), LookStore([RunFolder(Path("/nowhere/run"))])):
        store.look()
        assert store.step is None and not store.table().rows and not store.kinds and not store.move(1)


def test_a_folder_that_is_as_before_is_not_read_again(
    run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = run("a", [20, 40])
    store = looked(one)
    monkeypatch.setattr(albums, "sheet_pieces", lambda *_: pytest.fail("read again"))
    assert not store.look()
    monkeypatch.undo()
    saved(one.samples / "00000060", ["0000"], [pair(0)])
    assert store.look() and store.steps == (20, 40, 60)


# ------------------------------------------------------------------------------------------- steps
def test_every_run_shows_its_nearest_at_or_before_the_cursor(run: Callable[..., RunFolder]) -> None:
    a, b = run("a", [20, 40, 60]), run("b", [30, 60])
    store = looked(a, b)
    assert store.steps == (20, 30, 40, 60) and store.step == 60
    seen = []
    for _ in range(4):
        seen.append(store.table().headings[3:])
        store.move(-1)
    assert seen == [("a @ 60", "b @ 60"), ("a @ 40", "b @ 30"), ("a @ 20", "b @ 30"), ("a @ 20", "b")]
    assert store.step == 20 and not store.move(-1)
    assert store.table().rows[0].tiles[4].words == "nothing at or before step 20"


def test_the_newest_is_followed_until_one_steps_back(run: Callable[..., RunFolder]) -> None:
    one = run("a", [20, 40])
    store = looked(one)
    saved(one.samples / "00000060", ["0000"], [pair(0)])
    assert store.look() and store.step == 60
    assert store.move(-1) and store.step == 40
    saved(one.samples / "00000080", ["0000"], [pair(0)])
    assert store.look() and store.step == 40
    assert store.move(9) and store.step == 80 and store.cursor is None


# ------------------------------------------------------------------------------------------- several runs
def test_rows_that_are_other_pairs_are_told_by_their_pixels(run: Callable[..., RunFolder]) -> None:
    a, b, c = run("a", [20]), run("b", [20], first=1), run("c", [20])
    for row in looked(a, b, c).table().rows:
        assert [tile.words for tile in row.tiles] == ["", "", "", "", "of another pair", ""]


def test_of_other_sizes_nothing_is_claimed(run: Callable[..., RunFolder]) -> None:
    table = looked(run("a", [20]), run("b", [20], size=(64, 48))).table()
    assert all(not tile.words for row in table.rows for tile in row.tiles)
    assert table.notes == (
        "The runs draw at 24 x 32 and 48 x 64 pixels, so whether rows are the same pairs was not seen.",
    )


# ------------------------------------------------------------------------------------------- evaluations
def test_an_evaluation_is_looked_at_with_its_scores(run: Callable[..., RunFolder]) -> None:
    one = run("a", [20])
    names = {f"person{number}": pair(number, output=20) for number in range(10)}
    evaluated(one, "test-00000020", names)
    evaluated(one, "test-00000020-first2.2", dict(list(names.items())[:2]))
    store = looked(one)
    assert store.kinds == ("samples", "test", "test-first2.2")
    store.kind = "test"
    rows = store.table().rows
    assert [row.name for row in rows] == list(names)
    assert rows[0].tiles[3].scores == "ssim 0.500  psnr inf  l1 0.125" and rows[0].tiles[3].scored == "test-00000020"
    assert rows[7].tiles[0].piece and rows[8].tiles[0].words == "not on disk", "the sheet shows the first 8"


def test_samples_have_the_scores_of_their_picture(run: Callable[..., RunFolder]) -> None:
    one = run("a", [20, 40])
    nearly = pair(0, output=20)[3] ^ 1
    evaluated(one, "test-00000020-first2", {"x": (*pair(0)[:3], nearly), "y": pair(1, output=99)})
    evaluated(one, "test-00000020", {"z": pair(0, output=99), "person2": pair(2, output=20)})
    store = looked(one)
    assert not any(row.tiles[3].values for row in store.table().rows), "nothing was evaluated at step 40"
    store.move(-1)
    first, second, third = (row.tiles[3] for row in store.table().rows)
    assert first.values["psnr"] == math.inf and first.scored == "test-00000020-first2, drawn anew"
    assert not second.values, "its pair was drawn with other settings: another picture"
    assert third.values["psnr"] == 20.25 and third.scored == "test-00000020"
    evaluated(one, "test-00000020.2", {"v": pair(3), "w": pair(0, output=20)})
    assert store.look()
    tile = store.table().rows[0].tiles[3]
    assert tile.scored == "test-00000020.2" and tile.values["psnr"] == 20.25, "rather one that is the same to the bit"


def test_evaluations_with_other_settings_say_which(run: Callable[..., RunFolder]) -> None:
    a, b = run("a", []), run("b", [])
    evaluated(a, "test-00000020", {"x": pair(0)}, run="a", step=20, seed=0, split="test")
    evaluated(b, "test-00000040", {"x": pair(0)}, run="b", step=40, seed=1, split="test")
    store = looked(a, b)
    store.kind = "test"
    assert store.table().notes == ("The evaluations were made with different settings: seed.",)
