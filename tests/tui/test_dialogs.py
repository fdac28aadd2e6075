"""What comes before a view for a moment, where the app ends before all of it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from textual.screen import ModalScreen

from pgsynth_tui.choose import Choose, Item
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.panels import PanelApp

DIALOGS: list[Callable[[], ModalScreen[object]]] = [
    lambda: Ask("Now?"),
    lambda: Enter("Which?"),
    lambda: Choose("Which?", [Item("a")]),
]


@pytest.mark.parametrize("made", DIALOGS, ids=["Ask", "Enter", "Choose"])
@pytest.mark.parametrize("turns", range(5))
def test_an_app_may_end_while_it_asks(made: Callable[[], ModalScreen[object]], turns: int) -> None:
    async def whole(*, first: bool) -> None:
        app = PanelApp()
        async with asyncio.timeout(60), app.run_test():
            if first:
                app.exit()
            app.push_screen(made())
            for _ in range(turns):
                await asyncio.sleep(0)
            app.exit()

    asyncio.run(whole(first=True))
    asyncio.run(whole(first=False))


@pytest.mark.parametrize("made", DIALOGS, ids=["Ask", "Enter", "Choose"])
@pytest.mark.parametrize("turns", range(5))
def test_a_dialog_may_be_left_before_it_is_there(made: Callable[[], ModalScreen[object]], turns: int) -> None:
    async def whole() -> None:
        app = PanelApp()
        async with asyncio.timeout(60), app.run_test():
            app.push_screen(made())
            for _ in range(turns):
                await asyncio.sleep(0)
            app.pop_screen()

    asyncio.run(whole())
