"""Animations: every frame stands in them, and however many there are, few are held and no file stays open."""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import animation
from pgsynth_core.data.animation import ANIMATED, write_animation
from pgsynth_core.errors import UserError

from ...fixtures.animations import animated
from ...fixtures.people import noise


@pytest.mark.parametrize("suffix", ANIMATED)
def test_every_frame_stands_in_it_in_order(suffix: str) -> None:
    pictures = [noise((24, 17), seed) for seed in (0, 1, 1, 2)]
    content = animated(map(Image.fromarray, pictures), suffix, fps=12.5)
    with Image.open(io.BytesIO(content)) as opened:
        assert (getattr(opened, "n_frames", 1), opened.size, opened.info["loop"]) == (4, (17, 24), 0)
        for number, picture in enumerate(pictures):
            opened.seek(number)
            off = np.abs(np.asarray(opened.convert("RGB")).astype(int) - picture).mean()
            assert opened.info["duration"] == 80
            assert off == 0 if suffix == ".webp" else off < 30


@pytest.mark.parametrize("suffix", ANIMATED)
def test_of_many_frames_few_are_held(suffix: str) -> None:
    held: weakref.WeakValueDictionary[int, Image.Image] = weakref.WeakValueDictionary()
    most = 0

    def frames() -> Iterator[Image.Image]:
        nonlocal most
        for number in range(200):
            frame = Image.new("RGB", (8, 8), (number, 0, 0))
            held[number] = frame
            most = max(most, len(held))
            yield frame

    animated(frames(), suffix, fps=8.0)
    assert most <= 4


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux tells which files are open")
def test_of_many_files_one_is_open(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(noise((8, 8), number)).save(tmp_path / f"{number}.png")
    counts = []

    def paths() -> Iterator[Path]:
        for number in range(30):
            counts.append(len(os.listdir("/proc/self/fd")))
            yield tmp_path / f"{number % 3}.png"

    content = animated(paths(), fps=8.0)
    assert len(set(counts)) == 1
    with Image.open(io.BytesIO(content)) as opened:
        opened.seek(29)
        assert (np.asarray(opened.convert("RGB")) == noise((8, 8), 2)).all()


def test_it_may_stand_behind_something_else() -> None:
    file = io.BytesIO()
    file.write(b"before")
    write_animation(file, [Image.fromarray(noise((8, 8)))] * 2, fps=8.0)
    assert file.getvalue()[6:] == animated([Image.fromarray(noise((8, 8)))] * 2, fps=8.0) and file.read() == b""


def test_a_frame_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    Image.fromarray(noise((8, 8))).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    for name, why in (("1.png", "cannot be read"), ("2.png", "No such file")):
        with pytest.raises(UserError, match=why) as refused:
            animated([tmp_path / "0.png", tmp_path / name], fps=8.0)
        assert refused.value.problems[0].where == str(tmp_path / name)


def test_what_no_animation_can_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="one frame at least"):
        animated([], fps=8.0)
    with pytest.raises(ValueError, match="one size"):
        animated([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 9))], ".gif", fps=8.0)
    monkeypatch.setattr(animation, "_LARGEST", 1000)
    with pytest.raises(UserError, match="4 GiB"):
        animated((Image.fromarray(noise((8, 8), seed)) for seed in range(9)), fps=8.0)
