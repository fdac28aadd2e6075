"""The checks of presets: ours pass, and each that does not keep up is told why."""

from __future__ import annotations

import pytest

from pgsynth_core.registry import discover
from pgsynth_core.testing import check_preset

from ...fixtures.fake_packages import FakePackages, fake_packages

__all__ = ["fake_packages"]

PRESET = '[[preset]]\nname = "mine"\nfile = "pgsynth_plugin_x:mine.yaml"\nsummary = "Mine."\n'
GOOD = "pgsynth: 1\nbase: tiny\nencoder: {qfft: {depth: 1}}\nattn: {pma: {mask: eq9}}\npose: controlnet\n"


@pytest.mark.parametrize("name", discover().preset_names())
def test_every_preset_of_ours_passes(name: str) -> None:
    registry = discover()
    report = check_preset(registry.find_preset(name), registry)
    report.raise_if_failed()
    assert report.counts["passed"] == 3 and report.kind == "preset"


@pytest.mark.parametrize(
    ("text", "check", "said"),
    [
        (GOOD.replace("qfft", "qftt"), "preset_resolves", "qfft"),
        (GOOD.replace("depth: 1", "depht: 1"), "preset_resolves", "depth"),
        ("pgsynth: 1\nbase: tiny\nencoder: qfft\nattn: hpfa\n", "preset_fits", "reference"),
        (": :", "preset_resolves", ""),
    ],
)
def test_a_bad_one_fails(fake_packages: FakePackages, text: str, check: str, said: str) -> None:
    manifest = fake_packages.manifest("pgsynth-plugin-x", PRESET)
    fake_packages.install(manifest=manifest, files={"mine.yaml": text})
    registry = discover()
    report = check_preset(registry.find_preset("mine"), registry)
    failed = {outcome.check: outcome.reason for outcome in report.outcomes if outcome.status == "failed"}
    assert check in failed and said in failed[check], report.outcomes


def test_a_good_one_of_a_third_party_passes(fake_packages: FakePackages) -> None:
    fake_packages.install(manifest=fake_packages.manifest("pgsynth-plugin-x", PRESET), files={"mine.yaml": GOOD})
    registry = discover()
    check_preset(registry.find_preset("mine"), registry).raise_if_failed()
