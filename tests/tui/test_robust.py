"""What happens around the app: full disks, killed trainers, broken packages, folders that vanish, a second app.

Each leaves a message and a working screen. What single stores and panels make of it stands in their own tests.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pgsynth_core.errors import UserError
from pgsynth_core.registry import discover
from pgsynth_core.runs import EventLog, RunFolder, RunStatus, create_run, list_runs, status_of
from pgsynth_tui import shell
from pgsynth_tui.actions import VIEWS
from pgsynth_tui.app import PgsynthApp
from pgsynth_tui.dialogs import Ask
from pgsynth_tui.panels import PanelPlace, Panels
from pgsynth_tui.stores import runs as run_store
from pgsynth_tui.stores.compare import CompareStore
from pgsynth_tui.stores.looking import Looking
from pgsynth_tui.stores.watch import WatchStore
from pgsynth_tui.views import runs as runs_view

from ..fixtures.fake_packages import FakePackages
from ..fixtures.terminals import Terminal
from .conftest import Drive, make_run, settled, take_steps, text_of, until
from .test_panels import HEAD, NAME, block


def told(app: PgsynthApp) -> list[str]:
    """What was told in a corner of the screen, each as often as it was."""
    return [notification.message for notification in app._notifications]


async def works(app: PgsynthApp, pilot: Pilot[None]) -> None:
    """Every view can be gone to, and draws itself."""
    for number, view in enumerate(VIEWS, 1):
        await pilot.press(str(number))
        await until(pilot, lambda view=view: app.current_mode == view)
        await pilot.pause()
        assert VIEWS[view] in text_of(app)
    await pilot.press("2")


# ------------------------------------------------------------------------------------------- a full disk
def refuse_writing(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int = errno.ENOSPC) -> None:
    """Nothing can be written below a folder."""
    true = Path.write_text, os.open

    def refuse(path: Path) -> None:
        if path.is_relative_to(folder):
            raise OSError(number, os.strerror(number), str(path))

    def write_text(self: Path, *given: Any, **named: Any) -> int:
        refuse(self)
        return true[0](self, *given, **named)

    def opened(path: Any, flags: int, *given: Any, **named: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            refuse(Path(path))
        return true[1](path, flags, *given, **named)

    monkeypatch.setattr(Path, "write_text", write_text)
    monkeypatch.setattr(os, "open", opened)


def test_a_full_disk_is_told_once_and_again_when_it_was_not_meanwhile(
    drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, seeds = tmp_path / "state", count(1)

    async def step(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("1")
        app.screen.store.set("train.seed", str(next(seeds)))  # type: ignore[attr-defined]
        app.screen._draw()  # type: ignore[attr-defined]  # as each step of the draft does
        await app.workers.wait_for_complete([worker for worker in app.workers if worker.group == "draft"])
        await pilot.pause()

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await step(app, pilot)
        kept = (state / "pgsynth" / "draft.json").read_text(encoding="utf-8")
        assert not told(app) and "tiny" in kept
        with monkeypatch.context() as full:
            refuse_writing(full, state)
            for _ in range(3):
                await step(app, pilot)
            (message,) = told(app)
            assert "the draft cannot be kept: No space left on device. Make room" in message
            left = [file.name for file in (state / "pgsynth").iterdir() if file.is_file() and "lock" not in file.name]
            assert left == ["draft.json"], "nothing half is left, and the draft before it stands"
            await works(app, pilot)
        await step(app, pilot)
        with monkeypatch.context() as full:
            refuse_writing(full, state)
            app.clear_notifications()
            await step(app, pilot)
            assert len(told(app)) == 1

    drive(scenario)


def test_what_cannot_be_remembered_is_told_where_one_is_left(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_writing(monkeypatch, tmp_path / "state", errno.EROFS)

    async def whole() -> PgsynthApp:
        app = PgsynthApp(discover(), runs=str(root))
        async with app.run_test() as pilot:
            await pilot.press("2", "q")
        return app

    app = asyncio.run(whole())
    assert "cannot be remembered: Read-only file system" in app.unkept and app.return_code == 0


@pytest.mark.slow
def test_on_a_disk_that_takes_nothing_it_works_and_says_so(roots: str, root: Path, tmp_path: Path) -> None:
    """For real: no file of this process may grow."""
    run = make_run(root, "seen", 3, state="finished")
    (tmp_path / "state" / "pgsynth").mkdir(parents=True)
    script = (
        "import resource, signal, sys\n"
        "from pgsynth_core.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        "sys.exit(main(['tui']))\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    environ = {"PYTHONPATH": roots, "PYTHONDONTWRITEBYTECODE": "1", "TEXTUAL_ANIMATIONS": "none"}
    with Terminal([sys.executable, "-P", "-c", script], environ) as terminal:
        terminal.until("too large", 90)  # of a sentence that wraps wherever the path in it is long
        terminal.press("2")
        terminal.until(run.id, 30)
        terminal.press("q")
        terminal.until("cannot be remembered", 30)


def test_a_disk_that_is_full_for_the_trainer_is_its_own_word(drive: Drive, root: Path) -> None:
    folder = make_run(root, "full", 4, state="failed")
    (folder.path / "exit.json").write_text(
        json.dumps(json.loads(folder.exit_file.read_text(encoding="utf-8")) | {"reason": "No space left on device."}),
        encoding="utf-8",
    )

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        assert "failed, at step 4" in text_of(app) and "No space left on device." in text_of(app)
        await works(app, pilot)

    drive(scenario, size=(140, 40))


# ------------------------------------------------------------------------------------------- folders and files
FOLDERS: dict[str, Callable[[Path], object]] = {
    "vanishes": shutil.rmtree,
    "becomes a file": lambda root: (shutil.rmtree(root), root.write_text("a file", encoding="utf-8")),
    "leads nowhere": lambda root: (shutil.rmtree(root), root.symlink_to("nowhere")),
    "leads to itself": lambda root: (shutil.rmtree(root), root.symlink_to(root)),
}


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("becomes a file", "2"),
        *(pytest.param(case, key, marks=pytest.mark.slow) for case in FOLDERS for key in ("1", "2", "3", "6")),
    ],
)
def test_a_folder_of_runs_that_goes_is_told_and_taken_up_again(drive: Drive, root: Path, case: str, key: str) -> None:
    make_run(root, "a", 3, state="finished")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause(0.1)
        FOLDERS[case](root)
        await settled(app, pilot)
        await pilot.pause(0.1)
        await works(app, pilot)
        text = " ".join(text_of(app).split())
        assert "cannot be listed" in text if case == "becomes a file" else "there is no run" in text
        await pilot.press("x", "r", "d", "P", "space", "enter", "escape")
        root.unlink(missing_ok=True) if not root.is_dir() or root.is_symlink() else None
        back = make_run(root, "back", 2)
        await settled(app, pilot)
        await pilot.press("2")
        assert back.id in text_of(app)

    drive(scenario)


def test_a_folder_that_may_not_be_read_is_told_with_a_cure(
    drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(root, "a", 3, state="finished")
    true = Path.iterdir

    def iterdir(self: Path) -> Iterator[Path]:
        if self == root:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return true(self)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        with monkeypatch.context() as closed:
            closed.setattr(Path, "iterdir", iterdir)
            await settled(app, pilot)
            text = " ".join(text_of(app).split())
            assert "the runs cannot be listed: Permission denied." in text and "writable for you" in text
            await works(app, pilot)
        await settled(app, pilot)
        assert "✓ finished" in text_of(app)

    drive(scenario)


def junk(folder: RunFolder) -> None:
    """A run whose every file is a folder."""
    for file in (folder.events_file, folder.process_file, folder.exit_file, folder.log_file, folder.queued_file):
        file.unlink(missing_ok=True)
        file.mkdir()


def append(data: bytes) -> Callable[[RunFolder], object]:
    """Something at the end of a run's events."""

    def write(folder: RunFolder) -> None:
        with folder.events_file.open("ab") as file:
            file.write(data)

    return write


