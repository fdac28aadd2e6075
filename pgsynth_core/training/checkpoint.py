"""What a checkpoint of a run holds, and how training continues from it: bitwise, from tensors and a step number.

    weights.safetensors     what trains, and what is new
    ema.safetensors         its moving average
    optimizer.safetensors   AdamW's moments; a count that the host keeps stands as a whole number
    state.json              the step, the session, the loss on unseen pairs, and in fp16 the scale of the loss

Draws and order are functions of seed and position, so there is no random stream to restore.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pgsynth_core.composition.method import Method
from pgsynth_core.composition.weights import kept_tensors, load_kept, trained_parameters
from pgsynth_core.errors import UserError
from pgsynth_core.runs.checkpoints import SESSION, STATE, VALIDATION
from pgsynth_core.runs.saving import Writer, text_of
from pgsynth_core.training.average import Average
from pgsynth_core.training.optimizer import moment_bytes, name_of
from pgsynth_core.training.sharding import like, own, whole

WEIGHTS, AVERAGE, OPTIMIZER = "weights.safetensors", "ema.safetensors", "optimizer.safetensors"
STATE_VERSION = 1


@dataclass(frozen=True)
class Trained:
    """Everything of a run that changes while it trains.

    Attributes:
        method: Unwrapped.
        base: Label of its base.
        optimizer: Over `trained_parameters(method, base)`, in their order.
        average: Of the weights, or None.
        scaler: Of the loss in fp16, or None.
    """

    method: Method
    base: str
    optimizer: torch.optim.Optimizer
    average: Average | None
    scaler: torch.amp.GradScaler | None = None

    def writers(self, step: int, validation: float | None = None, session: str = "") -> dict[str, Writer]:
        """File name -> what writes it, for `runs.write_checkpoint`.

        What is written is a copy, taken here: training may go on while it is.

        Args:
            step: Steps taken.
            validation: Loss on unseen pairs; kept where it is finite.
            session: Name of the session that writes it.
        """
        scaler = self.scaler.state_dict() if self.scaler else None
        state = {"state": STATE_VERSION, "step": step, "scaler": scaler, VALIDATION: _finite(validation)}
        text = json.dumps(state | {SESSION: session}) + "\n"
        return tensor_writers(self._files()) | {STATE: text_of(text)}

    def lend(self) -> None:
        """What other processes do meanwhile: where each holds a part only, the one that copies needs them all."""
        for tensors in self._files().values():
            for tensor in tensors.values():
                whole(tensor)

    def _files(self) -> dict[str, Mapping[str, Tensor]]:
        files: dict[str, Mapping[str, Tensor]] = {WEIGHTS: self.weights(), OPTIMIZER: self._moments()}
        return files if self.average is None else files | {AVERAGE: self.average.tensors}

    def weights(self) -> dict[str, Tensor]:
        """Key -> weights, as they are now."""
        return {key: value.detach() for key, value in kept_tensors(self.method, self.base).items()}

    def size(self) -> int:
        """Bytes that a checkpoint takes, known before the first step: AdamW will keep two moments of what trains."""
        moments = moment_bytes(name_of(self.optimizer), trained_parameters(self.method, self.base).values())
        averaged = [] if self.average is None else [*self.average.tensors.values()]
        return moments + sum(tensor.nbytes for tensor in [*self.weights().values(), *averaged])

    def _moments(self) -> dict[str, Tensor]:
        moments: dict[str, Tensor] = {}
        seen: set[int] = set()
        for key, parameter in trained_parameters(self.method, self.base).items():
            for name, value in self.optimizer.state.get(parameter, {}).items():
                tensor = value.detach() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.int64)
                storage = own(tensor).untyped_storage().data_ptr()
                shared = storage in seen  # the table of 8-bit values is one for all
                moments[f"{key}.{name}"] = tensor.clone() if shared else tensor
                seen.add(storage)
        return moments

    def restore(self, folder: Path) -> int:
        """Put a checkpoint's tensors in place; give its step.

        Raises:
            UserError: If a file cannot be read or belongs to another method.
        """
        kept, weights = kept_tensors(self.method, self.base), read_tensors(folder / WEIGHTS)
        weights = {key: like(value, kept.get(key, value)) for key, value in weights.items()}
        load_kept(self.method, self.base, weights, where=str(folder / WEIGHTS))
        if self.average is not None:
            self.average.restore(read_tensors(folder / AVERAGE), where=str(folder / AVERAGE))
        self._restore_moments(read_tensors(folder / OPTIMIZER))
        state = _state(folder / STATE)
        if self.scaler and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        return int(state["step"])

    def _restore_moments(self, moments: Mapping[str, Tensor]) -> None:
        grouped: dict[str, dict[str, Tensor]] = {}
        for full, value in moments.items():
            key, _, name = full.rpartition(".")
            grouped.setdefault(key, {})[name] = value
        for key, parameter in trained_parameters(self.method, self.base).items():
            if own := grouped.get(key):
                self.optimizer.state[parameter] = {name: _moment(value, parameter) for name, value in own.items()}


def _moment(value: Tensor, parameter: Tensor) -> Tensor | int:
    """As the optimiser keeps it: a fused one counts its steps on the device, as a float, bitsandbytes on the host."""
    if value.ndim == 0 and value.dtype == torch.int64:
        return int(value)
    return like(value, parameter) if value.shape == parameter.shape else value.to(parameter.device)


def _state(file: Path) -> Mapping[str, Any]:
    state: Mapping[str, Any] = {"scaler": None} | json.loads(file.read_text(encoding="utf-8"))
    if state["state"] > STATE_VERSION:
        message = f"the checkpoint is of form {state['state']}; this pgsynth reads up to {STATE_VERSION}."
        raise UserError(message, where=str(file), cure="Upgrade it: pip install --upgrade pgsynth.")
    return state


def read_tensors(file: Path) -> dict[str, Tensor]:
    """A safetensors file, on the CPU.

    Raises:
        UserError: If it cannot be read.
    """
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot read the tensors: {error}.", where=str(file), cure="Use another checkpoint of the run."
        ) from error
    return tensors


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def tensor_writers(files: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Writer]:
    """What writes each file, of copies that are taken here: what is copied may change meanwhile.

    Args:
        files: Name -> key -> tensor.
    """
    return {
        name: tensor_writer({key: whole(value).to("cpu", copy=True) for key, value in tensors.items()})
        for name, tensors in files.items()
    }


def tensor_writer(tensors: Mapping[str, Tensor]) -> Writer:
    """What writes a safetensors file, in the form that diffusers reads too.

    Args:
        tensors: Key -> tensor; of one on the CPU no copy is taken.
    """
    given = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    return lambda path: save_file(given, path, metadata={"format": "pt"})
