"""One's own photos from annotation to pictures, on real photos; the same in several processes; whole files alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.data import present, read_pose, write_pose
from pgsynth_core.data.stamp import stamp_of

from ..fixtures.fake_packages import FakePackages
from ..fixtures.finders import install_finders
from ..fixtures.people import shared, standing, write_photo
from .conftest import Made
from .test_annotate import network_words

__all__ = ["shared"]

Run = Callable[..., Any]
Shared = Callable[..., Path]
PHOTOS = (".jpg", ".jpeg", ".png", ".bmp")

pytestmark = pytest.mark.slow


def opened(path: str | Path) -> np.ndarray:
    """A picture as uint8 [H, W, 3], its file closed."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def real(shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Copies of the real photos in a folder of their own, beside which we are; and a pose, ``kick.json``."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    write_pose(Path("kick.json"), standing())
    found = sorted(path for path in shared("photos").rglob("*") if path.suffix in PHOTOS)
    return [Path(shutil.copy(path, Path("photos"))) for path in found]


# ------------------------------------------------------------------------------------------- from annotation on
def tiles_of(sheet: np.ndarray, count: int) -> list[list[np.ndarray]]:
    """The rows of a sheet of tiles of 24x32, each six times as large, in rows with captions."""
    width, height, gap, heading = 6 * 24, 6 * 32, 6, 24
    rows = (sheet.shape[0] - heading - gap) // (height + heading + gap)
    assert sheet.shape[:2] == (heading + gap + rows * (height + heading + gap), gap + count * (width + gap))
    places = [
        [(heading + gap + row * (height + heading + gap), gap + column * (width + gap)) for column in range(count)]
        for row in range(rows)
    ]
    return [[sheet[top : top + height : 6, left : left + width : 6] for top, left in row] for row in places]


def test_photos_are_annotated_and_then_sampled(run: Run, trained: Made, real: list[Path]) -> None:
    """By the true architectures, untrained: whoever they see, the window around that is what the method is shown."""
    said = run("annotate", "photos", "--device", "cpu", *network_words(Path("nets")), "--json")
    assert said.code == 0 and said.facts["annotated"] == len(real) == 8, said.err
    words = ("--source", "photos", "--pose", "kick.json", "--frame", "person", "--retarget", "auto")
    said = run("sample", *trained.run, *words, "--steps", "2", "-o", "out", "--json")
    assert said.code == 0, said.err
    facts = said.facts
    assert sorted(Path(path).name for path in facts["pictures"]) == sorted(f"{one.stem}-kick-seed0.png" for one in real)
    rows = tiles_of(opened(facts["sheet"]), 4)
    assert len(rows) == len(real)
    photos, told = {photo.name: photo for photo in real}, " ".join(facts["warnings"])
    for path, (source, _, pose, output) in zip(facts["pictures"], rows, strict=True):
        about = stamp_of(Path(path))
        assert about is not None
        assert about["retargeted"] or f"kick in {about['source']} is not retargeted: " in told
        photo, window = photos[about["source"]], about["window"]
        joints = read_pose(photo.with_name(f"{photo.stem}.pose.json"))
        x, y = joints[present(joints)][:, 0], joints[present(joints)][:, 1]
        assert window["left"] <= x.min() and x.max() <= window["left"] + window["width"]
        assert window["top"] <= y.min() and y.max() <= window["top"] + window["height"]
        assert abs(window["width"] / window["height"] - 24 / 32) < 0.02
        assert np.array_equal(output, opened(path)), "the sheet shows the picture"
        assert np.abs(source.astype(int) - shown(photo, window)).mean() < 12, f"{path}: the window of the photo"
        assert (np.ptp(pose, axis=2) > 80).any() and (pose.max(axis=2) == 0).mean() > 0.3, "limbs on black"


