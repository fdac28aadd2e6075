"""Flushed, replaced, removed: the few things that everything else in a run is made of."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path

import pytest

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import (
    json_text,
    read_json,
    refusing,
    remove,
    replace_file,
    replace_text,
    require_writable,
    shortened,
    sync,
    temporary,
    write_free,
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


# ------------------------------------------------------------------------------------------- files that are new
def test_a_file_is_whole_before_it_has_its_name_and_keeps_its_rights(tmp_path: Path) -> None:
    def write(file: BufferedIOBase) -> None:
        file.write(b"xy")
        file.seek(0)
        file.write(b"a")
        assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]

    replace_file(tmp_path / "x", write)
    (tmp_path / "x").chmod(0o640)
    assert (tmp_path / "x").read_bytes() == b"ay"
    replace_file(tmp_path / "x", b"new", flush=False)
    assert (tmp_path / "x").read_bytes() == b"new" and (tmp_path / "x").stat().st_mode & 0o777 == 0o640
    replace_text(tmp_path / "mine", "", private=True)
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o600


def test_a_name_as_long_as_may_be_is_written(tmp_path: Path) -> None:
    for name in ("x" * 255, "写" * 85):
        replace_file(tmp_path / name, b"a")
        assert (tmp_path / name).read_bytes() == b"a"


def no_links(*_: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.mark.parametrize("links", [True, False])
def test_the_first_free_name_is_taken_and_nothing_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    names = [tmp_path / name for name in "abcd"]
    names[0].write_text("mine")
    names[1].symlink_to("nowhere")
    assert write_free(names, b"1") == names[2] and write_free(names, b"2") == names[3]
    assert [path.read_text() for path in (names[0], *names[2:])] == ["mine", "1", "2"]
    assert sorted(tmp_path.iterdir()) == names and names[1].is_symlink()


@pytest.mark.parametrize("links", [True, False])
def test_a_name_is_not_held_by_what_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(os, "fsync" if links else "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write_free([tmp_path / "a"], b"1")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["short", "x" * 400 + "-seed7", "写" * 200 + "-seed7", "\udcff" * 150 + "-seed7"])
def test_a_name_is_shortened_in_bytes_and_keeps_its_end(name: str) -> None:
    short = shortened(name, 100)
    assert len(os.fsencode(short)) <= 100 and short.encode()
    if name == "short":
        assert short == name
    else:
        assert "..." in short and short.endswith("-seed7")
