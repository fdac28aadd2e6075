"""Checkpoints are found by step, and what is damaged in one is named."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import Checkpoint, RunFolder, best_checkpoint, latest_checkpoint, list_checkpoints

from .conftest import Saved


def damages(checkpoint: Checkpoint) -> dict[str, str]:
    """File name -> what is said of it."""
    with pytest.raises(UserError) as refused:
        checkpoint.verify()
    assert all(problem.cure for problem in refused.value.problems)
    return {Path(problem.where).name: problem.message for problem in refused.value.problems}


@pytest.fixture
def saved(save: Saved) -> Checkpoint:
    """A checkpoint that is whole."""
    return Checkpoint(save(200), 200)


def test_there_may_be_none(run: RunFolder) -> None:
    assert latest_checkpoint(run) is None
    run.checkpoints.rmdir()
    assert list_checkpoints(run) == ()


def test_they_are_found_by_step(run: RunFolder, save: Saved) -> None:
    paths = [save(step) for step in (90, 100, 123_456_789)]
    assert list_checkpoints(run) == tuple(map(Checkpoint, paths, (90, 100, 123_456_789)))
    latest = latest_checkpoint(run)
    assert latest == Checkpoint(paths[-1], 123_456_789)
    latest.verify()


def test_the_best_has_the_lowest_loss_on_unseen_pairs(run: RunFolder, save: Saved) -> None:
    save(100)
    assert best_checkpoint(run) is None
    losses = {200: 0.5, 300: 0.25, 400: 0.25, 500: float("nan"), 600: 0.75}
    for step, loss in losses.items():
        save(step, validation=loss, keep=9)
    best = best_checkpoint(run)
    assert best is not None and (best.step, best.validation) == (400, 0.25), "of equals the later"


def test_the_best_stays_beside_the_last(run: RunFolder, save: Saved) -> None:
    for step, loss in {100: 0.5, 200: 0.25, 300: 0.75, 400: 0.5, 500: None}.items():
        save(step, validation=loss, keep=2)
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [200, 400, 500]
    save(600, validation=0.125, keep=2)
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [500, 600]


def test_what_is_no_checkpoint_is_passed_over(run: RunFolder, save: Saved) -> None:
    path = save(100)
    for name in ("step-200", "step-00000300.0badcafe.tmp", "step-00000400.superseded", "best", "xstep-00000900"):
        shutil.copytree(path, run.checkpoints / name)
    (run.checkpoints / "step-00000500").touch()
    assert [checkpoint.path.name for checkpoint in list_checkpoints(run)] == ["step-00000100"]


def test_one_being_replaced_stands_in_until_the_new_one_is_there(run: RunFolder, save: Saved) -> None:
    path = save(100)
    old = path.with_name("step-00000100.old")
    shutil.copytree(path, old)
    assert list_checkpoints(run) == (Checkpoint(path, 100),)
    shutil.rmtree(path)
    assert latest_checkpoint(run) == Checkpoint(old, 100)


# ------------------------------------------------------------------------------------------- verify
def test_one_that_is_whole_passes_wherever_it_is(saved: Checkpoint, tmp_path: Path) -> None:
    saved.verify()
    Checkpoint(shutil.copytree(saved.path, tmp_path / "copy"), 200).verify()


def test_every_damaged_file_is_named_at_once(saved: Checkpoint) -> None:
    weights = saved.path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    (saved.path / "state.json").unlink()
    (saved.path / "ema.safetensors").touch()
    assert damages(saved) == {
        "weights.safetensors": "the file is damaged: its hash is not the one in SHA256SUMS.",
        "state.json": "the file is missing.",
        "ema.safetensors": "the file is not listed in SHA256SUMS.",
    }


@pytest.mark.parametrize("name", ["lock.json", "spec.yaml", "state.json", "weights.safetensors"])
def test_one_flipped_bit_is_seen(saved: Checkpoint, name: str) -> None:
    content = bytearray((saved.path / name).read_bytes())
    content[0] ^= 1
    (saved.path / name).write_bytes(content)
    assert list(damages(saved)) == [name]


def test_the_list_itself_may_be_damaged(saved: Checkpoint) -> None:
    sums = saved.path / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8")
    for text in ("", "x\n", lines[:-5], lines + "\n\n", lines.replace("  ", " "), "\0" * 100):
        sums.write_text(text, encoding="utf-8")
        assert "SHA256SUMS" in damages(saved), text
    sums.write_text(lines.splitlines()[0] + "\n", encoding="utf-8")
    assert list(damages(saved)) == ["weights.safetensors"]
    sums.unlink()
    assert "nothing says that this checkpoint is whole" in damages(saved)["SHA256SUMS"]


def test_the_list_leads_nowhere_else(saved: Checkpoint) -> None:
    sums = saved.path / "SHA256SUMS"
    for name in ("../../spec.yaml", "/etc/hostname", "..", "..\\x"):
        sums.write_text(f"{'0' * 64}  {name}\n", encoding="utf-8")
        assert "hash is not" not in str(damages(saved))


def test_the_mark_of_a_binary_file_is_understood(saved: Checkpoint) -> None:
    sums = saved.path / "SHA256SUMS"
    sums.write_text(sums.read_text(encoding="utf-8").replace("  ", " *"), encoding="utf-8")
    saved.verify()


def test_a_folder_that_is_gone(saved: Checkpoint) -> None:
    shutil.rmtree(saved.path)
    assert list(damages(saved)) == ["SHA256SUMS"]


def test_a_damaged_one_names_the_nearest_other(run: RunFolder, save: Saved, tmp_path: Path) -> None:
    def cure(checkpoint: Checkpoint) -> str:
        (checkpoint.path / "state.json").unlink(missing_ok=True)
        with pytest.raises(UserError) as refused:
            checkpoint.verify()
        return refused.value.problems[0].cure

    only = Checkpoint(save(100), 100)
    copy = Checkpoint(shutil.copytree(only.path, tmp_path / "copy"), 100)
    assert f"train it anew: pgsynth train {run.spec_file}" in cure(only)
    nearest = save(200)
    save(900)
    assert cure(only).endswith(f"by its path: {nearest}.") and cure(copy) == "Copy it again, if it is a copy."


def test_what_is_offered_instead_is_whole(run: RunFolder, save: Saved) -> None:
    first, second, last = (Checkpoint(save(step), step) for step in (100, 200, 300))
    for one in (second, last):
        (one.path / "weights.safetensors").write_text("other", encoding="utf-8")
    with pytest.raises(UserError) as refused:
        last.verify()
    assert str(first.path) in refused.value.problems[0].cure
    (first.path / "state.json").unlink()
    with pytest.raises(UserError, match="no other checkpoint that is whole; train it anew"):
        last.verify()
    (last.path / "lock.json").unlink()
    with pytest.raises(UserError) as refused:
        last.verify(hashes=False)
    assert str(second.path) in refused.value.problems[0].cure, "as far as it was looked at"


def test_a_damaged_number_makes_no_best(run: RunFolder, save: Saved) -> None:
    save(100, validation=0.25)
    state = save(200, validation=0.5) / "state.json"
    state.write_text(state.read_text("utf-8").replace("0.5", "0.1"), encoding="utf-8")
    best = best_checkpoint(run)
    assert best is not None and best.step == 100
    save(300, validation=0.75, keep=1)
    assert [one.step for one in list_checkpoints(run)] == [100, 300], "the best is not deleted for it"


@pytest.mark.parametrize("name", ["SHA256SUMS", "weights.safetensors"])
def test_a_file_that_the_disk_does_not_give_is_named(
    saved: Checkpoint, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = io.open

    def fails(file: Any, *more: Any, **named: Any) -> Any:
        if Path(str(file)).name == name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return plain(file, *more, **named)

    monkeypatch.setattr(io, "open", fails)
    monkeypatch.setattr("builtins.open", fails)
    assert damages(saved) == {name: damages(saved)[name]} and "Input/output error" in damages(saved)[name]
