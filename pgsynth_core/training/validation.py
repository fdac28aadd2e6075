"""The loss on unseen pairs, always with the same noise and times: by it checkpoints compare, and the best one stays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from accelerate import Accelerator

from pgsynth_core.data.tensors import Examples, checked, collate
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.objective import Objective

__all__ = ["Validation"]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What is looked at, and how.

    Attributes:
        accelerator: For its device and precision.
        objective: The method with its loss, not wrapped.
        examples: The split, in its own order.
        chance: Draws by position that drop nothing.
        pairs: How many of the first pairs count, at most.
        batch_size: Of one pass.
    """

    accelerator: Accelerator
    objective: Objective
    examples: Examples
    chance: Chance
    pairs: int
    batch_size: int

    @torch.no_grad()
    def loss(self) -> float:
        """The mean over the pairs of what is minimised, with the weights as they are.

        Raises:
            DataError: If a pair cannot be used and the dataset does not pass over it.
        """
        positions = range(min(self.pairs, len(self.examples)))
        total, training, device = 0.0, self.objective.training, self.accelerator.device
        self.objective.eval()
        try:
            for start in positions[:: self.batch_size]:
                taken = positions[start : start + self.batch_size]
                batch = checked(collate([self.examples[position] for position in taken])).to(device)
                draws = self.chance.draw(taken).to(device)
                with self.accelerator.autocast():
                    # Not called but run: where it is sharded, a call is something that all processes do.
                    total += len(taken) * float(self.objective.forward(batch, draws)["loss"])
        finally:
            self.objective.train(training)
        return total / len(positions)
