"""A file in the user's own viewer: which there is, that nobody waits for it, and that its failure is told."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from pgsynth_tui.stores import viewer as viewers
from pgsynth_tui.stores.viewer import open_file, opener

needs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with viewers that do nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("xdg-open", "open"):
        (folder / name).write_text("#!/bin/sh\nexit 0\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("environ", "platform", "name", "why"),
    [
        ({"DISPLAY": ":0"}, "linux", "xdg-open", ""),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", "xdg-open", ""),
        ({}, "linux", "", "there is no desktop here"),
        ({"SSH_CONNECTION": "a b c d"}, "linux", "", "you are here over SSH"),
        ({"SSH_CONNECTION": "a b c d", "DISPLAY": "localhost:10"}, "linux", "xdg-open", ""),
        ({}, "darwin", "open", ""),
        ({"SSH_TTY": "/dev/pts/0"}, "darwin", "", "you are here over SSH"),
        ({}, "win32", "startfile", ""),
    ],
)
def test_which_there_is(environ: dict[str, str], platform: str, name: str, why: str, programs: Path) -> None:
    found, said = opener({**environ, "PATH": str(programs)}, platform)
    assert (Path(found).name, said) == (name, why)


def test_one_that_is_not_installed_is_named(tmp_path: Path) -> None:
    assert opener({"DISPLAY": ":0", "PATH": str(tmp_path)}, "linux") == ("", "xdg-open is not installed")


@needs_scripts
def test_it_is_opened_and_left_alone(programs: Path, tmp_path: Path) -> None:
    """A viewer that stays open is not waited for, and is not of this terminal's session."""
    for name in ("xdg-open", "open"):
        (programs / name).write_text(f'#!/bin/sh\necho "$1" $$ > {tmp_path}/opened\nexec sleep 30\n')
    picture = tmp_path / "a b.png"
    picture.write_bytes(b"x")
    environ = {"DISPLAY": ":0", "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    assert open_file(picture, environ, seconds=0.5) == ""
    words = _written(tmp_path / "opened").split()
    assert " ".join(words[:-1]) == str(picture)
    pid = int(words[-1])
    try:
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        os.kill(pid, 9)
        (viewer,) = viewers._left
        viewer.wait(30)
    assert open_file(tmp_path / "gone.png", environ) and viewers._left, "nothing was begun"
    for name in ("xdg-open", "open"):
        (programs / name).write_text("#!/bin/sh\nexit 0\n")
    assert open_file(picture, environ, seconds=30) == "" and not viewers._left, "one that has ended is not kept"


def _written(path: Path) -> str:
    for _ in range(500):
        if path.exists() and (text := path.read_text()).strip():
            return text
        time.sleep(0.02)
    raise AssertionError("it was never begun")


@needs_scripts
def test_what_fails_is_said(programs: Path, tmp_path: Path) -> None:
    environ = {"DISPLAY": ":0", "PATH": str(programs)}
    assert open_file(tmp_path / "gone.png", environ) == "there is no such file any more"
    (tmp_path / "a.png").write_bytes(b"x")
    for name in ("xdg-open", "open"):
        (programs / name).write_text("#!/bin/sh\nexit 3\n")
    assert open_file(tmp_path / "a.png", environ, seconds=30).endswith("open ended with code 3")
    for name in ("xdg-open", "open"):
        (programs / name).write_text("no program")
    assert "cannot be started" in open_file(tmp_path / "a.png", environ)
