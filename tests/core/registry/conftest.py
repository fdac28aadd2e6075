"""A first-party manifest of the test's own, in place of the checkout's `registry.toml`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.registry import discovery

from ...fixtures.fake_packages import FakePackages

OwnManifest = Callable[..., Path]


@pytest.fixture
def own_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_packages: FakePackages) -> OwnManifest:
    """Call it with TOML blocks, or with `text=`, to say what pgsynth itself brings; at first one encoder, `own`."""
    path = tmp_path / "registry.toml"
    monkeypatch.setattr(discovery, "first_party_manifest", lambda: path)

    def write(*blocks: str, text: str = "") -> Path:
        path.write_text(text or fake_packages.manifest("pgsynth", *blocks), encoding="utf-8")
        return path

    write(fake_packages.part("encoder", "own"))
    return write
