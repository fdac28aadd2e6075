"""The training loop. Everything that happens in a run happens here, in this order; the pieces are in sibling files."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator

from pgsynth_core.errors import PgsynthError
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.average import Average
from pgsynth_core.training.batches import Stream
from pgsynth_core.training.draws import Chance
from pgsynth_core.training.objective import Losses

Tell = Callable[[str, Mapping[str, Any]], None]
"""Takes an event: its kind and its plain data."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run about to train.

    Attributes:
        settings: The spec's section `train`.
        accelerator: Devices, processes, precision and accumulation.
        objective: The method with its loss, as Accelerate wrapped it.
        parameters: Key -> what trains, unwrapped.
        optimizer: Over `parameters`.
        average: Moving average of `parameters`, or None.
        stream: Batches by position.
        chance: Draws by position.
        start: Steps already taken.
        tell: Takes events.
        begin: Called with the number of the step about to be taken.
        save: Writes a checkpoint of the given step.
        sample: Draws a sheet at the given step; None: no sheets.
    """

    settings: TrainSettings
    accelerator: Accelerator
    objective: torch.nn.Module
    parameters: Mapping[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    average: Average | None
    stream: Stream
    chance: Chance
    start: int
    tell: Tell
    begin: Callable[[int], None]
    save: Callable[[int], None]
    sample: Callable[[int], None] | None


@dataclass(frozen=True)
class Done:
    """How training ended: `step` steps are taken and saved; `stopped` if it was asked to stop before the last."""

    step: int
    stopped: bool


def train(job: Job) -> Done:
    """Train from `job.start` to the last step; an interrupt finishes the step, saves and stops.

    Raises:
        PgsynthError: If the loss is no longer a finite number; the last checkpoint stands.
    """
    settings, step, report = job.settings, job.start, _Report(job)
    batches = iter(job.stream.since(job.start))
    job.objective.train()
    with _asked_to_stop() as asked:
        while step < settings.steps and not asked.is_set():
            step += 1
            job.begin(step)
            began = time.perf_counter()
            for group in job.optimizer.param_groups:
                group["lr"] = learning_rate(settings, step)
            losses = [_micro_batch(job, batches) for _ in range(settings.accumulate)]
            if job.average is not None:
                job.average.update(job.parameters, step)
            report.step(step, losses, began)
            last = step == settings.steps or asked.is_set()
            if asked.is_set():
                message = f"asked to stop: step {step} is taken and will be saved."
                job.tell("warning", {"message": message, "step": step})
            if last or (settings.checkpoint_every and step % settings.checkpoint_every == 0):
                report.flush()  # nothing is saved that came after a loss that is no number
                job.save(step)
            if job.sample and (last or (settings.sample_every and step % settings.sample_every == 0)):
                job.sample(step)
                job.objective.train()
    return Done(step, stopped=step < settings.steps)


def _micro_batch(job: Job, batches: Iterator[Any]) -> Losses:
    """Forward, backward, and with the last of an accumulation clip and step."""
    accelerator = job.accelerator
    positions, batch = next(batches)
    draws = job.chance.draw(positions).to(accelerator.device)
    with accelerator.accumulate(job.objective):
        losses: Losses = job.objective(batch.to(accelerator.device), draws)
        accelerator.backward(losses["loss"])
        if accelerator.sync_gradients and job.settings.max_grad_norm:
            accelerator.clip_grad_norm_(job.parameters.values(), job.settings.max_grad_norm)
        job.optimizer.step()
        job.optimizer.zero_grad()
    return {name: value.detach() for name, value in losses.items()}


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up to the peak, then constant; a function of the step, so nothing is to be restored."""
    return (
        settings.learning_rate * min(1.0, step / settings.warmup_steps)
        if settings.warmup_steps
        else (settings.learning_rate)
    )


class _Report:
    """Tells of each step one step later, so that no device is waited for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._waiting: tuple[int, dict[str, torch.Tensor], float] | None = None
        self._seconds = 0.0
        self._told = 0

    def step(self, step: int, losses: list[Losses], began: float) -> None:
        self.flush()
        mean = {name: torch.stack([one[name] for one in losses]).mean() for name in losses[0]}
        self._waiting = (step, mean, time.perf_counter() - began)
        if step == self.job.settings.steps:
            self.flush()

    def flush(self) -> None:
        if self._waiting is None:
            return
        step, mean, seconds = self._waiting
        self._waiting = None
        reduced = {name: float(self.job.accelerator.reduce(value, "mean")) for name, value in mean.items()}
        share = max(0.1, 1 / max(1, self._told))  # the first step warms up; the second says more, and replaces it
        self._seconds += share * (seconds - self._seconds)
        self._told += 1
        settings = self.job.settings
        eta = self._seconds * (settings.steps - step)
        rate = learning_rate(settings, step)
        timing = {"seconds_per_step": round(self._seconds, 5), "eta_seconds": round(eta, 1)}
        self.job.tell("step", {"step": step, "steps": settings.steps, **reduced, "learning_rate": rate, **timing})
        if not all(math.isfinite(value) for value in reduced.values()):
            raise PgsynthError(
                f"the loss at step {step} is {reduced['loss']}, not a finite number; nothing after it is saved. "
                "Continue from the last checkpoint with a lower train.learning_rate, or in fp32."
            )


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM; a second one interrupts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
