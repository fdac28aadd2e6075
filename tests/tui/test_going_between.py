"""From view to view: where the cursor stands, what is told no more, what is said too early."""

from __future__ import annotations

import shutil
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import DataTable

from pgsynth_tui.app import PgsynthApp

from .conftest import Drive, make_run, settled, text_of, until
from .test_app import told


def test_the_cursor_goes_to_the_run_that_was_chosen_elsewhere(drive: Drive, root: Path) -> None:
    make_run(root, "a", 3, of=3, state="finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        table = app.screen.query_one(DataTable)
        await pilot.press("1")
        launched = make_run(root, "b", 1)
        app.chosen = launched.path  # as a launch does
        await settled(app, pilot)
        await pilot.press("2")
        await until(pilot, lambda: table.row_count == 2)
        assert table.cursor_row == 0 and f"{launched.id} is running" in text_of(app)
        await pilot.press("end")
        assert table.cursor_row == 1 and "is finished" in text_of(app)
        await pilot.press("1", "2")
        assert table.cursor_row == 1, "it goes there once"
        await pilot.press("home")
        assert table.cursor_row == 0

    drive(scenario)


def test_other_views_show_what_is_under_the_cursor(drive: Drive, root: Path) -> None:
    first, second, third = (make_run(root, name, 3, of=3, state="finished") for name in "abc")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [first.path]
        await pilot.press("end", "home", "down")
        await until(pilot, lambda: app.chosen == second.path)
        await pilot.press("3")
        await until(pilot, lambda: second.id in text_of(app) and first.id in text_of(app))
        assert third.id not in text_of(app)

    drive(scenario, size=(140, 40))


def test_marks_outlast_a_folder_that_is_away(drive: Drive, root: Path, tmp_path: Path) -> None:
    one, other = (make_run(root, name, 3, of=3, state="finished") for name in "ab")
    elsewhere = tmp_path / "others" / "run"

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [one.path, other.path, elsewhere]
        root.rename(tmp_path / "away")
        await settled(app, pilot)
        (tmp_path / "away").rename(root)
        await settled(app, pilot)
        assert app.marked == [one.path, other.path, elsewhere]
        shutil.rmtree(one.path)
        await settled(app, pilot)
        await until(pilot, lambda: app.marked == [other.path, elsewhere])

    drive(scenario)


def test_what_was_told_of_one_view_does_not_cover_the_next(drive: Drive, root: Path) -> None:
    make_run(root, "a", 3, of=3, state="finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("x")
        await until(pilot, lambda: any("nothing to stop" in one for one in told(app)))
        await pilot.press("5")
        await until(pilot, lambda: app.current_mode == "compare")
        assert not told(app)

    drive(scenario)


def test_before_the_first_step_it_says_that_it_is_too_early(drive: Drive, root: Path) -> None:
    make_run(root, "a", 0)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "no loss yet: it comes with the first steps" in text_of(app))

    drive(scenario)
