"""What a method costs, measured on the meta device: parameters, operations, live memory. No weight is read."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")


@dataclass(frozen=True)
class Count:
    """Parameters of one part."""

    trainable: int
    frozen: int


def count_parameters(module: nn.Module) -> Count:
    """Trainable and frozen parameters, each counted once."""
    parameters = list(module.parameters())
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return Count(trainable=trainable, frozen=sum(parameter.numel() for parameter in parameters) - trainable)


def counted_flops(run: Callable[[], T]) -> tuple[T, int]:
    """Run something; give its result and its floating-point operations (a multiply-add is two)."""
    with FlopCounterMode(display=False) as counter:
        result = run()
    return result, int(counter.get_total_flops())


class _Fused(TorchFunctionMode):
    """Attention by shape alone, as a fused kernel does it: the meta device would make the matrix of weights."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the function; of attention, only make room for its output."""
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value = args[:3]
        *batch, rows, _ = torch.broadcast_shapes(query.shape[:-1] + (1,), key.shape[:-2] + (1, 1))  # type: ignore[no-untyped-call]
        return query.new_empty(*batch, rows, value.shape[-1])


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes of new tensors alive at once while it is entered.

    On the meta device, or fake ones (`torch._subclasses.FakeTensorMode`), a tensor lives as long as it would on a real
    one: autograd lets go of what it saved as the backward pass goes, and recomputes where activations are checkpointed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._seen: set[int] = set()

    def _forget(self, address: int, size: int) -> None:
        self._seen.discard(address)
        self._now -= size

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation; count what it made until it is freed, and no view of what stood before."""
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage._cdata not in self._seen and storage._cdata not in given:
                self._seen.add(storage._cdata)
                self._now += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self._now)
        return out


def peak_of(run: Callable[[], object]) -> int:
    """Bytes of activations alive at once while something runs without gradients."""
    with torch.no_grad(), _Fused(), LiveBytes() as live:
        run()
    return int(live.peak)
