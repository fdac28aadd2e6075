"""The optimiser of a run: AdamW, its moments in fp32 or, through bitsandbytes, in 8 bits."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import Tensor

from pgsynth_core.errors import SpecError
from pgsynth_core.spec import TrainSettings

__all__ = ["heeds_found_inf", "moment_bytes", "name_of", "optimizer_for"]

_EIGHT_BITS: Final = "adamw8bit"

_BLOCK: Final = 256
"""Numbers that share a scale in 8 bits; bitsandbytes' own."""

_SMALLEST: Final = 4096
"""Numbers from which on a tensor's moments are kept in 8 bits; bitsandbytes' own."""


def optimizer_for(settings: TrainSettings, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """AdamW as the spec says it (Loshchilov and Hutter, 1711.05101; in 8 bits: Dettmers et al., 2110.02861).

    Raises:
        SpecError: If bitsandbytes is asked for and not installed.
    """
    named: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, fused=True, **named)
    try:
        bitsandbytes = importlib.import_module("bitsandbytes")
    except ImportError as error:
        message = f"train.optimizer={settings.optimizer} needs bitsandbytes, which cannot be imported: {error}."
        cure = 'Install it: pip install "pgsynth[bnb]" - or leave it at train.optimizer=adamw.'
        raise SpecError(message, cure=cure) from error
    made: torch.optim.Optimizer = bitsandbytes.optim.AdamW8bit(list(parameters), **named)
    return made


def heeds_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it leaves everything as it is by itself where `found_inf` says so; torch's fused ones do."""
    return bool(optimizer.defaults.get("fused"))


def name_of(optimizer: torch.optim.Optimizer) -> str:
    """What `train.optimizer` calls it."""
    return "adamw" if isinstance(optimizer, torch.optim.AdamW) else _EIGHT_BITS


def moment_bytes(name: str, parameters: Iterable[Tensor]) -> int:
    """What the two moments of these will take with the optimiser of that name, in bytes."""
    return sum(_moments(parameter.numel(), name == _EIGHT_BITS) for parameter in parameters)


def _moments(numbers: int, in_eight_bits: bool) -> int:
    if not in_eight_bits or numbers < _SMALLEST:
        return 2 * 4 * numbers
    return 2 * (numbers + 4 * -(-numbers // _BLOCK))
