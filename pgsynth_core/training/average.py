"""The moving average of weights that samples are drawn from: always fp32, for in bf16 a decay of 0.999 stands still."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from pgsynth_core.errors import UserError
from pgsynth_core.training.sharding import like, own


class Average:
    """Exponential moving average.

    Args:
        tensors: Key -> what is averaged; copied.
        decay: Of one step; early steps use less, so that the start is forgotten: min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, tensors: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.tensors = {key: value.detach().float().clone() for key, value in tensors.items()}

    def restore(self, tensors: Mapping[str, Tensor], *, where: str) -> None:
        """Take the values of a checkpoint.

        Args:
            tensors: Key -> average.
            where: The file, for messages.

        Raises:
            UserError: If they belong to another method.
        """
        wrong = [key for key in self.tensors if key not in tensors or tensors[key].shape != self.tensors[key].shape]
        if wrong or len(tensors) != len(self.tensors):
            named = f", e.g. {wrong[0]}" if wrong else ""
            message = f"it holds {len(tensors)} tensors of {len(self.tensors)}, and {len(wrong)} are others{named}."
            raise UserError(message, where=where, cure="Use another checkpoint of the run.")
        for key, value in self.tensors.items():
            value.copy_(like(tensors[key].detach(), value))

    def update(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Move towards the weights after a step; `step` counts from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        floating = [key for key, value in self.tensors.items() if value.is_floating_point()]
        current = [own(tensors[key].detach()).float() for key in floating]
        torch._foreach_lerp_([own(self.tensors[key]) for key in floating], current, 1 - decay)

    @contextmanager
    def in_place_of(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """It, in the place of the weights for as long as it is entered.

        Two that are alike change places, and nothing is copied. Of others, and where a tensor is sharded, whose memory
        is known by its address elsewhere too, the weights wait on the CPU.
        """
        pairs = [(tensor, self.tensors[key]) for key, tensor in tensors.items()]
        alike = [pair for pair in pairs if _alike(*pair)]
        others = [pair for pair in pairs if not _alike(*pair)]
        kept = [own(tensor.detach()).to("cpu", copy=True) for tensor, _ in others]
        _exchange(alike)
        try:
            _put((tensor, own(average)) for tensor, average in others)
            yield
        finally:
            _exchange(reversed(alike))
            _put((tensor, value) for (tensor, _), value in zip(others, kept, strict=True))


def _alike(one: Tensor, other: Tensor) -> bool:
    whole = own(one) is one and own(other) is other
    return whole and (one.dtype, one.device, one.shape) == (other.dtype, other.device, other.shape)


def _exchange(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    for one, other in pairs:
        one.data, other.data = other.data, one.data


@torch.no_grad()
def _put(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    for tensor, value in pairs:
        own(tensor).copy_(value)
