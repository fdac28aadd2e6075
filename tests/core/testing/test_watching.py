"""What leaves the process is seen and refused; temporary files, devices and reading are nobody's harm."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pgsynth_core.testing.watching import Refused, Watch


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a file in it; it is a temporary one, and the nearer folder counts."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    monkeypatch.chdir(folder)
    return folder


HARM: dict[str, tuple[Callable[[], object], str]] = {
    "open": (lambda: Path("new.txt").write_text("x"), "writes {project}/new.txt"),
    "append": (lambda: Path("mine.txt").write_bytes(b"x"), "writes {project}/mine.txt"),
    "os.open": (lambda: os.open("new.txt", os.O_WRONLY | os.O_CREAT), "writes {project}/new.txt"),
    "mkdir": (lambda: os.mkdir("new"), "writes {project}/new"),
    "remove": (lambda: os.remove("mine.txt"), "writes {project}/mine.txt"),
    "rename": (lambda: os.rename("mine.txt", "yours.txt"), "writes {project}/mine.txt"),
    "link": (lambda: os.symlink("/etc/hosts", "hosts"), "writes {project}/hosts"),
    "rmtree": (lambda: shutil.rmtree(os.getcwd()), "writes {project}/mine.txt"),
    "home": (lambda: Path("~/.pgsynth_kit_was_here").expanduser().write_text("x"), "writes "),
    "climbing": (
        lambda: Path(tempfile.gettempdir(), "..", "pgsynth_kit_was_here").write_text("x"),
        "writes /pgsynth_kit_was_here",
    ),
    "connect": (lambda: socket.socket().connect(("192.0.2.1", 9)), "connects to 192.0.2.1"),
    "sendto": (
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
        "connects to 192.0.2.1",
    ),
    "lookup": (lambda: socket.getaddrinfo("example.invalid", 80), "connects to example.invalid"),
    "database": (lambda: sqlite3.connect("new.db"), "writes {project}/new.db"),
    "fork": (os.fork, "starts a process"),
    "program": (lambda: subprocess.run([sys.executable, "-c", ""], check=False), "starts a program: "),
}


@pytest.mark.parametrize("name", HARM)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_harm_is_refused_and_told(name: str, project: Path) -> None:
    do, words = HARM[name]
    watch = Watch()
    with watch, pytest.raises(Refused):
        do()
    assert watch.seen and watch.seen[0].startswith(words.format(project=project))
    assert (project / "mine.txt").read_text() == "mine" and [one.name for one in project.iterdir()] == ["mine.txt"]


def test_what_harms_nobody_is_let_be(project: Path) -> None:
    watch = Watch()
    with watch:
        Path("mine.txt").read_text()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "deep").mkdir()
            (Path(folder) / "deep" / "a.txt").write_text("a")
        with open(os.devnull, "w") as nowhere:
            nowhere.write("x")
        os.makedirs("__pycache__")
        os.rmdir("__pycache__")
    assert watch.seen == ()


def test_outside_it_nothing_is_seen(project: Path) -> None:
    watch = Watch(seen=("was seen before",))
    with watch:
        pass
    (project / "new.txt").write_text("x")
    assert watch.seen == ("was seen before",)


def test_a_folder_that_is_kept_is_kept_though_it_is_temporary(tmp_path: Path) -> None:
    kept, free = tmp_path / "package", tmp_path / "other"
    kept.mkdir()
    free.mkdir()
    watch = Watch([kept])
    with watch:
        (free / "a.txt").write_text("a")
        with pytest.raises(PermissionError, match="package/a.txt"):
            (kept / "a.txt").write_text("a")
    assert watch.seen == (f"writes {kept}/a.txt",)


def test_what_goes_past_the_hook_is_told_afterwards(project: Path, tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    (deep / "in").mkdir(parents=True)
    (deep / "in" / "old.bin").write_bytes(b"old")
    (deep / "in" / "same.bin").write_bytes(b"same")
    watch = Watch(compared=[deep])
    with watch:
        torch.save(torch.ones(1), "weights.pt")
        torch.save(torch.ones(1), deep / "in" / "old.bin")
        torch.save(torch.ones(1), tmp_path / "elsewhere.pt")
        sqlite3.connect(":memory:").close()
    assert watch.seen == (f"writes {deep}/in/old.bin", f"writes {project}/weights.pt")
