"""What training, sampling and evaluation begin with: a spec's method with weights, and its tensor plan."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pgsynth_core.composition.build import build
from pgsynth_core.composition.inputs import Shapes
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.proof import shapes_for
from pgsynth_core.contract import Verdict
from pgsynth_core.data.tensors import TensorPlan
from pgsynth_core.interfaces import WeightFinder
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec


@dataclass(frozen=True)
class Assembly:
    """A composition with its parts built.

    Attributes:
        spec: Resolved.
        registry: Where its parts come from.
        verdict: Of the contract check.
        method: Built, on its device, with the pretrained weights in place.
    """

    spec: Spec
    registry: Registry
    verdict: Verdict
    method: Method

    @staticmethod
    def of(spec: Spec, registry: Registry, verdict: Verdict, *, device: str, weights: WeightFinder) -> Assembly:
        """Build a composition; new weights follow from `train.seed` alone."""
        with torch.random.fork_rng():
            torch.manual_seed(spec.train.seed)
            method = build(spec, registry, verdict, device=device, weights=weights)
        return Assembly(spec, registry, verdict, method)

    def shapes(self) -> Shapes:
        """The shapes of the method's inputs for one sample."""
        return shapes_for(self.spec, self.registry, self.verdict, self.method, batch=1)

    def plan(self, *, source_pose: bool) -> TensorPlan:
        """What tensors are made of each pair: only what the parts read."""
        shapes = self.shapes()
        return TensorPlan(
            image_size=self.spec.size,
            fit=self.spec.fit,
            stride=shapes.stride,
            ports=shapes.ports,
            levels=shapes.levels,
            label_set=shapes.label_set,
            source_pose=source_pose,
            crop_size=shapes.crop_side,
        )
