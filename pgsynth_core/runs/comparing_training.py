"""The numbers of training side by side, and whether losses are of the same thing. Floor 1, no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from pgsynth_core.runs.apart import differences
from pgsynth_core.runs.compared import Cell, Notes, Number, SettingRow, Variant, mean_of, said_seeds
from pgsynth_core.runs.reader import LAST, RunFacts
from pgsynth_core.runs.settings import SEED

__all__ = ["training_numbers"]

_OF_LOSS: Final = ("base", "size", "fit", "data", "train.loss", "train.min_snr")
"""Settings, or beginnings of them, upon which it depends what a loss is of."""
_OF_TRAINING_LOSS: Final = ("train.drop", "train.flip")
"""And that of training, besides."""


def training_numbers(
    variants: Sequence[Variant], settings: Sequence[SettingRow], against: int, notes: Notes
) -> list[Number]:
    """Rows of what was told in training, without those that nobody has.

    Args:
        variants: Whose.
        settings: All of them: upon some it depends whether losses compare.
        against: Place of the variant from which losses are told apart.
        notes: What is to be known of the rows is added.
    """
    runs = [run for variant in variants for run in variant.counted]
    fewest = min((run.step for run in runs if run.losses), default=0)
    last = max(1, min(LAST, fewest // 10))
    training, unseen = tuple[int, ...](), tuple[int, ...]()
    if any(run.losses for run in runs):
        training = _other_losses(settings, (*_OF_LOSS, *_OF_TRAINING_LOSS), "Losses of training", notes)
        training = training or _other_pairs(runs, notes) or _other_seeds(variants, notes)
    if any(run.validation for run in runs):
        unseen = _other_losses(settings, (*_OF_LOSS, "train.validate_pairs"), "Losses on unseen pairs", notes)
        unseen = unseen or _other_seeds(variants, notes)
    steps, device = _other_steps(variants, notes), _other_devices(runs, notes)

    def row(name: str, of: Callable[[RunFacts], float | None], better: str, digits: int | None, **more: Any) -> Number:
        return Number("training", name, more.pop("unit", ""), digits, better, _cells(variants, of), **more)

    def loss(name: str, of: Callable[[RunFacts], float | None], other: tuple[int, ...]) -> Number:
        made = row(name, of, "lower", 4, notes=(*other, *steps), compares=not other)
        return made if other else replace(made, differences=differences(variants, _single(made.cells), against))

    what = "step" if last == 1 else f"{last} steps"
    rows = [
        loss(
            f"mean loss of last {what}",
            lambda run: mean_of(run.losses[-last:]) if run.losses else None,
            training,
        ),
        loss("best loss on unseen pairs", lambda run: run.validation[1] if run.validation else None, unseen),
        row("... after step", lambda run: run.validation[0] if run.validation else None, "", None),
        row("steps taken", lambda run: run.step, "", None),
        row("parameters that train", lambda run: run.parameters, "", None),
        row("time a step", lambda run: run.seconds_per_step, "lower", 3, unit="s", notes=device, compares=not device),
        row(
            "peak GPU memory",
            lambda run: run.memory / 2**30 if run.memory else None,
            "lower",
            2,
            unit="GiB",
            notes=device,
            compares=not device,
        ),
    ]
    return [one for one in rows if any(one.cells)]


def _cells(variants: Sequence[Variant], of: Callable[[RunFacts], float | None]) -> tuple[Cell | None, ...]:
    cells = []
    for variant in variants:
        values = {run.id: float(value) for run in variant.counted if (value := of(run)) is not None}
        cells.append(Cell(values) if values else None)
    return tuple(cells)


def _single(cells: Sequence[Cell | None]) -> list[dict[str, list[float]]]:
    """Run -> its one value, of each variant."""
    return [{run: [value] for run, value in cell.values.items()} if cell else {} for cell in cells]


def _other_losses(settings: Sequence[SettingRow], keys: Sequence[str], what: str, notes: Notes) -> tuple[int, ...]:
    """The note that says that losses are of different things; none if they are not."""
    others = [row.key for row in settings if row.differs and any(_within(row.key, key) for key in keys)]
    if not others:
        return ()
    differ = f"{', '.join(others)} differ{'s' if len(others) == 1 else ''}"
    return (notes.add(f"{what} are not of the same thing and do not compare: {differ}."),)


def _within(key: str, start: str) -> bool:
    return key == start or key.startswith(f"{start}.")


def _other_seeds(variants: Sequence[Variant], notes: Notes) -> tuple[int, ...]:
    """Noise and times of a loss follow from the seed: means over other seeds differ where the methods do not."""
    seeds = {one.name: said_seeds(one) for one in variants}
    if len(set(seeds.values())) < 2:
        return ()
    said = "; ".join(f"{name} {some}" for name, some in seeds.items())
    return (
        notes.add(f"Losses are of noise that follows from {SEED}, and the variants' seeds are not the same: {said}."),
    )


def _other_pairs(runs: Sequence[RunFacts], notes: Notes) -> tuple[int, ...]:
    if len({run.data for run in runs if run.data}) < 2:
        return ()
    sentence = "The data has the same settings and held other pairs when the runs were trained: losses do not compare."
    return (notes.add(sentence),)


def _other_steps(variants: Sequence[Variant], notes: Notes) -> tuple[int, ...]:
    taken = {variant.name: sorted({run.step for run in variant.counted}) for variant in variants}
    if len({step for steps in taken.values() for step in steps}) < 2:
        return ()
    said = "; ".join(f"{name} {', '.join(f'{step:,}' for step in steps)}" for name, steps in taken.items())
    return (notes.add(f"Not every run took as many steps: {said}."),)


def _other_devices(runs: Iterable[RunFacts], notes: Notes) -> tuple[int, ...]:
    kinds = sorted({run.device.partition(":")[0] for run in runs if run.device})
    devices = sorted({run.gpu for run in runs if run.gpu}) if len(kinds) == 1 else kinds
    if len(devices) < 2:
        return ()
    said = f"They were trained on different devices, {' and '.join(devices)}: times and memory do not compare."
    return (notes.add(said),)
