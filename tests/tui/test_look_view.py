"""The view of pictures by keys and by clicks: steps, pairs, one tile, differences, evaluations, the file itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Static

from pgsynth_core.runs import RunFolder
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.settings import Settings
from pgsynth_tui.stores.pictures import Drawn, Piece
from pgsynth_tui.stores.reading import Unreadable
from pgsynth_tui.views import look
from pgsynth_tui.views.look import LookView
from pgsynth_tui.views.watch import WatchView
from pgsynth_tui.widgets.picture import Picture
from pgsynth_tui.widgets.tiles import Tiles

from .conftest import SIZES, Drive, make_run, settled, text_of, until
from .drawn import drew, evaluated, pair

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
LARGE = (140, 40)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with 24-bit colours, no Kitty, no desktop, not over SSH."""
    for name in ("KITTY_WINDOW_ID", "TMUX", "SSH_CONNECTION", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setattr(look, "_EVERY", 0.05)


@pytest.fixture
def one(root: Path) -> RunFolder:
    """A run that drew three pairs at three steps."""
    folder = make_run(root, "a", 3, of=3, state="finished")
    drew(folder, (20, 40, 60))
    return folder


def about(app: PgsynthApp) -> str:
    """The heading of the view."""
    return str(app.screen.query_one("#about", Static).render())


def told(app: PgsynthApp) -> str:
    """What is said of the tile that is pointed at."""
    return str(app.screen.query_one("#told", Static).render())


def tiles(app: PgsynthApp) -> Tiles:
    """The tiles."""
    return app.screen.query_one(Tiles)


def shown(app: PgsynthApp) -> list[Picture]:
    """The pictures that are seen."""
    return [picture for picture in app.screen.query(Picture) if picture.display]


def titles(app: PgsynthApp) -> list[str]:
    """What stands above each."""
    return [picture.render_line(0).text.rstrip() for picture in shown(app)]


async def drawn(app: PgsynthApp, pilot: Pilot[None]) -> None:
    """Wait until every picture is drawn, or says why not."""
    await until(pilot, lambda: shown(app) and all(one.drawn for one in shown(app) if one._source))


async def look_at(app: PgsynthApp, pilot: Pilot[None]) -> None:
    """Go there from the runs."""
    await pilot.press("s")
    assert app.current_mode == "look"
    await until(pilot, lambda: tiles(app).shown)
    await drawn(app, pilot)


# ------------------------------------------------------------------------------------------- what is seen
@sizes
def test_source_pose_target_and_output_side_by_side(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        assert titles(app)[:4] == ["0000 source", "pose", "target", "output @ 60"]
        assert "samples @ 60 (3 of 3, newest)" in about(app) and "half blocks" in about(app)
        first = shown(app)[:4]
        assert len({picture.size for picture in first}) == 1 and len({picture.region.y for picture in first}) == 1
        for picture in shown(app):
            assert isinstance(picture.drawn, Drawn) and picture.drawn.columns >= 9, "a person can be made out"
            assert picture.region.right <= size[0] and picture.region.bottom < size[1] - 2
        assert f"pgsynth runs show {one.id}" in app.command
        assert all(len(line) == size[0] for line in text_of(app).splitlines())

    drive(scenario, size=size)


@sizes
def test_steps_pairs_and_tiles_by_keys(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)

        async def at(keys: str, step: int) -> None:
            await pilot.press(*keys.split())
            await until(pilot, lambda: f"samples @ {step} " in about(app))

        for keys, step in (("left", 40), ("h", 20), ("right", 40), ("l", 60), ("home", 20), ("end", 60)):
            await at(keys, step)
        for keys, step in (("left_square_bracket", 20), ("right_square_bracket", 60)):
            await at(keys, step)
        assert "newest" in about(app)
        drew(one, (80,))
        await until(pilot, lambda: "samples @ 80 (4 of 4, newest)" in about(app)), "what comes is followed"

        seen = []
        for key in ("down", "j", "down", "up", "k"):
            await pilot.press(key)
            seen.append(told(app).split(",")[0])
        assert seen == ["0001", "0002", "0002", "0001", "0000"]
        await pilot.press("pagedown")
        assert tiles(app).row in (len(tiles(app).shown), 2)
        await pilot.press("pageup")
        assert tiles(app).row == 0
        await pilot.press("tab")
        assert tiles(app).column == 0 and told(app).startswith("0000, source")
        await pilot.press("shift+tab", "shift+tab")
        assert told(app).startswith("0000, target")
        (chosen,) = [picture for picture in shown(app) if picture.chosen]
        assert any(segment.style and segment.style.reverse for segment in chosen.render_line(0))

    drive(scenario, size=size)


@sizes
def test_one_tile_has_all_the_room_by_key_and_by_click(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        many = len(shown(app))
        for key in ("z", "enter"):
            await pilot.press(key)
            await drawn(app, pilot)
            assert titles(app) == ["0000 output @ 60"]
            assert shown(app)[0].size.width >= size[0] - 2
            await pilot.press("tab", "down")
            assert titles(app) == ["0001 source"], "stepping goes on"
            await pilot.press("up", "shift+tab", key)
            assert len(shown(app)) == many
        await pilot.press("z", "escape")
        assert app.current_mode == "look" and len(shown(app)) == many
        await pilot.click(shown(app)[2])
        assert titles(app) == ["0000 target"]
        await pilot.click(shown(app)[0])
        assert len(shown(app)) == many
        await pilot.press("escape")
        assert app.current_mode == "runs"

    drive(scenario, size=size)


@sizes
def test_the_footer_can_be_clicked(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        steps = (("earlier", lambda: "@ 40" in about(app)), ("later", lambda: "@ 60" in about(app)))
        flags = (("whole", lambda: tiles(app).whole), ("apart", lambda: tiles(app).apart))
        for name, there in (*steps, *flags, ("open", lambda: any("copied" in one for one in told_aside(app)))):
            (key,) = [key for key in app.screen.query("FooterKey") if f".{name}" in key.action or key.action == name]
            assert key.region.right <= size[0], f"{name} is seen"
            await pilot.click(key)
            await until(pilot, there)

    drive(scenario, size=size)


def told_aside(app: PgsynthApp) -> list[str]:
    """What was told in a corner of the screen."""
    return [notification.message for notification in app._notifications]


def test_the_wheel_pages(drive: Drive, one: RunFolder) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        await pilot._post_mouse_events([look_events.MouseScrollDown], widget=tiles(app), offset=(3, 3), button=0)
        await until(pilot, lambda: tiles(app).row == 1)
        await pilot._post_mouse_events([look_events.MouseScrollUp], widget=tiles(app), offset=(3, 3), button=0)
        await until(pilot, lambda: tiles(app).row == 0)

    from textual import events as look_events

    drive(scenario)


# ------------------------------------------------------------------------------------------- how it is shown
def test_the_difference_to_the_target(drive: Drive, one: RunFolder) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(shown(app)[3].drawn, Drawn) and shown(app)[3].drawn.note)
        picture = shown(app)[3].drawn
        assert isinstance(picture, Drawn)
        _, _, target, output = pair(0, output=60)
        mean = np.abs(target.astype(int) - output).mean() / 255
        assert picture.note == f"difference x4, mean {mean:.2%}" and "difference x4" in about(app)
        drawings = [tile.drawn for tile in shown(app)]
        assert all(isinstance(drawing, Drawn) and not drawing.note for drawing in drawings[:3])
        assert len({(drawing.columns, drawing.rows) for drawing in drawings if isinstance(drawing, Drawn)}) == 1
        await pilot.press("d")
        await until(pilot, lambda: isinstance(shown(app)[3].drawn, Drawn) and not shown(app)[3].drawn.note)

    drive(scenario)


@pytest.mark.slow
def test_larger_and_smaller_tiles(drive: Drive, one: RunFolder) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        await pilot.press("minus")
        smaller = len(shown(app))
        await pilot.press("plus", "plus", "equals_sign")
        assert len(shown(app)) < smaller and tiles(app).column == 3
        await pilot.press(*["plus"] * 9)
        assert len(shown(app)) == 1
        await pilot.press(*["minus"] * 19)
        assert len(shown(app)) == smaller

    drive(scenario, size=LARGE)


def test_pictures_are_drawn_otherwise_by_a_key(drive: Drive, one: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        modes = []
        for _ in range(3):
            await pilot.press("i")
            await drawn(app, pilot)
            mode = app.image_mode.mode
            await until(
                pilot,
                lambda mode=mode: all(isinstance(one.drawn, Drawn) and one.drawn.mode == mode for one in shown(app)),
            )
            modes.append(mode)
        assert modes == (
            ["ascii", "kitty", "cells"] if "KITTY_WINDOW_ID" in os.environ else ["ascii", "cells", "ascii"]
        )

    drive(scenario)
    monkeypatch.setenv("KITTY_WINDOW_ID", "1")
    drive(scenario, settings=Settings(images="cells"))


@sizes
def test_in_plain_ascii(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        assert "letters" in about(app)
        body = text_of(app).splitlines()[:-1]  # the footer is Textual's
        assert all(line.isascii() for line in body), [line for line in body if not line.isascii()]
        await pilot.press("i")
        assert "letters, as asked" in told_aside(app), "there is no other way to draw here"

    drive(scenario, size=size, settings=Settings(ascii=True))


# ------------------------------------------------------------------------------------------- several runs
@sizes
def test_runs_are_stepped_through_together(drive: Drive, one: RunFolder, root: Path, size: tuple[int, int]) -> None:
    other = make_run(root, "b", 3, of=3, state="finished")
    drew(other, (30, 60), size=(64, 48))

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.chosen = one.path
        await pilot.press("space")  # the newest, b
        await pilot.press("down")
        await look_at(app, pilot)
        await until(pilot, lambda: len(tiles(app).table.drawn) == 2)
        await drawn(app, pilot)
        assert [column for column in (0, 1, 2, 3, 4) if column in tiles(app)._frame.columns][-3:] == [2, 3, 4]
        assert "The runs draw at 24 x 32 and 48 x 64 pixels" in told(app)
        await pilot.press("left")
        await until(pilot, lambda: "@ 40 (3 of 4)" in about(app))
        assert [step for _, step in tiles(app).table.drawn] == [40, 30]
        assert any(title.endswith("@ 30") for title in titles(app))
        await pilot.press("tab", "d")
        await until(pilot, lambda: tiles(app).column == 4)
        assert f"pgsynth runs show {other.id}" in app.command, "the command is of the tile that is pointed at"
        await pilot.press("home")
        await until(pilot, lambda: "@ 20" in about(app))
        assert any("nothing at or before step 20" in picture.words for picture in shown(app))
        await pilot.press("o")
        assert "There is no picture here." in told_aside(app)

    drive(scenario, size=size)


def test_a_run_that_vanishes_leaves_the_others(drive: Drive, one: RunFolder, root: Path) -> None:
    other = make_run(root, "b", 3, of=3, state="finished")
    drew(other, (60,))

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [one.path]
        await look_at(app, pilot)
        await until(pilot, lambda: len(tiles(app).table.drawn) == 2)
        await pilot.press("tab")
        shutil.rmtree(one.path)
        await until(pilot, lambda: "nothing" in " ".join(row.tiles[-1].words for row in tiles(app).table.rows))
        await settled(app, pilot)
        await until(pilot, lambda: len(tiles(app).table.drawn) == 1)
        assert tiles(app).column == 3 and titles(app)[-1] == "output @ 60"
        shutil.rmtree(other.path)
        await settled(app, pilot)
        await until(pilot, lambda: "there is no run" in text_of(app))
        await pilot.press("z", "d", "o", "down", "tab", "left", "e", "escape", "escape")
        assert app.current_mode == "runs"

    drive(scenario)


# ------------------------------------------------------------------------------------------- what is missing or wrong
@sizes
def test_a_run_without_pictures_says_when_it_draws(drive: Drive, root: Path, size: tuple[int, int]) -> None:
    folder = make_run(root, "a", 3)
    folder.spec_file.write_text("train: {sample_every: 50}\n", encoding="utf-8")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "every 50 steps" in " ".join(text_of(app).split()))
        assert "at step 3 of 100" in " ".join(text_of(app).split())
        await pilot.press("o", "z", "d", "i", "plus", "e", "home")
        drew(folder, (50,))
        await until(pilot, lambda: tiles(app).shown)
        await drawn(app, pilot)
        assert told(app).startswith(f"0000, {folder.id} @ 50"), "its output is pointed at"

    drive(scenario, size=size)


def test_without_any_run_it_says_how_to_begin_one(drive: Drive, root: Path) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "pgsynth train tiny data=figures --detach" in text_of(app))
        drew(make_run(root, "a", 1, state="finished"), (20,))
        await settled(app, pilot)
        await until(pilot, lambda: tiles(app).shown)
        assert tiles(app).column == 3, "the output is pointed at, not what it is of"

    drive(scenario)


def test_a_half_written_picture_comes_when_it_is_whole(
    drive: Drive, one: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgsynth_tui.widgets import picture as module

    monkeypatch.setattr(module, "_AGAIN", 0.05)
    path = one.sample_file(60, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        assert isinstance(shown(app)[3].drawn, Unreadable) and "being written" in text_of(app)
        assert isinstance(shown(app)[2].drawn, Drawn)
        path.write_bytes(whole)
        await until(pilot, lambda: isinstance(shown(app)[3].drawn, Drawn))
        path.unlink()
        await until(pilot, lambda: [row.name for row in tiles(app).table.rows] == ["0001", "0002"])
        assert "not on disk" in text_of(app), "the sheet does not say any more whose source is whose"
        path.parent.joinpath("0001.png").write_bytes(b"no picture")
        os.utime(path.parent / "0001.png", (0, 0))
        await pilot.press("down", "up", "left", "right")
        await until(pilot, lambda: "no picture that can be read" in " ".join(text_of(app).split()))

    drive(scenario)


def test_nothing_is_looked_for_while_it_is_hidden(
    drive: Drive, one: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        view = app.screen
        assert isinstance(view, LookView)
        await pilot.press("2")
        await pilot.pause(0.1)
        looks: list[int] = []
        monkeypatch.setattr(view._looking, "look", lambda: looks.append(1))
        for _ in range(5):
            await pilot.pause(0.06)
        assert not looks
        await pilot.press("4")
        await until(pilot, lambda: looks)

    drive(scenario)


# ------------------------------------------------------------------------------------------- evaluations
@sizes
def test_an_evaluation_with_its_scores(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    evaluated(one, "test-00000060-first2", {"person0": pair(0, output=60), "person1": pair(1, output=60)})

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        assert "e: evaluation test-first2" in told(app)
        below = " ".join(shown(app)[3].render_line(y).text for y in range(shown(app)[3].size.height))
        assert "ssim 0.500" in below and "psnr inf" in below, "its pictures were scored"
        await pilot.press("e")
        await until(pilot, lambda: "evaluation test-first2 @ 60" in about(app))
        await drawn(app, pilot)
        assert titles(app)[0].startswith("person0") and "(test-00000060-first2)" in told(app)
        assert f"pgsynth evaluate {one.id} --split test --limit 2 --runs" in app.command
        await pilot.press("e")
        await until(pilot, lambda: "samples @ 60" in about(app))

    drive(scenario, size=size)


def test_without_an_evaluation_the_key_says_how_to_make_one(drive: Drive, one: RunFolder) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        await pilot.press("e")
        assert any("pgsynth evaluate" in told for told in told_aside(app)) and "samples" in about(app)

    drive(scenario)


# ------------------------------------------------------------------------------------------- the file itself
def test_the_file_is_opened_or_its_path_copied(drive: Drive, one: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        await pilot.press("o")
        path = one.sample_file(60, 0)
        await until(pilot, lambda: any("no desktop" in told for told in told_aside(app)))
        assert app.clipboard == str(path)
        monkeypatch.setattr(look, "open_file", lambda path, _: opened.append(path) or "")
        await pilot.press("tab", "down", "o")
        await until(pilot, lambda: opened == [path.parent / "sheet.png"])
        await until(pilot, lambda: f"opened: {opened[0]}" in told_aside(app))

    drive(scenario)


def test_in_a_browser_the_file_is_handed_over(drive: Drive, one: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, str]] = []

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        monkeypatch.setattr(PgsynthApp, "is_web", property(lambda _: True))
        monkeypatch.setattr(app, "deliver_binary", lambda path, *, open_method: given.append((path, open_method)))
        await pilot.press("o")
        assert given == [(one.sample_file(60, 0), "browser")]
        one.sample_file(60, 0).unlink()
        monkeypatch.undo()
        monkeypatch.setattr(PgsynthApp, "is_web", property(lambda _: True))
        await pilot.press("o")
        assert any("cannot be read" in told for told in told_aside(app))
        monkeypatch.undo()

    drive(scenario)


# ------------------------------------------------------------------------------------------- beside the curves
def test_watching_shows_the_newest_sample(drive: Drive, one: RunFolder, root: Path) -> None:
    other = make_run(root, "b", 1, of=3, state="finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.chosen = one.path
        await pilot.press("3")
        assert isinstance(app.screen, WatchView)
        strip = app.screen.query_one("#samples")
        await until(pilot, lambda: strip.display and strip.size.height)
        await until(pilot, lambda: all(isinstance(one.drawn, Drawn) for one in app.screen.query(Picture)))
        assert [str(one.render_line(0).text).split("[")[0].strip() for one in app.screen.query(Picture)] == [
            "target",
            "@ 60",
        ]
        output = app.screen.query_one("#output", Picture)
        assert output._source == Piece(one.sample_file(60, 0))
        drew(one, (80,))
        await until(pilot, lambda: output._source == Piece(one.sample_file(80, 0)))
        await pilot.click("#output")
        await until(pilot, lambda: app.current_mode == "look")
        await pilot.press("3")
        app.chosen = other.path
        await settled(app, pilot)
        await until(pilot, lambda: not strip.display), "that one has drawn nothing"
        await pilot.press("s")
        assert app.current_mode == "look"

    drive(scenario, size=LARGE)


@pytest.mark.parametrize("size", [(80, 24), (140, 30)])
def test_where_there_is_no_room_curves_come_first(drive: Drive, one: RunFolder, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await until(pilot, lambda: app.screen.query_one("#samples").has_class("some"))
        assert not app.screen.query_one("#output").region.area
        await pilot.press("s")
        await until(pilot, lambda: app.current_mode == "look")

    drive(scenario, size=size)


def test_torch_is_never_imported(one: RunFolder, root: Path) -> None:
    code = f"""
import asyncio, json, sys
from pgsynth_core.registry import discover
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.widgets.picture import Picture
async def main():
    app = PgsynthApp(discover(), runs={str(root)!r})
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("4")
        for _ in range(500):
            await pilot.pause(0.02)
            if [one for one in app.screen.query(Picture) if one.drawn]:
                break
        print(json.dumps([len(app.screen.query(Picture)), "torch" in sys.modules]))
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, torch = json.loads(done.stdout)
    assert count and not torch


def test_pictures_stay_right_when_the_file_changes(drive: Drive, one: RunFolder) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        Image.new("RGB", (24, 32), "red").save(one.sample_file(60, 1))
        await pilot.press("down")
        at = next(number for number, picture in enumerate(shown(app)) if picture.chosen)
        await until(pilot, lambda: isinstance(shown(app)[at].drawn, Drawn))
        picture = shown(app)[at].drawn
        assert isinstance(picture, Drawn) and set(picture.pixels[:3]) == {255, 0}

    drive(scenario)


def test_a_click_on_what_is_hidden_by_now_is_passed_over(drive: Drive, one: RunFolder) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await look_at(app, pilot)
        last = shown(app)[-1]
        await pilot.press("enter")
        assert not last.display and tiles(app).whole
        last.post_message(Picture.Chosen(last, None))
        await settled(app, pilot)
        assert tiles(app).whole and app.is_running

    drive(scenario, size=LARGE)
