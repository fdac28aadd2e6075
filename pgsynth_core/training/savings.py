"""What would make training hold less: settings of the spec, each with what it saves, by the estimate of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pgsynth_core.composition.build import entry_of
from pgsynth_core.contract import Verdict
from pgsynth_core.registry import Registry
from pgsynth_core.spec import Spec, TrainSettings
from pgsynth_core.training.memory import TrainingMemory, training_memory

__all__ = ["Saving", "savings"]

_LEAST: Final = 0.01
"""Share of the whole below which a setting is not worth a word."""

_TRAIN: Final = "train"
"""Option of a base that says what of its denoiser trains."""


@dataclass(frozen=True)
class Saving:
    """One change.

    Attributes:
        words: What to write, e.g. ``train.checkpointing=true``.
        bytes: How much less training then holds.
        alike: Whether the same weights train, so that what is learned compares.
    """

    words: str
    bytes: int
    alike: bool = True


def savings(
    spec: Spec, registry: Registry, verdict: Verdict, *, sharded: bool = False
) -> tuple[TrainingMemory, tuple[Saving, ...]]:
    """What training holds, and what each setting alone would save: the most first, but last what changes what trains.

    Args:
        spec: Resolved.
        registry: Where its parts come from.
        verdict: Of the contract check; ok, whatever of this is changed.
        sharded: Several processes keep a part each, which only some settings allow.
    """
    now = training_memory(spec, registry, verdict)
    found: list[Saving] = []
    for change in _changes(spec, registry, sharded):
        memory = TrainingMemory(weights=0, moments=0, average=0, step=0)
        with suppress(Exception):  # e.g. a library is not installed, or torch refuses an operation by shape
            memory = training_memory(change.spec, registry, verdict, step=now.step if change.same_step else None)
        saved = now.total - memory.total
        if memory.moments and saved > _LEAST * now.total:  # without moments, nothing would train
            found.append(Saving(change.words, saved, change.alike))
    return now, tuple(sorted(found, key=lambda one: (not one.alike, -one.bytes)))


@dataclass(frozen=True)
class _Change:
    """A change to try; `same_step`: a step holds as much as before."""

    words: str
    spec: Spec
    alike: bool = True
    same_step: bool = False


def _changes(spec: Spec, registry: Registry, sharded: bool) -> Iterator[_Change]:
    """Every change that keeps what is learned comparable, then those of what trains."""
    train = spec.train
    if not train.checkpointing:
        yield _Change("train.checkpointing=true", _with(spec, checkpointing=True))
    if parts := next((number for number in (2, 3, 5, 7) if train.batch_size % number == 0), 0):
        batch, accumulate = train.batch_size // parts, train.accumulate * parts
        words = f"train.batch_size={batch} train.accumulate={accumulate}"
        yield _Change(words, _with(spec, batch_size=batch, accumulate=accumulate))
    if train.precision == "fp32":
        yield _Change("train.precision=bf16", _with(spec, precision="bf16"))
    if train.optimizer == "adamw" and not sharded:
        yield _Change("train.optimizer=adamw8bit", _with(spec, optimizer="adamw8bit"), same_step=True)
    if train.ema:
        yield _Change("train.ema=0", _with(spec, ema=0.0), same_step=True)
    option = entry_of(registry, "base", spec.base).component.options.get(_TRAIN)
    for choice in option.choices if option else ():
        if choice != spec.base.options[_TRAIN]:
            base = spec.base.model_copy(update={"options": {**spec.base.options, _TRAIN: choice}})
            words = f"base.{spec.base.label}.{_TRAIN}={choice}"
            yield _Change(words, spec.model_copy(update={"base": base}), alike=False)


def _with(spec: Spec, **changed: object) -> Spec:
    train: TrainSettings = spec.train.model_copy(update=changed)
    return spec.model_copy(update={"train": train})
