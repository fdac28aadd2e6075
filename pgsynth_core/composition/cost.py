"""What a method costs, measured on the meta device: operations, saved activations, live memory. No weight is read."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    """Knows when scaled-dot-product attention runs: a GPU keeps no attention matrix, the meta device pretends to."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = False
        self.kept: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Remember what a fused kernel keeps for its backward: queries, keys, values and the sums."""
        kwargs = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention or self.inside:
            return func(*args, **kwargs)
        self.inside = True
        try:
            out = func(*args, **kwargs)
        finally:
            self.inside = False
        self.kept.extend(tensor for tensor in (*args[:3], out) if isinstance(tensor, Tensor))
        return out


@contextmanager
def saved_activations(module: nn.Module) -> Iterator[Callable[[], int]]:
    """Within it: bytes that autograd keeps for the backward pass, parameters and attention matrices left out."""
    own = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}
    fused = _Fused()

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if not fused.inside and storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    def total() -> int:
        storages = kept | {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in fused.kept}
        return sum(storage.nbytes() for storage in storages.values())

    with fused, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most bytes of new tensors alive at once while it is entered."""

    def __init__(self, fused: _Fused) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._fused = fused
        self._now = 0
        self._seen: set[int] = set()

    def _forget(self, address: int, size: int) -> None:
        self._seen.discard(address)
        self._now -= size

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation; count what it made until it is freed."""
        out = func(*args, **(kwargs or {}))
        if self._fused.inside:
            return out
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and (storage := tensor.untyped_storage())._cdata not in self._seen:
                self._seen.add(storage._cdata)
                self._now += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self._now)
        return out


def peak_of(run: Callable[[], object]) -> int:
    """Bytes of activations alive at once while something runs without gradients."""
    with torch.no_grad(), _Fused() as fused, LiveBytes(fused) as live:
        run()
    return int(live.peak)
