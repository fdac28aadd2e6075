"""`pgsynth evaluate --also pose_error`, by an annotator of an installed package, and without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ..fixtures.fake_packages import FakePackages

Run = Callable[..., Any]

DOTS = '''\
import numpy as np

from pgsynth_core.annotators import PoseAnnotator
from pgsynth_core.options import PartConfig


class Config(PartConfig):
    pass


class Dots(PoseAnnotator):
    """Joint n is where red is 200 + n; blue is a second person, who does not count."""

    def __init__(self, config, context):
        super().__init__(config, context)
        assert context.label and context.device

    @property
    def id(self):
        return "dots/1"

    def poses(self, photos):
        return [[self._one(photo[..., channel]) for channel in (0, 2)] for photo in photos]

    def _one(self, channel):
        joints = np.zeros((18, 3), np.float32)
        for number in range(18):
            if len(places := np.argwhere(channel == 200 + number)):
                row, column = places.mean(axis=0)
                joints[number] = column + 0.5, row + 0.5, 1
        return joints


class NoPoses:
    pass
'''


def annotator(name: str = "dots", target: str = "Dots", finds: str = "pose") -> str:
    return f"""
[[component]]
kind = "annotator"
name = "{name}"
summary = "Reads dots."
target = "pgsynth_plugin_dots.dots:{target}"
config = "pgsynth_plugin_dots.dots:Config"
licence = "Apache-2.0"
finds = ["{finds}"]
"""


def install(fake_packages: FakePackages, *annotators: str) -> None:
    name = "pgsynth-plugin-dots"
    fake_packages.install(name, manifest=fake_packages.manifest(name, *annotators), files={"dots.py": DOTS})


def drawn(joints: np.ndarray) -> Image.Image:
    pixels = np.zeros((64, 44, 3), np.uint8)
    for number, (row, column) in enumerate(joints):
        pixels[row, column] = 200 + number, 0, 217 - number
    return Image.fromarray(pixels)


@pytest.fixture
def joints() -> dict[str, np.ndarray]:
    """Name of a picture -> rows and columns of its joints; no two in one place."""
    random = np.random.default_rng(0)
    names = ("s0_2_t0", "t0", "s1_2_t1", "t1")
    return {name: np.stack([random.permutation(64)[:18], random.permutation(44)[:18]], axis=1) for name in names}


@pytest.fixture
def words(tmp_path: Path, joints: dict[str, np.ndarray]) -> list[str]:
    """The command for two results."""
    for name, places in joints.items():
        folder = tmp_path / ("made" if "_2_" in name else "photos")
        folder.mkdir(exist_ok=True)
        drawn(places).save(folder / f"{name}.png")
    (tmp_path / "pairs.csv").write_text("from,to\ns0.png,t0.png\ns1.png,t1.png\n", encoding="utf-8")
    places = {"--pred": "made", "--gt": "photos", "--pairs": "pairs.csv"}
    flags = [word for flag, name in places.items() for word in (flag, str(tmp_path / name))]
    return ["evaluate", *flags, "--metrics", "l1", "--device", "cpu", "--also"]


def test_joints_are_found_again_by_the_annotator_that_is_named(
    run: Run, words: list[str], joints: dict[str, np.ndarray], fake_packages: FakePackages
) -> None:
    install(fake_packages, annotator())
    said = run(*words, "pose_error.annotator=dots", "--json")
    assert said.code == 0, said.err
    for number, row in enumerate(said.facts["rows"]):
        one, other = joints[f"s{number}_2_t{number}"], joints[f"t{number}"]
        wanted = np.hypot(*(one - other).T).mean() / np.hypot(*np.ptp(other, axis=0))
        assert row["pose_error"] == pytest.approx(wanted, rel=1e-6)
    measure = said.facts["measures"]["pose_error"]
    assert measure["id"].endswith("by-dots/1") and measure["better"] == "lower" and not said.facts["not_computed"]


def test_of_several_annotators_one_is_named_and_the_measure_too(
    run: Run, words: list[str], fake_packages: FakePackages
) -> None:
    install(fake_packages, annotator(), annotator("other"))
    said = run(*words, "pose_error.annotator=dots,pose_error.measure=missing", "--json")
    assert said.code == 0 and said.facts["mean"]["pose_error"] == 0, said.err
    assert said.facts["measures"]["pose_error"]["id"] == "pose-error/missing/first-person/by-dots/1"
    said = run(*words, "pose_error.annotator=dot")
    assert said.code == 0 and "Did you mean 'dots'?" in said.err


@pytest.mark.parametrize(
    ("also", "said"),
    [
        ("pose_error.mesure=missing", "has no option 'mesure'. cure: Did you mean 'measure'?"),
        ("pose_error.measure=misssing", "Did you mean 'missing'?"),
        ("pose_error=missing", "names no option. cure: Write NAME.OPTION=VALUE."),
        ("pose_eror.measure=missing", "Did you mean 'pose_error'?"),
        ("ssim.side=x", "ssim.side = x is not what that option takes"),
    ],
)
def test_wrong_options_are_refused(run: Run, words: list[str], also: str, said: str) -> None:
    answer = run(*words, also)
    assert answer.code == 2 and said in " ".join(answer.err.split())


def test_an_option_of_what_the_protocol_has_is_no_second_column(run: Run, words: list[str]) -> None:
    words[words.index("l1")] = "ssim"
    answer = run(*words, "ssim.window=uniform")
    assert answer.code == 2 and "the protocol standard has ssim already" in answer.err
    words[words.index("ssim")] = "l1"
    answer = run(*words, "ssim.window=uniform,ssim.side=11", "--json")
    assert answer.code == 0 and "uniform-11x11" in answer.facts["measures"]["ssim"]["id"]


def test_without_its_weights_the_default_is_not_asked_and_says_what_is_missing(run: Run, words: list[str]) -> None:
    said = run(*words, "pose_error")
    assert said.code == 0 and "pose_error is not computed: the annotator vitpose: weights" in said.err
    assert "hf download" in said.err


@pytest.mark.parametrize(
    ("annotators", "said"),
    [
        ([annotator(finds="parsing")], ["the annotator dots finds label maps, and no poses", "METRIC.annotator=NAME"]),
        ([annotator(target="NoPoses")], ["the annotator dots", "is no PoseAnnotator"]),
        ([annotator(target="Nothing")], ["the annotator dots", "has no 'Nothing'"]),
    ],
)
def test_what_cannot_be_taken_is_told(
    run: Run, words: list[str], fake_packages: FakePackages, annotators: list[str], said: list[str]
) -> None:
    install(fake_packages, *annotators)
    answer = run(*words, "pose_error.annotator=dots")
    assert answer.code == 0 and "pose_error is not computed" in answer.err and "l1" in answer.out
    told = " ".join(answer.err.split())
    assert all(word in told for word in said), told
