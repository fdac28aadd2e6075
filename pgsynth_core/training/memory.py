"""What training will hold on its device: one step of the run itself, by shape alone, its tensors counted as they live.

The step is the objective's own forward and backward pass, of the run's batch, accumulation and precision. Its tensors
are fake ones of the CPU: for them PyTorch chooses fused attention and autocasts, as for real ones; for those of the
meta device it does neither.

Differs: what lies below PyTorch is not in: the workspace of a convolution, the rounding of an allocator, the context
    of a GPU (some hundred MiB); nor are the copies of gradients that several processes exchange.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pgsynth_core.composition.build import build, no_weights
from pgsynth_core.composition.cost import LiveBytes
from pgsynth_core.composition.inputs import Shapes, data_conditioning, source_inputs
from pgsynth_core.composition.proof import shapes_for
from pgsynth_core.composition.weights import trained_parameters
from pgsynth_core.contract import Verdict
from pgsynth_core.data.tensors import Batch, PoseMaps
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec
from pgsynth_core.training.objective import Objective
from pgsynth_core.training.optimizer import moment_bytes

__all__ = ["TrainingMemory", "training_memory"]

_HALF: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}
_DEVICE: Final = "cpu"
_AVERAGE_BYTES: Final = 4


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """What training holds, in bytes.

    Attributes:
        weights: Every parameter and buffer in fp32, trained or frozen, the codec's too.
        moments: The optimiser's, once it has taken a step.
        average: The moving average of what trains.
        step: The most that a step holds beside these at one instant: its batch, activations and gradients, and in half
            precision copies of weights.
    """

    weights: int
    moments: int
    average: int
    step: int

    @property
    def total(self) -> int:
        """All of it together: the peak."""
        return self.weights + self.moments + self.average + self.step


def training_memory(spec: Spec, registry: Registry, verdict: Verdict, *, step: int | None = None) -> TrainingMemory:
    """What training a composition will hold, without reading a weight.

    Args:
        spec: Resolved.
        registry: Where its parts come from.
        verdict: Of the contract check; ok.
        step: What a step holds, where it is known: then none is taken.

    Raises:
        PartError: If a part cannot be imported or built.
    """
    settings = spec.train
    method = build(spec, registry, verdict, device="meta", weights=no_weights)
    method.enable_checkpointing(settings.checkpointing)
    objective = Objective(method, settings.loss, min_snr=settings.min_snr).train()
    parameters = trained_parameters(method, spec.base.label).values()
    trained = sum(parameter.numel() for parameter in parameters)
    if step is None:
        step = _step(spec, objective, shapes_for(spec, registry, verdict, method, batch=settings.batch_size))
    return TrainingMemory(
        weights=sum(tensor.nbytes for tensor in (*method.parameters(), *method.buffers())),
        moments=moment_bytes(settings.optimizer, parameters),
        average=trained * _AVERAGE_BYTES if settings.ema else 0,
        step=step,
    )


def _step(spec: Spec, objective: Objective, shapes: Shapes) -> int:
    """The most bytes of new tensors at once in one forward and backward pass."""
    settings = spec.train
    half = _HALF.get(settings.precision)
    cast: AbstractContextManager[object] = torch.autocast(_DEVICE, half) if half else nullcontext()
    draws = objective.chance(settings, shapes.latent_grid).draw(range(shapes.batch))
    with FakeTensorMode(allow_non_fake_inputs=True):
        objective.to_empty(device=_DEVICE)
        with torch.device(_DEVICE), LiveBytes() as live:
            batch = _batch(shapes, source_pose=objective.halves == 2)
            draws = draws.over(torch.empty_like)
            if settings.accumulate > 1:
                _with_gradients(objective)
            with cast:
                loss = objective(batch, draws)["loss"]
            loss.backward()
    return int(live.peak)


def _with_gradients(objective: nn.Module) -> None:
    """As after the first batch of several: every gradient stands while the next is made."""
    for parameter in objective.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.empty_like(parameter)


def _batch(shapes: Shapes, *, source_pose: bool) -> Batch:
    """A batch of the data path, by shape."""
    source = source_inputs(shapes)
    assert source.image is not None, "shapes always have one"

    def maps() -> PoseMaps:
        data = data_conditioning(shapes)
        return PoseMaps(skeleton=data.skeleton, heatmaps=data.heatmaps, mask=data.pose_mask)

    return Batch(
        names=("",) * shapes.batch,
        indices=(0,) * shapes.batch,
        latent_grid=shapes.latent_grid,
        source_image=source.image,
        target_image=torch.empty_like(source.image),
        target_pose=maps(),
        source_pose=maps() if source_pose else None,
        parsing=data_conditioning(shapes).parsing,
        source_parsing=source.parsing,
        source_crops=source.crops,
    )
