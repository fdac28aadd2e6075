"""Bad input, end to end: every problem at once, each with place and cure, exit 2, no traceback without --debug."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

CASES = [
    pytest.param(["encoder=qftf"], ["argument 1: encoder=qftf", "'qftf'", "Did you mean 'qfft'?"], id="unknown part"),
    pytest.param(
        ["attn=pma", "attn.pma.maks=eq9"], ["argument 2: attn.pma.maks=eq9", "'mask'"], id="misspelled option"
    ),
    pytest.param(["encoder=qfft", "encoder.qfft.depth=deep"], ["argument 2", "whole number"], id="wrong type"),
    pytest.param(["encoder=qfft", "encoder.qfft.depth=0"], ["argument 2", "1"], id="out of range"),
    pytest.param(["train.steps=-3", "encoder=qfft"], ["argument 1: train.steps=-3", "1"], id="setting out of range"),
    pytest.param(
        ["encoder=qfft", "encoder.qfft.queries=local", "attn=pma"],
        ["global", "attn.pma.mask=eq9"],
        id="impossible pair",
    ),
    pytest.param(["attn=pma", "encoder=none"], ["needs `tokens`", "qfft"], id="nobody gives it"),
    pytest.param(["no-such-preset"], ["no-such-preset", "Presets: "], id="unknown preset"),
    pytest.param(["missing.yaml"], ["missing.yaml", "no such file"], id="missing file"),
]

FILES = [
    pytest.param("encoder:\n\tqfft: {}\n", [":2", "tab", "spaces"], id="tabs"),
    pytest.param("encoder: qfft\nattn: pma\nencoder: qfft\n", [":3", "'encoder'", "twice"], id="duplicate key"),
    pytest.param("extends: ./method.yaml\n", ["method.yaml", "extends"], id="extends itself"),
    pytest.param("encodr: qfft\n", [":1", "'encoder'"], id="misspelled key"),
    pytest.param("encoder: {qfft: {depth: many}}\n", [":1", "whole number"], id="wrong type"),
    pytest.param("size: 512\nencoder: qfft\n", [":1", "HEIGHTxWIDTH"], id="size"),
    pytest.param("", ["method.yaml", "empty"], id="empty"),
    pytest.param("encoder: !!python/object/apply:os.system [echo]\n", [":1", "tag"], id="a tag that would run code"),
]


def refused(said: Any, expected: list[str]) -> None:
    assert said.code == 2, said
    assert said.out == ""
    assert "Traceback" not in said.err and "cure: " in said.err
    for words in expected:
        assert words in said.err, said.err


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_bad_words_are_refused(run: Run, words: list[str], expected: list[str]) -> None:
    refused(run("compose", *words), expected)


@pytest.mark.parametrize(("text", "expected"), FILES)
def test_bad_files_are_refused(run: Run, tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "method.yaml").write_text(text, encoding="utf-8")
    refused(run("compose", str(tmp_path / "method.yaml")), expected)


def test_a_circle_of_files_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("extends: ./two.yaml\n", encoding="utf-8")
    (tmp_path / "two.yaml").write_text("encoder: qfft\nextends: ./one.yaml\n", encoding="utf-8")
    refused(run("compose", str(tmp_path / "one.yaml")), ["two.yaml:2", "one.yaml"])


def test_every_problem_is_told_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "method.yaml").write_text(
        "encodr: qfft\nattn:\n  pma: {maks: eq9, mask: 7}\ntrain: {stepps: 3}\nsize: big\n", encoding="utf-8"
    )
    said = run("compose", str(tmp_path / "method.yaml"), "train.seed=x")
    refused(said, ["error: 6 problems", "yaml:1", "yaml:3", "yaml:4", "yaml:5", "argument 1: train.seed=x"])
    assert [line[:2] for line in said.err.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4.", "5.", "6."]


def test_with_json_the_problems_are_data(run: Run) -> None:
    said = run("compose", "encoder=qftf", "train.steps=x", "--json")
    assert said.code == 2
    assert said.facts["ok"] is False and said.facts["broken"] == []
    assert [problem["where"] for problem in said.facts["problems"]] == [
        "argument 1: encoder=qftf",
        "argument 2: train.steps=x",
    ]
    assert all(set(problem) == {"where", "message", "cure"} for problem in said.facts["problems"])
    assert all(problem["message"] and problem["cure"] for problem in said.facts["problems"])


def test_a_long_path_is_never_broken(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    path = tmp_path / ("folder with spaces " * 5) / "method.yaml"
    assert str(path) in run("compose", str(path)).err


def test_control_characters_do_not_reach_the_terminal(run: Run) -> None:
    said = run("compose", "encoder=\033[2Jx", "\033]0;title\007=1")
    assert said.code == 2 and "\033" not in said.err and "\007" not in said.err


def test_with_debug_there_is_a_traceback(run: Run) -> None:
    said = run("compose", "encoder=qftf", "--debug")
    assert said.code == 2 and "Traceback" in said.err and "Did you mean 'qfft'?" in said.err


@pytest.mark.parametrize(
    "word", ["a" * 5000, "./" + "a" * 5000 + "=1", "", "=", "=1", "\udcff=\udcff", "[" * 3000 + "=1", "..", "é"]
)
@pytest.mark.parametrize("words", [["compose", "--no-proof"], [], ["plugins", "show"], ["plugins", "sync", "--check"]])
def test_any_word_at_all_is_refused_in_words(run: Run, words: list[str], word: str) -> None:
    said = run(*words, word)
    assert said.code == 2 and "error: " in said.err and "Traceback" not in said.err


def test_in_a_process_of_its_own(spawn: Run) -> None:
    refused(spawn("compose", "encoder=qftf", "attn=pma"), ["Did you mean 'qfft'?"])
