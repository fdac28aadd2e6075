"""Progress: a bar where somebody sees it, a line now and then elsewhere, and what is saved when work ends early."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.cli import progress
from pgsynth_core.cli.progress import Follower, duration, follow
from pgsynth_core.runs import create_run, latest_checkpoint, list_runs, status_of, write_checkpoint

RUN = "/runs/20260101-120000-qfft"


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, as a list whose one number is the time."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    return clock


def step(number: int, steps: int = 1000, **more: Any) -> dict[str, Any]:
    """An event of a step."""
    timing = {"seconds_per_step": 0.5, "eta_seconds": 0.5 * (steps - number)}
    return {"kind": "step", "run": RUN, "step": number, "steps": steps, "loss": 1 / number, **timing, **more}


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on stderr since the last time; stdout stays empty."""
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


def test_a_log_gets_a_line_now_and_then(now: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with follow("Preparing") as follower:
        for number in range(1, 1001):
            now[0] += 0.5
            follower.on_event(step(number))
    lines = told(capsys)
    assert lines[0] == "training 1/1000: loss 1.0000, 0.5 s/step", "how long the others take nobody knows yet"
    assert lines[1] == "training 61/1000: loss 0.0164, 0.5 s/step, 7 min 50 s left"
    assert lines[-1] == "training 1000/1000: loss 0.0010, 0.5 s/step"
    assert len(lines) == 2 + 499 // 30


def test_short_counts_say_nothing_and_long_ones_now_and_then(
    now: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with follow() as follower:
        for done in range(1, 11):
            now[0] += 1
            follower.on_event({"kind": "count", "doing": "opening photos", "done": done, "of": 10})
        assert told(capsys) == []
        for done in range(1, 51):
            now[0] += 1
            follower.on_event({"kind": "count", "doing": "drawing", "done": done, "of": None})
    assert told(capsys) == ["drawing 31"]


@pytest.mark.parametrize(("given", "count"), [("5", 4), ("x", 0), ("-1", 0), ("nan", 0)])
def test_a_program_that_shows_the_lines_has_them_sooner(
    given: str, count: int, now: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSYNTH_PROGRESS_SECONDS", given)
    with follow() as follower:
        for done in range(1, 25):
            now[0] += 1
            follower.on_event({"kind": "count", "doing": "drawing", "done": done, "of": 24})
    assert len(told(capsys)) == count


def test_what_is_saved_is_told_as_it_happens(capsys: pytest.CaptureFixture[str]) -> None:
    with follow() as follower:
        follower.on_event({"kind": "run", "run": RUN, "step": 0, "steps": 9})
        follower.on_event({"kind": "checkpoint", "run": RUN, "step": 5, "path": "checkpoints/step-00000005"})
        follower.on_event({"kind": "sample", "run": RUN, "step": 5, "path": "samples/00000005/sheet.png"})
        follower.on_event({"kind": "warning", "run": RUN, "message": "two\nlines \033[2J"})
        follower.on_event({"kind": "something new", "run": RUN})
    assert told(capsys) == [
        f"run {RUN}",
        f"step 5: saved {RUN}/checkpoints/step-00000005",
        f"step 5: drew {RUN}/samples/00000005/sheet.png",
        "warning: two lines \\x1b[2J",
    ]
    assert (follower.run, follower.checkpoint, follower.checkpoint_step) == (RUN, "checkpoints/step-00000005", 5)
    assert follower.sheet == "samples/00000005/sheet.png"


def left(follower: Follower, now: list[float], number: int, seconds: float) -> str:
    """What a log says is left, behind a step that took so long."""
    now[0] += seconds
    said: list[str] = []
    follower._shown.update = lambda doing, done, of, figures: said.append(figures)  # type: ignore[method-assign]
    follower.on_event(step(number))
    return said[0].rpartition(", ")[2] if "left" in said[0] else ""


def test_what_is_left_follows_from_plain_steps_alone(now: list[float]) -> None:
    follower = Follower(progress._Lines())
    follower.on_event({"kind": "run", "run": RUN, "step": 100, "steps": 1000})
    assert left(follower, now, 101, 300) == left(follower, now, 102, 90) == "", "it compiles, it loads"
    assert [left(follower, now, number, 1) for number in range(103, 107)] == [""] * 4, "too few to tell"
    assert left(follower, now, 107, 1) == "14 min 53 s left"
    for kind in ("checkpoint", "sample", "warning", "doing"):
        follower.on_event({"kind": kind, "run": RUN, "step": 107})
        assert left(follower, now, 108, 600) == "14 min 52 s left", f"{kind} is no step"
    assert left(follower, now, 1000, 1) == ""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")])
def test_work_that_ends_early_says_what_is_saved(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)), follow() as follower:
        follower.on_event(step(7))
        follower.on_event({"kind": "checkpoint", "run": RUN, "step": 5, "path": "checkpoints/step-00000005"})
        raise error
    assert told(capsys)[-2:] == [
        f"step 5 is saved: {RUN}/checkpoints/step-00000005",
        f"go on from there: pgsynth train --resume {RUN}",
    ]


def test_or_that_nothing_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), follow() as follower:
        follower.on_event(step(7))
        raise KeyboardInterrupt
    reached, again = told(capsys)[-2:]
    assert reached.startswith("step 7 was reached, and no checkpoint is saved")
    assert again.startswith("begin it again: pgsynth train --resume ")
    with pytest.raises(KeyboardInterrupt), follow():
        raise KeyboardInterrupt
    assert told(capsys) == [], "before anything began there is nothing to say"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (0.4, "0 s"),
        (59.7, "1 min"),
        (61.0, "1 min 1 s"),
        (3600.0, "1 h"),
        (7512.0, "2 h 5 min"),
        (86399.0, "23 h 59 min"),
        (90000.0, "1 d 1 h"),
        (1e7, "115 d 17 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_figures_that_are_no_numbers_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Follower(progress._Lines())
    shown.on_event(step(1, loss=float("nan"), eta_seconds=None))
    assert told(capsys) == ["training 1/1000: loss nan, 0.5 s/step"]


WORK = """
import time
from pgsynth_core.cli.progress import follow
with follow("Preparing") as follower:
    time.sleep(0.3)
    for step in range(1, 4):
        follower.on_event({"kind": "step", "step": step, "steps": 3, "loss": 0.5, "seconds_per_step": 0.1, "run": "r"})
        time.sleep(0.15)
    follower.on_event({"kind": "doing", "doing": "saving a checkpoint", "run": "r"})
    time.sleep(0.15)
    follower.on_event({"kind": "checkpoint", "step": 3, "path": "checkpoints/[bold]3", "run": "r"})
    follower.on_event({"kind": "count", "doing": "drawing", "done": 1, "of": None})
print("the result")
"""


def test_a_terminal_gets_a_bar(seen: Any) -> None:
    said = seen(code=WORK)
    assert "Preparing" in said and "3/3" in said and "loss 0.5000" in said and "drawing" in said
    assert "step 3: saved r/checkpoints/[bold]3" in said, "what looks like markup is text"
    assert "the result" in said.splitlines()[-1]
    assert "saving a checkpoint" in said, "a bar at its end says what it waits for"


LONG = """
import time
from pgsynth_core.cli.progress import follow
with follow() as follower:
    for step in range(59_980, 60_001):
        time.sleep(0.01)
        figures = {"loss": 0.12345, "seconds_per_step": 0.523}
        follower.on_event({"kind": "step", "step": step, "steps": 600_000, "run": "r", **figures})
    follower.on_event({"kind": "warning", "message": "mind the gap", "run": "r"})
    follower.on_event({"kind": "count", "doing": "opening photos", "done": 3, "of": 10})
"""


def test_a_narrow_terminal_shows_every_figure_on_one_line(seen: Any) -> None:
    said = seen(code=LONG)
    assert re.search(r"60000/600000\S* loss 0.1235, 0.523 s/step, [^\n]*left", said), said
    assert "opening photos" in said and "\033[33mwarning: \033[0mmind the gap" in said
    assert "\033[33m" not in seen(code=LONG, NO_COLOR="1")


def test_a_dumb_terminal_gets_lines(seen: Any) -> None:
    said = seen(code=WORK, TERM="dumb")
    assert "\033" not in said and "training 1/3: loss 0.5000" in said


def test_elsewhere_stdout_holds_the_result_alone(roots: str) -> None:
    env = {**os.environ, "PYTHONPATH": roots}
    done = subprocess.run([sys.executable, "-c", WORK], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "the result\n" and "\033" not in done.stderr and "training 3/3" in done.stderr


def test_what_stands_from_an_earlier_session_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = create_run(tmp_path, slug="x", spec_yaml="pgsynth: 1\n", lock={"lock": 1})
    path = write_checkpoint(folder, 3, {"weights": lambda file: file.touch()}, bytes_needed=1, keep=1)
    shown = Follower(progress._Lines())
    shown.on_event({"kind": "step", "run": str(folder.path), "step": 5, "steps": 9, "loss": 0.5})
    shown.farewell()
    assert f"step 3 is saved: {path}\n" in capsys.readouterr().err


def test_a_terminal_that_is_gone_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with follow() as follower:
        follower.on_event(step(1))
        monkeypatch.setattr(progress, "tell", gone)
        for number in (500, 1000):
            follower.on_event({"kind": "checkpoint", "run": RUN, "step": number, "path": "x"})
            follower.on_event(step(number))
    assert (follower.step, follower.checkpoint_step) == (1000, 1000), "what was saved is known all the same"


@pytest.mark.slow
def test_training_whose_terminal_is_closed_saves_and_stops(roots: str, tmp_path: Path) -> None:
    words = ["train", "tiny", "data=figures", "train.steps=5000", "train.batch_size=1", "--no-proof"]
    words += ["train.checkpoint_every=0", "train.sample_every=0", "--runs", str(tmp_path)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pgsynth_core", *words],
        env={**os.environ, "PYTHONPATH": roots},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)),  # noqa: PLW1509 - one thread
    )
    os.close(theirs)
    seen = b""
    while b"loss" not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    process.wait(60)
    (run,) = list_runs(tmp_path)
    saved = latest_checkpoint(run)
    assert saved is not None
    assert status_of(run).state == "stopped"
    assert saved.step == status_of(run).step > 0
    saved.verify()
