"""Training goes on while a checkpoint is written: what is written is of its step, what is told comes in order."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, create_run, list_checkpoints
from pgsynth_core.training.saving import Saver

Told = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path / "runs", slug="x", spec_yaml="pgsynth: 1\n", lock={"lock": 1})


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def saver(folder: RunFolder, told: Told) -> Saver:
    return Saver(folder, keep=2, bytes_needed=10, tell=lambda kind, data: told.append((kind, data)))


class Slow:
    """A file that is not written before it is let go."""

    def __init__(self, text: str = "weights") -> None:
        self.began, self.goes = threading.Event(), threading.Event()
        self.text = text

    def files(self) -> dict[str, Any]:
        def write(path: Path) -> None:
            self.began.set()
            assert self.goes.wait(30)
            path.write_text(self.text, encoding="utf-8")

        return {"weights.safetensors": write}


def test_whoever_trains_goes_on_meanwhile(saver: Saver, folder: RunFolder, told: Told) -> None:
    slow = Slow()
    saver.save(5, slow.files, validation=0.25)
    assert slow.began.wait(30)
    saver.look()
    assert [kind for kind, _ in told] == ["doing"] and not list_checkpoints(folder)
    slow.goes.set()
    saver.wait()
    kind, data = told[-1]
    assert (kind, data["step"], data["path"], data["validation"]) == (
        "checkpoint",
        5,
        "checkpoints/step-00000005",
        0.25,
    )
    assert data["bytes"] == sum(file.stat().st_size for file in (folder.path / data["path"]).iterdir())
    saver.wait()
    assert len(told) == 2, "told once"


def test_one_at_a_time_in_order(saver: Saver, folder: RunFolder, told: Told) -> None:
    first, second = Slow(), Slow()
    saver.save(1, first.files)
    assert first.began.wait(30)
    threading.Timer(0.05, first.goes.set).start()
    second.goes.set()
    saver.save(2, second.files)
    saver.wait()
    assert [data["step"] for kind, data in told if kind == "checkpoint"] == [1, 2]
    assert [one.step for one in list_checkpoints(folder)] == [1, 2]


def test_what_goes_wrong_is_raised_where_training_is(saver: Saver, folder: RunFolder) -> None:
    def fails() -> dict[str, Any]:
        def write(path: Path) -> None:
            raise OSError(28, "No space left on device")

        return {"weights.safetensors": write}

    saver.save(1, fails)
    with pytest.raises(UserError, match="No space left"):
        saver.wait()
    saver.wait()
    assert not list_checkpoints(folder) and not list(folder.checkpoints.iterdir())


def test_the_end_waits_for_the_last_one(saver: Saver, folder: RunFolder) -> None:
    slow = Slow()
    with saver:
        saver.save(3, slow.files)
        threading.Timer(0.05, slow.goes.set).start()
    assert [one.step for one in list_checkpoints(folder)] == [3]


def test_so_does_an_error_and_an_interrupt_does_not(saver: Saver, folder: RunFolder) -> None:
    slow = Slow()
    with pytest.raises(ZeroDivisionError), saver:
        saver.save(3, slow.files)
        threading.Timer(0.05, slow.goes.set).start()
        raise ZeroDivisionError
    assert [one.step for one in list_checkpoints(folder)] == [3]
    other = Slow()
    with pytest.raises(KeyboardInterrupt), saver:
        saver.save(4, other.files)
        raise KeyboardInterrupt
    assert [one.step for one in list_checkpoints(folder)] == [3]
    other.goes.set()
    saver.wait()
