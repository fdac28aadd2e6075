"""The rehearsal: a few real steps of a run, with its data and weights, saved and loaded again; nothing stays behind."""

from __future__ import annotations

import gc
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import torch
from accelerate.utils.memory import clear_device_cache
from torch import Tensor

from pgsynth_core.api.composition import OnEvent
from pgsynth_core.api.session import TrainingSession
from pgsynth_core.api.shortage import within_memory
from pgsynth_core.composition.hub import Weights
from pgsynth_core.contract import Verdict
from pgsynth_core.errors import PgsynthError, UserError
from pgsynth_core.registry import Registry
from pgsynth_core.runs import RunFolder, require_room
from pgsynth_core.runs.durable import IN_RUNS, amount, passed_on, refused, refusing, remove
from pgsynth_core.runs.saving import Writer
from pgsynth_core.spec import Spec
from pgsynth_core.training.loop import train
from pgsynth_core.training.memory import training_memory
from pgsynth_core.training.processes import accelerator_for

__all__ = ["STEPS", "Rehearsal", "rehearse"]

STEPS: Final = 3
"""Steps that are taken: the first warms up, and only after it are the optimiser's moments there."""

APART: Final = 0.15
"""Share by which estimate and measurement may differ without a word."""

_PREFIX: Final = ".rehearsal-"
_SUFFIX: Final = ".tmp"
_OLD: Final = 24 * 3600
"""Seconds after which nobody works in a rehearsal's folder any more."""

_KEPT: Final = " On a CPU that holds what a process keeps of freed memory too, and the libraries it loads on the way."

_CLOSE: Final = 1e-4
"""Relative difference of two losses that kernels of a GPU may make; on a CPU there is none."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a rehearsal showed.

    Attributes:
        device: What it computed on.
        steps: Steps taken.
        seconds_per_step: Of those behind the first.
        hours: For the whole run: its steps, and for each checkpoint what training waits for, a copy of the state and a
            look at unseen pairs. Not its sheets, nor what `train.cache` saves.
        peak_bytes: The most that was held; None where the system does not say.
        estimated_bytes: What was estimated before.
        checkpoint_bytes: Size of a checkpoint.
        free_bytes: Free where runs are made.
        needed_bytes: What the run's checkpoints take at the most: those that stay, the best, and one being written.
        difference: Largest relative difference of a loss before saving and after loading; 0.0: the same, bit for bit.
    """

    device: str
    steps: int
    seconds_per_step: float
    hours: float
    peak_bytes: int | None
    estimated_bytes: int
    checkpoint_bytes: int
    free_bytes: int
    needed_bytes: int
    difference: float

    def warnings(self) -> Iterator[str]:
        """What deserves a word."""
        if self.peak_bytes and abs(self.estimated_bytes - self.peak_bytes) > APART * self.peak_bytes:
            share = 100 * (self.estimated_bytes / self.peak_bytes - 1)
            why = _KEPT if self.device == "cpu" else ""
            yield (
                f"the estimate of memory, {amount(self.estimated_bytes)}, is {abs(share):.0f} % "
                f"{'above' if share > 0 else 'below'} what was measured: go by the measurement.{why}"
            )
        if self.free_bytes < self.needed_bytes:
            room = f"{amount(self.needed_bytes)}, and {amount(self.free_bytes)} are free"
            yield (
                f"the run's checkpoints will take up to {room}: make room, keep fewer (train.keep_checkpoints), or "
                "choose another disk (--runs FOLDER)."
            )

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "warnings": list(self.warnings())}


def rehearse(
    spec: Spec, registry: Registry, verdict: Verdict, *, runs: Path, on_event: OnEvent | None = None
) -> Rehearsal:
    """Rehearse a composition's training.

    Args:
        spec: Resolved, with data.
        registry: Where its parts come from.
        verdict: Of the contract check; ok.
        runs: Where its run would be made; a checkpoint is written on that disk, and goes again.
        on_event: Told of each step.

    Raises:
        UserError: For everything the user can mend.
        PgsynthError: If what is loaded does not give what was saved.
    """
    estimated = training_memory(spec, registry, verdict).total
    there = next(path for path in (runs, *runs.absolute().parents) if path.exists())
    _sweep(there)
    with refusing("a checkpoint cannot be tried here", there, elsewhere=IN_RUNS):
        made = tempfile.TemporaryDirectory(prefix=_PREFIX, suffix=_SUFFIX, dir=there)
    with made as folder:
        taken = within_memory(lambda: _taken(spec, registry, verdict, folder, on_event), spec, registry, verdict)
        clear_device_cache(garbage_collection=True)  # what Accelerate wraps refers to itself
        again = within_memory(lambda: _again(spec, registry, verdict, folder), spec, registry, verdict)
    difference = max(_apart(one, other) for one, other in zip(taken.losses, again, strict=True))
    if not difference <= _CLOSE:
        message = f"what was saved and loaded again gives other losses: {taken.losses} became {again}."
        raise PgsynthError(f"{message} A part keeps something that trains out of its parameters and buffers.")
    settings = spec.train
    saves = math.ceil(settings.steps / settings.checkpoint_every) if settings.checkpoint_every else 1
    return Rehearsal(
        device=taken.device,
        steps=STEPS,
        seconds_per_step=taken.seconds,
        hours=(settings.steps * taken.seconds + saves * taken.save_seconds) / 3600,
        peak_bytes=taken.peak,
        estimated_bytes=estimated,
        checkpoint_bytes=taken.checkpoint,
        free_bytes=shutil.disk_usage(there).free,
        needed_bytes=taken.checkpoint * min(saves, taken.at_once),
        difference=difference,
    )


