"""What no file of the checkout may hold: half-done work, and paths of somebody's machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import Finding, demand_none

UNFINISHED = re.compile(r"\b(TO^DO|FIX^ME|XX^X|HA^CK)\b".replace("^", ""))  # ^: this file is no finding
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/(work|farm|root|home|Users|mnt|scratch)/\w")
LEFT_BEHIND = {".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", "__pycache__", "build", "dist", "runs"}
BINARY = {".png", ".jpg", ".safetensors", ".gif", ".ico"}


def files_of(repository: Path) -> list[Path]:
    """Every text file that is committed or about to be; where git cannot say, every file that no tool left behind."""
    listed = _asked_of_git(repository) or [
        file for file in repository.rglob("*") if not any(part in LEFT_BEHIND for part in file.parts)
    ]
    return [file for file in listed if file.is_file() and file.suffix not in BINARY]


def _asked_of_git(repository: Path) -> list[Path]:
    if not shutil.which("git"):
        return []
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(asked, cwd=repository, capture_output=True, text=True, check=False)
    return [repository / name for name in done.stdout.split("\0") if name]


def stale(path: str, text: str) -> Iterator[Finding]:
    """Every line with half-done work or a machine's path."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := UNFINISHED.search(line):
            yield Finding(path, number, f"{found[0]}: finish it, or file an issue and say here what holds now")
        if found := MACHINE_PATH.search(line):
            yield Finding(
                path, number, f"{line[found.start() :][:40]!r}: a path of one machine; make it relative or an option"
            )


def test_the_checkout_is_clean(repository: Path) -> None:
    files = files_of(repository)
    assert repository / "pyproject.toml" in files
    named = ((file.relative_to(repository).as_posix(), file.read_text("utf-8", errors="replace")) for file in files)
    demand_none(str(finding) for path, text in named for finding in stale(path, text))


@pytest.mark.parametrize(
    "line",
    [
        "# TO^DO later",
        "x = 1  # FIX^ME",
        "raise ValueError('XX^X')",
        "path = '/ro^ot/data'",
        'cd "/wo^rk/main"',
        "read(/ho^me/me/x)",
    ],
)
def test_a_planted_line_is_found(line: str) -> None:
    text = "\n" + line.replace("^", "")
    assert [str(finding)[:13] for finding in stale("planted.py", text)] == ["planted.py:2:"]


@pytest.mark.parametrize(
    "line", ["todo = 1", "https://site.org/home/page", "$HOME/work/x", "../work/x", "docs/root/x", "XXXL"]
)
def test_harmless_lines_are_left_alone(line: str) -> None:
    assert list(stale("planted.py", line)) == []
