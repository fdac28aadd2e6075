"""Proof, rehearsal and launch from the view: progress, giving up, what is stale, what fails, where one goes then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.settings import keep_draft
from pgsynth_tui.stores.draft_words import Draft
from pgsynth_tui.views.compose_trials import Trials
from pgsynth_tui.warm import Warm

from .composing import at, beside, click_on, dialog, on, view
from .conftest import SIZES, Drive, make_run, text_of, until
from .test_app import told

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
FACTS: dict[str, Any] = {"proof": {"trainable": 2330076, "training_bytes": 2**30}}


class Commands:
    """In place of commands: each waits until it is let go, or nobody wants it any more."""

    def __init__(self) -> None:
        self.words: list[tuple[str, ...]] = []
        self.go = threading.Event()
        self.answer: Callable[[tuple[str, ...]], tuple[int, dict[str, Any]]] = lambda words: (0, FACTS)

    def __call__(self, *words: str, seconds: float = 0.0, wanted: Callable[[], bool] = lambda: True) -> shell.Answer:
        self.words.append(words)
        while not self.go.wait(0.01):
            if not wanted():
                return shell.Answer(words, 130, {}, "it was given up")
        code, facts = self.answer(words)
        return shell.Answer(words, code, facts, "")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """What is run, and when it ends."""
    made = Commands()
    monkeypatch.setattr(Warm, "run", lambda self, *words, **more: made(*words, **more))
    return made


def verdict(app: PgsynthApp) -> str:
    """The line below."""
    return str(view(app).query_one(Trials).render())


@sizes
def test_a_proof_shows_that_it_goes_on_and_what_it_found(
    drive: Drive, commands: Commands, size: tuple[int, int]
) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        await click_on(app, pilot, "p Prove")
        await until(pilot, lambda: commands.words)
        assert "Proving: " in verdict(app) and "esc gives it up" in text_of(app)
        commands.go.set()
        await until(pilot, lambda: "2.3 M train" in beside(app))
        assert "2.3 M train" in text_of(app) and "Proved: 2.3 M parameters train." in verdict(app)
        await at(app, pilot, "train")
        await on(app, pilot, "checkpointing")
        await pilot.press("enter")
        assert "of an earlier draft; p repeats it" in verdict(app)
        await pilot.press("u")
        assert "Proved: " in verdict(app)

    drive(scenario, size=size)


@pytest.mark.parametrize("keys", [("escape",), ("p",), ("v", "v", "escape"), ("right", "escape")])
def test_a_proof_is_given_up_by_key(drive: Drive, commands: Commands, keys: tuple[str, ...]) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "p")
        await until(pilot, lambda: commands.words)
        await pilot.press("R")
        assert any("a proof is under way" in line for line in told(app))
        await pilot.press(*keys)
        await until(pilot, lambda: "Proof given up" in verdict(app))
        commands.go.set()
        await pilot.press("p")
        await until(pilot, lambda: "Proved: " in verdict(app))
        assert len(commands.words) == 2

    drive(scenario)


def test_a_rehearsal_of_an_ablation_gives_its_table_and_launch_their_hours(drive: Drive, commands: Commands) -> None:
    keep_draft(Draft("tiny", sweeps=("attn.pma.mask=eq5,eq9,none",)).to_json())
    rows = [{"name": f"mask={mask}", "hours": 1.35} for mask in ("eq5", "eq9", "none")]
    commands.answer = lambda words: (0, {"hours": 4.05, "combinations": rows})
    commands.go.set()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        await click_on(app, pilot, "ablation 1")
        await until(pilot, lambda: "3 runs; time unknown" in beside(app))
        await click_on(app, pilot, "R Rehearse")
        await dialog(app, pilot, Ask)
        await pilot.press("y")
        await until(pilot, lambda: "4 h 3 min for all 3 runs" in beside(app))
        words = ("sweep", "tiny", "attn.pma.mask=eq5,eq9,none", "--time", "--dry-run", "--runs", str(app.store.root))
        assert commands.words == [words]
        await click_on(app, pilot, "ablation 1")
        await until(pilot, lambda: "mask=eq9  1 h 21 min" in beside(app))
        await click_on(app, pilot, "L Launch")
        await dialog(app, pilot, Ask)
        said = " ".join(str(line.render()) for line in app.screen.query(Static))
        assert "Queue 3 runs?" in said and "about 4 h 3 min of training, one after another" in said

    drive(scenario, size=(140, 40))


def test_what_cannot_be_trained_in_any_combination_is_not_launched(drive: Drive, commands: Commands) -> None:
    keep_draft(Draft("tiny", sweeps=("train.seed=0,x",)).to_json())

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "L")
        await until(pilot, lambda: "no combination can have x" in beside(app))
        assert app.screen is view(app) and not commands.words

    drive(scenario)


def test_a_launch_that_fails_loses_nothing(drive: Drive, commands: Commands) -> None:
    commands.answer = lambda words: (1, {"problems": [{"message": "the disk is full.", "cure": "Make room."}]})
    commands.go.set()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await at(app, pilot, "train")
        await on(app, pilot, "checkpointing")
        await pilot.press("enter", "L")
        await dialog(app, pilot, Ask)
        await click_on(app, pilot, "Launch (y)")
        await until(pilot, lambda: "the disk is full." in beside(app))
        assert "Make room." in beside(app) and app.chosen is None
        assert view(app).store.draft.overrides == ("train.checkpointing=true",)

    drive(scenario)


def test_a_run_that_is_launched_can_be_watched(drive: Drive, commands: Commands, root: Path) -> None:
    run = make_run(root, "tiny", 3)
    commands.answer = lambda words: (0, {"run": run.id, "path": str(run.path), "state": "running", "position": None})
    commands.go.set()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1", "L")
        await dialog(app, pilot, Ask)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Ask) and run.id in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: app.current_mode == "watch")
        assert app.chosen == run.path

    drive(scenario)


def test_what_is_wrong_is_not_tried(drive: Drive, commands: Commands) -> None:
    keep_draft(Draft("tiny", ("encoder.qfft.queries=local",)).to_json())

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        for key in ("p", "R", "L", "w"):
            await pilot.press("1", key)
            assert app.screen is view(app) and any("role global" in line for line in told(app))
            app.clear_notifications()
        assert not commands.words

    drive(scenario)
