"""Sizes, annotations, docstrings and errors with text, over everything that is shipped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .style_guards import STYLE_GUARDS, short_files
from .tree import Guard, Source, demand_none, findings, read_tree

Plant = Callable[[str], list[Source]]


@pytest.mark.parametrize("guard", STYLE_GUARDS, ids=lambda guard: guard.__name__)
def test_shipped_code_keeps(guard: Guard, sources: list[Source]) -> None:
    assert sources, "no source was found: is the checkout complete?"
    demand_none(findings(guard, sources))


def test_test_files_are_short(repository: Path) -> None:
    demand_none(findings(short_files, read_tree(repository, ["tests"])))


CLEAN = '''
"""A module with a reason to exist."""

from __future__ import annotations

from typing import overload


class Part:
    """What it is for."""

    def act(self, one: int, two: int, three: int, four: int, five: int, *, six: int = 0) -> int:
        """What it does and gives."""
        try:
            return one
        except ValueError as error:
            raise RuntimeError(f"one is {one}, which is not allowed; give two") from error
        except KeyError:
            raise

    @overload
    def other(self) -> int: ...

    @staticmethod
    def still(one: int) -> None:
        """What it does and gives."""

    def _hidden(self, *rest: int, **more: int) -> None:
        pass


def again(error: Exception) -> None:
    """What it does and gives."""
    if not error:
        raise KeyboardInterrupt
    raise error
'''


def test_guards_leave_clean_code_alone(plant: Plant) -> None:
    assert [findings(guard, plant(CLEAN)) for guard in STYLE_GUARDS] == [[] for _ in STYLE_GUARDS]


LONG_FILE = "\n" * 601
LONG_FUNCTION = "def f():\n" + "    pass\n" * 80


@pytest.mark.parametrize(
    ("name", "text", "line", "words"),
    [
        ("short_files", LONG_FILE, 601, "601 lines"),
        ("short_functions", LONG_FUNCTION, 1, "f: 81 lines"),
        ("few_positional", "def f(a, b, c, d, e, g): ...", 1, "6 positional"),
        ("few_positional", "class A:\n    def f(self, a, b, c, d, e, g): ...", 2, "6 positional"),
        ("few_positional", "class A:\n    @staticmethod\n    def f(a, b, c, d, e, g): ...", 3, "6 positional"),
        ("annotated", "def f(a) -> None: ...", 1, "parameter a"),
        ("annotated", "class A:\n    def f(self, a) -> None: ...", 2, "parameter a"),
        ("annotated", "def f(*, a) -> None: ...", 1, "parameter a"),
        ("annotated", "def f(*rest) -> None: ...", 1, "parameter rest"),
        ("annotated", "def f(**more) -> None: ...", 1, "parameter more"),
        ("annotated", "class A:\n    def __init__(self): ...", 2, "return value"),
        ("annotated", "def f() -> None:\n    def g(): ...", 2, "return value"),
        ("postponed_annotations", '"""A module."""\nx: int = 1', 1, "from __future__"),
        ("documented", "x = 1", 1, "the module has no docstring"),
        ("documented", '"""."""', 1, "the module has no docstring"),
        ("documented", '"""A good reason."""\ndef f(): ...', 2, "f is public"),
        ("documented", '"""A good reason."""\nclass A: ...', 2, "A is public"),
        ("documented", '"""A good reason."""\nif 1:\n    def f(): ...', 3, "f is public"),
        (
            "documented",
            '"""A good reason."""\nclass A:\n    """It is good."""\n    def f(self): ...',
            4,
            "A.f is public",
        ),
        ("raises_with_text", "raise ValueError", 1, "raise ValueError carries no text"),
        ("raises_with_text", "raise ValueError()", 1, "raise ValueError carries no text"),
        ("raises_with_text", "raise errors.SpecError('')", 1, "raise errors.SpecError carries no text"),
    ],
)
def test_guards_bite(plant: Plant, name: str, text: str, line: int, words: str) -> None:
    guard = next(guard for guard in STYLE_GUARDS if guard.__name__ == name)
    found = findings(guard, plant(text))
    assert any(item.startswith(f"planted.py:{line}: ") and words in item for item in found), found
