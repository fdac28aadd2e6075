"""What runs of the queue train on: the GPUs of this machine by their uuid, or its CPU. Floor 1, no torch.

GPUs are listed by NVIDIA's own program, which comes with the driver: torch would take seconds to say the same. A
uuid means the same card in every program and after a restart, a number does not.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from pgsynth_core.errors import UserError
from pgsynth_core.runs.locks import hold, holder_of, state_folder

__all__ = [
    "CPU",
    "Kind",
    "device_lock",
    "devices",
    "environment",
    "kind_of_device",
    "kind_wanted",
    "used",
    "worker_lock",
]

Kind = Literal["gpu", "cpu"]
CPU: Final = "cpu"
_QUERY: Final = ("nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader")
_PATIENCE: Final = 20.0
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_USE_CPU: Final = "ACCELERATE_USE_CPU"


def gpus() -> tuple[str, ...]:
    """The uuids of the GPUs that this process may use, in the driver's order; empty if there is none."""
    try:
        said = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    there = tuple(line.strip() for line in said.splitlines() if line.strip().startswith("GPU-"))
    chosen = os.environ.get(_VISIBLE)
    return there if chosen is None else _chosen(chosen, there)


def _chosen(words: str, there: tuple[str, ...]) -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES leaves: numbers, uuids or beginnings of them; the first unknown ends the list."""
    found: list[str] = []
    for word in (word.strip() for word in words.split(",")):
        if word.isdecimal() and int(word) < len(there):
            hits = [there[int(word)]]
        else:
            hits = [uuid for uuid in there if word.startswith("GPU-") and uuid.startswith(word)]
        if len(hits) != 1:
            break
        found += hits
    return tuple(dict.fromkeys(found))


def kind_wanted() -> Kind:
    """What a run that is enqueued now is to train on: GPUs, where there are any that may be used."""
    forced = os.environ.get(_USE_CPU, "").lower() in ("1", "true", "yes", "on", "y", "t")
    return "gpu" if not forced and gpus() else "cpu"


def kind_of_device(device: str) -> Kind:
    """Of a uuid, or of ``cpu``."""
    return "cpu" if device == CPU else "gpu"


def devices(kind: Kind) -> tuple[str, ...]:
    """Every device of a kind that this process may use."""
    return (CPU,) if kind == "cpu" else gpus()


def environment(held: tuple[str, ...]) -> Mapping[str, str]:
    """The environment of a trainer that is to use these devices and no other."""
    mine = dict(os.environ)
    if held == (CPU,):
        if gpus():
            mine[_VISIBLE] = ""
        return mine
    mine.pop(_USE_CPU, None)
    return mine | {_VISIBLE: ",".join(held)}


def device_lock(device: str) -> Path:
    """Held by whoever trains on the device: a worker, and the trainer it started."""
    return state_folder() / f"{_file(device)}.lock"


@contextmanager
def used(device: str, *, run: str) -> Iterator[str]:
    """Use a device outside the queue, whose runs wait for it meanwhile.

    Args:
        device: The uuid of a GPU.
        run: The run's folder.

    Returns:
        Who uses it already, in words; empty if nobody of this user and machine does.
    """
    try:
        held = hold(device_lock(device))
    except UserError:  # without a state folder there is no queue either
        yield ""
        return
    if held is None:
        yield f"this GPU is in use by another run of yours, {holder_of(device_lock(device)).get('run', 'unknown')}."
        return
    held.note(run=run)
    try:
        yield ""
    finally:
        held.release()


def worker_lock(device: str) -> Path:
    """Held by the device's worker alone."""
    return state_folder() / f"{_file(device)}.worker"


def _file(device: str) -> str:
    return "".join(char if char.isalnum() or char == "-" else "_" for char in device)
