"""Registries made from blocks of TOML, without anything installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgsynth_core.manifest import parse_manifest
from pgsynth_core.registry import Broken, Origin, Registry, registry_of

from ...fixtures.fake_packages import FakePackages

RegistryOf = Callable[..., Registry]


@pytest.fixture
def registry_from() -> RegistryOf:
    """Call it with package name -> blocks of its manifest."""

    def registry(packages: dict[str, tuple[str, ...]], *, broken: tuple[Broken, ...] = ()) -> Registry:
        manifests = []
        for package, blocks in packages.items():
            origin = Origin(package, "1.0", Path(f"{package}.toml"), "0" * 64, first_party=package == "pgsynth")
            manifests.append((parse_manifest(FakePackages.manifest(package, *blocks), where=package), origin))
        return registry_of(*manifests, broken=broken)

    return registry
