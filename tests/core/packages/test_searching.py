"""Parts are found by what their manifests say, the best first."""

from __future__ import annotations

import pytest

from pgsynth_core.packages.searching import search
from pgsynth_core.registry import Registry, discover

from ...fixtures.fake_packages import FakePackages


@pytest.fixture(scope="module")
def registry() -> Registry:
    return discover()


def names(registry: Registry, *words: str) -> list[str]:
    return [hit.row.name for hit in search(registry, words)]


def test_a_name_comes_first(registry: Registry) -> None:
    for name in ("pma", "qfft", "truepose", "figures"):
        assert names(registry, name.upper())[0] == name


@pytest.mark.parametrize(
    ("words", "found", "place"),
    [
        (("2502.03426",), "hpfa", "paper TruePose"),
        (("pose_mask",), "pma", "reads pose_mask"),
        (("sigma",), "hpfa", "option sigma"),
        (("swin_base", "tokens"), "qfft", "weights timm/swin_base"),
    ],
)
def test_it_says_where(registry: Registry, words: tuple[str, ...], found: str, place: str) -> None:
    hits = {hit.row.name: hit for hit in search(registry, words)}
    assert any(place in told for told in hits[found].places), hits[found].places


def test_every_word_must_be_found(registry: Registry) -> None:
    assert names(registry, "parsing") and not names(registry, "parsing", "no_such_word")
    assert set(names(registry, "parsing", "fusion")) <= set(names(registry, "parsing"))


def test_other_peoples_parts_are_found_whatever_their_state(fake_packages: FakePackages) -> None:
    fake_packages.install("pgsynth-plugin-x")
    assert "x" in names(discover(), "pgsynth-plugin-x")
