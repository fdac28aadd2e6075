"""The widget that shows a picture: drawn in a thread, again when its size or file changes, with words meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from pgsynth_tui.stores.pictures import Drawn, Mode, Piece, Unreadable
from pgsynth_tui.widgets import picture as module
from pgsynth_tui.widgets.picture import Picture


class Host(App[None]):
    """One picture, and what was clicked on."""

    CSS = "Picture { width: 30; height: 12; }"

    def __init__(self, mode: Mode) -> None:
        super().__init__()
        self.mode: Mode = mode
        self.chosen: list[Piece | None] = []

    def compose(self) -> ComposeResult:
        yield Picture("output", mode=self.mode, id="one")

    def on_picture_chosen(self, event: Picture.Chosen) -> None:
        """It was clicked on."""
        assert event.control is event.picture
        self.chosen.append(event.source)

    @property
    def one(self) -> Picture:
        """The picture."""
        return self.query_one("#one", Picture)


def driven(scenario: Callable[[Host, Pilot[None]], Awaitable[None]], mode: Mode = "cells") -> None:
    """Run a scenario in an app."""

    async def run() -> None:
        app = Host(mode)
        async with app.run_test(size=(60, 20)) as pilot:
            await scenario(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait until something holds, some seconds at most."""
    for _ in range(300):
        await pilot.pause(0.01)
        if holds():
            return
    raise AssertionError("it never came to hold")


def shown(one: Picture) -> list[str]:
    """The rows as text."""
    return [one.render_line(row).text for row in range(one.size.height)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A red picture, 20 by 20."""
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_picture_stands_in_the_middle_under_title_and_mode(file: Path) -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        assert shown(app.one)[0].rstrip() == "output [cells]" and "nothing to show" in "".join(shown(app.one))
        app.one.show(file, title="0003 output", below="ssim 0.500")
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))
        rows = shown(app.one)
        assert {len(row) for row in rows} == {30} and not app.one.words
        assert rows[0].rstrip() == "0003 output [cells]" and rows[-1].rstrip() == "ssim 0.500"
        assert rows[1] == " " * 5 + "▀" * 20 + " " * 5 and rows[1:11] == [rows[1]] * 10
        colours = {segment.style.color for segment in app.one.render_line(3) if "▀" in segment.text and segment.style}
        assert [tuple(colour.get_truecolor()) for colour in colours if colour] == [(255, 0, 0)]

    driven(scenario)


def test_another_size_or_mode_is_drawn_anew(file: Path) -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.one.show(file)
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))
        app.one.styles.width, app.one.styles.height = 10, 6
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn) and app.one.drawn.rows == 5)
        assert {len(row) for row in shown(app.one)} == {10}
        assert shown(app.one)[0] == "ou [cells]", "the mode stays where the title is cut"
        app.one.mode = "ascii"
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn) and app.one.drawn.mode == "ascii")
        assert "".join(shown(app.one)).isascii() and "[ascii]" in shown(app.one)[0]
        app.one.styles.height = 1
        await pilot.pause()
        assert len(shown(app.one)) == 1, "there is no room, and nothing fails"

    driven(scenario)


def test_it_says_why_there_is_no_picture(tmp_path: Path) -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.one.show(tmp_path / "nobody.png")
        assert app.one.words == "drawing"
        await until(pilot, lambda: isinstance(app.one.drawn, Unreadable))
        assert "there is no such file" in "".join(shown(app.one))
        app.one.styles.width = 12
        await until(pilot, lambda: {len(row) for row in shown(app.one)} == {12})
        assert " ".join("".join(f" {row}" for row in shown(app.one)[1:]).split()) == "there is no such file"
        app.one.show(None, empty="not on disk")
        assert "not on disk" in "".join(shown(app.one))

    driven(scenario)


def test_a_file_that_is_being_written_is_looked_at_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.05)
    path = tmp_path / "late.png"
    path.write_bytes(b"")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.one.show(path)
        await until(pilot, lambda: isinstance(app.one.drawn, Unreadable))
        assert "being written" in "".join(shown(app.one))
        path.write_bytes(file.read_bytes())
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))

    driven(scenario)


def test_what_is_asked_for_last_is_shown(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, original = threading.Event(), module.cells
    Image.new("RGB", (30, 30), "blue").save(tmp_path / "b.png")

    def cells(piece: Piece, *given: int, **named: bool) -> object:
        if piece.path == file:
            slow.wait(5)
        return original(piece, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "cells", cells)

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.one.show(file)
        await pilot.pause()
        app.one.show(tmp_path / "b.png")
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))
        slow.set()
        for _ in range(5):
            await pilot.pause(0.02)
        assert isinstance(app.one.drawn, Drawn) and app.one.drawn.size == (30, 30)

    driven(scenario)


def test_where_two_differ(file: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "black").save(tmp_path / "b.png")

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        app.one.show(file, other=tmp_path / "b.png")
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))
        assert isinstance(app.one.drawn, Drawn) and app.one.drawn.note == "difference x4, mean 33.33%"
        assert "difference x4, mean 33.33%" in shown(app.one)[-1]
        app.one.show(file, other=file, below="ssim 1.000")
        await until(pilot, lambda: "mean 0.00%" in "".join(shown(app.one)))
        below = [line.rstrip() for line in shown(app.one)[-2:]]
        assert below == ["difference x4, mean 0.00%", "ssim 1.000"], "how it was amplified is said first"

    driven(scenario)


def test_a_click_tells_which(file: Path) -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        await pilot.click("#one")
        app.one.show(file)
        await pilot.click("#one")
        await pilot.pause()
        assert app.chosen == [None, Piece(file)]

    driven(scenario)


def test_kitty_is_handed_over_before_it_is_drawn_and_forgotten_after(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        app.one.show(file)
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))
        first = app.one.drawn
        assert isinstance(first, Drawn)
        assert first.transmit in written and {app.one.render_line(3).cell_length} == {30}
        app.one.mode = "cells"
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn) and app.one.drawn.mode == "cells")
        assert f"\x1b_Ga=d,d=I,q=2,i={first.number}\x1b\\" in written
        app.one.mode = "kitty"
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn) and app.one.drawn.mode == "kitty")
        assert written.count(first.transmit) == 2, "what was forgotten is handed over again"

    driven(scenario, "kitty")


def test_one_that_two_widgets_show_is_forgotten_with_the_second(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        other = Picture(mode="kitty")
        await app.mount(other)
        for one in (app.one, other):
            one.show(file)
            await until(pilot, lambda one=one: isinstance(one.drawn, Drawn))  # type: ignore[misc]
        assert isinstance(other.drawn, Drawn) and other.drawn is app.one.drawn
        forgotten = f"\x1b_Ga=d,d=I,q=2,i={other.drawn.number}\x1b\\"
        await other.remove()
        assert not any(forgotten in text for text in written)
        await app.one.remove()
        assert any(forgotten in text for text in written)

    driven(scenario, "kitty")


def test_without_kitty_no_escape_is_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(app: Host, pilot: Pilot[None]) -> None:
        written: list[str] = []
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        app.one.show(file)
        await until(pilot, lambda: isinstance(app.one.drawn, Drawn))
        assert not any("\x1b_G" in text for text in written)

    driven(scenario)
