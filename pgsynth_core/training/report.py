"""What is told of training, and when it must stop.

Each step is told when the next one is queued: the device has that one to work at while the host waits for the figures
of this one, and is never idle for being asked. With several processes the figures are means over all of them, the same
to the last bit everywhere, as the replicas of DDP rest on all the same; so what is decided by them alone (that too many
steps were bad, that one is a spike, that training is to stop) every process decides at the same step, and may then
do what all must do together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from pgsynth_core.data.records import BadRecord
from pgsynth_core.errors import PgsynthError
from pgsynth_core.runs.control import WISHES, Wish
from pgsynth_core.spec import TrainSettings
from pgsynth_core.training.marks import Mark, Sent, placed, sent
from pgsynth_core.training.spikes import Spikes
from pgsynth_core.training.step import StepTaken

__all__ = ["PATIENCE", "Report", "Tell", "learning_rate"]

Tell = Callable[[str, Mapping[str, Any]], None]
"""Takes an event: its kind and its plain data."""

PATIENCE: Final[Mapping[str, int]] = {"fp32": 3, "bf16": 3, "fp16": 20}
"""Steps in a row whose gradients may be no numbers; fp16 finds its scale by such steps."""

MOST_SPIKES: Final = 20
"""How many a session tells of: a run that has more is unsteady, which its losses show better than its log."""

MOST_NAMED: Final = 200
"""Pairs that a message names; a run of several processes in fp16 may have thousands in its bad steps."""

_WATCHED: Final = {"loss": "the loss", "grad_norm": "the norm of the gradients"}


def _held(device: torch.device) -> dict[str, int]:
    """What torch counts by itself, so that nothing waits for the device; of a CPU it does not."""
    return {"memory_bytes": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}


def learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up to the peak, then constant; a function of the step, so nothing is to be restored."""
    share = min(1.0, step / settings.warmup_steps) if settings.warmup_steps else 1.0
    return settings.learning_rate * share


