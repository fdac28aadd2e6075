"""Cures that name what is near."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.errors import not_there


def test_the_nearest_name_beside_a_path_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos/my face.jpg").touch()
    assert not_there("photo") == "Did you mean photos?"
    assert not_there("photos/my_face.jpg") == "Did you mean 'photos/my face.jpg'?"
    assert not_there("photos/my_face.jpg", wanted=Path.is_dir) == "Give the path of one that is there."
    Path("photos/me.png").touch()
    assert not_there("photos/nothing.png") == "Give the path of one that is there."
    assert not_there("photos/quite another") == "Give the path of one that is there."
    assert not_there("pictures/a.jpg") == "There is no folder 'pictures' either."
    assert not_there("x" * 300) == "Give the path of one that is there."
