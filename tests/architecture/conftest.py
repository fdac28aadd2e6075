"""The trees that the guards read: the real one, and planted ones to see a guard bite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from .tree import Source, read_tree

PACKAGES = ("pgsynth_core", "plugins", "tui")


@pytest.fixture(scope="session")
def sources(repository: Path) -> list[Source]:
    """Every Python file that is shipped."""
    return read_tree(repository, PACKAGES)


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[str], list[Source]]:
    """A tree of one planted file."""

    def planted(text: str) -> list[Source]:
        (tmp_path / "planted.py").write_text(dedent(text), encoding="utf-8")
        return read_tree(tmp_path)

    return planted
