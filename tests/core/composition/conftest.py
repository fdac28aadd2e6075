"""What the tests of composition share: the toys as an installed package, and a method built from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.api import Composition, compose
from pgsynth_core.composition.build import build, no_weights
from pgsynth_core.composition.method import Method
from pgsynth_core.registry import Registry, discover

from ...fixtures.fake_packages import FakePackages
from ...fixtures.toys.make_manifest import text

TOYS = Path(__file__).parents[2] / "fixtures" / "toys"

Compose = Callable[..., Composition]


@pytest.fixture
def toys(fake_packages: FakePackages) -> Registry:
    """The registry with pgsynth's own parts and the toys."""
    files = {name: (TOYS / name).read_text(encoding="utf-8") for name in ("parts.py", "liars.py", "options.py")}
    fake_packages.install("pgsynth-toys", manifest=text(), files=files)
    registry = discover()
    assert not registry.broken, registry.broken
    return registry


@pytest.fixture
def composed(toys: Registry) -> Compose:
    """Compose on `tiny` at 26x22: its latent grid 13x11 is odd and not square."""

    def make(*overrides: str) -> Composition:
        return compose(None, "base=tiny", "size=26x22", *overrides, registry=toys)

    return make


def built(composition: Composition, device: str = "cpu") -> Method:
    """The method of a composition, with random weights."""
    return build(composition.spec, composition.registry, composition.verdict, device=device, weights=no_weights)
