"""`train.log` reads like the terminal of whoever trained."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import EVENTS, log
from pgsynth_core.runs.log import TrainLog, train_log


def lines(path: Path) -> list[str]:
    """Without their times."""
    text = path.read_text(encoding="utf-8")
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "", line) for line in text.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.log"


def tell_all(told: TrainLog) -> None:
    told.event("run", {"step": 0, "steps": 40, "device": "cpu", "pairs": 5})
    for step in range(1, 41):
        told.event("step", {"step": step, "steps": 40, "loss": 0.25, "eta_seconds": 40.0 - step})
    told.event("checkpoint", {"step": 40, "path": "checkpoints/step-00000040"})
    told.event("sample", {"step": 40, "path": "samples/00000040/sheet.png"})
    told.event("warning", {"message": "passed over.", "where": "a.png"})
    told.event("problem", {"message": "the disk is full.", "cure": "Make room."})
    told.event("exit", {"state": "failed", "code": 2, "step": 40, "reason": "the disk is full."})


def test_events_are_lines_and_steps_are_few(path: Path) -> None:
    with train_log(path) as told:
        tell_all(told)
    assert lines(path) == [
        "INFO pgsynth: training from step 0 to 40: device cpu, pairs 5",
        "INFO pgsynth: step 1/40: loss 0.2500, 39 s left",
        "INFO pgsynth: step 40/40: loss 0.2500, 0 s left",
        "INFO pgsynth: step 40: saved checkpoints/step-00000040",
        "INFO pgsynth: step 40: drew samples/00000040/sheet.png",
        "WARNING pgsynth: a.png: passed over.",
        "ERROR pgsynth: the disk is full. Make room.",
        "INFO pgsynth: failed after 40 steps: the disk is full.",
    ]


def test_steps_come_now_and_then_and_skipped_ones_always(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr(log.time, "monotonic", lambda: 100 + next(now))
    with train_log(path) as told:
        for step in range(1, 9):
            told.event(
                "step", {"step": step, "steps": 99, "loss": float("nan") if step == 5 else 0.5, "skipped": step == 5}
            )
    assert [re.findall(r"step (\d+)/", line)[0] for line in lines(path)] == ["1", "4", "5", "8"]
    assert lines(path)[2].endswith("loss nan, skipped: a gradient is no finite number")


@pytest.mark.parametrize("kind", EVENTS)
def test_every_kind_of_event_with_only_what_it_must_have(path: Path, kind: str) -> None:
    least = {"step": 1, "steps": 2, "loss": 0.5, "path": "x", "message": "m", "state": "finished", "code": 0}
    with train_log(path) as told:
        told.event(kind, least)
    assert len(lines(path)) == 1


def test_an_error_has_its_traceback(path: Path) -> None:
    with train_log(path) as told:
        try:
            raise ZeroDivisionError("of no use")
        except ZeroDivisionError as error:
            told.error(error)
    assert "Traceback (most recent call last):" in lines(path)
    assert lines(path)[-1] == "ZeroDivisionError: of no use"


def session_with_warnings(path: Path, number: int) -> None:
    with train_log(path):
        logging.getLogger("accelerate.x").warning("slow %s", number)
        logging.getLogger("accelerate.x").info("not said")
        logging.getLogger("diffusers").warning("deprecated")
        warnings.warn("soon 100 % gone", FutureWarning, stacklevel=1)


def test_libraries_and_warnings_are_heard_and_sessions_appended(path: Path) -> None:
    root, quiet = logging.getLogger(), logging.getLogger("diffusers")
    before, own, shown, passes_on = [*root.handlers], [*quiet.handlers], warnings.showwarning, quiet.propagate
    quiet.propagate = False
    try:
        for number in range(2):
            with pytest.warns(FutureWarning, match="gone"):
                session_with_warnings(path, number)
        assert quiet.handlers == own
    finally:
        quiet.propagate = passes_on
    once = ["WARNING diffusers: deprecated", "WARNING FutureWarning: soon 100 % gone"]
    assert lines(path) == ["WARNING accelerate.x: slow 0", *once, "WARNING accelerate.x: slow 1", *once]
    assert root.handlers == before and warnings.showwarning is shown


def test_the_terminal_goes_on_showing_warnings(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with train_log(path):
        logging.getLogger("pgsynth").warning("a hook is switched off")
    assert capsys.readouterr().err == "a hook is switched off\n"
    assert lines(path) == ["WARNING pgsynth: a hook is switched off"]


def test_a_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the log cannot be written"), train_log(tmp_path):
        pass


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="the system has no /dev/full")
def test_a_disk_that_takes_no_line_shows_nobody_a_traceback(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path.symlink_to("/dev/full")
    with train_log(path) as told:
        tell_all(told)
    assert capfd.readouterr() == ("", "")
