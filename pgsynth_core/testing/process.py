"""The settings of torch that belong to the whole process: a part that changes one changes every other part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

__all__ = ["TorchState"]


@dataclass(frozen=True, kw_only=True)
class TorchState:
    """Torch's settings at one moment.

    Attributes:
        dtype: In which new tensors are.
        device: On which.
        grad: Whether gradients are recorded.
        deterministic: Whether only deterministic algorithms are used.
        precision: Of float32 products.
        benchmark: Whether cuDNN chooses by trying.
        threads: Of one operation.
        seed: Of the random numbers.
    """

    dtype: torch.dtype
    device: torch.device
    grad: bool
    deterministic: bool
    precision: str
    benchmark: bool
    threads: int
    seed: int

    @classmethod
    def now(cls) -> TorchState:
        """As they are."""
        return cls(
            dtype=torch.get_default_dtype(),
            device=torch.get_default_device(),
            grad=torch.is_grad_enabled(),
            deterministic=torch.are_deterministic_algorithms_enabled(),
            precision=torch.get_float32_matmul_precision(),
            benchmark=torch.backends.cudnn.benchmark,
            threads=torch.get_num_threads(),
            seed=torch.initial_seed(),
        )

    def changes(self, later: TorchState, *, seeds: Sequence[int]) -> Iterator[str]:
        """What is other at a later moment, in words.

        Args:
            later: The other moment.
            seeds: Those that nobody needs to be told of.
        """
        names = {
            "dtype": "the default dtype",
            "device": "the default device",
            "grad": "whether gradients are recorded",
            "deterministic": "whether only deterministic algorithms are used",
            "precision": "the precision of float32 products",
            "benchmark": "cuDNN's benchmark",
            "threads": "the number of threads",
        }
        for field, words in names.items():
            before, after = getattr(self, field), getattr(later, field)
            if before != after:
                yield f"{words}: {before} before, {after} after"
        if later.seed not in seeds:
            yield f"the seed of all random numbers: {later.seed}"

    def restore(self) -> None:
        """Put the settings back, but for the seed."""
        if torch.get_default_dtype() != self.dtype:
            torch.set_default_dtype(self.dtype)
        if torch.get_default_device() != self.device:
            torch.set_default_device(self.device)
        torch.set_grad_enabled(self.grad)
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:
            torch.use_deterministic_algorithms(self.deterministic)
        if torch.get_float32_matmul_precision() != self.precision:
            torch.set_float32_matmul_precision(self.precision)
        torch.backends.cudnn.benchmark = self.benchmark
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
