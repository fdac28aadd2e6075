"""Where several processes hold a part each of one network (FSDP): tensors made whole, and taken apart again.

Everywhere else a process holds all of it, and each function here gives back what it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

__all__ = ["gathered", "is_sharded", "like", "own", "whole"]


def is_sharded(module: nn.Module) -> bool:
    """Whether this process holds a part of it only."""
    return isinstance(module, FSDPModule)


def whole(tensor: Tensor) -> Tensor:
    """All of it. Where it is sharded, every process must ask, and for the same tensors in the same order."""
    if not isinstance(tensor, DTensor):
        return tensor
    full: Tensor = tensor.full_tensor()
    return full


def own(tensor: Tensor) -> Tensor:
    """What this process holds of it, in the same memory."""
    if not isinstance(tensor, DTensor):
        return tensor
    held: Tensor = tensor.to_local()
    return held


def like(tensor: Tensor, model: Tensor) -> Tensor:
    """A tensor that every process has whole: on the device of the model, and sharded as it is. Nothing is sent."""
    tensor = tensor.to(model.device)
    if not isinstance(model, DTensor):
        return tensor
    return distribute_tensor(tensor, model.device_mesh, model.placements, src_data_rank=None)


@contextmanager
def gathered(module: nn.Module) -> Iterator[None]:
    """Its parameters whole in every process for as long as it is entered, to be read there; all must enter.

    Parameters looked up within are others than before: what is written to them is lost.
    """
    if not isinstance(module, FSDPModule):
        yield
        return
    module.unshard()
    try:
        yield
    finally:
        module.reshard()
