"""Which pictures of which runs stand side by side: one grid for each set of pairs, a column a run, a row a pair.

Evaluations share a grid where they have pairs of the same names and the same source and target, pixel by pixel. Of a
run that has several of one split, the one of the latest step is shown, and of those the one of the most pairs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.data import read_image
from pgsynth_core.errors import UserError
from pgsynth_core.reports.page.found import Evaluated
from pgsynth_core.runs.settings import dotted
from pgsynth_core.runs.written import number_text

__all__ = ["Column", "Grid", "Metric", "grids_of"]

_HOW: Final = ("step", "ema", "seed", "sample")
"""What an evaluation says of how it was sampled."""
_SAME_BY: Final = ("source", "target")


@dataclass(frozen=True)
class Metric:
    """A metric with a value for single pairs.

    Attributes:
        label: What it is called on the page.
        title: Of the table of scores.
        name: In that table.
        id: Its definition as one word.
        better: ``higher`` or ``lower``.
        unit: ``dB``, or empty.
        digits: So many after the point.
    """

    label: str
    title: str
    name: str
    id: str
    better: str
    unit: str
    digits: int

    def said(self, value: float) -> str:
        """A value as it is printed."""
        return number_text(value, self.digits)


@dataclass(frozen=True)
class Column:
    """A run in a grid.

    Attributes:
        label: Of the run on this page.
        series: Its colour.
        shown: Its evaluation.
    """

    label: str
    series: int
    shown: Evaluated

    def value(self, name: str, metric: Metric) -> float | None:
        """The value of a pair; None if there is none of that definition."""
        for scores in self.shown.scores:
            if (scores.title, scores.measures.get(metric.name, {}).get("id")) == (metric.title, metric.id):
                return scores.values.get(name, {}).get(metric.name)
        return None


@dataclass
class Grid:
    """Evaluations of the same pairs.

    Attributes:
        columns: At least one.
        notes: What to know of them.
    """

    columns: list[Column]
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Split and steps."""
        steps = sorted({column.shown.step for column in self.columns})
        return f"{self.columns[0].shown.split}, after {' and '.join(f'{step:,}' for step in steps)} steps"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pairs, as they are listed; those of which source, pose and target are kept come first."""
        every = dict.fromkeys(name for column in self.columns for name in column.shown.outputs)
        return tuple(sorted(every, key=lambda name: self.given(name) is None))

    def given(self, name: str) -> Mapping[str, Path] | None:
        """Source, pose and target of a pair; None if no run keeps them."""
        return next((column.shown.given[name] for column in self.columns if name in column.shown.given), None)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that has a value for a pair, by the order of the first run that has it."""
        found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for column in self.columns:
            for scores in column.shown.scores:
                there = {name for values in scores.values.values() for name in values}
                for name, measure in scores.measures.items():
                    if name in there:
                        found.setdefault((scores.title, name, str(measure.get("id", ""))), measure)
        return tuple(_metrics(found))


def _metrics(found: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> Iterator[Metric]:
    names = [name for _, name, _ in found]
    for (title, name, definition), measure in found.items():
        better, unit, digits = (measure.get(key) for key in ("better", "unit", "digits"))
        unit = unit if isinstance(unit, str) else ""
        digits = digits if isinstance(digits, int) and 0 <= digits < 9 else 2 if unit else 4
        label = name if names.count(name) == 1 else f"{name} ({title})"
        yield Metric(label, title, name, definition, "lower" if better == "lower" else "higher", unit, digits)


# ------------------------------------------------------------------------------------------- which together
def grids_of(runs: Sequence[tuple[str, int, Sequence[Evaluated]]]) -> list[Grid]:
    """Bring together what may stand side by side.

    Args:
        runs: Label of each, its colour, and its evaluations.
    """
    same, grids = _Same(), list[Grid]()
    for label, series, found in runs:
        for shown, others in _chosen(found):
            column = Column(label, series, shown)
            grid = next(
                (grid for grid in grids if all(_together(one.shown, shown, same) for one in grid.columns)), None
            )
            if grid is None:
                grids.append(grid := Grid([]))
            grid.columns.append(column)
            if others:
                names = ", ".join(other.folder.name for other in others)
                grid.notes.append(f"Of {label}, {shown.folder.name} is shown; there are also: {names}.")
    for grid in grids:
        grid.notes += _apart(grid.columns)
    return sorted(grids, key=lambda grid: -len(grid.columns))


def _chosen(found: Sequence[Evaluated]) -> Iterator[tuple[Evaluated, list[Evaluated]]]:
    """Of each split the one that is shown, and the others."""
    for split in dict.fromkeys(one.split for one in found):
        some = sorted((one for one in found if one.split == split), key=_worth)
        if some[-1].outputs:
            yield some[-1], some[:-1]


def _worth(one: Evaluated) -> tuple[bool, int, int, int]:
    return bool(one.outputs), one.step, len(one.given), len(one.outputs)


class _Same:
    """Whether two files hold the same picture; one that is the same to the byte is not decoded."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def digest(self, file: Path) -> str:
        """What its pixels are known by; of what cannot be decoded, its bytes."""
        try:
            content = file.read_bytes()
        except OSError:
            return ""
        key = hashlib.blake2b(content, digest_size=16).hexdigest()
        if key not in self._known:
            try:
                picture = read_image(file)
                pixels = repr(picture.shape).encode() + picture.tobytes()
                self._known[key] = hashlib.blake2b(pixels, digest_size=16).hexdigest()
            except (UserError, OSError, ValueError):
                self._known[key] = ""  # it says nothing
        return self._known[key]


def _together(one: Evaluated, other: Evaluated, same: _Same) -> bool:
    """Whether they have pairs in common, and what they keep of those is the same; a file that is broken is passed."""
    if one.split != other.split or not any(name in other.outputs for name in one.outputs):
        return False
    for name in one.given:
        for what in _SAME_BY if name in other.given else ():
            digests = same.digest(one.given[name][what]), same.digest(other.given[name][what])
            if all(digests) and digests[0] != digests[1]:
                return False
    return True


def _apart(columns: Sequence[Column]) -> Iterator[str]:
    """What differs in how they were sampled and scored, a sentence each."""
    told = [(one.label, dotted({k: v for k, v in one.shown.settings.items() if k in _HOW})) for one in columns]
    keys = dict.fromkeys(key for _, settings in told for key in settings)
    for key in keys:
        of: dict[str, list[str]] = {}
        for label, settings in told:
            of.setdefault(json.dumps(settings.get(key), default=str), []).append(label)
        if len(of) > 1:
            said = "; ".join(f"{value.strip(chr(34))} ({', '.join(labels)})" for value, labels in of.items())
            yield f"They were not sampled alike: {key} is {said}."
    if bare := [one.label for one in columns if not one.shown.scores]:
        yield f"{', '.join(bare)} {'has' if len(bare) == 1 else 'have'} pictures and no scores yet."
