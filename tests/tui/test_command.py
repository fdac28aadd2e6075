"""``pgsynth tui`` as a process: where there is nobody to show it to, and what it does not load or look through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from textual.pilot import Pilot

from pgsynth_tui.app import PgsynthApp

from .conftest import Drive, make_run, printed_by


def run_command(roots: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """``pgsynth tui`` without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "pgsynth_core", "tui", *words],
        env={**os.environ, "PYTHONPATH": roots, **environ},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_without_a_terminal_it_says_what_to_run_instead(roots: str) -> None:
    done = run_command(roots)
    assert done.returncode == 2 and done.stdout == "" and "\x1b" not in done.stderr
    assert "this is no terminal" in done.stderr and "pgsynth runs list" in done.stderr


def test_help_and_wrong_flags(roots: str) -> None:
    done = run_command(roots, "--help")
    assert done.returncode == 0 and "--ascii" in done.stdout
    done = run_command(roots, "--asci")
    assert done.returncode == 2 and "'--ascii'" in done.stderr


def test_torch_is_never_imported(roots: str, root: Path) -> None:
    make_run(root, "b", 2, state="finished")
    script = """
import asyncio, sys
from pgsynth_core.registry import discover
from pgsynth_tui.app import PgsynthApp
async def whole():
    app = PgsynthApp(discover())
    async with app.run_test() as pilot:
        await pilot.press("2", "question_mark", "escape", "3", "4", "5", "6", "1", "colon")
        await pilot.pause(1)
asyncio.run(whole())
print(*sys.modules)
"""
    assert not {"torch", "diffusers", "transformers", "timm"} & set(printed_by(roots, script))


def test_the_first_view_needs_no_numpy(roots: str) -> None:
    assert "numpy" not in printed_by(roots, "import sys, pgsynth_tui.app; print(*sys.modules)")


def test_nothing_is_looked_through_for_garbage_again_and_again(roots: str) -> None:
    script = """
import gc
from pgsynth_tui import app, command
def run(self):
    print(gc.isenabled())
    self.settled()
    print(gc.isenabled(), gc.get_freeze_count() > len(gc.get_objects()))
app.PgsynthApp.run, command._refuse_nowhere = run, lambda: None
command.main([])
"""
    assert printed_by(roots, script) == ["False", "True", "True"]


def test_each_view_says_once_that_it_is_there(drive: Drive) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        told = []
        app.settled = lambda: told.append(app.current_mode)
        for key in ("3", "4", "3", "4"):
            await pilot.press(key)
            await pilot.pause()
        assert told == ["watch", "look"]

    drive(scenario)
