"""A checkpoint is written so that nothing that happens meanwhile costs one that can be loaded."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, latest_checkpoint, list_checkpoints, saving, write_checkpoint

from .conftest import Room, Saved, writers

SCENES = {
    "first": (None, None),
    "second": (100, "old"),
    "same_step": (200, "old"),
    "back": (300, "old"),
    "after_kills": (100, "old"),
}
KILLED, RAISED = 9, 3

ENDS = """
import sys, time
from pathlib import Path
from pgsynth_core.runs import RunFolder, saving
saving.hash_of = lambda path: time.sleep(600)
folder, began = RunFolder(Path(sys.argv[1])), []
files = {"a": lambda path: path.write_text("a"), "b": began.append}
saving.beside(lambda: saving.write_checkpoint(folder, 1, files, bytes_needed=1, keep=1), "a checkpoint")
while not began:
    time.sleep(0.01)
"""


def test_a_program_ends_though_a_checkpoint_is_hashed(tmp_path: Path) -> None:
    """Its time is up: what is half written is swept away by the next writer."""
    (tmp_path / "spec.yaml").touch()
    (tmp_path / "lock.json").touch()
    done = subprocess.run([sys.executable, "-c", ENDS, str(tmp_path)], timeout=60, check=True, capture_output=True)
    assert not done.stderr and not list_checkpoints(RunFolder(tmp_path))


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the script asks /proc which file is flushed")


def faults(writer: str, scene: str, mode: str, folder: Path) -> list[Any]:
    """What `faults.py` saw."""
    script = Path(__file__).with_name("faults.py")
    command = [sys.executable, "-W", "error", str(script), writer, scene, mode, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows: list[Any] = json.loads(done.stdout)
    return rows


def losses(rows: list[Any], before: tuple[int | None, str | None]) -> list[Any]:
    """Trials after which neither the old nor the new checkpoint stands whole."""
    fine = (before, (200, "new"))
    return [row for row in rows if row["damage"] or (row["step"], row["text"]) not in fine]


# ------------------------------------------------------------------------------------------- kills
@pytest.fixture(
    scope="module",
    params=[
        pytest.param(one, marks=pytest.mark.slow if one in ("same_step", "back", "second") else ()) for one in SCENES
    ],
)
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Any]]:
    """A scene, and what stood after a kill at each step from there."""
    return request.param, faults("ours", request.param, "kill", tmp_path_factory.mktemp("killed"))


@on_linux
def test_a_kill_at_any_step_leaves_the_old_one_or_the_new_one(killed: tuple[str, list[Any]]) -> None:
    scene, rows = killed
    assert losses(rows, SCENES[scene]) == []
    assert len(rows) > 30
    assert [row["code"] for row in rows] == [KILLED] * (len(rows) - 1) + [0]
    assert rows[0]["text"] == SCENES[scene][1]
    assert (rows[-1]["step"], rows[-1]["text"]) == (200, "new")


@on_linux
def test_after_a_kill_the_next_checkpoint_clears_up(killed: tuple[str, list[Any]]) -> None:
    scene, rows = killed
    aside = ["step-00000300.superseded"] if scene == "back" else []
    for row in rows:
        assert row["next"] == {"step": 201, "text": "next", "damage": ""}, row
        assert row["left_next"] == aside, row


@on_linux
@pytest.mark.parametrize(
    "scene", ["first", *(pytest.param(scene, marks=pytest.mark.slow) for scene in SCENES if scene != "first")]
)
def test_an_error_at_any_step_is_told_and_leaves_nothing_behind(tmp_path: Path, scene: str) -> None:
    rows = faults("ours", scene, "fail", tmp_path)
    assert losses(rows, SCENES[scene]) == []
    assert {row["code"] for row in rows} == {0, RAISED}  # 0: what only clears up may fail
    for row in rows:
        if row["code"] == RAISED and scene != "after_kills":
            assert [name for name in row["left"] if name.endswith((".tmp", ".gone"))] == [], row
        assert row["next"] == {"step": 201, "text": "next", "damage": ""}, row


@pytest.mark.slow
@on_linux
def test_kills_upon_kills(tmp_path: Path) -> None:
    rows = faults("ours", "first", "chain", tmp_path)
    assert {row["code"] for row in rows} == {0, KILLED}
    assert [row for row in rows if row["damage"] or row["text"] not in row["allowed"]] == []


@on_linux
@pytest.mark.parametrize("writer", ["in_place", pytest.param("old_first", marks=pytest.mark.slow)])
def test_a_careless_writer_is_found_out(tmp_path: Path, writer: str) -> None:
    assert losses(faults(writer, "second", "kill", tmp_path), SCENES["second"])


@on_linux
def test_everything_is_on_the_disk_before_it_counts(tmp_path: Path) -> None:
    """A loss of power cannot be tried; the order in which things are flushed can be read."""
    steps = [(event, *path.split(" ")) for event, path in faults("ours", "second", "trace", tmp_path)]
    renames = [place for place, step in enumerate(steps) if step[0] == "os.rename"]
    built, final = steps[renames[0]][1:3]
    assert final == "./step-00000200" and built.startswith("./step-00000200.") and built.endswith(".tmp")
    flushed = [step[1] for step in steps[: renames[0]] if step[0] == "fsync"]
    names = ["lock.json", "spec.yaml", "state.json", "weights.safetensors"]
    assert sorted(flushed[: len(names)]) == [f"{built}/{name}" for name in names], "two at a time, in any order"
    assert flushed[len(names) :] == [f"{built}/SHA256SUMS", built]
    assert steps[renames[0] + 1 :][:2] == [("open", "."), ("fsync", ".")]
    assert steps[renames[1]][1] == "./step-00000100" and renames[1] > renames[0] + 2  # only now does the old one go


# ------------------------------------------------------------------------------------------- what is written
def test_it_holds_its_files_the_spec_and_the_lock(run: RunFolder, save: Saved) -> None:
    path = save(200)
    assert path == run.checkpoints / "step-00000200"
    names = ["SHA256SUMS", "lock.json", "spec.yaml", "state.json", "weights.safetensors"]
    assert sorted(file.name for file in path.iterdir()) == names
    assert (path / "spec.yaml").read_bytes() == run.spec_file.read_bytes()
    own = write_checkpoint(run, 300, writers({"spec.yaml": "mine"}), bytes_needed=1, keep=3)
    assert (own / "spec.yaml").read_text(encoding="utf-8") == "mine"


def test_its_hashes_are_those_of_sha256sum(save: Saved) -> None:
    path = save(200)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(check, cwd=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{name}: OK" for name in ("lock.json", "spec.yaml", "state.json", "weights.safetensors")
    ]
    (path / "state.json").write_text("changed", encoding="utf-8")
    assert subprocess.run(check, cwd=path, capture_output=True, check=False).returncode == 1


def test_files_that_only_their_owner_may_read_are_shared_as_the_run_is(run: RunFolder) -> None:
    def private(path: Path) -> None:
        path.touch(mode=0o600)

    path = write_checkpoint(run, 1, {"weights.safetensors": private}, bytes_needed=1, keep=1)
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {run.spec_file.stat().st_mode & 0o777}


def test_as_many_stay_as_are_to_be_kept(run: RunFolder, save: Saved) -> None:
    for step in (100, 200, 300, 400):
        save(step, keep=2)
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [300, 400]
    save(500, keep=1)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000500"]


def test_later_ones_are_set_aside_and_not_lost(run: RunFolder, save: Saved) -> None:
    save(100)
    later = save(300, "later")
    save(200, keep=1)
    assert latest_checkpoint(run) == list_checkpoints(run)[-1]
    assert [checkpoint.step for checkpoint in list_checkpoints(run)] == [200]
    aside = later.with_name("step-00000300.superseded")
    assert (aside / "weights.safetensors").read_text(encoding="utf-8") == "later"
    save(300, "again")
    save(150)
    assert (aside / "weights.safetensors").read_text(encoding="utf-8") == "again"


def test_what_is_being_deleted_does_not_look_like_what_is_being_written(
    run: RunFolder, save: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(100)
    with monkeypatch.context() as patch:
        patch.setattr(saving, "remove", lambda path: None)  # killed before it
        save(200, keep=1)
    standing, going = sorted((path.name for path in run.checkpoints.iterdir()), reverse=True)
    assert standing == "step-00000200" and going.startswith("step-00000100.") and going.endswith(".gone")
    assert [one.step for one in list_checkpoints(run)] == [200]
    save(300)
    assert not (run.checkpoints / going).exists()


def test_what_is_not_ours_stays(run: RunFolder, save: Saved) -> None:
    for name in ("notes.old", "notes.tmp", "step-1.tmp", "best"):
        (run.checkpoints / name).mkdir()
    save(100, keep=1)
    save(200, keep=1)
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        "best",
        "notes.old",
        "notes.tmp",
        "step-00000200",
        "step-1.tmp",
    ]


def test_a_link_is_removed_and_not_what_it_leads_to(run: RunFolder, save: Saved, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    os.rename(save(100), elsewhere)
    (run.checkpoints / "step-00000100").symlink_to(elsewhere)
    save(200, keep=1)
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000200"]
    assert (elsewhere / "SHA256SUMS").is_file()


# ------------------------------------------------------------------------------------------- refused
def test_a_disk_nearly_full(run: RunFolder, save: Saved, room: Room) -> None:
    save(100)
    room(10_000_000)
    with pytest.raises(UserError) as refused:
        save(200, needed=5_000_000_000)
    (problem,) = refused.value.problems
    assert problem.where == str(run.checkpoints)
    assert problem.message.startswith("a checkpoint needs 4.7 GiB, and only 9.5 MiB are free")
    assert "Make room" in problem.cure and "--runs" not in problem.cure, "a run stays where it is"
    assert refused.value.exit_code == 2
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000100"]
    room(5_016_777_216)
    save(200, needed=5_000_000_000)


def test_what_a_killed_writer_left_does_not_count_as_full(run: RunFolder, save: Saved, room: Room) -> None:
    left = run.checkpoints / "step-00000100.0badcafe.tmp"
    left.mkdir()
    room(0)
    with pytest.raises(UserError, match="a checkpoint needs"):
        save(200)
    assert not left.exists()


class FromRust(Exception):
    """How safetensors tells what the system refused."""


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), FromRust("I/O error: No space left on device (os error 28)")],
)
def test_a_disk_that_fills_up_meanwhile(run: RunFolder, save: Saved, error: Exception) -> None:
    save(100)

    def write(path: Path) -> None:
        path.write_text("half", encoding="utf-8")
        raise error

    with pytest.raises(UserError, match="the checkpoint cannot be written: No space left on device") as refused:
        write_checkpoint(run, 200, {"weights.safetensors": write}, bytes_needed=1, keep=1)
    assert "Make room on that disk" in refused.value.problems[0].cure
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000100"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), RuntimeError("CUDA error"), ValueError("our mistake"), UserError("so.")]
)
def test_what_else_goes_wrong_goes_on_as_it_is(run: RunFolder, save: Saved, error: BaseException) -> None:
    save(100)

    def write(path: Path) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        write_checkpoint(run, 200, {"weights.safetensors": write}, bytes_needed=1, keep=1)
    assert raised.value is error
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-00000100"]


def test_a_file_in_place_of_the_folder(run: RunFolder, save: Saved) -> None:
    run.checkpoints.rmdir()
    run.checkpoints.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="the checkpoint cannot be written") as refused:
        save(200)
    assert "A file stands where a folder is needed" in refused.value.problems[0].cure


def test_a_folder_that_cannot_be_written(run: RunFolder, save: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(UserError, match="Permission denied.*writable for you"):
        save(200)
    assert list(run.checkpoints.iterdir()) == []


def test_a_run_that_is_gone(run: RunFolder, save: Saved) -> None:
    run.spec_file.unlink()
    with pytest.raises(UserError, match="No such file"):
        save(200)
    assert list(run.checkpoints.iterdir()) == []


@pytest.mark.parametrize("name", ["SHA256SUMS", "../x", "/a", "a/../b", "a//b", "", ".hidden", "a b", "x\n", "a\\b"])
def test_a_name_that_is_no_plain_file_name(run: RunFolder, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be names"):
        write_checkpoint(run, 1, writers({name: "x"}), bytes_needed=1, keep=1)


@pytest.mark.parametrize(("step", "keep"), [(-1, 1), (1, 0)])
def test_numbers_out_of_range(run: RunFolder, step: int, keep: int) -> None:
    with pytest.raises(ValueError, match=f"step is {step}"):
        write_checkpoint(run, step, {}, bytes_needed=1, keep=keep)
