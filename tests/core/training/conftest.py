"""What the tests of training and sampling share: the toys, and an assembly with batches of arithmetic people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.composition.build import no_weights
from pgsynth_core.data.records import DataContext
from pgsynth_core.data.tensors import Batch, Examples, TensorPlan, checked, collate
from pgsynth_core.options import PartConfig

from ...fixtures.crowd import Crowd
from ..composition.conftest import Compose, composed, toys

__all__ = ["composed", "toys"]


@dataclass(frozen=True)
class Scene:
    """A built composition and pairs for it."""

    assembly: Assembly
    people: Crowd
    plan: TensorPlan

    def batch(self, *indices: int) -> Batch:
        """Pairs as tensors."""
        examples = Examples(self.people, self.plan)
        return checked(collate([examples[index] for index in indices]))


Stage = Callable[..., Scene]


@pytest.fixture
def stage(composed: Compose) -> Stage:
    """Build a composition on `tiny` at 26x22 from overrides, with five pairs."""

    def make(*overrides: str) -> Scene:
        composition = composed(*overrides)
        assembly = Assembly.of(
            composition.spec, composition.registry, composition.verdict, device="cpu", weights=no_weights
        )
        assembly.method.eval()
        torch.manual_seed(1)
        for parameter in assembly.method.parameters():
            if not parameter.any():  # what begins at zero would hide whether anything is read
                parameter.data.normal_(std=0.1)
        people = Crowd(PartConfig(), DataContext("train", composition.spec.size))
        return Scene(assembly, people, assembly.plan(source_pose=True))

    return make