DAMAGES: dict[str, Callable[[RunFolder], object]] = {
    "half a line": append(b'{"t": 1.0, "kind": "step", "st'),
    "lines of zeros": append(b"\0" * 9999 + b"\n" + b"\xff\n[]\n{}\n3\n"),
    "numbers that are none": append(
        b'{"t": 5.0, "kind": "step", "step": "x", "loss": []}\n{"t": "x", "kind": "exit"}\n'
    ),
    "an empty log": lambda folder: folder.events_file.write_bytes(b""),
    "no control": lambda folder: shutil.rmtree(folder.control),
    "checkpoints are a file": lambda folder: (folder.checkpoints.rmdir(), folder.checkpoints.touch()),
    "files are folders": junk,
    "json of another form": lambda folder: [
        file.write_text(text, encoding="utf-8")
        for file, text in ((folder.process_file, "[]"), (folder.exit_file, '{"state": 3}'), (folder.queued_file, "{"))
    ],
    "vanishes": lambda folder: shutil.rmtree(folder.path),
}


@pytest.mark.parametrize(
    ("case", "key"),
    [
        ("half a line", "3"),
        *(pytest.param(case, key, marks=pytest.mark.slow) for case in DAMAGES for key in ("2", "3")),
    ],
)
def test_a_damaged_run_hides_no_other(drive: Drive, root: Path, case: str, key: str) -> None:
    make_run(root, "sound", 3, state="finished")
    live = make_run(root, "live", 20)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        app.chosen = live.path
        await pilot.press(key)
        await pilot.pause(0.2)
        DAMAGES[case](live)
        await settled(app, pilot)
        await pilot.pause(0.7)  # also whoever reads in a thread has seen it
        await works(app, pilot)
        assert "sound" in text_of(app) and "✓ finished" in text_of(app)
        assert (live.id in text_of(app)) == (case != "vanishes")
        await pilot.press("x")
        if isinstance(app.screen, Ask):
            await pilot.press("escape", "n")
        await pilot.press("d")
        if isinstance(app.screen, Ask):
            await pilot.press("n")
        await works(app, pilot)

    drive(scenario)