def shown(photo: Path, window: dict[str, int]) -> np.ndarray:
    """The window of a photo at the method's size, grey past the photo's edges; int [32, 24, 3]."""
    with Image.open(photo) as image:
        clear = image.convert("RGBA")  # one of them shows what is behind it, which is white
    pixels = np.asarray(Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"))
    top, left, height, width = (round(window[key]) for key in ("top", "left", "height", "width"))
    whole = np.full((height, width, 3), 128, np.uint8)
    rows, columns = (max(0, -top), max(0, -left)), (pixels.shape[0] - top, pixels.shape[1] - left)
    part = pixels[max(0, top) : top + height, max(0, left) : left + width]
    whole[rows[0] : rows[0] + part.shape[0], rows[1] : rows[1] + part.shape[1]] = part
    assert min(columns) > 0
    return np.asarray(Image.fromarray(whole).resize((24, 32), Image.Resampling.BOX)).astype(int)


def plant(photo: Path, people: Sequence[tuple[int, int]], to: str) -> Path:
    """The photo with a pixel of pure red, which the finder takes for a person, at each (row, column)."""
    pixels = opened(photo).copy()
    pixels[(pixels == (255, 0, 0)).all(axis=2)] = (254, 0, 0)
    for row, column in people:
        pixels[row, column] = 255, 0, 0
    Image.fromarray(pixels).save(to)
    return Path(to)


def test_nobody_and_several_people_in_real_photos_are_told(
    run: Run, trained: Made, real: list[Path], fake_packages: FakePackages
) -> None:
    install_finders(fake_packages)
    photos = {photo.name: photo for photo in real}
    couple = plant(photos["test_couple.jpg"], [(80, 60), (90, 400)], "couple.png")
    nobody = plant(photos["astronaut.jpg"], [], "nobody.png")
    finder = ("--annotator", "finder", "--annotator", "finder.least=254")
    drawn = ("--pose", "kick.json", "--frame", "person", "--steps", "2", "-o", "out", *finder, "--json")
    lefts = []
    for words in ((), ("--person", "2"), ("--person", "rightmost")):
        said = run("sample", *trained.run, "--source", str(couple), *words, *drawn)
        assert said.code == 0, said.err
        told = " ".join(said.facts["warnings"])
        assert bool(words) or "2 people are in it, and number 1 is taken. Another by --person" in told
        about = stamp_of(Path(said.facts["pictures"][0]))
        assert about is not None
        lefts.append(about["window"]["left"])
    assert lefts[0] < lefts[1] - 200 and lefts[1] == lefts[2]
    for source, words, expected in (
        (couple, ("--person", "3"), "2 people are seen in it, and no person 3"),
        (nobody, (), "nobody is seen"),
    ):
        said = run("sample", *trained.run, "--source", str(source), *words, *drawn[:-1])
        assert said.code == 2 and expected in said.err and "cure:" in said.err and "Traceback" not in said.err
    said = run("annotate", str(couple), str(nobody), "--pose", *finder)
    told = " ".join(said.err.split())
    assert said.code == 0 and "nobody is seen" in told and "nobody.png" in told and "couple.png (2)" in told


# ------------------------------------------------------------------------------------------- several processes
def test_pictures_are_the_same_in_however_many_processes(spawn: Run, trained: Made, tmp_path: Path) -> None:
    """Photos in two halves, and an edit's seeds: rounding alone, a value in a thousand by 1 of 255."""
    for number, name in enumerate("abcd"):
        write_photo(tmp_path / f"{name}.png", seed=number)
    write_pose(tmp_path / "kick.json", standing())
    mask = np.zeros((72, 48), np.uint8)
    mask[18:50, 10:38] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    own = ("--pose", "kick.json", "-n", "2")
    edit = ("--source", "a.png", "--reference", "b.png", "--mask", "mask.png", "--pose", "kick.json")
    commands = {
        "one": ("sample", "--source", "a.png", "b.png", "c.png", "d.png", *own),
        "first": ("sample", "--source", "a.png", "b.png", *own),
        "second": ("sample", "--source", "c.png", "d.png", *own),
        "edit-one": ("edit", *edit, "-n", "4"),
        "edit-first": ("edit", *edit, "-n", "2"),
        "edit-second": ("edit", *edit, "-n", "2", "--seed", "2"),
    }

    def pictures(folder: str) -> dict[str, np.ndarray]:
        verb, *words = commands[folder]
        said = spawn(verb, *trained.run, *words, "--steps", "2", "-o", folder, "--json")
        assert said.code == 0, said.err
        return {Path(path).name: opened(tmp_path / path).astype(int) for path in said.facts["pictures"]}

    for kind, count in (("", 8), ("edit-", 4)):
        alone = pictures(f"{kind}one")
        with ThreadPoolExecutor(2) as at_once:
            first, second = at_once.map(pictures, (f"{kind}first", f"{kind}second"))
        assert alone.keys() == first.keys() | second.keys() and len(alone) == count == len(first) + len(second)
        for name, other in {**first, **second}.items():
            apart = np.abs(alone[name] - other)
            assert apart.max() <= 1 and (apart > 0).mean() < 1e-3, name
        stacked = np.stack([*alone.values()])
        assert all((stacked[0] != one).mean() > 0.05 for one in stacked[1:]), "canary: they differ"


FLOATS = """\
import sys
import numpy as np
from pgsynth_core import load
from pgsynth_core.api import pictures
decoded, plain = [], pictures.to_pictures

def keep(images):
    decoded.append(images.detach().numpy())
    return plain(images)

pictures.to_pictures = keep
run, out, *photos = sys.argv[1:]
names = [one.placed.photo.name for one in load(run, device="cpu").draw(photos, ["kick.json"], steps=3)]
np.savez(out, **dict(zip(names, np.concatenate(decoded), strict=True)))
"""


def test_before_they_are_rounded_pictures_differ_by_a_hundred_thousandth(
    roots: str, lively_trained: Made, tmp_path: Path
) -> None:
    """In another order, in batches of other numbers, and in processes of their own."""
    for number, name in enumerate("abcde"):
        write_photo(tmp_path / f"{name}.png", seed=number)
    write_pose(tmp_path / "kick.json", standing())

    def floats(*names: str) -> dict[str, np.ndarray]:
        out, photos = f"{''.join(names)}.npz", [f"{name}.png" for name in names]
        words = [sys.executable, "-c", FLOATS, str(lively_trained.runs / lively_trained.id), out, *photos]
        subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": roots}, check=True)
        with np.load(tmp_path / out) as found:
            return dict(found)

    whole = floats(*"abcde")
    parts = floats(*"ec") | floats(*"dba")
    assert whole.keys() == parts.keys() and np.abs(whole["a"] - whole["b"]).max() > 0.1
    assert max(np.abs(whole[name] - parts[name]).max() for name in whole) <= 1e-5


# ------------------------------------------------------------------------------------------- nothing half-written
LOADED = """\
import os, random, resource, signal, sys, time
from pathlib import Path
from pgsynth_core.cli import main
import pgsynth_core.api.drawing, pgsynth_core.api.own_reading, pgsynth_core.api.model
words = sys.argv[1:]
"""
FULL = """\
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for most in map(int, os.environ["SIZES"].split()):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    print("CODE", most, main([*words, "-o", f"full-{most}"]), flush=True)
"""
KILLED = """\
chance = random.Random(0)
for number in range(int(os.environ["KILLS"])):
    folder = Path(f"killed-{number}")
    child = os.fork()
    if not child:
        os._exit(main([*words, "-o", str(folder)]))
    while not any(folder.rglob("*.png")):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "it ended by itself"
        time.sleep(0.001)
    time.sleep(chance.random() * float(os.environ["WITHIN"]))
    os.kill(child, signal.SIGKILL)
    print("ENDED", os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture
def moving(trained: Made, tmp_path: Path) -> list[str]:
    """Words that draw somebody who moves: pictures, the same in the photo, a sheet, an animation."""
    write_photo(tmp_path / "me.png")
    np.save(tmp_path / "dance.npy", np.stack([standing() + np.float32([step, 0, 0]) for step in range(6)]))
    return ["sample", *trained.run, "--source", "me.png", "--pose", "dance.npy", "--back", "--steps", "1"]


def whole_files(folder: Path) -> int:
    """Every file under a final name can be read to its end; how many there are."""
    files = [path for path in folder.rglob("*") if path.suffix in (".png", ".webp")]
    for path in files:
        with Image.open(path) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
    return len(files)


def started(roots: str, folder: Path, code: str, words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    environ = {"PYTHONPATH": roots, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder), **env}
    command = [sys.executable, "-P", "-c", LOADED + code, *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def test_a_full_disk_leaves_whole_files_alone(roots: str, tmp_path: Path, moving: list[str]) -> None:
    """For real: no file may grow past a size; first not the smallest, then not the largest, then all may."""
    assert started(roots, tmp_path, FULL, moving, SIZES="10000000").returncode == 0
    sizes = sorted(path.stat().st_size for path in (tmp_path / "full-10000000").rglob("*.*"))
    limits = [100, *(size - 1 for size in {*sizes} if size > 100)]
    said = started(roots, tmp_path, FULL, moving, SIZES=" ".join(map(str, limits)))
    codes = [line.split()[1:] for line in said.stdout.splitlines() if line.startswith("CODE")]
    assert codes == [[str(most), "2"] for most in limits], said.stderr
    assert "Traceback" not in said.stderr and said.stderr.count("File too large") == len(limits)
    counts = [whole_files(tmp_path / f"full-{most}") for most in limits]
    assert counts[0] == 0 and max(counts) >= 12 and whole_files(tmp_path / "full-10000000") == 15
    left = [path for path in tmp_path.glob("full-*/**/*") if path.is_file() and path.suffix not in (".png", ".webp")]
    assert not left, "nothing is left behind"


def test_a_kill_leaves_whole_files_alone(roots: str, tmp_path: Path, moving: list[str]) -> None:
    said = started(roots, tmp_path, KILLED, moving, KILLS="12", WITHIN="0.3")
    assert said.returncode == 0, said.stderr
    ended = [line.split()[1] for line in said.stdout.splitlines() if line.startswith("ENDED")]
    assert len(ended) == 12 and ended.count("9") >= 2, "canary: some were killed at work"
    counts = [whole_files(tmp_path / f"killed-{number}") for number in range(12)]
    assert min(counts) >= 1 and len({*counts}) > 1, json.dumps(counts)
