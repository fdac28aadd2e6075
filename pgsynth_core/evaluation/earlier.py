"""What an earlier scoring of the same files found, read from its scores.json: scoring again costs a look at the files.

A value is taken up where the hashes of both files, the definition of the metric, the way to its size and the versions
that matter are the same (see `versions`). So is a whole column that this time nobody asked for: it stays in the table.
Moments of many pictures, which take hours for a training set, are kept in the cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from pgsynth_core.evaluation.kept import keep, kept
from pgsynth_core.evaluation.table import ImageScores, Measure
from pgsynth_core.evaluation.versions import here, series
from pgsynth_core.metrics import Moments
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.scores import number_of

__all__ = ["Earlier", "keep_moments", "kept_moments", "set_key"]

_KIND: Final = "moments"

Values = Mapping[str, float | None]
"""Of a pair, definition of a metric -> value, None where the metric has none; without what was not computed."""


@dataclass(frozen=True)
class Earlier:
    """Values of an earlier scoring.

    Attributes:
        rows: Hashes of prediction and truth -> values.
        baselines: Hashes of source and truth -> values of the source unchanged.
        photos: Name of a pair -> hashes of the files of truth and source, and of truth and source themselves.
        sets: Definition of a metric and key of both sets -> value.
        keys: Label of a metric of sets -> key of both.
        measures: Label -> what its numbers are; of those that would be computed so now.
        reference: What sets were compared with, as the table's `about` says.
        libraries: What computed it -> its version.
        labels: Everything that has a mean there, also what would be computed otherwise now.
    """

    rows: Mapping[tuple[str, str], Values] = field(default_factory=dict)
    baselines: Mapping[tuple[str, str], Values] = field(default_factory=dict)
    photos: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = field(default_factory=dict)
    sets: Mapping[tuple[str, str], float] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    measures: Mapping[str, Measure] = field(default_factory=dict)
    reference: Mapping[str, Any] | None = None
    libraries: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @staticmethod
    def of(file: Path, way: Mapping[str, Any], libraries: Mapping[str, str]) -> Earlier:
        """Read it; nothing, if it is not there or is none; of one that was made otherwise, the labels alone.

        Args:
            file: scores.json.
            way: How pictures are prepared, as the table's `about` says.
            libraries: What computes now -> its version; of others, the one that is installed counts.
        """
        facts = read_json(file) or {}
        try:
            return _read(facts, way, libraries) if facts else Earlier()
        except (KeyError, TypeError, ValueError, AttributeError):
            return Earlier()

    def column(self, label: str, rows: Sequence[ImageScores]) -> list[tuple[float | None, float | None]] | None:
        """The values of a metric for the pairs of a table, and those of their sources; None if one is not known."""
        definition, found = self.measures[label].id, list[tuple[float | None, float | None]]()
        for row in rows:
            values = self.rows.get(row.hashes, {})
            baseline = {definition: None} if row.copy_source is None else self._of_source(row)
            if definition not in values or definition not in baseline:
                return None
            found.append((values[definition], baseline[definition]))
        return found

    def _of_source(self, row: ImageScores) -> Values:
        return self.baselines.get((row.source, row.hashes[1]), {})


def _read(facts: Mapping[str, Any], way: Mapping[str, Any], libraries: Mapping[str, str]) -> Earlier:
    labels = tuple(facts["mean"])
    if {key: facts["about"].get(key) for key in way} != json.loads(json.dumps(way)):
        return Earlier(labels=labels)
    then: Mapping[str, str] = facts["libraries"]
    now = {name: libraries.get(name) or here(name) for name in then}
    measures = {
        label: Measure.of_facts(about)
        for label, about in facts["measures"].items()
        if all(series(then.get(name, "")) == series(now.get(name, "")) for name in about["libraries"])
        and all(then.get(name) == now.get(name) for name in about.get("packages", ()))
    }
    rows, baselines, photos = {}, {}, {}
    for row in facts["rows"]:
        made, truth, source = (row.get(f"{what}_sha256", "") for what in ("predicted", "target", "source"))
        files = row.get("target_file_sha256", ""), row.get("source_file_sha256", "")
        if made and truth:
            rows[made, truth] = _by_definition(row, row.get("no_value", ()), measures)
            photos[row["name"]] = files, (truth, source)
        if source and truth:
            copied = row.get("copy_source", {})
            baselines[source, truth] = _by_definition(copied, row.get("copy_source_no_value", ()), measures)
    keys = {label: key for label, key in facts.get("sets", {}).items() if label in measures}
    return Earlier(
        rows,
        baselines,
        photos,
        {(measures[label].id, key): number_of(facts["mean"][label]) for label, key in keys.items()},
        keys,
        measures,
        facts["about"].get("reference"),
        then,
        labels,
    )


def _by_definition(
    values: Mapping[str, Any], without: Iterable[str], measures: Mapping[str, Measure]
) -> dict[str, float | None]:
    """Definition -> value, of what is computed as it was."""
    found: dict[str, float | None] = {measures[label].id: None for label in without if label in measures}
    return found | {one.id: number_of(values[label]) for label, one in measures.items() if label in values}


def set_key(digests: Iterable[str], way: Mapping[str, Any]) -> str:
    """What a set of prepared pictures is known by; their order does not matter. Empty if a picture is not known.

    Args:
        digests: Of the files.
        way: How they are prepared.
    """
    known = sorted(digests)
    if not known or not known[0]:
        return ""
    text = json.dumps([known, sorted(way.items())], default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def kept_moments(key: str, definition: str) -> Moments | None:
    """Moments of a set by a metric of this definition; None if they are not kept."""
    found = kept(_KIND, _entry(key, definition)) if key else {}
    try:
        moments = Moments(int(found["count"].item()), found["mean"], found["scatter"])
        width = len(moments.mean)
    except (KeyError, ValueError, TypeError):
        return None
    return moments if moments.scatter.shape == (width, width) else None


def keep_moments(key: str, definition: str, moments: Moments) -> None:
    """Keep moments of a set; nothing of one that is not known."""
    if key:
        made = {"count": np.array([moments.count]), "mean": moments.mean, "scatter": moments.scatter}
        keep(_KIND, _entry(key, definition), made)


def _entry(key: str, definition: str) -> str:
    return hashlib.blake2b(f"{key}{definition}".encode(), digest_size=16).hexdigest()
