"""Runs are evaluated from the view of runs: asked, refused, followed, ended, told; and Compare and Look have the scores."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from pgsynth_core.runs import RunFolder, list_runs
from pgsynth_tui import shell
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask, Enter
from pgsynth_tui.stores.evaluating import Counting, Evaluating, means_of, not_a_number, why_not, words_of
from pgsynth_tui.stores.runs import RunStore
from pgsynth_tui.views.runs_evaluate import EvaluateLine

from .conftest import SIZES, Drive, make_run, settled, text_of, until
from .test_app import told

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
MEASURES = {"ssim": {"digits": 3}, "psnr": {"digits": 2}}
FACTS: dict[str, Any] = {"mean": {"ssim": 0.522, "psnr": 18.4}, "measures": MEASURES, "images": 64}


class Commands:
    """In place of commands: each tells how far it is, and waits until it is let go, ended, or nobody waits."""

    def __init__(self) -> None:
        self.words: list[tuple[str, ...]] = []
        self.left: list[tuple[str, ...]] = []
        self.go = threading.Event()
        self.line = "drawing 12/64"
        self.answer: Callable[[tuple[str, ...]], tuple[int, dict[str, Any]]] = lambda words: (0, FACTS)

    def __call__(
        self,
        *words: str,
        seconds: float,
        wanted: Callable[[], bool],
        told: Callable[[str], None],
        ended: Callable[[], bool],
    ) -> shell.Answer:
        self.words.append(words)
        told("Loading the run")
        told(self.line)
        while not self.go.wait(0.01):
            if ended():
                return shell.Answer(words, 130, {}, "interrupted.")
            if not wanted():
                self.left.append(words)
                return shell.Answer(words, 1, {}, "it goes on by itself")
        code, facts = self.answer(words)
        return shell.Answer(words, code, facts, "")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """What is run, and when it ends."""
    made = Commands()
    monkeypatch.setattr(shell, "run", made)
    return made


def saved(root: Path, slug: str, *, state: str = "finished") -> RunFolder:
    """A run that has a checkpoint."""
    run = make_run(root, slug, 3, of=3, state=state)
    (run.checkpoints / "step-00000003").mkdir(parents=True)
    return run


def line(app: PgsynthApp) -> str:
    """What stands below the runs; empty if nothing does."""
    found = app.screen_stack[0].query_one(EvaluateLine)
    return str(found.render()) if found.display else ""


def all_said(app: PgsynthApp) -> str:
    """Of a dialog, however it is wrapped."""
    assert all(one.region.bottom <= app.size.height for one in app.screen.query(".keys, Button")), "its end is seen"
    return " ".join(str(one.render()) for one in app.screen.query(Static))


async def asked(app: PgsynthApp, pilot: Pilot[None], pairs: str = "") -> str:
    """Press the key, answer the question; what it said."""
    await pilot.press("e")
    await until(pilot, lambda: isinstance(app.screen, Enter) and app.screen.query("#entry"))
    if pairs:
        app.screen.query_one(Input).value = pairs
    limit = f" --limit {pairs or 64} " if pairs != "all" else " --runs "
    await until(pilot, lambda: re.search(rf"\$ pgsynth evaluate \S+{limit}", all_said(app)))
    said = all_said(app)
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, Enter))
    return said


# ------------------------------------------------------------------------------------------- without a screen
def test_a_number_of_pairs_is_checked_and_becomes_words() -> None:
    assert [not_a_number(text) for text in ("1", "64", "all")] == ["", "", ""]
    for text in ("", "0", "-1", "6 4", "1e3", "alle", "²", "1" * 10):
        assert "is no number of pairs: 1 or more, or all" in not_a_number(text), text
    assert words_of("a", "all") == ("evaluate", "a")
    assert words_of("a", "064") == ("evaluate", "a", "--limit", "64")


def test_time_left_is_told_by_what_was_counted() -> None:
    counting = Counting(10.0)
    assert counting.sentence(15.0) == "loading, 5 s"
    counting.hear("Loading the run 3/4 of it", 16.0)
    counting.hear("drawing 8/64", 20.0)
    assert counting.sentence(21.0) == "drawing 8/64"
    counting.hear("warning: 12/64 is odd", 22.0)
    counting.hear("drawing 12/64", 24.0)
    assert counting.sentence(24.0) == "drawing 12/64, 52 s left"
    assert counting.sentence(30.0) == "drawing 12/64, 46 s left"
    assert counting.sentence(99.0) == "drawing 12/64, 0 s left"
    counting.hear("comparing by ssim 3/64", 100.0)
    assert counting.sentence(101.0) == "comparing by ssim 3/64"


def test_why_a_run_cannot_be_evaluated(root: Path) -> None:
    runs = [saved(root, "good"), make_run(root, "none", state="failed"), make_run(root, "live", 2)]
    replay = saved(root, "replay")
    replay.replay_file.write_text("{}", encoding="utf-8")
    live = saved(root, "saved-once", state="")
    store = RunStore(root)
    store.look()
    said = {run.path: why_not(row) for run in (*runs, replay, live) if (row := store.row(run.path))}
    assert said[runs[0].path] == said[live.path] == ""
    assert said[runs[1].path] == f"{runs[1].id} is failed and has no checkpoint."
    assert said[runs[2].path] == f"{runs[2].id} is running and has no checkpoint yet."
    assert said[replay.path] == f"{replay.id} is a replay: it has no weights."


def test_what_it_scored_in_a_line() -> None:
    assert means_of(FACTS) == "ssim 0.522, psnr 18.40 on 64 pairs"
    many = {name: None for name in "abcde"}
    assert means_of({"mean": many, "images": 1}).endswith("d infinite and 1 more on 1 pair")


def test_one_that_fails_keeps_no_other_from_its_turn(commands: Commands) -> None:
    commands.go.set()
    problem = {"message": "the data is gone.", "cure": "Bring it back."}
    commands.answer = lambda words: (2, {"problems": [problem]}) if words[1] == "a" else (0, FACTS)
    now, came = Evaluating(["a", "b"], "all", "/runs"), list[str]()
    assert now.to_come == ("b",) and now.sentence == "evaluating 1 of 2, a: loading, 0 s"
    now.go(lambda: True, lambda outcome: came.append(outcome.sentence))
    assert commands.words == [("evaluate", run, "--runs", "/runs") for run in "ab"]
    assert "the data is gone." in came[0] and "Bring it back." in came[0] and came[1].startswith("b: ssim")
    assert now.sentence == f"1 of 2 runs evaluated. {came[0]}" and not now.under_way and now.farewell() == []


# ------------------------------------------------------------------------------------------- by keys
@sizes
def test_the_run_under_the_cursor_is_evaluated(
    drive: Drive, root: Path, commands: Commands, size: tuple[int, int]
) -> None:
    run = saved(root, "a")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert line(app) == ""
        said = await asked(app, pilot)
        assert f"Evaluate {run.id} on how many pairs?" in said
        assert f"$ pgsynth evaluate {run.id} --limit 64 --runs {root}" in said
        await until(pilot, lambda: commands.words)
        assert commands.words == [("evaluate", run.id, "--limit", "64", "--runs", str(root))]
        assert app.command.startswith(f"pgsynth evaluate {run.id} --limit 64")
        await until(pilot, lambda: f"evaluating {run.id}: drawing 12/64; e again ends it" in line(app))
        assert "drawing 12/64" in text_of(app).replace("\n", " ")
        commands.go.set()
        scores = f"{run.id}: ssim 0.522, psnr 18.40 on 64 pairs"
        await until(pilot, lambda: f"{scores}; c compares, s looks" in told(app))
        await until(pilot, lambda: line(app) == f"{scores}; esc clears this line")
        await pilot.press("escape")
        await until(pilot, lambda: line(app) == "")

    drive(scenario, size=size)


def test_what_is_no_number_is_not_taken_and_all_are(drive: Drive, root: Path, commands: Commands) -> None:
    run = saved(root, "a")
    commands.go.set()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Enter) and app.screen.query("#entry"))
        app.screen.query_one(Input).value = "some"
        await until(pilot, lambda: "! 'some' is no number of pairs" in all_said(app))
        assert "$ pgsynth" not in all_said(app)
        await pilot.press("enter")
        assert isinstance(app.screen, Enter)
        await pilot.press("escape")
        assert not commands.words
        assert f"$ pgsynth evaluate {run.id} --runs {root}" in await asked(app, pilot, "all")
        await until(pilot, lambda: commands.words)
        assert commands.words == [("evaluate", run.id, "--runs", str(root))]
        await until(pilot, lambda: "e again ends it" not in line(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Enter) and app.screen.query("#entry"))
        assert app.screen.query_one(Input).value == "all", "what was typed last stands there"

    drive(scenario)


@sizes
def test_marked_runs_come_one_after_the_other(
    drive: Drive, root: Path, commands: Commands, size: tuple[int, int]
) -> None:
    first, second, other = saved(root, "first"), saved(root, "second"), make_run(root, "other", 2)
    gone = root.with_name("other") / "20200101-000000-gone"

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [second.path, other.path, first.path, gone]
        said = await asked(app, pilot, "8")
        assert "Evaluate 2 runs on how many pairs?" in said and f"{second.id}, {first.id}" in said
        assert f"Left out: {gone.name} is marked, and not found in {root}. And 1 more." in said
        assert f"evaluate {second.id} --limit 8 --runs {root}; and so for 1 more" in said
        await until(pilot, lambda: f"evaluating 1 of 2, {second.id}: drawing" in line(app))
        assert len(commands.words) == 1
        commands.go.set()
        await until(pilot, lambda: line(app).startswith("2 of 2 runs evaluated."))
        assert [words[1] for words in commands.words] == [second.id, first.id]
        await until(pilot, lambda: sum("ssim 0.522" in one for one in told(app)) == 2)

    drive(scenario, size=size)


def test_what_has_no_checkpoint_is_refused(drive: Drive, root: Path, commands: Commands) -> None:
    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("e")
        assert any("there is no run in" in one for one in told(app))
        run = make_run(root, "a", 2)
        await settled(app, pilot)
        await pilot.press("e")
        assert f"{run.id} is running and has no checkpoint yet." in told(app)
        assert not isinstance(app.screen, Enter) and not commands.words

    drive(scenario)


@sizes
def test_it_is_ended_by_the_same_key(drive: Drive, root: Path, commands: Commands, size: tuple[int, int]) -> None:
    runs = [saved(root, name) for name in "ab"]

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [run.path for run in runs]
        await asked(app, pilot)
        await until(pilot, lambda: "drawing 12/64" in line(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Ask) and app.screen.query("#yes"))
        said = all_said(app)
        assert "End the evaluation?" in said and "What is drawn stays" in said and f"Not begun: {runs[1].id}." in said
        await pilot.press("enter")
        assert "e again ends it" in line(app), "Enter says no"
        await pilot.press("e", "y")
        await until(pilot, lambda: any(f"{runs[0].id}: ended. What is drawn stays" in one for one in told(app)))
        await until(pilot, lambda: "0 of 2 runs evaluated" in line(app))
        assert len(commands.words) == 1 and not any("c compares" in one for one in told(app))
        commands.go.set()
        await asked(app, pilot)
        await until(pilot, lambda: line(app).startswith("2 of 2 runs evaluated."))

    drive(scenario, size=size)


def test_a_failure_is_told_with_its_cure(drive: Drive, root: Path, commands: Commands) -> None:
    run = saved(root, "a")
    commands.answer = lambda words: (2, {"problems": [{"message": "the disk is full.", "cure": "Make room."}]})
    commands.go.set()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await asked(app, pilot)
        await until(pilot, lambda: told(app))
        (one,) = app._notifications
        assert one.severity == "error" and one.message.startswith(f"{run.id}: the disk is full.")
        assert "Make room." in one.message
        await until(pilot, lambda: "the disk is full." in line(app) and "esc clears" in line(app))

    drive(scenario)


def test_it_goes_on_while_another_view_is_looked_at(drive: Drive, root: Path, commands: Commands) -> None:
    run = saved(root, "a")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await asked(app, pilot)
        await until(pilot, lambda: commands.words)
        await pilot.press("5")
        await until(pilot, lambda: app.current_mode == "compare")
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "runs" and "drawing 12/64" in line(app))
        await pilot.press("4")
        await until(pilot, lambda: app.current_mode == "look")
        commands.go.set()
        await until(pilot, lambda: any(f"{run.id}: ssim 0.522" in one for one in told(app)))
        await pilot.press("2")
        await until(pilot, lambda: "ssim 0.522" in line(app))

    drive(scenario)


def test_leaving_lets_the_one_go_on_and_says_what_is_not_begun(drive: Drive, root: Path, commands: Commands) -> None:
    runs = [saved(root, name) for name in "ab"]
    apps: list[PgsynthApp] = []

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        apps.append(app)
        app.marked = [run.path for run in runs]
        await asked(app, pilot)
        await until(pilot, lambda: commands.words)
        assert app.evaluating and app.evaluating.farewell() == [
            f"{runs[0].id} is evaluated to the end without you",
            f"  not begun: pgsynth evaluate {runs[1].id} --limit 64 --runs {root}",
        ]
        await pilot.press("q")

    drive(scenario)
    assert [words[1] for words in commands.left] == [runs[0].id] and len(commands.words) == 1
    drive(lambda app, pilot: _nothing_is_shown(app))


async def _nothing_is_shown(app: PgsynthApp) -> None:
    assert line(app) == ""


# ------------------------------------------------------------------------------------------- for real
@pytest.mark.slow
def test_two_real_runs_are_evaluated_compared_and_looked_at(
    drive: Drive, root: Path, roots: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", roots)
    spec = ["tiny", "data=figures", "train.steps=2", "train.workers=0", "train.sample_every=0"]
    for pairs in ("1", "2"):
        words = ["train", *spec, f"train.batch_size={pairs}", "--no-proof", "--runs", str(root)]
        command = [sys.executable, "-P", "-m", "pgsynth_core", *words]
        subprocess.run(command, check=True, capture_output=True, env=os.environ)
    first, second = list_runs(root)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.marked = [first.path, second.path]
        await pilot.press("c")
        await until(pilot, lambda: "what differs" in text_of(app))
        assert "ssim" not in text_of(app)
        await pilot.press("2")
        await asked(app, pilot, "200")
        await until(pilot, lambda: "drawing " in line(app), 120)
        await pilot.press("e", "y")
        await until(pilot, lambda: "0 of 2 runs evaluated" in line(app), 120)
        (folder,) = (first.path / "evaluation").iterdir()
        drawn = {one.name for one in folder.glob("*.png")}
        assert drawn and not (folder / "scores.json").exists()

        await asked(app, pilot, "2")
        await until(pilot, lambda: line(app).startswith("2 of 2 runs evaluated."), 240)
        assert sum("on 2 pairs; c compares, s looks" in one for one in told(app)) == 2
        await pilot.press("c")
        await until(pilot, lambda: "ssim" in text_of(app), 20)
        await pilot.press("s")
        await until(pilot, lambda: app.current_mode == "look" and app.screen.query("#told"))
        await until(pilot, lambda: "ssim" in text_of(app) or "e: evaluation" in text_of(app))
        await pilot.press("e")
        await until(pilot, lambda: "evaluation test-first2 @ 2" in text_of(app))
        assert "ssim" in text_of(app)

    drive(scenario, size=(140, 40))
