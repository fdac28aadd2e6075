"""Every screen as it is drawn, held against ``screens/NAME.svg``; the README shows the same files.

A screen that is meant to look otherwise is written anew by ``make screens``, and looked at before it is committed.
"""

from __future__ import annotations

import asyncio
import difflib
import html
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from textual.pilot import Pilot

from pgsynth_core.packages.showing import Shown, show
from pgsynth_core.registry import discover
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.choose import Choose
from pgsynth_tui.settings import Settings
from pgsynth_tui.views import plugins, runs, watch
from pgsynth_tui.widgets.picture import Picture
from pgsynth_tui.widgets.plot import Plot

from .conftest import settled, text_of, until
from .invented import invent_runs, invent_sweep

SCREENS: Final = Path(__file__).parent / "screens"
WRITE: Final = "PGSYNTH_WRITE_SCREENS"
"""Set, screens are written and not compared: ``make screens``."""
SHOWN: Final = re.compile(r"<text[^>]*\by=\"([\d.]+)\"[^>]*>(.*?)</text>", re.DOTALL)
OUTSIDE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Fonts from elsewhere: a file is whole by itself."""

Play = Callable[[PgsynthApp, Pilot[None]], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """A screen.

    Attributes:
        play: What leads there.
        size: Columns and rows.
        settings: The user's.
        runs: Whether there are any.
        sweep: Whether an ablation is among them.
    """

    play: Play
    size: tuple[int, int] = (120, 36)
    settings: Settings = field(default_factory=Settings)
    runs: bool = True
    sweep: bool = False


def keys(*pressed: str, says: str) -> Play:
    """Press keys, and wait until something stands on the screen."""

    async def play(app: PgsynthApp, pilot: Pilot[None]) -> None:
        view, *further = pressed
        await pilot.press(view)
        await until(pilot, lambda: "Runs" in text_of(app))  # it stands there before anything is laid over it
        await pilot.press(*further)
        await until(pilot, lambda: re.search(says, text_of(app)))

    return play


async def _vary(app: PgsynthApp, pilot: Pilot[None]) -> None:
    """Table 3 of the QEN paper: mask x queries."""
    await pilot.press("1", *("down",) * 4, "right", "m")
    for downs, count in ((0, 2), (4, 3)):
        if downs:
            await pilot.press("left", *("down",) * downs, "right", "m")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        for _ in range(count):
            await pilot.press("space", "down")
        await pilot.press("enter")
    await until(pilot, lambda: "5 runs, 1 pruned" in text_of(app))


async def _apart(app: PgsynthApp, pilot: Pilot[None]) -> None:
    """Differences, and the cursor on a score."""
    await pilot.press("2", *("down",) * 3, *("space",) * 4, "c")
    await until(pilot, lambda: "what differs" in text_of(app))
    await pilot.press("d", *("down",) * 8)
    await until(pilot, lambda: "- A:" in text_of(app))


SCENES: Final = {
    "compose": Scene(keys("1", says="The parts fit together"), runs=False),
    "compose-why-not": Scene(
        keys("1", *("down",) * 7, "right", "down", "down", says="needs `"), size=(100, 30), runs=False
    ),
    "compose-option": Scene(keys("1", *("down",) * 8, "right", "enter", says="off the body|Off the body"), runs=False),
    "compose-ablation": Scene(_vary, runs=False),
    "runs": Scene(keys("2", says="dinov2")),
    "runs-sweep": Scene(keys("2", "down", "m", says="3 of 5 finished"), sweep=True),
    "runs-small": Scene(keys("2", says="20260306"), size=(60, 20)),
    "runs-ascii": Scene(keys("2", says="dinov2"), size=(80, 24), settings=Settings(ascii=True)),
    "runs-light": Scene(keys("2", says="dinov2"), size=(80, 24), settings=Settings(theme="pgsynth-light")),
    "no-runs": Scene(keys("2", says="there is no run"), size=(80, 24), runs=False),
    "stop": Scene(keys("2", "down", "x", says="Stop 2026"), size=(80, 24)),
    "watch": Scene(keys("2", *("down",) * 4, *("space",) * 3, *("up",) * 5, "enter", says="step  12600 ")),
    "look": Scene(keys("2", "down", "down", "down", "space", "s", says="@ 20000")),
    "look-small": Scene(keys("2", "down", "down", "down", "s", "down", "d", says="@ 20000"), size=(80, 24)),
    "compare": Scene(keys("2", *("down",) * 3, *("space",) * 4, "c", says="what differs")),
    "compare-differences": Scene(_apart, size=(100, 30)),
    "plugins": Scene(keys("6", "slash", *"pma", "enter", says="acts at pose:cross")),
    "help": Scene(keys("2", "question_mark", says="Show only runs"), size=(80, 24)),
    "palette": Scene(keys("2", "colon", *"res", says="Runs: Resume ablation"), size=(80, 24)),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which ``runs`` is the usual one; nothing of this machine, this checkout or this moment is shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PGSYNTH_RUNS")

    def shown(*given: Any, **more: Any) -> list[Shown]:
        return [replace(item, file="registry.toml") for item in show(*given, **more)]

    machine = "GPU 98%, 31044 of 81559 MiB, CPU 12% of 16, memory 9.8 of 125.4 GiB"
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setattr(watch, "machine_line", lambda: machine)
    monkeypatch.setattr(runs, "_ago", lambda when: "3s")
    monkeypatch.setattr(plugins, "show", shown)
    return tmp_path


@pytest.mark.parametrize("name", SCENES)
def test_screen(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = SCENES[name]
    if scene.runs:
        invent_runs(here / "runs")
        if scene.sweep:
            invent_sweep(here / "runs")
    else:
        monkeypatch.setenv("PGSYNTH_RUNS", "/data/runs")
    drawn = asyncio.run(_drawn(scene))
    file = SCREENS / f"{name}.svg"
    if os.environ.get(WRITE):
        file.write_text(drawn, encoding="utf-8")
        return
    assert file.exists(), f"{file.name} is not there: make screens"
    kept = file.read_text(encoding="utf-8")
    if kept != drawn:
        (here / file.name).write_text(drawn, encoding="utf-8")
        lines = difflib.unified_diff(texts(kept), texts(drawn), "kept", "drawn", lineterm="", n=0)
        said = "\n".join(lines) or "the words are the same; colours or styles differ"
        pytest.fail(f"{name} is drawn otherwise, see {here / file.name}; if it is meant to be, make screens.\n{said}")


def test_there_are_no_others() -> None:
    assert sorted(file.stem for file in SCREENS.glob("*")) == sorted(SCENES)


async def _drawn(scene: Scene) -> str:
    app = PgsynthApp(discover(), settings=scene.settings)
    async with app.run_test(size=scene.size) as pilot:
        await settled(app, pilot)
        await scene.play(app, pilot)
        await until(pilot, lambda: not any(_busy(app)))
        app.clear_notifications()
        await pilot.pause()
        return OUTSIDE.sub("", app.export_screenshot(title="pgsynth")).replace("\r", "")


def _busy(app: PgsynthApp) -> list[bool]:
    """What is still being read or drawn."""
    pictures = [picture.drawn is None and picture.words == "drawing" for picture in app.screen.query(Picture)]
    plots = [plot.empty.startswith("reading") and not plot._lines for plot in app.screen.query(Plot)]
    return [*pictures, *plots]


def texts(svg: str) -> list[str]:
    """The words of a screen, a line for each row."""
    rows: dict[float, str] = {}
    for place, words in SHOWN.findall(svg):
        rows[float(place)] = rows.get(float(place), "") + html.unescape(words).replace("\xa0", " ")
    return [rows[place].rstrip() for place in sorted(rows)]
