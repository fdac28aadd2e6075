"""What the tests of datasets share: people made by code, real photos where they are, and shards on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pgsynth_core.data import DataContext
from pgsynth_core.data.shards import ShardSize, write_shards
from pgsynth_core.options import PartConfig
from pgsynth_plugins.datasets.shards import fetching

from ...fixtures.crowd import Crowd
from ...fixtures.people import person, shared
from ...fixtures.serving import Server, serving

__all__ = ["person", "shared"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("PGSYNTH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were to be waited between tries; nobody waits."""
    waited: list[float] = []
    monkeypatch.setattr(fetching, "sleep", waited.append)
    return waited


@pytest.fixture
def server(tmp_path: Path, cache: Path, pauses: list[float]) -> Iterator[Server]:
    """Eleven pairs in shards of four, below /train."""
    (tmp_path / "www/train").mkdir(parents=True)
    crowd = Crowd(PartConfig(), DataContext("train", (12, 8)), count=11)
    write_shards(crowd, tmp_path / "www/train", prefix="s", size=ShardSize(pairs=4))
    with serving(tmp_path / "www") as server:
        yield server
