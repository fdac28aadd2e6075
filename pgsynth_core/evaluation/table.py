"""The table of scores: a row per picture, means, definitions; as JSON and as CSV, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import UserError
from pgsynth_core.evaluation.measures import MEASURES
from pgsynth_core.runs.durable import replace_text

__all__ = ["ImageScores", "ScoreTable"]

SCHEMA: Final = 1
"""Version of the JSON; keys may be added without raising it."""

_BASELINE: Final = "copy_source"


@dataclass(frozen=True)
class ImageScores:
    """The scores of one picture.

    Attributes:
        name: Which pair.
        size: (height, width) in pixels at which it was scored.
        values: Measure -> value, between the picture and the target.
        copy_source: Measure -> value, between the source and the target; empty if no source was given.
    """

    name: str
    size: tuple[int, int]
    values: Mapping[str, float]
    copy_source: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreTable:
    """Scores of many pictures.

    Attributes:
        rows: One per picture, in the order they were scored; at least one.
        about: What was scored, as plain data: run, step, split, seed and so on.
    """

    rows: tuple[ImageScores, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def mean(self) -> Mapping[str, float]:
        """Measure -> mean over the pictures."""
        return _means([row.values for row in self.rows])

    @cached_property
    def copy_source(self) -> Mapping[str, float]:
        """Measure -> mean of the baseline that shows the source unchanged; empty unless every row has it."""
        return _means([row.copy_source for row in self.rows])

    def facts(self, *, rows: bool = True) -> dict[str, Any]:
        """The table as plain data, all of it fit for JSON: an infinite value is None.

        Args:
            rows: Whether the single pictures are in it, besides the means.
        """
        facts: dict[str, Any] = {
            "schema": SCHEMA,
            "about": dict(self.about),
            "images": len(self.rows),
            "mean": _plain(self.mean),
            _BASELINE: _plain(self.copy_source),
            "measures": {name: dict(MEASURES[name].facts()) for name in self.mean},
            "libraries": {name: version(name) for name in ("numpy", "scikit-image")},
        }
        if rows:
            facts["rows"] = [
                {
                    "name": row.name,
                    "size": list(row.size),
                    **_plain(row.values),
                    **({_BASELINE: _plain(row.copy_source)} if row.copy_source else {}),
                }
                for row in self.rows
            ]
        return facts

    def to_json(self, path: str | Path) -> Path:
        """Write all of it as JSON: the old file or the new one is there, never half of one.

        Raises:
            UserError: If the file cannot be written; nothing is left behind.
        """
        return _written(Path(path), json.dumps(self.facts(), indent=2, allow_nan=False) + "\n")

    def to_csv(self, path: str | Path) -> Path:
        """Write the single pictures as CSV, one a line below the header, at full precision; an infinite value is inf.

        Columns: name, height, width, the measures, and with a baseline ``copy_source_`` and each measure.

        Raises:
            UserError: If the file cannot be written; nothing is left behind.
        """
        measures = list(self.mean)
        baseline = [f"{_BASELINE}_{name}" for name in self.copy_source]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", "height", "width", *measures, *baseline])
        for row in self.rows:
            values = [row.values[name] for name in measures]
            values += [row.copy_source[name] for name in self.copy_source]
            writer.writerow([row.name, *row.size, *map(repr, values)])
        return _written(Path(path), text.getvalue())


def _means(rows: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    if not all(rows):
        return {}
    return {name: _mean([row[name] for row in rows]) for name in rows[0]}


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if all(map(math.isfinite, values)) else math.inf


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _written(path: Path, text: str) -> Path:
    try:
        replace_text(path, text)
    except OSError as error:
        reason = error.strerror or str(error)
        cure = "Mend that, or give another place."
        raise UserError(f"it cannot be written: {reason}.", where=str(path), cure=cure) from error
    return path
