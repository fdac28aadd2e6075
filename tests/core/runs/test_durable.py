"""Flushed, replaced, removed: the few things that everything else in a run is made of."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import (
    json_text,
    read_json,
    refusing,
    remove,
    replace_text,
    require_writable,
    sync,
    temporary,
)


def failing(number: int) -> Callable[[int], None]:
    """An fsync that fails."""

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync


def test_files_and_folders_are_flushed(tmp_path: Path, real_fsync: Callable[[int], None]) -> None:
    flushed: list[str] = []

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        sync(tmp_path)
        replace_text(tmp_path / "x", "new")
    assert [Path(path).suffix for path in flushed] == ["", ".tmp", ""]
    assert flushed[0] == flushed[2] == str(tmp_path)


def test_a_file_system_that_cannot_flush_folders_is_let_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").touch()
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    sync(tmp_path)
    with pytest.raises(OSError, match="Invalid argument"):
        sync(tmp_path / "x")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync(tmp_path)


def test_a_replacement_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace_text(tmp_path / "x", "old")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        replace_text(tmp_path / "x", "new")
    assert [(path.name, path.read_text("utf-8")) for path in tmp_path.iterdir()] == [("x", "old")]


def test_temporary_names_are_never_the_same(tmp_path: Path) -> None:
    names = {temporary(tmp_path / "x").name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith("x.") and name.endswith(".tmp") for name in names)


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "gone")
    remove(tmp_path)
    assert not tmp_path.exists()


def test_json_of_a_file_name_that_is_no_unicode(tmp_path: Path) -> None:
    facts = {"path": "bad-\udcff-name", "word": "é"}
    replace_text(tmp_path / "x", json_text(facts))
    assert read_json(tmp_path / "x") == facts
    assert "é" in (tmp_path / "x").read_text("utf-8")
    assert read_json(tmp_path / "gone") is None


def test_only_what_the_system_refuses_becomes_the_users(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="it cannot be read: Is a directory"), refusing("it cannot be read", tmp_path):
        tmp_path.read_text("utf-8")
    with pytest.raises(ValueError, match="literal"), refusing("it cannot be read", tmp_path):
        int("x")


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    require_writable(tmp_path, "nothing can be made here")
    require_writable(tmp_path / "to" / "be" / "made", "nothing can be made here")
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file" / "runs", Path("/proc/runs")):
        with pytest.raises(UserError, match="^.*: nothing can be made here: "):
            require_writable(folder, "nothing can be made here")
