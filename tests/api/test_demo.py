"""`demo` is pgsynth's own, whatever else is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgsynth_core.api import Composition, demo

from ..fixtures.fake_packages import FakePackages, fake_packages

__all__ = ["fake_packages"]


class Reached(Exception):
    """Training would begin."""


def test_a_package_with_a_preset_of_that_name_does_not_stop_it(
    fake_packages: FakePackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[[preset]]\nname = "demo"\nfile = "pgsynth_plugin_x:demo.yaml"\nsummary = "Another demo."\n'
    fake_packages.install(manifest=FakePackages.manifest("pgsynth-plugin-x", text), files={"demo.yaml": "pgsynth: 1\n"})
    trained = []

    def train(self: Composition, **more: object) -> object:
        trained.append(self.spec)
        raise Reached

    monkeypatch.setattr(Composition, "train", train)
    with pytest.raises(Reached):
        demo(tmp_path)
    assert [choice.part for choice in trained[0].data] == ["pgsynth:figures"]
