"""What runs of the queue train on: the GPUs of this machine by their uuid, or its CPU. Floor 1, no torch.

GPUs are listed by NVIDIA's own program, which comes with the driver: torch would take seconds to say the same. A
uuid means the same card in every program and after a restart, a number does not. Which of them a run may use is said by
the environment of whoever enqueues it, and stands in its entry: a worker's own environment says nothing about it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pgsynth_core.errors import UserError
from pgsynth_core.runs.locks import hold, holder_of, queue_held, state_folder

__all__ = [
    "CPU",
    "Kind",
    "allowed_gpus",
    "device_lock",
    "devices",
    "environment",
    "kind_of_device",
    "kind_wanted",
    "used",
    "worker_lock",
    "worker_locks",
]

Kind = Literal["gpu", "cpu"]
CPU: Final = "cpu"
_QUERY: Final = ("nvidia-smi", "--query-gpu=uuid,name", "--format=csv,noheader")
_NOTHING_THERE: Final = (6, 9, 12)
"""Its codes for: no such GPU, no driver loaded, no driver's library (nvidia-smi(1), return value)."""
_PATIENCE: Final = 20.0
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_ORDER: Final = "CUDA_DEVICE_ORDER"
_AS_LISTED: Final = "PCI_BUS_ID"
_USE_CPU: Final = "ACCELERATE_USE_CPU"


@dataclass(frozen=True)
class _Card:
    uuid: str
    name: str


def gpus() -> tuple[str, ...]:
    """The uuids of all GPUs of this machine, in the driver's order; empty if there is none.

    Raises:
        UserError: If the driver is there and does not answer.
    """
    return tuple(card.uuid for card in _cards())


def _cards() -> tuple[_Card, ...]:
    try:
        said = subprocess.run(_QUERY, capture_output=True, text=True, timeout=_PATIENCE, check=True).stdout
    except FileNotFoundError:
        return ()
    except subprocess.CalledProcessError as error:
        if error.returncode in _NOTHING_THERE:
            return ()
        raise _silent(f"it ended with code {error.returncode}, {(error.stdout or error.stderr).strip()!r}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise _silent(str(error)) from error
    rows = [line.partition(",") for line in said.splitlines() if line.strip().startswith("GPU-")]
    return tuple(_Card(uuid.strip(), name.strip()) for uuid, _, name in rows)


def _silent(why: str) -> UserError:
    cure = "Try again when it answers; to train on the CPU: ACCELERATE_USE_CPU=1 before the command."
    return UserError(f"nvidia-smi does not say which GPUs there are: {why}.", cure=cure)


def allowed_gpus() -> tuple[str, ...] | None:
    """The uuids of the GPUs that CUDA_VISIBLE_DEVICES leaves to this process; None for all.

    Raises:
        UserError: If it cannot be told which they are; and as `gpus`.
    """
    words = os.environ.get(_VISIBLE)
    return None if words is None else _chosen(words, _cards())


def _chosen(words: str, cards: tuple[_Card, ...]) -> tuple[str, ...]:
    """Numbers, uuids or beginnings of them; the first unknown ends the list."""
    found: list[str] = []
    for word in (word.strip() for word in words.split(",")):
        if word.startswith("MIG-"):
            raise _untold(words, "a part of a GPU cannot be queued for")
        if word.isdecimal() and int(word) < len(cards):
            if len({card.name for card in cards}) > 1 and os.environ.get(_ORDER) != _AS_LISTED:
                raise _untold(words, "there are several kinds of GPU, and CUDA numbers them by speed")
            hits = [cards[int(word)].uuid]
        else:
            hits = [card.uuid for card in cards if word.startswith("GPU-") and card.uuid.startswith(word)]
        if len(hits) != 1:
            break
        found += hits
    return tuple(dict.fromkeys(found))


def _untold(words: str, why: str) -> UserError:
    cure = f"Give the uuids that nvidia-smi -L lists, {_VISIBLE}=GPU-...; or {_ORDER}={_AS_LISTED} with its numbers."
    return UserError(f"it cannot be told which GPUs are meant: {why}.", where=f"{_VISIBLE}={words}", cure=cure)


def kind_wanted() -> Kind:
    """What a run that is enqueued now is to train on: GPUs, where there are any that may be used.

    Raises:
        UserError: As `allowed_gpus`.
    """
    if os.environ.get(_USE_CPU, "").lower() in ("1", "true", "yes", "on", "y", "t"):
        return "cpu"
    allowed = allowed_gpus()
    return "gpu" if (gpus() if allowed is None else allowed) else "cpu"


def kind_of_device(device: str) -> Kind:
    """Of a uuid, or of ``cpu``."""
    return "cpu" if device == CPU else "gpu"


def devices(kind: Kind) -> tuple[str, ...]:
    """Every device of a kind that this machine has.

    Raises:
        UserError: As `gpus`.
    """
    return (CPU,) if kind == "cpu" else gpus()


def environment(held: tuple[str, ...]) -> Mapping[str, str]:
    """The environment of a trainer that is to use these devices and no other."""
    mine = dict(os.environ)
    if held == (CPU,):
        return mine | {_VISIBLE: ""}
    mine.pop(_USE_CPU, None)
    return mine | {_VISIBLE: ",".join(held)}


def device_lock(device: str) -> Path:
    """Held by whoever trains on the device: a worker and the trainer it started, or a process outside the queue.

    It is one user's, on one machine: what others do there is not seen.
    """
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
        with queue_held():  # a worker that is about to be started looks whether it is free
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


def worker_locks() -> Iterator[tuple[str, Path]]:
    """Every device that ever had a worker, by the name of its file, and that lock."""
    for path in sorted(state_folder().glob("*.worker")):
        yield path.stem, path


def _file(device: str) -> str:
    return "".join(char if char.isalnum() or char == "-" else "_" for char in device)
