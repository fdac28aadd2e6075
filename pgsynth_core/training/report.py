"""What is told of training: each step one step late, so that no device is waited for; and when it must stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from accelerate import Accelerator

from pgsynth_core.data.records import BadRecord
from pgsynth_core.errors import PgsynthError
from pgsynth_core.runs.control import WISHES, Wish
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.spikes import Spikes
from pgsynth_core.training.step import StepTaken

__all__ = ["PATIENCE", "Report", "Tell", "learning_rate"]

Tell = Callable[[str, Mapping[str, Any]], None]
"""Takes an event: its kind and its plain data."""

PATIENCE: Final[Mapping[str, int]] = {"fp32": 3, "bf16": 3, "fp16": 20}
"""Steps in a row whose gradients may be no numbers; fp16 finds its scale by such steps."""

MOST_SPIKES: Final = 20
"""How many a session tells of: a run that has more is unsteady, which its losses show better than its log."""

_WATCHED: Final = {"loss": "the loss", "grad_norm": "the norm of the gradients"}


def _held(device: torch.device) -> dict[str, int]:
    """What torch counts by itself, so that nothing waits for the device; of a CPU it does not."""
    return {"memory_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up to the peak, then constant; a function of the step, so nothing is to be restored."""
    share = min(1.0, step / settings.warmup_steps) if settings.warmup_steps else 1.0
    return settings.learning_rate * share


class Report:
    """Told of each step by the loop.

    Args:
        settings: The spec's section `train`.
        accelerator: For the mean over processes.
        tell: Takes events.

    Attributes:
        wanted: What is asked of training and not done yet: what this process was asked, or with several processes any
            of them, which all learn at the same step.
    """

    def __init__(self, settings: TrainSettings, accelerator: Accelerator, tell: Tell) -> None:
        self.wanted: frozenset[Wish] = frozenset()
        self._settings, self._accelerator, self._tell = settings, accelerator, tell
        self._waiting: tuple[int, StepTaken, float, frozenset[Wish]] | None = None
        self._seconds = 0.0
        self._told = 0
        self._bad_steps: list[int] = []
        self._records: set[BadRecord] = set()
        self._spikes = {name: Spikes() for name in _WATCHED}
        self._spikes_told = 0

    @property
    def stop(self) -> bool:
        """Training is to stop."""
        return "stop" in self.wanted

    def done(self, *names: Wish) -> None:
        """What was wanted is done."""
        self.wanted -= set(names)

    def step(self, step: int, taken: StepTaken, seconds: float, *, asked: frozenset[Wish]) -> None:
        """A step was taken; `asked` is what this process was asked since the last."""
        self.flush()
        self._waiting = (step, taken, seconds, asked)
        if self._accelerator.num_processes == 1:
            self.wanted |= asked
        if step == self._settings.steps:
            self.flush()

    def flush(self) -> None:
        """Tell what is still untold.

        Raises:
            PgsynthError: If too many steps in a row were no numbers; the weights are as they were before them.
        """
        if self._waiting is None:
            return
        step, taken, seconds, asked = self._waiting
        self._waiting = None
        figures = {**taken.losses, "grad_norm": taken.norm}
        values = [value.float().to(taken.norm.device) for value in figures.values()]
        bits = torch.tensor([float(name in asked) for name in WISHES], device=taken.norm.device)
        row = self._accelerator.reduce(torch.cat([torch.stack(values), bits]), "mean").tolist()
        means, wished = row[: len(values)], row[len(values) :]
        if self._accelerator.num_processes > 1:
            self.wanted |= {name for name, bit in zip(WISHES, wished, strict=True) if bit > 0}
        self._tell_records(step, taken.skipped)
        self._tell_step(step, dict(zip(figures, means, strict=True)), seconds, taken.pairs)

    def _tell_step(self, step: int, means: dict[str, float], seconds: float, pairs: tuple[str, ...]) -> None:
        share = max(0.1, 1 / max(1, self._told))  # the first step warms up; the second says more, and replaces it
        self._seconds += share * (seconds - self._seconds)
        self._told += 1
        settings = self._settings
        bad = not all(map(math.isfinite, means.values()))
        facts: dict[str, Any] = {
            "step": step,
            "steps": settings.steps,
            **means,
            "learning_rate": learning_rate(settings, step),
            "seconds_per_step": round(self._seconds, 5),
            "eta_seconds": round(self._seconds * (settings.steps - step), 1),
            **_held(self._accelerator.device),
        }
        self._tell("step", facts | ({"skipped": True} if bad else {}))
        self._tell_spikes(step, means, pairs)
        self._bad_steps = [*self._bad_steps, step] if bad else []
        if len(self._bad_steps) >= PATIENCE[settings.precision]:
            raise PgsynthError(
                f"the gradients of {len(self._bad_steps)} steps in a row, {self._bad_steps[0]} to {step}, are not "
                f"finite numbers (loss {means['loss']}); the weights are those of before. The last batch: "
                f"{', '.join(pairs)}. Look at these pairs, or start another run with a lower train.learning_rate"
                f"{'' if settings.precision == 'fp32' else ' or train.precision=fp32'}."
            )

    def _tell_spikes(self, step: int, means: Mapping[str, float], pairs: tuple[str, ...]) -> None:
        """What stands far above the steps before it, with the pairs that this process saw; the run goes on."""
        ratios = {name: spikes.ratio(means[name]) for name, spikes in self._spikes.items()}
        high = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        found = [f"{_WATCHED[name]} is {means[name]:.4g}, {ratio:.1f} times the usual" for name, ratio in high.items()]
        if not found or self._spikes_told == MOST_SPIKES:
            return
        self._spikes_told += 1
        last = " Further spikes are not told." if self._spikes_told == MOST_SPIKES else ""
        message = f"spike at step {step}: {', and '.join(found)}. The batch: {', '.join(pairs)}.{last}"
        self._tell("warning", {"message": message, "step": step})

    def _tell_records(self, step: int, records: tuple[BadRecord, ...]) -> None:
        for record in records:
            if record not in self._records:
                self._records.add(record)
                self._tell("warning", {"message": f"passed over: {record}", "step": step})
