"""The table of scores: a row per picture, means, intervals, definitions; as JSON and as CSV, whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.runs.durable import replace_text
from pgsynth_core.runs.grouping import groups_of
from pgsynth_core.runs.intervals import bootstrap_intervals
from pgsynth_core.runs.written import inert, number_text

__all__ = ["ImageScores", "Measure", "ScoreTable"]

SCHEMA: Final = 1
"""Version of the JSON; keys may be added without raising it."""

_BASELINE: Final = "copy_source"
_BELOW: Final = "-inf"
_HASHES: Final = ("predicted_sha256", "target_sha256")
_SOURCE_HASHES: Final = ("source_sha256", "target_file_sha256", "source_file_sha256")


@dataclass(frozen=True)
class Measure:
    """What the numbers of a column are.

    Attributes:
        id: The definition as one word: numbers compare only where these are equal.
        better: ``higher`` or ``lower``.
        unit: ``dB``, or empty.
        digits: So many after the point are printed.
        definition: In a sentence or two.
        libraries: Whose versions matter.
        of: ``pair``, or ``set``: one number for all pictures.
        packages: That bring it or an annotator that it asks; none if they are pgsynth's.
    """

    id: str
    better: str
    unit: str
    digits: int
    definition: str
    libraries: tuple[str, ...] = ()
    of: str = "pair"
    packages: tuple[str, ...] = ()

    @staticmethod
    def of_facts(facts: Mapping[str, Any]) -> Measure:
        """Read back what `facts` gave.

        Raises:
            KeyError: If something is missing.
        """
        return Measure(
            str(facts["id"]),
            str(facts["better"]),
            str(facts["unit"]),
            int(facts["digits"]),
            str(facts["definition"]),
            tuple(map(str, facts["libraries"])),
            str(facts["of"]),
            tuple(map(str, facts.get("packages", ()))),
        )

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "id": self.id,
            "better": self.better,
            "unit": self.unit,
            "definition": self.definition,
            "digits": self.digits,
            "libraries": list(self.libraries),
            "of": self.of,
            **({"packages": list(self.packages)} if self.packages else {}),
        }

    def written(self, value: float) -> str:
        """A value as it is printed."""
        return number_text(value, self.digits)


@dataclass(frozen=True)
class ImageScores:
    """The scores of one picture.

    Attributes:
        name: Which pair.
        size: (height, width) in pixels at which it was scored.
        values: Metric -> value, between the picture and the target; without those that have none here.
        copy_source: Metric -> value, between the source and the target; None if no source was given.
        hashes: SHA-256 of the files of prediction and target, of their pixels where they are in no file.
        source: The same of the source; empty if none was given.
        files: SHA-256 of the files that target and source were made of, where that is not `hashes`.
        group: Number of those that share photos with it, and so are like it; None: none is known.
    """

    name: str
    size: tuple[int, int]
    values: Mapping[str, float]
    copy_source: Mapping[str, float] | None = None
    hashes: tuple[str, str] = ("", "")
    source: str = ""
    files: tuple[str, str] = ("", "")
    group: int | None = None


@dataclass(frozen=True)
class ScoreTable:
    """Scores of many pictures.

    Attributes:
        rows: One per picture, in the order they were scored; at least one.
        measures: Metric -> what its numbers are, in the order of the columns.
        about: What was scored and how, as plain data: protocol, run, step, split, seed and so on.
        overall: Metric -> its value, of those that have one for all pictures.
        sets: Metric -> what its two sets are known by, of those.
        missing: Metric -> why it was not computed.
        libraries: Version of each library that computed something.
    """

    rows: tuple[ImageScores, ...]
    measures: Mapping[str, Measure]
    about: Mapping[str, Any] = field(default_factory=dict)
    overall: Mapping[str, float] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, Problem] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str) -> list[float]:
        """The values of a metric, of the pictures that have one."""
        return [row.values[name] for row in self.rows if name in row.values]

    @cached_property
    def mean(self) -> Mapping[str, float]:
        """Metric -> mean over the pictures that have a value, or its value for all; without one that nothing has."""
        means = _means(row.values for row in self.rows) | dict(self.overall)
        return {name: means[name] for name in self.measures if name in means}

    @cached_property
    def copy_source(self) -> Mapping[str, float]:
        """Metric -> mean of the baseline that shows the source unchanged; empty unless every row has it."""
        given = [row.copy_source for row in self.rows if row.copy_source is not None]
        means = _means(given) if len(given) == len(self.rows) else {}
        return {name: means[name] for name in self.measures if name in means}

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """Of each picture, the number of those that share photos with it, from 0."""
        return groups_of([] if row.group is None else [str(row.group)] for row in self.rows)

    @cached_property
    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Metric -> 95 % interval of its mean over groups like these, by bootstrap; of those that allow it."""
        names = [name for name in self.measures if name not in self.overall]
        columns = {name: [row.values.get(name, math.nan) for row in self.rows] for name in names}
        return bootstrap_intervals(columns, self.groups)

    def counted(self, name: str) -> int:
        """Over how many pictures the mean of a metric is."""
        return len(self.rows) if name in self.overall else len(self.column(name))

    def facts(self, *, rows: bool = True) -> dict[str, Any]:
        """The table as plain data, all of it fit for JSON: an infinite value is None, one below all numbers "-inf".

        Args:
            rows: Whether the single pictures are in it, besides the means.
        """
        facts: dict[str, Any] = {
            "schema": SCHEMA,
            "about": dict(self.about),
            "images": len(self.rows),
            "mean": _plain(self.mean),
            "groups": 1 + max(self.groups),
            "interval95": {name: list(ends) for name, ends in self.intervals.items()},
            "counted": {name: self.counted(name) for name in self.mean},
            _BASELINE: _plain(self.copy_source),
            "measures": {name: measure.facts() for name, measure in self.measures.items()},
            "not_computed": {
                name: {"reason": problem.message, "cure": problem.cure} for name, problem in self.missing.items()
            },
            "sets": dict(self.sets),
            "libraries": dict(self.libraries),
        }
        if rows:
            facts["rows"] = [self._row(row) for row in self.rows]
        return facts

    def _row(self, row: ImageScores) -> dict[str, Any]:
        """A row as plain data; of which metrics a picture has no value is said, to tell it from what was not asked."""
        of_pairs = [name for name, measure in self.measures.items() if measure.of != "set"]
        hashes = dict(zip((*_HASHES, *_SOURCE_HASHES), (*row.hashes, row.source, *row.files), strict=True))
        found: dict[str, Any] = {"name": row.name, "size": list(row.size), **_plain(row.values)}
        if row.group is not None:
            found["group"] = row.group
        if none := [name for name in of_pairs if name not in row.values]:
            found["no_value"] = none
        if row.copy_source is not None:
            found[_BASELINE] = _plain(row.copy_source)
            if none := [name for name in of_pairs if name not in row.copy_source]:
                found[f"{_BASELINE}_no_value"] = none
        return found | {key: digest for key, digest in hashes.items() if digest}

    def to_json(self, path: str | Path) -> Path:
        """Write all of it as JSON: the old file or the new one is there, never half of one.

        Raises:
            UserError: If the file cannot be written; nothing is left behind.
        """
        return _written(Path(path), json.dumps(self.facts(), indent=2, allow_nan=False) + "\n")

    def to_csv(self, path: str | Path) -> Path:
        """Write the single pictures as CSV, one a line below the header, at full precision; an infinite value is inf.

        Columns: name, height, width, the metrics with a value for each pair, with a baseline ``copy_source_`` and each
        metric, and the hashes. A value that a picture has not is empty.

        Raises:
            UserError: If the file cannot be written; nothing is left behind.
        """
        measures = [name for name in self.measures if name not in self.overall]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        baseline = [f"{_BASELINE}_{name}" for name in self.copy_source]
        writer.writerow(["name", "height", "width", *measures, *baseline, *_HASHES])
        for row in self.rows:
            values = [row.values.get(name) for name in measures]
            values += [(row.copy_source or {}).get(name) for name in self.copy_source]
            said = ["" if value is None else repr(value) for value in values]
            writer.writerow([inert(row.name), *row.size, *said, *row.hashes])
        return _written(Path(path), text.getvalue())


def _means(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    columns: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return {name: mean for name, values in columns.items() if (mean := _mean(values)) is not None}


def _mean(values: Sequence[float]) -> float | None:
    """An infinite value makes it infinite; None where there are such of both signs."""
    infinite = {value for value in values if math.isinf(value)}
    if len(infinite) > 1:
        return None
    return infinite.pop() if infinite else statistics.fmean(values)


def _plain(values: Mapping[str, float]) -> dict[str, float | str | None]:
    return {
        name: _BELOW if value == -math.inf else None if value == math.inf else value for name, value in values.items()
    }


def _written(path: Path, text: str) -> Path:
    try:
        replace_text(path, text)
    except OSError as error:
        reason = error.strerror or str(error)
        cure = "Mend that, or give another place."
        raise UserError(f"it cannot be written: {reason}.", where=str(path), cure=cure) from error
    return path
