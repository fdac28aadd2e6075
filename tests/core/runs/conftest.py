"""A run in a temporary folder, and what is written into its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from pgsynth_core.runs import RunFolder, create_run, write_checkpoint

Saved = Callable[..., Path]
Room = Callable[[int], None]


def writers(files: Mapping[str, str]) -> dict[str, Callable[[Path], None]]:
    """What `write_checkpoint` takes, for text files."""

    def writer(text: str) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            path.write_text(text, encoding="utf-8")

        return write

    return {name: writer(text) for name, text in files.items()}


@pytest.fixture(autouse=True)
def real_fsync(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Nothing waits for the disk: what is flushed, and when, is for test_durable and for the trace in test_saving."""
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return real


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of runs that does not exist yet."""
    return tmp_path / "runs"


@pytest.fixture
def run(root: Path) -> RunFolder:
    """A new run."""
    return create_run(root, slug="qfft-pma", spec_yaml="pgsynth: 1\n", lock={"lock": 1})


@pytest.fixture
def save(run: RunFolder) -> Saved:
    """Call it with a step to have a checkpoint; its weights file holds the text."""

    def saved(
        step: int, text: str = "weights", *, keep: int = 3, needed: int = 100, validation: float | None = None
    ) -> Path:
        state = json.dumps({"step": step, "validation": validation})
        files = writers({"weights.safetensors": text, "state.json": state})
        return write_checkpoint(run, step, files, bytes_needed=needed, keep=keep)

    return saved


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    """Call it with the bytes that are free from now on."""

    def leave(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=2**40, used=0, free=free))

    return leave
