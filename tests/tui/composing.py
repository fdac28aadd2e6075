"""The view where methods are composed, driven: where the cursor stands, what is said."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.views.compose import ComposeView
from pgsynth_tui.views.compose_beside import Beside

from .conftest import until


def view(app: PgsynthApp) -> ComposeView:
    """The view, which must be what is shown, or what a dialog is over."""
    view = app.screen_stack[0] if len(app.screen_stack) == 1 else app.screen_stack[-2]
    assert isinstance(view, ComposeView)
    return view


def beside(app: PgsynthApp) -> str:
    """What stands at the right."""
    return view(app).query_one(Beside).text


def hint(app: PgsynthApp) -> str:
    """What is said of the row under the cursor."""
    return str(view(app).query_one("#hint", Static).render())


async def at(app: PgsynthApp, pilot: Pilot[None], key: str) -> None:
    """The cursor on a row at the left."""
    await pilot.press("1", "escape")
    slots = view(app).query_one("#slots", DataTable)
    slots.move_cursor(row=view(app)._keys.index(key))
    await pilot.pause()


async def on(app: PgsynthApp, pilot: Pilot[None], name: str) -> None:
    """The cursor on a row in the middle."""
    names = [getattr(one, "name", "") for one in view(app)._middle]
    view(app).query_one("#choices", DataTable).focus()
    view(app).query_one("#choices", DataTable).move_cursor(row=names.index(name))
    await pilot.pause()


async def click_on(app: PgsynthApp, pilot: Pilot[None], words: str) -> None:
    """Click on the first place of the screen where the words stand."""
    await pilot.pause()
    screen = app.screen
    for y, strip in enumerate(screen._compositor.render_strips(screen.size)):
        line = "".join(segment.text for segment in strip)
        if words in line:
            await pilot.click(offset=(line.index(words) + 1, y))
            await pilot.pause()
            return
    raise AssertionError(f"{words!r} stands nowhere")


async def dialog(app: PgsynthApp, pilot: Pilot[None], kind: type) -> None:
    """Wait for a dialog of that kind."""
    await until(pilot, lambda: isinstance(app.screen, kind) and app.screen.is_current)
    await pilot.pause()
