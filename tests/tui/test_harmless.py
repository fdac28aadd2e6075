"""What stands in other people's files cannot give orders to the terminal: names of folders, why a run ended."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.pilot import Pilot
from textual.widgets._toast import Toast  # no public name; Textual is pinned

from pgsynth_core.registry import discover
from pgsynth_core.runs import RunFolder
from pgsynth_tui.actions import VIEWS
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.harmless import HARMLESS
from pgsynth_tui.settings import Settings
from pgsynth_tui.stores.pictures import Drawn
from pgsynth_tui.views.runs import RunsView
from pgsynth_tui.widgets.picture import Picture

from .conftest import SIZES, Drive, make_run, settled, text_of, until

EVIL = "\x1b]52;c;AAAA\x07\x1b[31m\x9b2J"
"""It sets the clipboard, the colour, and clears the screen."""
ORDERS = re.compile("[\x00-\x1f\x7f-\x9f]")


def evil_run(root: Path, slug: str, *, state: str = "") -> RunFolder:
    """A run whose folder and whose end hold `EVIL`."""
    folder = make_run(root, slug, 3, state=state)
    if state:
        ended = json.loads(folder.exit_file.read_text(encoding="utf-8"))
        folder.exit_file.write_text(json.dumps({**ended, "reason": f"why {EVIL} so"}), encoding="utf-8")
    return RunFolder(folder.path.rename(folder.path.with_name(f"{folder.id}{EVIL}")))


def orders(app: PgsynthApp) -> str:
    """Characters on the screen, and in what is written to draw all of it, that are no text."""
    update = app.screen._compositor.render_update(full=True)
    assert update is not None
    written = update.render_segments(app.console)  # type: ignore[attr-defined]
    assert "\x1b]52" not in written and "\x9b" not in written
    return "".join(ORDERS.findall(text_of(app).replace("\n", "")))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_view_no_dialog_and_no_message_hands_them_on(root: Path, size: tuple[int, int]) -> None:
    evil_run(root, "bad", state="failed")
    evil_run(root, "live")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        (live, bad) = app.store.rows
        assert live.status.live and EVIL in live.id and EVIL in bad.status.reason
        app.marked = [bad.folder.path, live.folder.path]
        for number, view in enumerate(VIEWS, 1):
            app.chosen = bad.folder.path
            await pilot.press(str(number))
            await until(pilot, lambda view=view: app.current_mode == view)
            await settled(app, pilot)
            await until(pilot, lambda: "52;c;AAAA" in text_of(app)) if view not in ("compose", "plugins") else None
            assert not orders(app), view
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.front, RunsView))
        await pilot.pause()
        await pilot.press("x")
        toast = await until(pilot, lambda: app.screen.query(Toast))
        await pilot.pause()
        assert EVIL in toast.first()._notification.message and toast.first().region and not orders(app)
        await pilot.press("up")
        for key in ("x", "d"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Ask))
            await pilot.pause()
            assert "52;c;AAAA" in text_of(app) and not orders(app)
            await pilot.press("escape")
            await pilot.pause()

    async def whole() -> None:
        app = PgsynthApp(discover(), runs=str(root))
        async with app.run_test(size=size, notifications=True) as pilot:
            await settled(app, pilot)
            await scenario(app, pilot)

    asyncio.run(whole())


def test_what_is_said_when_it_is_left_does_not_either(drive: Drive, root: Path) -> None:
    evil_run(root, "live")
    said: list[object] = []

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("q")
        said.extend(app._exit_renderables)

    drive(scenario)
    assert "trains on without you" in str(said[0]) and not ORDERS.findall(str(said[0]).replace("\n", ""))


def test_columns_stay_where_they_are_and_colours_too() -> None:
    red = Style(color="red")
    segments = [Segment("plain "), Segment(f"a{EVIL}\udc9b\u202eb", red)]
    assert HARMLESS.apply(segments, Color(0, 0, 0)) == [
        Segment("plain "),
        Segment("a]52;c;AAAA[31m2J\N{REPLACEMENT CHARACTER}b", red),
    ]
    assert sum(one.cell_length for one in segments) == sum(
        one.cell_length for one in HARMLESS.apply(segments, Color(0, 0, 0))
    )


def test_pictures_of_kitty_come_through(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, written = tmp_path / "a.png", list[str]()
    Image.new("RGB", (8, 8), "red").save(file)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        picture = Picture(mode="kitty")
        await app.screen.mount(picture, before=0)
        picture.show(file)
        await until(pilot, lambda: isinstance(picture.drawn, Drawn))
        await pilot.pause()
        assert isinstance(picture.drawn, Drawn)
        rows = ["".join(text for text, *_ in picture.drawn.runs(row)) for row in range(picture.drawn.rows)]
        assert picture.drawn.transmit in written and rows and all(row in text_of(app) for row in rows)

    drive(scenario)


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=[] if place in ("compose", "watch") else pytest.mark.slow) for place in VIEWS]
)
def test_where_only_ascii_is_wanted_nothing_else_is_drawn(root: Path, place: str) -> None:
    make_run(root, "naïve-日", 3)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press(str(list(VIEWS).index(place) + 1))
        await settled(app, pilot)
        for keys in ((), ("question_mark",), ("escape", "T"), ("escape", "colon")):
            await pilot.press(*keys)
            await pilot.pause()
            screen = app.screen
            rows = screen._compositor.render_strips(screen.size)
            assert all(row.cell_length == screen.size.width for row in rows)
            text = "\n".join(row.text for row in rows)
            assert text.isascii(), sorted({letter for letter in text if not letter.isascii()})

    app = PgsynthApp(discover(), runs=str(root), settings=Settings(ascii=True))

    async def whole() -> None:
        async with app.run_test(size=(100, 30)) as pilot:
            await scenario(app, pilot)

    asyncio.run(whole())
