"""Commands that the terminal UI runs: as a user would, and no longer waited for than anybody wants."""

from __future__ import annotations

import math
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


def test_what_it_writes_is_told_as_it_comes_and_it_is_ended_as_by_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    fake = tmp_path / "python"
    fake.write_text(
        f"""#!{sys.executable}
import os, sys, time
print("every " + os.environ["PGSYNTH_PROGRESS_SECONDS"], file=sys.stderr, flush=True)
try:
    for done in range(10**4):
        print("x" * 5000 + f"\\ndrawing {{done}}/9", file=sys.stderr, flush=True)
        time.sleep(0.01)
except KeyboardInterrupt:
    print('{{"problems": [{{"message": "interrupted."}}]}}')
    sys.exit(130)
""",
        encoding="utf-8",
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    answer = shell.run("x", seconds=60.0, told=told.append, ended=lambda: len(told) > 3)
    assert answer.code == 130 and str(answer.problems[0]) == "interrupted."
    assert told[-1].startswith("drawing ") and len(set(told)) == len(told)
    lines = answer.err.splitlines()
    assert lines[0] == "every 1"
    counted = [line for line in lines if line.startswith("drawing")]
    assert counted == [f"drawing {done}/9" for done in range(len(counted))], "reading moves nothing that is written"


def test_what_does_not_end_when_it_is_told_to_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\ntrap '' INT\necho deaf >&2\nwhile :; do sleep 0.05; done\n", encoding="utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.setattr(shell, "_GRACE", 0.2)
    told: list[str] = []
    answer = shell.run("x", seconds=math.inf, told=told.append, ended=lambda: told == ["deaf"])
    assert answer.code == 130 and str(answer.problems[0]) == "pgsynth x: interrupted."


def test_a_command_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = shell.Answer(("x",), 139, {}, "")
    assert "code 139" in str(answer.problems[0])
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "cannot be started" in str(shell.run("runs").problems[0])
