"""One optimiser step: forward, backward, clip, and a guard that no gradient that is no number gets past."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor

from pgsynth_core.data.records import BadRecord
from pgsynth_core.data.tensors import Batch
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.objective import Losses
from pgsynth_core.training.optimizer import heeds_found_inf
from pgsynth_core.training.sharding import whole

__all__ = ["StepTaken", "Stepper"]


@dataclass(frozen=True, kw_only=True)
class StepTaken:
    """What a step showed; tensors are still on the device, so that nothing waits for it.

    Attributes:
        losses: Name -> mean over the accumulated batches.
        norm: Of all gradients together, before clipping; if it is not finite, nothing was changed.
        pairs: Names of the pairs it saw.
        skipped: Records that were passed over for them.
    """

    losses: Losses
    norm: Float[Tensor, ""]
    pairs: tuple[str, ...]
    skipped: tuple[BadRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Stepper:
    """Takes optimiser steps.

    Attributes:
        accelerator: Devices, processes, precision and accumulation.
        objective: The method with its loss, as Accelerate wrapped it.
        parameters: What trains, unwrapped, in the module's order.
        optimizer: Over `parameters`, as Accelerate wrapped it; one that is fused heeds `found_inf`, for others the
            host looks at the norm, and waits for it.
        chance: Draws by position.
        accumulate: Batches of one step.
        max_norm: Gradients are clipped to it; 0: never.
    """

    accelerator: Accelerator
    objective: torch.nn.Module
    parameters: Sequence[torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    chance: Chance
    accumulate: int
    max_norm: float

    def take(self, batches: Iterator[tuple[list[int], Batch]]) -> StepTaken:
        """Take one step on the next batches."""
        losses: list[Losses] = []
        seen: list[Batch] = []
        norm = torch.zeros(())
        for _ in range(self.accumulate):
            positions, batch = next(batches)
            device = self.accelerator.device
            draws = self.chance.draw(positions, pinned=device.type == "cuda").to(device)
            with self.accelerator.accumulate(self.objective):
                with self.accelerator.autocast():  # Accelerate wraps it in that too, but where it is sharded
                    made: Losses = self.objective(batch.to(device, non_blocking=True), draws)
                self.accelerator.backward(made["loss"])
                if self.accelerator.sync_gradients:
                    norm = self._guarded()
                if not self._held_back(norm):
                    self.optimizer.step()
                self.optimizer.zero_grad()
            losses.append({name: value.detach() for name, value in made.items()})
            seen.append(batch)
        return StepTaken(
            losses={name: torch.stack([one[name] for one in losses]).mean() for name in losses[0]},
            norm=norm,
            pairs=tuple(name for batch in seen for name in batch.names),
            skipped=_each_once(record for batch in seen for record in batch.skipped),
        )

    def _guarded(self) -> Float[Tensor, ""]:
        """Clip, and tell the optimiser on the device itself whether to leave everything as it is."""
        norm = whole(self.accelerator.clip_grad_norm_(self.parameters, self.max_norm or math.inf))
        plain: Any = getattr(self.optimizer, "optimizer", self.optimizer)
        plain.grad_scale = None  # in fp16 the scaler sets both anew
        plain.found_inf = torch.isfinite(norm).logical_not().float()
        found: Tensor = norm.detach()
        return found

    def _held_back(self, norm: Float[Tensor, ""]) -> bool:
        """Whether the host leaves the step out; in fp16 the loss's scaler does, and must be told of every step."""
        plain = getattr(self.optimizer, "optimizer", self.optimizer)
        if heeds_found_inf(plain) or self.accelerator.scaler is not None:
            return False
        return not bool(torch.isfinite(norm))


def _each_once(records: Iterable[BadRecord]) -> tuple[BadRecord, ...]:
    return tuple(dict.fromkeys(records))
