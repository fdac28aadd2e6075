"""The command line as a user meets it: in this process where that is enough, else in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pgsynth_core.cli import main

from ..fixtures.fake_packages import fake_packages

__all__ = ["Said", "fake_packages"]


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, Any]:
        """stdout read as JSON."""
        facts: dict[str, Any] = json.loads(self.out)
        return facts


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process: ``run("plugins", "list")``."""

    def run(*words: str) -> Said:
        code = main(list(words))
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def roots(repository: Path) -> str:
    """PYTHONPATH for a process that runs this checkout."""
    return os.pathsep.join(map(str, (repository, repository / "plugins", repository / "tui")))


@pytest.fixture
def spawn(roots: str, tmp_path: Path) -> Run:
    """Run a command in a process of its own, in an empty folder; `site` is put before everything else on its path."""

    def spawn(*words: str, site: Path | None = None, env: Mapping[str, str] | None = None, **more: Any) -> Said:
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
        return Said(done.returncode, done.stdout, done.stderr)

    return spawn
