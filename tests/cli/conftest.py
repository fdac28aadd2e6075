"""The command line as a user meets it: in this process where that is enough, else in one of its own."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.cli import main
from pgsynth_core.data import write_pose

from ..fixtures.answers import Answer
from ..fixtures.fake_packages import fake_packages
from ..fixtures.lively import lively
from ..fixtures.people import standing, write_pairs, write_photo

__all__ = ["Answer", "fake_packages"]


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: ``run("plugins", "list")``."""

    def run(*words: str) -> Answer:
        code = main(list(words))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def roots(repository: Path) -> str:
    """PYTHONPATH for a process that runs this checkout."""
    return os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))


@pytest.fixture
def spawn(roots: str, tmp_path: Path) -> Run:
    """Run a command in a process of its own, in an empty folder; `site` is put before everything else on its path."""

    def spawn(*words: str, site: Path | None = None, env: Mapping[str, str] | None = None, **more: Any) -> Answer:
        path = roots if site is None else os.pathsep.join([str(site), roots])
        done = subprocess.run(
            [sys.executable, "-m", "pgsynth_core", *words],
            env={**os.environ, "PYTHONPATH": path, **(env or {})},
            cwd=more.pop("cwd", tmp_path),
            capture_output=True,
            encoding="utf-8",
            check=False,
            **more,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return spawn


@pytest.fixture
def seen(roots: str) -> Callable[..., str]:
    """What somebody at a terminal of 60 columns sees of a command, stdout and stderr together."""

    def seen(*words: str, code: str = "", **env: str) -> str:
        master, slave = pty.openpty()
        settings = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
        process = subprocess.Popen(
            [sys.executable, *(["-c", code] if code else ["-m", "pgsynth_core", *words])],
            env={**settings, "PYTHONPATH": roots, "TERM": "xterm-256color", "COLUMNS": "60", **env},
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        chunks = []
        while chunk := _read(master):
            chunks.append(chunk)
        os.close(master)
        process.wait(60)
        return b"".join(chunks).decode().replace("\r\n", "\n")

    return seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is gone
        return b""


# ------------------------------------------------------------------------------------------- a run
SMALL = (
    "tiny",
    "data=folder",
    "encoder.qfft.depth=1",
    "encoder.qfft.local_queries=4",
    "train.batch_size=2",
    "train.warmup_steps=0",
    "train.workers=0",
    "train.checkpoint_every=0",
    "train.sample_every=0",
    "sample.steps=2",
)
"""Words of the smallest method there is; a test gives the folder of photos besides."""


@dataclass(frozen=True)
class Made:
    """A run that the command line made.

    Attributes:
        said: What it said.
        runs: Where it lies.
        data: The word that names its photos.
    """

    said: Answer
    runs: Path
    data: str

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.said.facts["run"])

    @property
    def run(self) -> list[str]:
        """The words that name it."""
        return [self.id, "--runs", str(self.runs)]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three steps on three pairs of photos of noise, made once for all tests."""
    photos, runs = tmp_path_factory.mktemp("photos"), tmp_path_factory.mktemp("runs")
    for number, name in enumerate("abc"):
        write_photo(photos / f"{name}.png", seed=number)
        write_pose(photos / f"{name}.pose.json", standing())
    write_pairs(photos / "pairs.csv", [("a.png", "b.png"), ("b.png", "c.png"), ("c.png", "a.png")], "source,target")
    data = f"data.folder.root={photos}"
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["train", *SMALL, data, "train.steps=3", "--runs", str(runs), "--json", "--no-proof"])
    return Made(Answer(code, out.getvalue(), err.getvalue()), runs, data)


@pytest.fixture(scope="session")
def lively_trained(trained: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The same run with pictures that follow photo and pose, see `fixtures.lively`."""
    runs = tmp_path_factory.mktemp("lively")
    lively(trained.runs / trained.id, runs / trained.id)
    return replace(trained, runs=runs)
