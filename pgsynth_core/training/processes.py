"""One process, or several that each hold the whole model: the Accelerator that a run trains with."""

from __future__ import annotations

from typing import Final

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, GradientAccumulationPlugin

from pgsynth_core.errors import UserError
from pgsynth_core.spec import TrainSettings

__all__ = ["accelerator_for"]

_PRECISIONS: Final = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_SHARDED: Final = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


def accelerator_for(settings: TrainSettings) -> Accelerator:
    """The Accelerator of these settings, whatever this process trained before and its environment says.

    Raises:
        UserError: If the launcher asks for sharding, or several processes are to train in a second precision.
    """
    precision = _PRECISIONS[settings.precision]
    _forget_other_than(precision)
    # A plain number would lose to ACCELERATE_GRADIENT_ACCUMULATION_STEPS; a plugin is taken as it is.
    accumulation = GradientAccumulationPlugin(num_steps=settings.accumulate)
    accelerator = Accelerator(mixed_precision=precision, gradient_accumulation_plugin=accumulation)
    if accelerator.distributed_type in _SHARDED:
        message = (
            f"training sharded by {accelerator.distributed_type.value} is not supported: each process holds it all."
        )
        raise UserError(message, cure="Launch without it: accelerate launch --multi_gpu -m pgsynth_core train ...")
    return accelerator


def _forget_other_than(precision: str) -> None:
    """Accelerate keeps one precision for the life of a process, and a notebook trains more than once in one."""
    if not AcceleratorState._shared_state:
        return
    state = AcceleratorState()
    if state.mixed_precision == precision:
        return
    if state.num_processes > 1:
        written = {name: key for key, name in _PRECISIONS.items()}
        before = written.get(state.mixed_precision, state.mixed_precision)
        message = f"train.precision is {written[precision]}, and these processes have trained in {before} before."
        raise UserError(message, cure="Launch the second training by itself: accelerate launch keeps one precision.")
    AcceleratorState._reset_state()
