"""The photos that paths mean: each once, and two of one name know of each other, however large the folder is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pgsynth_core.api import photo_files as module
from pgsynth_core.api.photo_files import photo_files
from pgsynth_core.data.stamp import stamped


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(*paths: Path) -> list[tuple[str, str]]:
    return [(file.path.name, file.twin) for file in photo_files(paths)]


def test_photos_of_one_name_are_told_wherever_they_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SORTED", 2)
    put(tmp_path, "a.png", "b.png", "c.png", "d.png", "a.webp", "a.jpg", "inner/a.png", "b.parsing.png")
    twins = dict(found(tmp_path))
    assert twins == {"a.jpg": "", "a.png": "", "a.webp": "a.jpg", "b.png": "", "c.png": "", "d.png": ""}
    assert sorted(found(tmp_path)).count(("a.png", "a.jpg")) == 1, "that of the inner folder has none"
    named = [tmp_path / name for name in ("a.png", "a.webp", "b.png")]
    assert found(*named) == [("a.png", ""), ("a.webp", "a.png"), ("b.png", "")]


def test_what_is_named_twice_comes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "photos/a.png", "photos/in/b.png", "photos/.own/c.png", "d.png")
    words = ["photos", "photos/in", "./photos/a.png", "d.png", "./d.png", str(tmp_path / "d.png")]
    assert found(*map(Path, words)) == [("a.png", ""), ("b.png", ""), ("d.png", "")]
    assert found(Path("photos/a.png"), Path("photos")) == [("a.png", ""), ("b.png", "")]
    assert found(Path("photos/.own"), Path("photos"), Path("photos/.own/c.png")) == [
        ("c.png", ""),
        ("a.png", ""),
        ("b.png", ""),
    ]


def test_sheets_are_no_photos(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "bedsheet.png")
    (tmp_path / "sheet.2.png").write_bytes(stamped(Image.new("RGB", (4, 4)), {"made_with": "sheet"}))
    assert found(tmp_path) == [("a.png", ""), ("bedsheet.png", "")]
    assert found(tmp_path / "sheet.2.png") == [("sheet.2.png", "")], "who names it means it"