def test_checkpoints_that_cannot_be_listed_are_told_where_it_is_asked(
    drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(root, "live", 2)

    def refuse(folder: RunFolder) -> None:
        raise UserError("the checkpoints cannot be listed: Permission denied.")

    monkeypatch.setattr(runs_view, "latest_checkpoint", refuse)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("x")
        assert isinstance(app.screen, Ask) and "Permission denied" in text_of(app)

    drive(scenario)


# ------------------------------------------------------------------------------------------- what should never be
@pytest.mark.slow
def test_a_fault_in_looking_at_runs_is_told_once_and_looking_goes_on(
    drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = make_run(root, "live", 2)
    calls: list[int] = []

    def broken(root: Path) -> None:
        calls.append(1)
        raise ArithmeticError("nobody thought of this")

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        with monkeypatch.context() as fault:
            fault.setattr(run_store, "list_runs", broken)
            before = len(calls)
            await until(pilot, lambda: len(calls) > before + 2)
            assert told(app) == ["the runs cannot be looked at: ArithmeticError: nobody thought of this"]
            await works(app, pilot)
        with EventLog(live.events_file) as events:
            take_steps(events, 3, 9)
        await until(pilot, lambda: "9/100" in text_of(app))

    drive(scenario)


def test_a_fault_in_looking_at_one_run_is_its_reason(drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, live = make_run(root, "done", 7, state="finished"), make_run(root, "live", 2)
    true = run_store.status_of

    def broken(folder: RunFolder) -> RunStatus:
        if folder == live:
            raise PermissionError(13, "Permission denied")
        return true(folder)

    monkeypatch.setattr(run_store, "status_of", broken)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "it cannot be looked at: PermissionError" in " ".join(text_of(app).split()))
        assert "7/100" in text_of(app) and app.store.row(done.path) and not told(app)
        await works(app, pilot)

    drive(scenario)


def test_a_fault_in_reading_curves_is_told_and_reading_goes_on(
    drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(root, "live", 20)
    true, calls = WatchStore.read, list[int]()

    def broken(self: WatchStore, seconds: float) -> tuple[bool, bool]:
        calls.append(1)
        if len(calls) < 3:
            raise ArithmeticError("nobody thought of this")
        return true(self, seconds)

    monkeypatch.setattr(WatchStore, "read", broken)
    monkeypatch.setattr("pgsynth_tui.views.watch._AGAIN", 0.05)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        await until(pilot, lambda: "at step 20" in text_of(app))
        assert told(app) == ["watch: ArithmeticError: nobody thought of this"]

    drive(scenario)


@pytest.mark.parametrize(("store", "name", "view"), [(Looking, "look", "look"), (CompareStore, "read", "compare")])
def test_a_fault_in_looking_or_comparing_is_told_and_tried_again(
    drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch, store: type, name: str, view: str
) -> None:
    make_run(root, "one", 3, state="finished")
    true, calls = getattr(store, name), list[int]()

    def broken(self: Any, *given: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise ArithmeticError("nobody thought of this")
        return true(self, *given)

    monkeypatch.setattr(store, name, broken)
    monkeypatch.setattr("pgsynth_tui.views.look._AGAIN", 0.05)
    monkeypatch.setattr("pgsynth_tui.views.compare._STILL", 0.05)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await app.action_view(view)
        await until(pilot, lambda: len(calls) > 3)
        assert told(app) == [f"{view}: ArithmeticError: nobody thought of this"]

    drive(scenario)


def test_a_fault_in_a_command_is_told(drive: Drive, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(root, "a", 2, state="failed")

    def broken(*words: str, **how: object) -> shell.Answer:
        raise MemoryError("none left")

    monkeypatch.setattr(shell, "run", broken)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press("r")
        await until(pilot, lambda: "commands: MemoryError: none left" in told(app))
        await works(app, pilot)

    drive(scenario)


# ------------------------------------------------------------------------------------------- a broken package
BROKEN: dict[str, dict[str, Any]] = {
    "its manifest is no TOML": {"manifest": "[["},
    "its panel cannot be drawn": {
        "manifest": FakePackages.manifest(NAME, block("good", "Good") + block("bad", "Bad")),
        "files": {"panels.py": HEAD + "class Bad(Widget):\n    def render(self):\n        raise KeyError(3)\n"},
    },
    "its part cannot be imported": {
        "manifest": FakePackages.manifest(NAME, FakePackages.part("encoder", "odd", package=NAME)),
        "files": {"parts.py": "raise SystemExit(4)\n"},
    },
}


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (number > 0)) for number, case in enumerate(BROKEN)]
)
def test_a_broken_package_takes_no_view_with_it(drive: Drive, fake_packages: FakePackages, case: str) -> None:
    fake_packages.install(NAME, **BROKEN[case])

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        if "panel" not in case and "part" not in case:
            assert any(NAME in message and "is broken" in message for message in told(app))
        await works(app, pilot)
        await pilot.press("6", "v")
        if "panel" in case:
            app.screen.query_one(Panels).show(1)
            place = app.screen.query_one("#panel-1", PanelPlace)
            while "KeyError" not in str(place.problem):  # by the app's own clock: the pilot's would draw it here
                await asyncio.sleep(0.02)
        await works(app, pilot)

    drive(scenario, size=(140, 40))


# ------------------------------------------------------------------------------------------- a killed trainer
TRAINER = """
import sys, time
from itertools import count
from pathlib import Path
from pgsynth_core.runs import EventLog, RunFolder, session
run = RunFolder(Path(sys.argv[1]))
with session(run), EventLog(run.events_file) as events:
    events.write("run", step=0, steps=10**6, device="cpu")
    for step in range(1, 10**6):
        events.write("step", step=step, steps=10**6, loss=1 / step)
        time.sleep(0.02)
"""


@pytest.mark.parametrize("key", ["2", pytest.param("3", marks=pytest.mark.slow)])
def test_a_trainer_that_is_killed_is_lost_and_can_be_gone_on_with(
    drive: Drive, root: Path, roots: str, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    run = create_run(root, slug="killed", spec_yaml="base: tiny\n", lock={})
    said: list[tuple[str, ...]] = []
    answer = shell.Answer((), 0, {"ok": True}, "")
    monkeypatch.setattr(shell, "run", lambda *words, **how: said.append(words) or answer)
    environ = {**os.environ, "PYTHONPATH": roots}
    trainer = subprocess.Popen([sys.executable, "-c", TRAINER, str(run.path)], env=environ)

    async def scenario(app: PgsynthApp, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: "● running" in text_of(app), 60)
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
        await until(pilot, lambda: "lost" in text_of(app))
        await pilot.press("2")
        for words in ("is gone and left no word: killed", "Resume goes on from its last checkpoint"):
            await until(pilot, lambda words=words: words in " ".join(text_of(app).split()))  # type: ignore[misc]
        await works(app, pilot)
        await pilot.press("r")
        await until(pilot, lambda: said)
        assert said[0][:3] == ("runs", "resume", run.id)

    try:
        drive(scenario, size=(140, 40))
    finally:
        trainer.kill()
        trainer.wait()


# ------------------------------------------------------------------------------------------- two at once
def test_two_apps_agree(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one folder of runs: what one does, or anybody else, both show."""
    live, old = make_run(root, "live", 2), make_run(root, "old", 3, state="failed")
    monkeypatch.setattr("pgsynth_tui.app._IDLE", 0.1)

    async def whole() -> None:
        one, two = PgsynthApp(discover(), runs=str(root)), PgsynthApp(discover(), runs=str(root))
        async with one.run_test() as first, two.run_test() as second:
            for pilot in (first, second):
                await pilot.press("2")

            async def both(words: str, there: bool = True) -> None:
                for app, pilot in ((one, first), (two, second)):
                    await until(pilot, lambda app=app: (words in text_of(app)) == there)

            await both("● running")
            with EventLog(live.events_file) as events:
                take_steps(events, 3, 50)
            await both("50/100")
            (live.control / "stop").touch()
            await both("stopping")
            (live.control / "stop").unlink()
            shutil.rmtree(old.path)
            await both(old.id, there=False)
            new = make_run(root, "new", 1)
            await both(new.id)

    asyncio.run(whole())
    assert len(list_runs(root)) == 2


@pytest.mark.slow
def test_two_terminals_agree_on_what_one_of_them_does(root: Path, roots: str) -> None:
    """As two users' terminals: one replays a run, the other sees it run, stops it and removes it."""
    folder = make_run(root, "played", 20, of=20, state="finished")  # played in minutes: it is stopped long before
    lines = folder.events_file.read_text(encoding="utf-8").splitlines(keepends=True)
    events = [json.loads(line) | {"t": 1000.0 + 3000 * number} for number, line in enumerate(lines)]
    folder.events_file.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")
    environ = {"PYTHONPATH": roots, "TEXTUAL_ANIMATIONS": "none", "COLORTERM": "truecolor"}
    command = [sys.executable, "-P", "-m", "pgsynth_core", "tui", "--runs", str(root)]
    with Terminal(command, environ) as one, Terminal(command, environ) as two:
        for terminal in (one, two):
            terminal.until("The parts fit together", 90)
            terminal.press("2")
            terminal.until("finished", 30)
        one.press("P")
        one.until("again?", 30)
        one.press("y")
        two.until("replay-played", 60)
        one.until("replay-played", 60)
        (replay,) = (run for run in list_runs(root) if run.replayed)
        two.press("\x1b[A")
        two.until(replay.id, 30)
        two.press("x")
        two.until("replay: nothing is lost", 30)
        two.press("y")
        one.until("stopped", 60)
        two.until("stopped", 60)
        assert status_of(replay).state == "stopped"
        two.press("d")
        two.until(f"Delete {replay.id}", 30)
        two.press("y")
        while list_runs(root) != (folder,):
            two.quiet(0.1)
        one.press("/replay")  # in one piece, as over a slow line: no letter of it is taken for an action
        one.until("'replay'; esc shows all", 30)
        assert status_of(folder).state == "finished"
