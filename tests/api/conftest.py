"""One small run for the tests of sampling and scoring, and photos to sample from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core import Run, compose
from pgsynth_core.api import shortage
from pgsynth_core.data import write_pose
from pgsynth_core.training.memory import TrainingMemory
from pgsynth_core.training.savings import Saving

from ..fixtures.lively import lively
from ..fixtures.people import shared, standing, write_pairs, write_photo

__all__ = ["shared"]

SMALL = (
    "tiny",
    "data=folder",
    "encoder.qfft.depth=1",
    "encoder.qfft.local_queries=4",
    "train.batch_size=2",
    "train.warmup_steps=0",
    "train.workers=0",
    "train.checkpoint_every=0",
    "train.sample_every=0",
    "sample.steps=2",
)


def write_folder(root: Path) -> Path:
    """Three pairs of three photos of noise, of people who stand."""
    for number, name in enumerate("abc"):
        write_photo(root / f"{name}.png", seed=number)
        write_pose(root / f"{name}.pose.json", standing())
    return write_pairs(
        root / "pairs.csv", [("a.png", "b.png"), ("b.png", "c.png"), ("c.png", "a.png")], "source,target"
    )


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two steps of the smallest method there is on `write_folder`."""
    photos = tmp_path_factory.mktemp("photos")
    write_folder(photos)
    return compose(*SMALL, f"data.folder.root={photos}").train(runs=tmp_path_factory.mktemp("runs"), steps=2)


@pytest.fixture(scope="session")
def lively_run(small_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whose pictures follow photo and pose, see `fixtures.lively`."""
    return lively(small_run.path, tmp_path_factory.mktemp("lively") / small_run.id)


@pytest.fixture
def short_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One saving, known at once, in the place of those that are reckoned out for seconds."""
    memory = TrainingMemory(weights=2**30, moments=2**30, average=2**30, step=2**30)
    monkeypatch.setattr(
        shortage, "savings", lambda *given, **named: (memory, (Saving("train.checkpointing=true", 2**30),))
    )
