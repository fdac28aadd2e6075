"""One process, or several that each hold the whole model or (FSDP) a part: the Accelerator that a run trains with.

FSDP is PyTorch's `fully_shard`, the model one unit: weights, gradients, moments and average are stored in parts, and
the weights are whole from the forward to the backward pass of a step. Its arithmetic is that of one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedType,
    DynamoBackend,
    GradientAccumulationPlugin,
    disable_fsdp_ram_efficient_loading,
    parse_flag_from_env,
)
from torch.distributed import DistError
from torch.distributed.fsdp import CPUOffloadPolicy

from pgsynth_core.errors import PgsynthError, Problem, UserError
from pgsynth_core.spec import TrainSettings

__all__ = ["FSDP", "accelerator_for", "peer_failure"]

FSDP: Final = "--use_fsdp --fsdp_version 2 --fsdp_auto_wrap_policy NO_WRAP"
"""What the launcher is told for sharding."""

_PRECISIONS: Final = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_OTHERS: Final = {"ACCELERATE_USE_DEEPSPEED": "DeepSpeed", "ACCELERATE_USE_MEGATRON_LM": "Megatron"}


def accelerator_for(settings: TrainSettings) -> Accelerator:
    """The Accelerator of these settings, whatever this process trained before and its environment says.

    Raises:
        UserError: If the launcher asks for a kind of sharding, or the settings for what cannot be sharded; or if
            several processes are to train in a second precision.
    """
    if asked := next((name for flag, name in _OTHERS.items() if parse_flag_from_env(flag)), ""):
        cure = f"Shard it by FSDP: accelerate launch {FSDP} -m pgsynth_core train ..."
        raise UserError(f"training sharded by {asked} is not supported.", cure=cure)
    precision = _PRECISIONS[settings.precision]
    _forget_other_than(precision)
    # A plain number would lose to ACCELERATE_GRADIENT_ACCUMULATION_STEPS; a plugin is taken as it is.
    accumulation = GradientAccumulationPlugin(num_steps=settings.accumulate)
    disable_fsdp_ram_efficient_loading()  # every process reads the weights itself, also where transformers reads them
    accelerator = Accelerator(mixed_precision=precision, gradient_accumulation_plugin=accumulation)
    launched = os.environ.get("WORLD_SIZE", "1")
    if "LOCAL_RANK" in os.environ and launched != "1" and accelerator.num_processes == 1:
        message = f"{launched} processes were launched, and Accelerate joins none of them: it sees no GPU."
        raise UserError(message, cure="To train on CPUs: ACCELERATE_USE_CPU=true before torchrun; else launch one.")
    if accelerator.distributed_type == DistributedType.FSDP:
        if problems := [*_unsharded(accelerator, settings)]:
            raise UserError(problems)
        accelerator.state.fsdp_plugin.mixed_precision_policy = None  # but autocast, as without sharding
    elif parse_flag_from_env("ACCELERATE_USE_FSDP"):
        message = f"what trains is to be sharded, and this is {_place(accelerator)}: Accelerate would not shard it."
        raise UserError(message, cure="Launch without --use_fsdp, or on several GPUs.")
    return accelerator


def _place(accelerator: Accelerator) -> str:
    kind = "GPU" if accelerator.device.type == "cuda" else "CPU"
    return f"one process on a {kind}" if accelerator.num_processes == 1 else f"several processes, each on a {kind}"


def _unsharded(accelerator: Accelerator, settings: TrainSettings) -> Iterator[Problem]:
    """What is asked for and cannot be sharded, or not so."""
    plugin, dynamo = accelerator.state.fsdp_plugin, accelerator.state.dynamo_plugin
    if plugin.fsdp_version != 2:
        yield Problem("FSDP of version 1 is not supported.", cure=f"Launch with {FSDP}.")
        return
    if plugin.auto_wrap_policy is not None:
        message = "FSDP is to gather modules one by one as their forward runs, and parts have other methods that run."
        yield Problem(message, cure="Launch with --fsdp_auto_wrap_policy NO_WRAP: the whole model is one unit.")
    if isinstance(plugin.cpu_offload, CPUOffloadPolicy):
        yield Problem("FSDP cannot keep weights on the CPU here.", cure="Launch with --fsdp_offload_params false.")
    if plugin.ignored_modules is not None:
        message = "FSDP is to ignore some modules, whose gradients nobody would bring together."
        yield Problem(message, cure="Launch without --fsdp_ignored_modules.")
    if plugin.activation_checkpointing:
        cure = "Launch with --fsdp_activation_checkpointing false; train.checkpointing=true does the same."
        yield Problem("FSDP's activation checkpointing renames what a checkpoint holds.", cure=cure)
    if dynamo.backend != DynamoBackend.NO:
        yield Problem("what is sharded is not compiled.", cure="Launch with --dynamo_backend no.")
    if settings.precision == "fp16":
        yield Problem("train.precision=fp16 cannot be sharded.", cure="Set train.precision=bf16.")
    if settings.optimizer != "adamw":
        cure = "Set train.optimizer=adamw: each process keeps its part of the moments only."
        yield Problem(f"train.optimizer={settings.optimizer} cannot be sharded.", cure=cure)
    if settings.cache != "none":
        message = f"train.cache={settings.cache} is for networks that are not sharded."
        yield Problem(message, cure="Set train.cache=none.")


def peer_failure(error: RuntimeError) -> PgsynthError | None:
    """What to say if the error tells that another process is gone or does not answer; else None."""
    if not isinstance(error, DistError) and "gloo" not in str(error):
        return None
    first = next(iter(str(error).splitlines()), "")
    return PgsynthError(
        f"another process that trains this run is gone, or does not answer. What it said itself says why. The last "
        f"checkpoint stands: launch pgsynth train --resume as it was launched before. ({first})"
    )


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
