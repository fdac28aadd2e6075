"""Packages that add panels; folders of runs in every state, made without training; the app, driven."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pgsynth_core.registry import discover
from pgsynth_core.runs import EventLog, RunFolder, create_run, start_session
from pgsynth_core.runs.durable import read_json
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.settings import Settings

from ..fixtures.fake_packages import fake_packages

__all__ = ["fake_packages"]

Scenario = Callable[[PgsynthApp, Pilot[None]], Awaitable[None]]
Drive = Callable[..., None]
SIZES = [pytest.param((60, 20), marks=pytest.mark.slow), (80, 24), pytest.param((140, 40), marks=pytest.mark.slow)]
"""Of terminals; the usual one is in the fast lane."""


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings, queue or runs but the test's."""
    monkeypatch.setenv("PGSYNTH_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PGSYNTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the runs are."""
    return tmp_path / "runs"


def make_run(root: Path, slug: str, steps: int = 0, *, of: int = 100, state: str = "") -> RunFolder:
    """A run that took some steps: of this process if no state is given, else one that ended so."""
    folder = create_run(root, slug=slug, spec_yaml="base: tiny\n", lock={})
    held = start_session(folder)
    with EventLog(folder.events_file) as events:
        events.write("run", step=0, steps=of, device="cpu", session=held.id)
        take_steps(events, 1, steps, of=of)
    folder.log_file.write_text(f"begins\nstep {steps}/{of}\n", encoding="utf-8")
    if state == "lost":
        held.lock.close()
        dead = {**(read_json(folder.process_file) or {}), "pid": 2**22 - 1}
        folder.process_file.write_text(json.dumps(dead), encoding="utf-8")
    elif state:
        held.end(state, code=0 if state == "finished" else 1, step=steps, reason=f"it {state}.")  # type: ignore[arg-type]
    return folder


def take_steps(events: EventLog, first: int, last: int, *, of: int = 100, loss: float = 1.0) -> None:
    """Events of some steps: the loss falls."""
    for step in range(first, last + 1):
        facts: dict[str, Any] = {"grad_norm": 0.5, "learning_rate": 1e-4, "seconds_per_step": 0.25}
        events.write("step", step=step, loss=loss / step, steps=of, eta_seconds=(of - step) / 4, **facts)


@pytest.fixture
def drive(root: Path) -> Drive:
    """Run the app and do something with it: ``drive(scenario, size=(80, 24))``."""

    def drive(scenario: Scenario, *, size: tuple[int, int] = (80, 24), settings: Settings | None = None) -> None:
        async def whole() -> None:
            app = PgsynthApp(discover(), runs=str(root), settings=settings)
            app._first = "runs" if app._first == "compose" else app._first  # what most of the tests are about
            async with app.run_test(size=size) as pilot:
                await settled(app, pilot)
                await scenario(app, pilot)

        asyncio.run(whole())

    return drive


async def settled(app: PgsynthApp, pilot: Pilot[None]) -> None:
    """Wait until the first look at the runs was taken and drawn."""
    app.store.look()
    app.on_runs_changed()
    await pilot.pause()


async def until(pilot: Pilot[None], there: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something without knowing how long it takes."""
    for _ in range(int(seconds / 0.02)):
        if found := there():
            return found
        await pilot.pause(0.02)
    raise AssertionError("it did not come")


def text_of(app: PgsynthApp) -> str:
    """What stands on the screen, line by line."""
    screen = app.screen
    lines = screen._compositor.render_strips(screen.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


@pytest.fixture
def roots(repository: Path) -> str:
    """PYTHONPATH for a process that runs this checkout."""
    return os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))


def printed_by(roots: str, code: str) -> list[str]:
    """What some Python prints in a process of its own, in words."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()