@dataclass(frozen=True, kw_only=True)
class _Untold:
    """A step whose figures are on their way: what they are called, and behind them the wishes of all processes."""

    step: int
    names: tuple[str, ...]
    figures: Sent
    began: Mark
    pairs: tuple[str, ...]
    skipped: tuple[BadRecord, ...]


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
        self._alone = accelerator.num_processes == 1
        self._step = 0
        self._asked: frozenset[Wish] = frozenset()
        self._untold: _Untold | None = None
        self._seconds = 0.0
        self._told = 0
        self._bad: list[tuple[int, tuple[str, ...]]] = []
        self._records: set[BadRecord] = set()
        self._spikes = {name: Spikes() for name in _WATCHED}
        self._spikes_told = 0

    @property
    def stop(self) -> bool:
        """Training is to stop."""
        return "stop" in self.wanted

    def ask(self, names: frozenset[Wish]) -> None:
        """Something is asked of this process between steps; of several, all learn of it by the next step's figures."""
        if self._alone:
            self._want(names)
        else:
            self._asked |= names

    def done(self, names: Iterable[Wish]) -> None:
        """What was wanted is done."""
        self.wanted -= set(names)

    def step(self, step: int, taken: StepTaken, began: Mark, *, asked: frozenset[Wish]) -> Mark:
        """A step was taken, or queued where a device takes it; the one before it is told.

        Gives where the device ends with it. A step that follows without a pause is timed from there, so that its time
        holds what the host does between them.

        Args:
            step: Its number.
            taken: What it showed.
            began: Where the device began with it.
            asked: What this process was asked since the last.

        Raises:
            PgsynthError: As `flush`.
        """
        self._step, asked, self._asked = step, asked | self._asked, frozenset()
        untold = self._sent(step, taken, began, asked)
        before, self._untold = self._untold, untold
        if before is not None:
            self._tell_of(before)
        if self._alone:
            self._want(asked)
        if step == self._settings.steps:
            self.flush()
        return untold.figures.arrived

    def flush(self) -> None:
        """Tell what is still untold; the device is waited for.

        Raises:
            PgsynthError: If too many steps in a row were no numbers; the weights are as they were before them.
        """
        untold, self._untold = self._untold, None
        if untold is not None:
            self._tell_of(untold)

    def _sent(self, step: int, taken: StepTaken, began: Mark, asked: frozenset[Wish]) -> _Untold:
        """Reduced over the processes, behind the step's own work; every process comes here once a step."""
        device, figures = taken.norm.device, {**taken.losses, "grad_norm": taken.norm}
        values = torch.stack([value.float().to(device) for value in figures.values()])
        wishes = placed([float(name in asked) for name in WISHES], device)
        return _Untold(
            step=step,
            names=tuple(figures),
            figures=sent(self._accelerator.reduce(torch.cat([values, wishes]), "mean")),
            began=began,
            pairs=taken.pairs,
            skipped=taken.skipped,
        )

    def _want(self, names: frozenset[Wish]) -> None:
        first = "stop" in names - self.wanted
        self.wanted |= names
        if first:
            message = f"asked to stop: step {self._step} is taken and will be saved."
            self._tell("warning", {"message": message, "step": self._step})

    def _tell_of(self, untold: _Untold) -> None:
        row = untold.figures.wait()
        seconds = untold.began.elapsed_time(untold.figures.arrived) / 1000
        means = dict(zip(untold.names, row, strict=False))
        self._tell_records(untold.step, untold.skipped)
        self._tell_step(untold.step, means, seconds, untold.pairs)
        if not self._alone:
            wished = row[len(means) :]
            self._want(frozenset(name for name, share in zip(WISHES, wished, strict=True) if share > 0))

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
        self._bad = [*self._bad, (step, pairs)] if bad else []
        if len(self._bad) >= PATIENCE[settings.precision]:
            raise PgsynthError(self._said_of_bad(means["loss"]))

    def _said_of_bad(self, loss: float) -> str:
        steps = [step for step, _ in self._bad]
        called = [f"of step {step} " for step in steps]
        seen = _named(zip(called, _of_all([pairs for _, pairs in self._bad]), strict=True))
        lower = "" if self._settings.precision == "fp32" else " or train.precision=fp32"
        return (
            f"the gradients of {len(steps)} steps in a row, {steps[0]} to {steps[-1]}, are not finite numbers (loss "
            f"{loss}); the weights are those of before. Their batches: {seen}. Look at these pairs, or start another "
            f"run with a lower train.learning_rate{lower}."
        )

    def _tell_spikes(self, step: int, means: Mapping[str, float], pairs: tuple[str, ...]) -> None:
        """What stands far above the steps before it, with the pairs that all processes saw; the run goes on."""
        ratios = {name: spikes.ratio(means[name]) for name, spikes in self._spikes.items()}
        high = {name: ratio for name, ratio in ratios.items() if ratio is not None}
        found = [f"{_WATCHED[name]} is {means[name]:.4g}, {ratio:.1f} times the usual" for name, ratio in high.items()]
        if not found or self._spikes_told == MOST_SPIKES:
            return
        self._spikes_told += 1
        last = " Further spikes are not told." if self._spikes_told == MOST_SPIKES else ""
        (seen,) = _of_all([pairs])
        message = f"spike at step {step}: {', and '.join(found)}. The batch: {_named([('', seen)])}.{last}"
        self._tell("warning", {"message": message, "step": step})

    def _tell_records(self, step: int, records: tuple[BadRecord, ...]) -> None:
        for record in records:
            if record not in self._records:
                self._records.add(record)
                self._tell("warning", {"message": f"passed over: {record}", "step": step})


def _of_all(steps: Sequence[Sequence[str]]) -> list[list[str]]:
    """Of each step the pairs that any process saw, the first process' first; all come here together."""
    return [[name for seen in one for name in seen] for one in zip(*gather_object([steps]), strict=True)]


def _named(batches: Iterable[tuple[str, Sequence[str]]]) -> str:
    """So many pairs by name, each batch behind what it is called, and the number of the others."""
    said, left = [], MOST_NAMED
    for called, pairs in batches:
        if shown := pairs[: max(0, left)]:
            said.append(f"{called}{', '.join(shown)}")
        left -= len(pairs)
    return "; ".join(said) + (f"; and {-left} more" if left < 0 else "")
