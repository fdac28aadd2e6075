"""Training goes on while a checkpoint is written: what is written is of its step, what is told comes in order."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, create_run, list_checkpoints
from pgsynth_core.runs.differences import check_frozen
from pgsynth_core.runs.saving import frozen
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


def test_what_never_changes_is_saved_as_it_was_when_training_began(folder: RunFolder) -> None:
    saver = Saver(folder, 2, 10, lambda kind, data: None, frozen={"spec.yaml": frozen(folder.spec_file)})
    folder.spec_file.write_text("pgsynth: 7\n", encoding="utf-8")
    saver.save(5, lambda: {"weights.safetensors": Path.touch})
    saver.wait()
    (saved,) = list_checkpoints(folder)
    assert (saved.path / "spec.yaml").read_text(encoding="utf-8") == "pgsynth: 1\n"
    with pytest.raises(UserError, match=r"the run's spec\.yaml is damaged, or was changed"):
        check_frozen(folder, saved)


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


def at_once() -> dict[str, Any]:
    """Files of a checkpoint for which nobody waits."""
    return {"weights.safetensors": lambda path: path.write_text("weights", encoding="utf-8")}


def full() -> dict[str, Any]:
    """Files for which there is no room."""

    def write(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return {"weights.safetensors": write}


def test_without_any_other_a_checkpoint_that_is_refused_ends_training(saver: Saver, folder: RunFolder) -> None:
    saver.save(1, full)
    assert saver._saving is not None
    saver._saving.folder.exception()
    with pytest.raises(
        UserError, match="step 1 is not saved, the run has no other checkpoint: .*No space left"
    ) as refused:
        saver.look()
    assert "Make room" in refused.value.problems[0].cure and refused.value.exit_code == 2
    saver.wait()
    assert not list_checkpoints(folder) and not list(folder.checkpoints.iterdir())


def test_beside_an_older_one_it_is_told_and_the_next_is_written(saver: Saver, folder: RunFolder, told: Told) -> None:
    for step, files in ((1, at_once), (2, full), (3, full), (4, at_once)):
        saver.save(step, files)
    saver.wait()
    warned = [data for kind, data in told if kind == "warning"]
    assert [data["step"] for data in warned] == [2, 3]
    assert all(
        "the last that is saved is step 1: " in data["message"] and "Make room" in data["cure"] for data in warned
    )
    assert [data["step"] for kind, data in told if kind == "checkpoint"] == [1, 4]
    assert [one.step for one in list_checkpoints(folder)] == [1, 4]


def test_the_last_one_that_is_refused_is_an_error_that_says_what_stands(saver: Saver, folder: RunFolder) -> None:
    with (
        pytest.raises(UserError, match="step 2 is not saved, the last that is saved is step 1: .*No space left"),
        saver,
    ):
        saver.save(1, at_once)
        saver.save(2, full)
    assert [path.name for path in folder.checkpoints.iterdir()] == ["step-00000001"]


def test_a_mistake_of_ours_ends_training(saver: Saver) -> None:
    def broken() -> dict[str, Any]:
        return {"../weights": lambda path: None}

    saver.save(1, at_once)
    saver.save(2, broken)
    with pytest.raises(ValueError, match="cannot be names"):
        saver.save(3, at_once)


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
