"""How fast `figures` paints on one core, printed; `pytest -m bench -s` shows it. Bounds are far below what is usual."""

from __future__ import annotations

import time

import pytest

from pgsynth_core.data import DataContext
from pgsynth_plugins.datasets.figures import Config
from pgsynth_plugins.datasets.figures.dataset import Figures, figure_of


@pytest.mark.bench
@pytest.mark.parametrize(
    ("height", "width", "count", "least"), [(32, 24, 240, 50), (256, 176, 48, 4), (512, 352, 16, 1)]
)
def test_pictures_per_second(height: int, width: int, count: int, least: float) -> None:
    data = Figures(Config(identities=20), DataContext(split="train", image_size=(height, width)))
    for person in range(20):
        figure_of(0, "train", person)
    names = [f"train-{number % 20:05d}-{number // 20 % 6:02d}" for number in range(min(count, 120))]
    start = time.process_time()
    for name in names:
        data.person(name)
    speed = len(names) / (time.process_time() - start)
    print(f"\nfigures, {height}x{width}: {speed:6.1f} pictures per second of one core", end="")
    assert speed > least


@pytest.mark.bench
def test_making_a_person() -> None:
    figure_of.cache_clear()
    start = time.process_time()
    for person in range(20):
        figure_of(1, "train", person)
    print(f"\nfigures, a new person: {(time.process_time() - start) / 20 * 1e3:6.1f} ms", end="")
