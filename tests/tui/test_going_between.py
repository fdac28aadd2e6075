"""From view to view: where the cursor stands, what is told no more, what is said too early."""

from __future__ import annotations

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
