"""Taint: which marked tensors an output was computed from, followed through every operation on the meta device.

Gradient says the same only of float tensors; masks and label maps are boolean and integer. Structural: it cannot see
a multiplication by zero, and two tensors that were joined into one are followed as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_SHAPE_ONLY: Final = frozenset(
    {"empty_like", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "randint_like"}
    | {"new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided"}
)
"""Operations that read a tensor's shape and nothing else: they carry no mark."""


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class Taint(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows marks while it is entered.

    Marks belong to storages, so views and in-place writes carry them too.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._bits: dict[str, int] = {}
        self._marks: dict[int, int] = {}
        self._alive: dict[int, torch.UntypedStorage] = {}  # an address may not be used again while we count on it

    def mark(self, name: str, tensors: Tensor | Iterable[Tensor]) -> None:
        """Mark one or several tensors with a name."""
        bit = self._bits.setdefault(name, 1 << len(self._bits))
        for tensor in [tensors] if isinstance(tensors, Tensor) else tensors:
            self._add(tensor, bit)

    def found_in(self, tree: object) -> set[str]:
        """The names whose marks reached any tensor of a tree."""
        marks = self._union(_tensors(tree))
        return {name for name, bit in self._bits.items() if marks & bit}

    def missing_in(self, tree: object) -> list[str]:
        """The names whose marks reached no tensor of a tree, in the order they were marked."""
        found = self.found_in(tree)
        return [name for name in self._bits if name not in found]

    def _union(self, tensors: Sequence[Tensor]) -> int:
        marks = 0
        for tensor in tensors:
            marks |= self._marks.get(tensor.untyped_storage()._cdata, 0)
        return marks

    def _add(self, tensor: Tensor, marks: int) -> None:
        storage = tensor.untyped_storage()
        self._alive[storage._cdata] = storage
        self._marks[storage._cdata] = self._marks.get(storage._cdata, 0) | marks

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation; its outputs carry the marks of its inputs."""
        kwargs = dict(kwargs or {})
        out = func(*args, **kwargs)
        if func.overloadpacket.__name__ not in _SHAPE_ONLY and (marks := self._union(_tensors((args, kwargs)))):
            for tensor in _tensors(out):
                self._add(tensor, marks)
        return out
