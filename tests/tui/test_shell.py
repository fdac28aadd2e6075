"""Commands that the terminal UI runs: as a user would, and no longer waited for than anybody wants."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pgsynth_tui import shell

from .conftest import make_run


def test_a_command_is_run_as_the_user_would(root: Path, roots: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", roots)
    make_run(root, "b", 2, state="finished")
    answer = shell.run("runs", "list", "--runs", str(root))
    assert answer.ok and len(answer.facts["runs"]) == 1 and answer.problems == ()
    refused = shell.run("runs", "stop", "nobody", "--runs", str(root))
    assert refused.code == 2 and "nobody" in str(refused.problems[0])
    late = shell.run("runs", "list", seconds=0.001)
    assert not late.ok and "given up" in str(late.problems[0])
    left = shell.run("runs", "list", wanted=lambda: False)
    assert not left.ok and "goes on by itself" in str(left.problems[0])
    assert shell.command_line(["runs", "show", "a b"]) == "pgsynth runs show 'a b'"


def test_a_command_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = shell.Answer(("x",), 139, {}, "")
    assert "code 139" in str(answer.problems[0])
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "cannot be started" in str(shell.run("runs").problems[0])
