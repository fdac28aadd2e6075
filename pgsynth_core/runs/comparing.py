"""What differs between runs and what came of it; runs that differ in their seed alone are one variant. Floor 1.

A replay trained nothing: where the run that it plays is compared too, or another replay of that run, it counts nowhere.

Numbers stand side by side only where they are of the same thing: evaluations of the same pairs, sampled alike, by the
same definition share a row; a loss of another thing has its row, and a note that says so in place of a best one. The
values of single pairs stay in `reader.Evaluation.values`, aligned between evaluations of the same `pairs`.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.runs.alike import Block, blocks
from pgsynth_core.runs.reader import LAST, SEED, RunFacts
from pgsynth_core.spec import KIND_OF_SLOT

__all__ = ["ABSENT", "Cell", "Comparison", "Number", "SettingRow", "Variant", "compare"]


class _Absent:
    """A setting that a variant has not."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Final = _Absent()
_TRAINING: Final = "training"
_OF_LOSS: Final = ("base", "size", "fit", "data", "train.loss", "train.min_snr")
"""Settings, or beginnings of them, upon which it depends what a loss is of."""
_OF_TRAINING_LOSS: Final = ("train.drop", "train.flip")
"""And that of training, besides."""


@dataclass(frozen=True)
class Variant:
    """Runs whose settings are the same but for their seed.

    Attributes:
        name: A letter: ``A`` is that of the first run.
        runs: At least one.
        settings: What they share, dotted.
        stands_in: Id of a run that counts in no number -> that of the one whose numbers it would repeat.
    """

    name: str
    runs: tuple[RunFacts, ...]
    settings: Mapping[str, Any]
    stands_in: Mapping[str, str] = field(default_factory=dict)

    @property
    def counted(self) -> tuple[RunFacts, ...]:
        """The runs over which means, spreads and n are; at least one."""
        return tuple(run for run in self.runs if run.id not in self.stands_in)

    @property
    def seeds(self) -> tuple[Any, ...]:
        """The seed of each run."""
        return _seeds(self.runs)


def _seeds(runs: Iterable[RunFacts]) -> tuple[Any, ...]:
    return tuple(run.settings.get(SEED) for run in runs)


@dataclass(frozen=True)
class SettingRow:
    """A setting and its value in each variant.

    Attributes:
        key: Its path; at a slot, its parts.
        values: One of each variant; `ABSENT` where it has none, as an option of a part that is not there.
        differs: Whether variants that could have it have it otherwise.
    """

    key: str
    values: tuple[Any, ...]
    differs: bool


