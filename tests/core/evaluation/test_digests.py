"""Hashes of many files: read once, known again, and read anew when one of them is another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pgsynth_core.evaluation.digests import file_digests


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three files that were written long ago."""
    monkeypatch.setenv("PGSYNTH_CACHE", str(tmp_path / "cache"))
    made = [tmp_path / name for name in "abc"]
    for file in made:
        written(file, file.name, 1_000_000)
    return made


def written(file: Path, text: str, seconds: float) -> None:
    file.write_text(text, encoding="utf-8")
    os.utime(file, (seconds, seconds))


def asked(files: list[Path]) -> tuple[list[str], list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    return file_digests(files, lambda done, of: told.append((done, of))), told


def test_they_are_read_once_and_told(files: list[Path]) -> None:
    wanted = [hashlib.sha256(name.encode()).hexdigest() for name in "abc"]
    assert asked(files) == (wanted, [(1, 3), (2, 3), (3, 3)])
    assert asked(files) == (wanted, [])
    written(files[1], "x", 1_000_001)
    assert asked(files)[0] == [wanted[0], hashlib.sha256(b"x").hexdigest(), wanted[2]]


def test_what_changed_just_now_is_not_known_by_its_time(files: list[Path]) -> None:
    files[0].write_text("new", encoding="utf-8")
    assert len(asked(files)[1]) == len(asked(files)[1]) == 3


def test_a_file_that_is_gone_has_none_and_a_damaged_cache_is_nothing(files: list[Path], tmp_path: Path) -> None:
    whole = asked(files)[0]
    for entry in (tmp_path / "cache").rglob("*.safetensors"):
        entry.write_bytes(b"damaged")
    assert asked(files) == (whole, [(1, 3), (2, 3), (3, 3)])
    files[2].unlink()
    assert asked(files)[0] == [*whole[:2], ""] and file_digests([]) == []
