"""On a terminal: colours, a spinner, tables that fit; elsewhere none of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pgsynth_core.cli.console import Table, one_line, visible

Run = Callable[..., Any]

ESCAPE = "\033["


def plain(text: str) -> str:
    return re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", text)


def test_errors_are_coloured_and_never_broken(seen: Callable[..., str]) -> None:
    said = seen("compose", "no/such/folder/with/a/long/name/that/does/not/fit/a/line/of/sixty/method.yaml")
    assert f"{ESCAPE}1;31merror" in said
    assert "no/such/folder/with/a/long/name/that/does/not/fit/a/line/of/sixty/method.yaml" in said


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_no_colours_where_they_are_not_wanted(seen: Callable[..., str], env: dict[str, str]) -> None:
    assert ESCAPE not in seen("compose", "encoder=qftf", **env)
    assert not re.search(r"\033\[[0-9;]*3[0-9]m", seen("compose", "tiny", "--no-proof", **env))


def test_the_tree_and_the_tables_fit_the_terminal(seen: Callable[..., str]) -> None:
    for words in (
        ["compose", "qen", "--no-proof"],
        ["compose", "qen", "--explain"],
        ["plugins", "list"],
        ["compose", "encoder.qfft=?"],
    ):
        lines = [line for line in plain(seen(*words)).splitlines() if not line.startswith("note: ")]
        assert max(map(len, lines)) <= 60, words
    squeezed = re.sub(r"\s", "", plain(seen("compose", "encoder.qfft=?")))
    for word in ("global_queries", "train_backbone", "timm", "bool", "true"):
        assert word in squeezed, f"{word} was cut off"


WORK = "from pgsynth_core.cli.console import progress\nimport time\nwith progress('Proving it'): time.sleep(0.3)"


def test_a_spinner_shows_while_something_takes_long(seen: Callable[..., str], roots: str) -> None:
    assert "Proving it" in seen(code=WORK)
    elsewhere = subprocess.run(
        [sys.executable, "-c", WORK], env={**os.environ, "PYTHONPATH": roots}, capture_output=True, check=True
    )
    assert elsewhere.stdout == elsewhere.stderr == b""


def test_elsewhere_there_is_no_colour(spawn: Run) -> None:
    said = spawn("compose", "qen", "--no-proof", env={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert said.code == 0 and ESCAPE not in said.out + said.err


def test_foreign_text_is_made_harmless() -> None:
    assert visible("a\033[2Jb\tc\n\u202ed") == "a\\x1b[2Jb\tc\n\\u202ed"
    assert one_line(" a \n\n b ") == "a b"


def test_a_table_elsewhere_is_one_line_a_row() -> None:
    rows = [("x" * 300, "two\nlines"), ("y", "")]
    lines = list(Table("title", ("first", "second"), rows).lines())
    assert len(lines) == 4 and lines[2].endswith("two lines") and lines[3] == "  y"
