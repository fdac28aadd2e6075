"""How long data takes, printed: indexing all of DeepFashion, and making one pair's tensors. `pytest -m bench -s`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.data import DataContext, Pair
from pgsynth_core.data.tensors import TensorPlan, example
from pgsynth_plugins.datasets.deepfashion import Config
from pgsynth_plugins.datasets.deepfashion.reader import DeepFashion

from ..fixtures.people import MakePerson, person, write_annotations, write_pairs

__all__ = ["person"]

PHOTOS, PAIRS = 52_712, 101_966
PORTS = ("skeleton", "pose_mask", "heatmaps", "parsing", "source_crops")


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """As many rows, pairs and (empty) photos as DeepFashion has."""
    names = [f"fashionWOMENDressesid{number // 5:010}_{number % 5}front.jpg" for number in range(PHOTOS)]
    places = np.random.default_rng(0).integers(-1, 176, (PHOTOS, 2, 18)).tolist()
    rows = (f"{name}: {y}: {x}" for name, (y, x) in zip(names, places, strict=True))
    write_annotations(tmp_path / "fasion-resize-annotation-train.csv", rows)
    pairs = [(names[number], names[number + step]) for step in (1, 2) for number in range(PAIRS // 2)]
    write_pairs(tmp_path / "fasion-resize-pairs-train.csv", pairs)
    (tmp_path / "train").mkdir()
    for name in names:
        (tmp_path / "train" / name).touch()
    return tmp_path


def seconds(call: Callable[[], object], times: int) -> float:
    """The fastest of some calls."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


@pytest.mark.bench
def test_all_of_deepfashion_is_indexed_in_about_a_second(everything: Path) -> None:
    context = DataContext("train", (256, 176))
    taken = seconds(lambda: DeepFashion(Config(root=str(everything)), context), 3)
    print(f"\n{PHOTOS} photos, {PAIRS} pairs: {taken:.2f} s")
    assert len(DeepFashion(Config(root=str(everything)), context)) == PAIRS
    assert taken < 4


@pytest.mark.bench
@pytest.mark.parametrize("size", [(32, 24), (256, 176), (512, 352)])
def test_tensors_of_a_pair(size: tuple[int, int], person: MakePerson) -> None:
    parsing = np.random.default_rng(0).integers(0, 18, (1101, 750), dtype=np.uint8)
    somebody = person(size=(1101, 750), parsing=parsing)
    pair = Pair("a___b", somebody, somebody)
    print()
    for ports in ((), *((port,) for port in PORTS)):
        plan = TensorPlan(
            image_size=size, fit="squash", stride=2, ports=frozenset(ports), levels=4, label_set="atr18", crop_size=224
        )
        taken = seconds(lambda plan=plan: example(pair, plan), 3)
        print(f"{size[0]}x{size[1]} {ports[0] if ports else 'images alone':13} {taken * 1e3:7.1f} ms")
        assert taken < 2