@dataclass(frozen=True)
class Cell:
    """A number of a variant.

    Attributes:
        values: Run id -> its value.
    """

    values: Mapping[str, float]

    @property
    def n(self) -> int:
        """How many runs have it."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Mean over the runs; not finite if one of them is not."""
        return _mean(list(self.values.values()))

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the runs; None of a single one, or if it is not finite."""
        values = list(self.values.values())
        return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None


def _mean(values: Sequence[float]) -> float:
    """Their mean; the first that is not finite, if there is one: infinities have no sum."""
    odd = next((value for value in values if not math.isfinite(value)), None)
    return statistics.fmean(values) if odd is None else odd


@dataclass(frozen=True)
class Number:
    """A number and its cell in each variant.

    Attributes:
        group: ``training``, or an evaluation: split, pairs and size.
        name: What it is.
        unit: ``dB``, ``s``, ``GiB``; empty if it has none.
        digits: After the point; None for a whole number.
        better: ``higher``, ``lower``; empty where neither is.
        cells: One of each variant; None where it has no such number.
        notes: What to know of it: numbers of `Comparison.notes`, from 1.
        compares: Whether the cells are of the same thing.
        about: How it is defined.
        ahead: Of each variant, on how many of the same pairs it is better than the first, and of how many; None where
            single pairs are not known.
    """

    group: str
    name: str
    unit: str
    digits: int | None
    better: str
    cells: tuple[Cell | None, ...]
    notes: tuple[int, ...] = ()
    compares: bool = True
    about: str = ""
    ahead: tuple[tuple[int, int] | None, ...] = ()

    @property
    def places(self) -> int:
        """Digits after the point that are printed of what is not whole: a tenth of a mean of whole numbers."""
        return 1 if self.digits is None else self.digits

    @property
    def best(self) -> frozenset[int]:
        """Which cells have the better mean, as it is printed; none where all print the same. It may be chance."""
        means = {
            place: round(cell.mean, self.places)
            for place, cell in enumerate(self.cells)
            if cell and not math.isnan(cell.mean)
        }
        if not (self.better and self.compares and len(means) > 1):
            return frozenset()
        best = max(means.values()) if self.better == "higher" else min(means.values())
        found = frozenset(place for place, mean in means.items() if mean == best)
        return frozenset() if len(found) == len(means) else found


@dataclass(frozen=True)
class Comparison:
    """Variants side by side.

    Attributes:
        variants: In the order in which their first runs were given.
        settings: Every setting that one of them has.
        numbers: Of training, then of evaluations.
        notes: What to know of it, a sentence or two each; those that no number names are about all.
    """

    variants: tuple[Variant, ...]
    settings: tuple[SettingRow, ...]
    numbers: tuple[Number, ...]
    notes: tuple[str, ...]

    @property
    def differing(self) -> tuple[SettingRow, ...]:
        """The settings that differ."""
        return tuple(row for row in self.settings if row.differs)


def compare(runs: Sequence[RunFacts]) -> Comparison:
    """Put runs side by side.

    Args:
        runs: At least one.
    """
    variants = _variants(runs)
    settings = _settings(variants)
    notes = _Notes()
    numbers = [*_training(variants, settings, notes)]
    found, sentences = blocks([variant.counted for variant in variants], [variant.name for variant in variants])
    for block in found:
        numbers += _evaluation(block, variants, notes)
    unequal = [sentence for block in found for sentence in _other_counts(block, variants)]
    for sentence in (*sentences, *unequal, *_about_all(variants)):
        notes.add(sentence)
    return Comparison(variants, settings, tuple(numbers), tuple(notes.told))


@dataclass
class _Notes:
    """Sentences, each once."""

    told: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> int:
        """Its number, from 1."""
        if sentence not in self.told:
            self.told.append(sentence)
        return self.told.index(sentence) + 1


# ------------------------------------------------------------------------------------------- settings
def _variants(runs: Sequence[RunFacts]) -> tuple[Variant, ...]:
    found: dict[str, list[RunFacts]] = {}
    for run in runs:
        shared = {key: value for key, value in run.settings.items() if key != SEED}
        found.setdefault(json.dumps(sorted(shared.items()), default=str), []).append(run)
    return tuple(
        Variant(
            _letters(number), tuple(some), {k: v for k, v in some[0].settings.items() if k != SEED}, _repeated(some)
        )
        for number, some in enumerate(found.values())
    )


def _repeated(runs: Sequence[RunFacts]) -> dict[str, str]:
    """Of each replay whose numbers another of these runs, of the same seed, has: the id of that one.

    What is played is known by its id, for it may have been moved since. Of several replays of a run that is not among
    them, the first has its numbers.
    """
    standing: dict[tuple[str, str], str] = {}
    repeated: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: bool(run.replay_of)):  # trainings first
        of = Path(run.replay_of).name if run.replay_of else run.id
        has = standing.setdefault((of, str(run.settings.get(SEED))), run.id)
        if run.replay_of and has != run.id:
            repeated[run.id] = has
    return repeated


def _letters(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    first, last = divmod(number, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def _settings(variants: Sequence[Variant]) -> tuple[SettingRow, ...]:
    of_section: dict[str, dict[str, None]] = {}  # what only a later variant has, at the end of its section
    for variant in variants:
        for key in variant.settings:
            of_section.setdefault(key.partition(".")[0], {})[key] = None
    keys = [key for some in of_section.values() for key in some]
    rows = [_row(key, variants) for key in keys]
    seeds = tuple(_said_seeds(variant) for variant in variants)
    return (*rows, SettingRow(SEED, seeds, differs=len(set(seeds)) > 1))


def _said_seeds(variant: Variant) -> str:
    return ", ".join(map(str, sorted(_seeds(variant.counted), key=str)))


def _row(key: str, variants: Sequence[Variant]) -> SettingRow:
    values = tuple(variant.settings.get(key, ABSENT) for variant in variants)
    could = [value for value, one in zip(values, variants, strict=True) if value is not ABSENT or _could(key, one)]
    return SettingRow(key, values, differs=len({json.dumps(value, default=str) for value in could}) > 1)


def _could(key: str, variant: Variant) -> bool:
    """Whether a setting that a variant lacks is a difference. That of a part it has not is none: the part itself is."""
    slot, *rest = key.split(".")
    if slot not in KIND_OF_SLOT or len(rest) < 2:
        return True
    return rest[0] in str(variant.settings.get(slot, "")).split("+")


# ------------------------------------------------------------------------------------------- training
def _training(variants: Sequence[Variant], settings: Sequence[SettingRow], notes: _Notes) -> list[Number]:
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
        return Number(_TRAINING, name, more.pop("unit", ""), digits, better, _cells(variants, of), **more)

    what = "step" if last == 1 else f"{last} steps"
    rows = [
        row(
            f"mean loss of last {what}",
            lambda run: _mean(run.losses[-last:]) if run.losses else None,
            "lower",
            4,
            notes=(*training, *steps),
            compares=not training,
        ),
        row(
            "best loss on unseen pairs",
            lambda run: run.validation[1] if run.validation else None,
            "lower",
            4,
            notes=(*unseen, *steps),
            compares=not unseen,
        ),
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


def _other_losses(settings: Sequence[SettingRow], keys: Sequence[str], what: str, notes: _Notes) -> tuple[int, ...]:
    """The note that says that losses are of different things; none if they are not."""
    others = [row.key for row in settings if row.differs and any(_within(row.key, key) for key in keys)]
    if not others:
        return ()
    differ = f"{', '.join(others)} differ{'s' if len(others) == 1 else ''}"
    return (notes.add(f"{what} are not of the same thing and do not compare: {differ}."),)


def _within(key: str, start: str) -> bool:
    return key == start or key.startswith(f"{start}.")


def _other_seeds(variants: Sequence[Variant], notes: _Notes) -> tuple[int, ...]:
    """Noise and times of a loss follow from the seed: means over other seeds differ where the methods do not."""
    seeds = {one.name: _said_seeds(one) for one in variants}
    if len(set(seeds.values())) < 2:
        return ()
    said = "; ".join(f"{name} {some}" for name, some in seeds.items())
    return (
        notes.add(f"Losses are of noise that follows from {SEED}, and the variants' seeds are not the same: {said}."),
    )


def _other_pairs(runs: Sequence[RunFacts], notes: _Notes) -> tuple[int, ...]:
    if len({run.data for run in runs if run.data}) < 2:
        return ()
    sentence = "The data has the same settings and held other pairs when the runs were trained: losses do not compare."
    return (notes.add(sentence),)


def _other_steps(variants: Sequence[Variant], notes: _Notes) -> tuple[int, ...]:
    taken = {variant.name: sorted({run.step for run in variant.counted}) for variant in variants}
    if len({step for steps in taken.values() for step in steps}) < 2:
        return ()
    said = "; ".join(f"{name} {', '.join(f'{step:,}' for step in steps)}" for name, steps in taken.items())
    return (notes.add(f"Not every run took as many steps: {said}."),)


def _other_devices(runs: Iterable[RunFacts], notes: _Notes) -> tuple[int, ...]:
    kinds = sorted({run.device.partition(":")[0] for run in runs if run.device})
    devices = sorted({run.gpu for run in runs if run.gpu}) if len(kinds) == 1 else kinds
    if len(devices) < 2:
        return ()
    said = f"They were trained on different devices, {' and '.join(devices)}: times and memory do not compare."
    return (notes.add(said),)


# ------------------------------------------------------------------------------------------- evaluations
def _evaluation(block: Block, variants: Sequence[Variant], notes: _Notes) -> list[Number]:
    """A row for each measure, or for each definition that it has."""
    told = tuple(notes.add(sentence) for sentence in block.notes)
    rows = []
    kinds = {
        (name, one.id): one for found in block.found for some in found.values() for name, one in some.measures.items()
    }
    for (name, definition), measured in kinds.items():
        several = sum(other == name for other, _ in kinds) > 1
        cells = []
        for found in block.found:
            values = {
                run: some.means[name]
                for run, some in found.items()
                if name in some.measures and some.measures[name].id == definition
            }
            cells.append(Cell(values) if values else None)
        rows.append(
            Number(
                block.title,
                f"{name} ({definition})" if several else name,
                measured.unit,
                2 if measured.unit else 4,
                measured.better,
                tuple(cells),
                notes=told,
                about=measured.definition,
                ahead=_ahead(block, name, definition, better=measured.better),
            )
        )
    return rows


def _other_counts(block: Block, variants: Sequence[Variant]) -> tuple[str, ...]:
    """A mean over more runs is steadier, pair by pair, too: that is no merit of the method."""
    counts = {variant.name: len(found) for variant, found in zip(variants, block.found, strict=True) if found}
    if len(set(counts.values())) < 2:
        return ()
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    steadier = "Those over more are steadier, pair by pair, too, which is no merit"
    return (f"Means of {block.title} are over unequal numbers of runs: {said}. {steadier}.",)


def _ahead(block: Block, name: str, definition: str, *, better: str) -> tuple[tuple[int, int] | None, ...]:
    """On how many pairs each variant is better than the first, by its mean over the runs."""
    means: list[list[float]] = []
    for found in block.found:
        known = [some for some in found.values() if name in some.measures and some.measures[name].id == definition]
        means.append([_mean(values) for values in zip(*(one.values[name] for one in known), strict=True)])
    first, sign = means[0], 1 if better == "higher" else -1
    if not first:
        return (None,) * len(means)
    pairs = [
        (sum(sign * (x - y) > 0 for x, y in zip(some, first, strict=True)), len(first)) if some else None
        for some in means
    ]
    return (None, *pairs[1:])


# ------------------------------------------------------------------------------------------- about all
def _about_all(variants: Sequence[Variant]) -> list[str]:
    told = []
    if len(variants) == 1 and len(variants[0].runs) > 1:
        told.append(_one_variant(variants[0]))
    for variant in variants:
        seeds = _seeds(variant.counted)
        if twice := sorted({str(seed) for seed in seeds if seeds.count(seed) > 1}):
            several = f"several runs of {variant.name} have the seed {', '.join(twice)}"
            told.append(f"The spread is not that of seeds alone: {several}.")
    for variant in variants:
        for run in variant.runs:
            if run.state not in ("finished", "stopped") and run.id not in variant.stands_in:
                told.append(f"{run.id} is {run.state}: its numbers may still change, or are not those of a whole run.")
            if run.replay_of:
                told.append(_of_replay(run, variant.stands_in.get(run.id, "")))
            told += run.problems
    return [*told, *_versions(variants)]


def _one_variant(variant: Variant) -> str:
    same = len(set(map(str, variant.seeds))) == 1
    what = "have the same settings and the same seed" if same else f"differ in {SEED} alone"
    spread = ", and the spread is over its runs" if len(variant.counted) > 1 else ""
    return f"These runs {what}: they are one variant{spread}."


def _of_replay(run: RunFacts, stands: str) -> str:
    """That a run is a replay, and what its numbers are; `stands` is the run that has them, if one is compared too."""
    said = f"{run.id} is a replay of {run.replay_of}"
    if not stands:
        return f"{said}: its numbers are that run's."
    return f"{said}: its numbers are those of {stands}, and it is left out of every mean, spread and n."


def _versions(variants: Sequence[Variant]) -> list[str]:
    """What runs were made with, where it was not the same."""
    told = []
    runs = [(variant.name, run) for variant in variants for run in variant.counted if run.made_with]
    for what in dict.fromkeys(name for _, run in runs for name in run.made_with):
        of: dict[str, list[str]] = {}
        for variant, run in runs:
            of.setdefault(run.made_with.get(what, ""), []).append(variant)
        known = {version: names for version, names in of.items() if version}
        if len(known) > 1:
            said = "; ".join(
                f"{_short(version)} ({', '.join(dict.fromkeys(names))})" for version, names in known.items()
            )
            told.append(f"They were made with different versions of {what}: {said}.")
    return told


def _short(version: str) -> str:
    return version if len(version) <= 20 else f"{version[:17]}..."
