"""Comparing runs in the terminal: the table by keys and clicks, what is copied, what vanishes, what comes."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from pgsynth_core.reports import comparison_text
from pgsynth_core.runs import EventLog, RunFolder
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.settings import Settings
from pgsynth_tui.stores.compare import CompareStore
from pgsynth_tui.views.compare import CompareView

from ..fixtures.compared_runs import write_run, write_scores
from .conftest import SIZES, Drive, settled, text_of, until
from .test_app import told

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture
def three(root: Path) -> tuple[RunFolder, RunFolder, RunFolder]:
    """Two seeds of one method, and another method; all with scores."""
    one = write_run(root, slug="a", loss=0.5, unseen={40: 0.5})
    other = write_run(root, {"train.seed": 1}, slug="b", loss=0.7, unseen={40: 0.7})
    third = write_run(root, {"attn.pma.mask": "eq9"}, slug="c", loss=0.4, unseen={40: 0.4})
    for folder, scores in ((one, [0.5, 0.7]), (other, [0.6, 0.8]), (third, [0.19, 0.41])):
        write_scores(folder, scores)
    return one, other, third


def table(app: PgsynthApp) -> dict[str, list[str]]:
    """Row to cells, as they stand in the table."""
    shown = app.screen.query_one(DataTable)
    rows = [[str(cell).strip() for cell in shown.get_row_at(number)] for number in range(shown.row_count)]
    return {row[0]: row[1:] for row in rows}


def below(app: PgsynthApp) -> str:
    """What is said below the table, on one line."""
    return " ".join(" ".join(str(line.render()) for line in app.screen.query("#below Static").results(Static)).split())


async def compare(app: PgsynthApp, pilot: Pilot[None], marked: int) -> None:
    """Mark so many runs, the newest first, and compare them."""
    await pilot.press(*["space"] * marked, "c")
    await until(pilot, lambda: app.current_mode == "compare" and table(app))


async def click(app: PgsynthApp, pilot: Pilot[None], label: str) -> None:
    """Click on an action in the footer."""
    (key,) = [key for key in app.screen.query("FooterKey") if getattr(key, "description", "") == label]
    await pilot.click(key)


# ------------------------------------------------------------------------------------------- the view
@sizes
@pytest.mark.usefixtures("three")
def test_marked_runs_stand_side_by_side(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        rows = table(app)
        assert rows["attn.pma.mask"] == ["eq9", "eq5"] and "train.batch_size" not in rows
        assert rows["ssim"] == ["0.3000", "0.6500 ± 0.0707 *"]
        assert rows["mean loss of last 4 steps [1]"] == ["0.4000", "0.6000 ± 0.1414"], "of other seeds: none is better"
        text = text_of(app)
        assert "A  seed 0" in text and "what differs" in text and "attn.pma.mask" in text
        assert all(len(line) == size[0] for line in text.splitlines())
        assert app.screen.query_one(DataTable).size.height >= 4
        names = " ".join(folder.id for folder in app.screen.store.folders)  # type: ignore[attr-defined]
        assert app.command.startswith(f"pgsynth compare {names}")
        assert "seeds are not the same" in below(app)

    drive(scenario, size=size)


@sizes
def test_by_keys(drive: Drive, three: tuple[RunFolder, ...], size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        view = app.screen
        assert isinstance(view, CompareView) and view.comparison
        await pilot.press("c")
        assert app.clipboard == comparison_text(view.comparison, "markdown") and "copied as Markdown" in told(app)
        assert "--format markdown" in app.command
        await pilot.press("y")
        assert app.clipboard == app.command
        await pilot.press("equals_sign")
        assert table(app)["train.batch_size"] == ["8", "8"] and "--all-settings" in app.command
        await pilot.press("C")
        assert app.clipboard == comparison_text(view.comparison, "latex", all_settings=True)
        await pilot.press("equals_sign", "down")
        assert "train.batch_size" not in table(app)
        assert below(app).startswith("attn.pma.mask: A eq9; B eq5")
        await pilot.press("s")
        assert app.current_mode == "look"
        await pilot.press("5", "enter")
        assert app.current_mode == "look"
        await pilot.press("5", "escape")
        assert app.current_mode == "runs"

    drive(scenario, size=size)


@sizes
@pytest.mark.usefixtures("three")
def test_by_clicks(drive: Drive, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        await pilot.click(DataTable, offset=(4, 2))
        await until(pilot, lambda: below(app).startswith("attn.pma.mask"))
        await click(app, pilot, "Identical")
        await until(pilot, lambda: "train.batch_size" in table(app))
        await click(app, pilot, "Markdown")
        await until(pilot, lambda: app.clipboard.startswith("- **A**"))
        await click(app, pilot, "LaTeX")
        await until(pilot, lambda: app.clipboard.startswith("% "))
        await click(app, pilot, "Pairs")
        await until(pilot, lambda: app.current_mode == "look")
        await pilot.click(app.screen.query("_Title")[4])
        await until(pilot, lambda: app.current_mode == "compare")

    drive(scenario, size=size)


@sizes
@pytest.mark.parametrize("by", ["key", "click"])
def test_differences_in_place_of_values_and_back(
    drive: Drive, three: tuple[RunFolder, ...], size: tuple[int, int], by: str
) -> None:
    async def turn(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await (pilot.press("d") if by == "key" else click(app, pilot, "Differences"))
        await pilot.pause()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        before = [*table(app).values()]
        await turn(app, pilot)
        titles = [str(column.label).strip() for column in app.screen.query_one(DataTable).columns.values()]
        assert titles == ["", "A (n=1)", "B - A (n=2)"]
        assert table(app)["attn.pma.mask"] == ["eq9", "eq5"], "settings stay"
        (row,) = (cells for name, cells in table(app).items() if name.startswith("l1"))
        assert row == ["0.9700", "-0.0350 [-0.0477, -0.0223] better"]
        assert table(app)["steps taken"] == ["40", ""]
        assert "Differences are from A" in below(app) and "would be expected to look clear of zero" in below(app)
        await turn(app, pilot)
        assert [*table(app).values()] == before

    drive(scenario, size=size)


def test_where_no_difference_can_be_told_it_says_so(drive: Drive, root: Path) -> None:
    for size in (2, 4):
        write_run(root, {"train.batch_size": size})

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 2)
        await pilot.press("d")
        assert any("no difference can be told" in some for some in told(app)) and "Differences are from" not in below(
            app
        )

    drive(scenario)


@pytest.mark.usefixtures("three")
def test_a_row_is_explained_below(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        shown = app.screen.query_one(DataTable)
        shown.move_cursor(row=list(table(app)).index("ssim"))
        await until(pilot, lambda: below(app).startswith("ssim: higher is better. Structural similarity."))
        assert "B - A: +0.3500 [+0.2229, +0.4771], better, over 2 pairs" in below(app)
        assert "B: 0.7000, 0.6000" in below(app) and "B is better than A on 2 of the same 2 pairs" in below(app)

    drive(scenario, size=(140, 40))


def test_one_marked_run_is_compared_with_the_one_under_the_cursor(drive: Drive, three: tuple[RunFolder, ...]) -> None:
    one, other, third = three

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("space", "down", "c")
        await until(pilot, lambda: app.current_mode == "compare" and table(app))
        assert app.chosen == one.path and app.marked == [third.path]
        assert other.id not in text_of(app)

    drive(scenario)


def test_without_others_it_says_how_to_mark_them(drive: Drive, root: Path) -> None:
    async def nothing(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        assert "There is no run in" in text_of(app) and "space marks a run" in " ".join(text_of(app).split())
        await pilot.press("equals_sign", "c", "C", "s")
        assert app.current_mode == "look" and not app.clipboard

    drive(nothing)
    alone = write_run(root, slug="a")

    async def one(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "c")
        await until(pilot, lambda: app.current_mode == "compare")
        assert f"{alone.id} is alone" in " ".join(text_of(app).split())

    drive(one)


def test_what_comes_is_shown_and_the_cursor_stays(drive: Drive, root: Path) -> None:
    done = write_run(root, slug="a")
    live = write_run(root, {"attn.pma.mask": "eq9"}, slug="b", ended=False, steps=20)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 2)
        assert table(app)["steps taken"] == ["20", "40"] and "is running" in below(app)
        assert "None of them has an evaluation" in below(app)
        shown = app.screen.query_one(DataTable)
        shown.move_cursor(row=list(table(app)).index("steps taken"))
        with EventLog(live.events_file) as events:
            events.write("step", step=21, loss=0.5)
        await settled(app, pilot)
        await until(pilot, lambda: table(app)["steps taken"] == ["21", "40"])
        assert below(app).startswith("steps taken")
        write_scores(done, [0.5])
        await until(pilot, lambda: "ssim" in table(app))
        assert table(app)["ssim"] == ["", "0.5000"], "an evaluation is no event of the run"

    drive(scenario)


def test_a_run_that_vanishes_is_told(drive: Drive, three: tuple[RunFolder, ...]) -> None:
    one, other, third = three

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        shutil.rmtree(other.path)
        await until(pilot, lambda: table(app)["ssim"] == ["0.3000", "0.6000 *"])
        await settled(app, pilot)
        shutil.rmtree(third.path)
        await settled(app, pilot)
        await until(pilot, lambda: f"{one.id} is alone" in " ".join(text_of(app).split()))

    drive(scenario)


def test_a_run_that_cannot_be_read_leaves_the_others(drive: Drive, three: tuple[RunFolder, ...]) -> None:
    three[0].spec_file.write_text("train: [", encoding="utf-8")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        assert table(app)["ssim"] == ["0.3000", "0.7000 *"] and str(three[0].spec_file.parent.name) in below(app)
        three[1].spec_file.write_text("train: [", encoding="utf-8")
        await until(pilot, lambda: "spec.yaml" in text_of(app) and "space marks a run" in text_of(app))
        assert not app.screen.query_one(DataTable).display

    drive(scenario)


@pytest.mark.usefixtures("three")
def test_in_plain_ascii_nothing_else_is_drawn(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 3)
        assert table(app)["ssim"] == ["0.3000", "0.6500 +- 0.0707 *"]
        app.screen.query_one(DataTable).move_cursor(row=list(table(app)).index("ssim"))
        await pilot.pause()
        assert "±" not in text_of(app)

    drive(scenario, settings=Settings(ascii=True))


# ------------------------------------------------------------------------------------------- the store
def test_a_loss_that_is_no_number_is_no_news_each_time(root: Path, three: tuple[RunFolder, ...]) -> None:
    with EventLog(three[0].events_file) as events:
        events.write("step", step=10**6, loss=math.nan)
    store = CompareStore()
    store.choose(three)
    assert store.read() is not None
    for run in three:
        os.utime(run.events_file)  # it is looked at again
    assert store.read() is None
    store.close()


def test_the_store_reads_again_only_what_changed(root: Path, three: tuple[RunFolder, ...]) -> None:
    store = CompareStore()
    assert store.read() is not None and store.read() is None
    assert store.choose(three) and not store.choose(three)
    read = store.read()
    assert read is not None and read.comparison is not None and len(read.comparison.variants) == 2
    assert store.read() is None
    write_scores(three[0], [0.9, 0.9], name="test-00000050", step=50)
    assert store.read() is not None
    assert store.choose(three[:1])
    read = store.read()
    assert read is not None and read.comparison is None and read.folders == three[:1]
    store.choose(three)
    assert store.read(lambda: False) is None, "no longer wanted"
    store.close()


def test_a_page_of_the_compared_runs_is_written(
    drive: Drive, three: tuple[RunFolder, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await compare(app, pilot, 2)
        await pilot.press("w")
        await until(pilot, lambda: f"written: {tmp_path / 'report.html'}" in told(app), 60)
        names = [folder.id for folder in app.screen.store.folders]  # type: ignore[attr-defined]
        assert app.command.startswith(f"pgsynth report {' '.join(names)} -o report.html")
        html = (tmp_path / "report.html").read_text()
        assert all(name in html for name in names)

    drive(scenario, size=(140, 40))
