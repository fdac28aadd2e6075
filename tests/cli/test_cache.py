"""``pgsynth cache``: what is kept, where, and removing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.data.cache import place_of

from .conftest import Run

KEY = "ab" * 16


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one latent of three bytes."""
    root = tmp_path / "cache"
    monkeypatch.setenv("PGSYNTH_CACHE", str(root))
    file = place_of(root, "latents", KEY)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"abc")
    return root


def test_it_says_what_is_kept_and_where(run: Run, root: Path) -> None:
    said = run("cache", "show", "--json")
    assert said.code == 0 and said.facts["root"] == str(root) and said.facts["ok"]
    assert said.facts["kinds"] == [{"kind": "latents", "entries": 1, "bytes": 3}]
    assert "latents" in run("cache", "show").out


def test_it_removes_nothing_unless_it_is_told_to(run: Run, root: Path) -> None:
    said = run("cache", "clear")
    assert said.code == 2 and "pgsynth cache clear --yes" in said.err and place_of(root, "latents", KEY).exists()
    assert run("cache", "clear", "--yes", "--json").facts["kinds"] == [{"kind": "latents", "entries": 1, "bytes": 3}]
    assert not root.exists()
    assert run("cache", "clear").code == 0 and str(root) in run("cache", "show").out
