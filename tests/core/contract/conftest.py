"""Compositions of stand-ins, judged: words of the command line in, verdict out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from pgsynth_core.contract import Verdict, check
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec, resolve

from ...fixtures.standins import registry_with

Composed = Callable[..., Spec]
Judged = Callable[..., Verdict]
Extended = Callable[..., Registry]


@pytest.fixture(scope="session")
def house() -> Registry:
    """pgsynth as DESIGN section 3 speaks of it, and one outsider."""
    registry = registry_with()
    assert registry.broken == ()
    return registry


@pytest.fixture(scope="session")
def extended() -> Extended:
    """Call it with components to have them in a further package, `pgsynth-more`."""

    def extend(*components: str) -> Registry:
        registry = registry_with(*components)
        assert registry.broken == ()
        return registry

    return extend


@pytest.fixture(scope="session")
def composed(house: Registry) -> Composed:
    """Call it with words of the command line."""

    def compose(words: str | Iterable[str], registry: Registry = house) -> Spec:
        overrides = words.split() if isinstance(words, str) else list(words)
        return resolve(None, overrides, registry).spec

    return compose


@pytest.fixture(scope="session")
def judged(house: Registry, composed: Composed) -> Judged:
    """Call it with words of the command line."""

    def judge(words: str | Iterable[str], registry: Registry = house) -> Verdict:
        return check(composed(words, registry), registry)

    return judge
