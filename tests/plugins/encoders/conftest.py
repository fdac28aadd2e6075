"""What the tests of encoders share: compositions on the tiny base, and distributions made by code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from pgsynth_core.composition.build import build
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.proof import Proof, prove
from pgsynth_core.contract import Verdict, check
from pgsynth_core.registry import Registry, discover
from pgsynth_core.spec import Spec, resolve

from ...fixtures.fake_packages import fake_packages

__all__ = ["composed", "fake_packages"]


@dataclass(frozen=True)
class Composed:
    """A checked spec, to be proved and built."""

    spec: Spec
    registry: Registry
    verdict: Verdict

    def proof(self) -> Proof:
        return prove(self.spec, self.registry, self.verdict)

    def method(self) -> Method:
        """On the CPU; weights are read from the folders that the options name."""
        torch.manual_seed(0)
        return build(self.spec, self.registry, self.verdict, device="cpu", weights=lambda name, files=(): name)


@pytest.fixture
def composed() -> Callable[..., Composed]:
    """Compose encoders on `tiny` at 26x22, by label: part and options."""

    def make(encoders: Mapping[str, Mapping[str, Any]], **slots: Any) -> Composed:
        registry = discover()
        source = {"pgsynth": 1, "base": "tiny", "size": "26x22", "encoder": dict(encoders), **slots}
        spec = resolve(source, [], registry).spec
        verdict = check(spec, registry)
        verdict.raise_if_refused()
        return Composed(spec, registry, verdict)

    return make
