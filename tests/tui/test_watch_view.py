"""Watching another run while the thread still reads of the one before: nothing of that one is shown with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Log

from pgsynth_core.runs import RunFolder
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.stores.watch import LogTail, WatchStore
from pgsynth_tui.views.watch import WatchView

from .conftest import Drive, make_run, settled, until


class Held:
    """A method whose first answer of any worth is held back until it is let go.

    Args:
        owner: Its class; ``name`` is the method's.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.read, self.go = threading.Event(), threading.Event()
        true: Callable[..., Any] = getattr(owner, name)

        def held(*given: Any) -> Any:
            if (answer := true(*given)) and not self.read.is_set():
                self.read.set()
                assert self.go.wait(60)
            return answer

        monkeypatch.setattr(owner, name, held)


async def from_one_to_the_other(
    app: PgsynthApp, pilot: Pilot[None], held: Held, one: RunFolder, other: RunFolder
) -> WatchView:
    """Watch one, and while the thread has read of it and told nothing, another."""
    app.chosen = one.path
    await pilot.press("3")
    await until(pilot, held.read.is_set)
    app.chosen = other.path
    await settled(app, pilot)
    held.go.set()
    assert isinstance(app.screen, WatchView)
    return app.screen


@pytest.fixture
def two(root: Path) -> tuple[RunFolder, RunFolder]:
    """Runs whose logs name them."""
    runs = make_run(root, "one", 3, state="finished"), make_run(root, "other", 5, state="finished")
    for folder in runs:
        folder.log_file.write_text(f"line of {folder.id}\n", encoding="utf-8")
    return runs


def test_lines_of_the_log_before_do_not_come_late(
    drive: Drive, two: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, LogTail, "read")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        view = await from_one_to_the_other(app, pilot, held, *two)
        log = view.query_one(Log)
        await until(pilot, lambda: f"line of {two[1].id}" in log.lines)
        assert [line for line in log.lines if line] == [f"line of {two[1].id}"]

    drive(scenario)


def test_curves_of_the_run_before_do_not_come_late(
    drive: Drive, two: tuple[RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, shown = Held(monkeypatch, WatchStore, "drawn"), list[tuple[list[str], list[str]]]()
    true = WatchView._show_curves

    def show_curves(self: WatchView) -> None:
        shown.append(([one.name for one in self._drawn], [one.folder.id for one in self.store.runs]))
        true(self)

    monkeypatch.setattr(WatchView, "_show_curves", show_curves)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await from_one_to_the_other(app, pilot, held, *two)
        await until(pilot, lambda: shown[-1] == ([two[1].id], [two[1].id]))
        assert all(drawn in ([], watched) for drawn, watched in shown), shown

    drive(scenario)