def _sweep(there: Path) -> None:
    """Remove what rehearsals left that were killed; of one that is at work the folder is younger."""
    for left in there.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _OLD:
                remove(left)


def _apart(one: float, other: float) -> float:
    return 0.0 if one == other else abs(one - other) / max(abs(one), abs(other))


# ------------------------------------------------------------------------------------------- taken once, loaded once
@dataclass(frozen=True, kw_only=True)
class _Taken:
    """What the steps showed."""

    device: str
    seconds: float
    save_seconds: float
    peak: int | None
    checkpoint: int
    at_once: int
    losses: Sequence[float]


@dataclass
class _Clock:
    """When each step began, and the last ended."""

    device: torch.device
    stamps: list[float] = field(default_factory=list)

    def stamp(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.stamps.append(time.perf_counter())


def _taken(spec: Spec, registry: Registry, verdict: Verdict, folder: str, on_event: OnEvent | None) -> _Taken:
    """Take the steps as the run's loop takes them, and save."""
    session = _session(spec, registry, verdict)
    device, place = session.accelerator.device, Path(folder)
    require_room(place, session.trained.size(), "a checkpoint", elsewhere=IN_RUNS)
    clock = _Clock(device)
    watch = _Watch(device, [*session.objective.parameters(), *session.objective.buffers()], session.averages())

    def tell(kind: str, data: Any) -> None:
        if on_event and kind == "step":
            on_event({"kind": kind, **data})

    job = session.job(RunFolder(place), tell, 0)
    brief = spec.train.model_copy(update={"steps": STEPS, "checkpoint_every": 0, "sample_every": 0})
    done = train(
        replace(
            job,
            settings=brief,
            begin=lambda step: clock.stamp(),
            save=lambda step, hurried: clock.stamp(),
            sample=lambda step: None,
        )
    )
    peak = watch.peak()
    if done.stopped:
        raise KeyboardInterrupt
    began = time.perf_counter()
    if validation := session.validation(job.stepper.chance):
        session.look(validation)
    files = session.trained.writers(STEPS)  # a copy; training does not wait for the disk
    waited = time.perf_counter() - began
    _write(files, place)
    first, *_, last = clock.stamps[1:]
    return _Taken(
        device=str(device),
        seconds=(last - first) / (STEPS - 1),
        save_seconds=waited,
        peak=peak,
        checkpoint=sum(file.stat().st_size for file in place.iterdir()),
        at_once=session.checkpoints_at_once,
        losses=_losses(session),
    )


def _write(files: Mapping[str, Writer], place: Path) -> None:
    what = "a checkpoint cannot be written"
    with refusing(what, place, elsewhere=IN_RUNS):
        try:
            for name, write in files.items():
                write(place / name)
        except Exception as error:
            if passed_on(error):
                raise refused(error, what, place, elsewhere=IN_RUNS) from error
            raise


def _again(spec: Spec, registry: Registry, verdict: Verdict, folder: str) -> Sequence[float]:
    """Built anew, with the checkpoint's weights: what a run that is resumed, or sampled from, begins with."""
    session = _session(spec, registry, verdict)
    session.trained.restore(Path(folder))
    return _losses(session)


def _session(spec: Spec, registry: Registry, verdict: Verdict) -> TrainingSession:
    accelerator = accelerator_for(spec.train)
    if accelerator.num_processes > 1:
        message = f"a rehearsal is of one process, and {accelerator.num_processes} were started."
        raise UserError(message, cure="Start it without accelerate launch, or with --num_processes 1.")
    return TrainingSession.open(spec, registry, verdict, accelerator, Weights())


def _losses(session: TrainingSession) -> Sequence[float]:
    """Of the run's first batch, with its own draws and the weights as they are."""
    device, objective = session.accelerator.device, session.objective.eval()
    batch = session.stream.first()
    draws = objective.chance(session.spec.train, batch.latent_grid).draw(range(len(batch)))
    with torch.no_grad(), session.accelerator.autocast():
        made = objective(batch.to(device), draws.to(device))
    return [float(value) for value in made.values()]


# ------------------------------------------------------------------------------------------- what is held
class _Watch:
    """The most that is held from now on.

    On a GPU, what torch has allocated. On a CPU, by how much this process grows beyond now, on top of the tensors that
    it holds now: `VmHWM` of Linux, begun anew. `ru_maxrss` cannot be begun anew, and begins with what the parent held.
    """

    def __init__(self, device: torch.device, *tensors: Sequence[Tensor]) -> None:
        self._device, self._held, self._before = device, 0, None
        gc.collect()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        self._held = sum(tensor.nbytes for group in tensors for tensor in group)
        try:
            Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        except OSError:
            return
        self._before = _status("VmRSS")

    def peak(self) -> int | None:
        """In bytes; None where the system does not say."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        most = _status("VmHWM")
        if self._before is None or most is None:
            return None
        return self._held + most - self._before


def _status(name: str) -> int | None:
    """A line of what Linux says of this process, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
