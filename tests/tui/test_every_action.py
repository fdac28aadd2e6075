"""Every action by each of its keys, and by a click: in the footer where it stands there, else in the palette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.widgets import Footer, Input
from textual.widgets._footer import FooterKey

from pgsynth_core.runs import list_runs
from pgsynth_tui.actions import EVERYWHERE, VIEWS, Action, actions_of
from pgsynth_tui.app import PgsynthApp

from .conftest import SIZES, Drive, make_run, until

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
places = pytest.mark.parametrize("place", VIEWS)


@contextmanager
def recorded(app: PgsynthApp, action: Action) -> Iterator[list[str]]:
    """In place of what the action does, that it was asked for."""
    done: list[str] = []
    owner: Any = app if action.place == EVERYWHERE else app.screen
    name = f"action_{action.name.partition('(')[0]}"

    def record(*parameters: Any) -> asyncio.Future[None]:
        done.append(action.id)
        answer = asyncio.get_running_loop().create_future()
        answer.set_result(None)
        return answer

    names = [name, "action_command_palette"] if action.name == "palette" else [name]  # Textual's own key for it
    for one in names:
        setattr(owner, one, record)
    try:
        yield done
    finally:
        for one in names:
            delattr(owner, one)


async def came(pilot: Pilot[None], done: list[str], what: str) -> None:
    """Wait until the action was asked for."""
    try:
        await until(pilot, lambda: done, 3)
    except AssertionError:
        raise AssertionError(f"nothing came of {what}") from None


async def each(app: PgsynthApp, pilot: Pilot[None], root: Path, place: str) -> AsyncIterator[Action]:
    """The actions of a view that is shown with two runs marked."""
    app.marked = [run.path for run in list_runs(root)]
    await app.action_view(place)
    await until(pilot, lambda: app.focused is not None or place == "look")
    await pilot.pause()
    for action in actions_of(place):
        yield action


@pytest.fixture(autouse=True)
def _two_runs(root: Path) -> None:
    """Enough for every view to show something."""
    for name in "ab":
        make_run(root, name, 3, state="finished")


@sizes
@places
def test_by_key(drive: Drive, root: Path, place: str, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        async for action in each(app, pilot, root, place):
            for key in action.keys.split(","):
                with recorded(app, action) as done:
                    await pilot.press(key)
                    await came(pilot, done, f"{key} for {action.id}")
                    assert set(done) == {action.id}, key

    drive(scenario, size=size)


@pytest.mark.slow
@sizes
@places
def test_by_click(drive: Drive, root: Path, place: str, size: tuple[int, int]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        async for action in each(app, pilot, root, place):
            with recorded(app, action) as done:
                await _click(app, pilot, action)
                await came(pilot, done, f"a click for {action.id}")
                assert set(done) == {action.id}

    drive(scenario, size=size)


async def _click(app: PgsynthApp, pilot: Pilot[None], action: Action) -> None:
    """Click on it where it is seen; what is not, the palette has."""
    await until(pilot, lambda: all(key.region.width for key in app.screen.query(FooterKey)))  # it is laid out
    for key in app.screen.query_one(Footer).query(FooterKey):
        if key.action == action.name and key.region.right <= app.size.width and key.region.width:
            await pilot.click(key)
            return
    await pilot.press("colon")
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    title = "pgsynth" if action.place == EVERYWHERE else VIEWS[action.place]
    app.screen.query_one(Input).value = f"{title}: {action.label}"
    await until(pilot, lambda: _first(app) == f"{title}: {action.label}")
    found = app.screen.query_one(CommandList)
    await pilot.click(offset=(found.content_region.x + 3, found.content_region.y))


def _first(app: PgsynthApp) -> str:
    """What the palette shows first."""
    if not isinstance(app.screen, CommandPalette):
        return ""
    found = app.screen.query_one(CommandList)
    return "".join(part.text for part in found.render_line(0)).strip()
