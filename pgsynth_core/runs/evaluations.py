"""The evaluations of a run, read from the tables of scores in its folder. Floor 1, no torch.

An evaluation was scored by one protocol or by several, each into a file of its own: each of them is one here.
"""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.grouping import groups_of
from pgsynth_core.runs.scores import Measured, measured, number_of, references_of
from pgsynth_core.runs.settings import dotted

__all__ = ["Evaluation", "read_evaluation"]

_FORMERLY: Final = "standard"
"""The protocol of a table that says none."""
_DIGITS: Final = 6
_OF_THE_SOURCE: Final = "l1"
"""By so many digits of this measure between source and target a pair's pictures are known again: libraries of other
versions round the last digits otherwise, and which other measures there are does not matter."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a run, scored by one protocol.

    Attributes:
        folder: Where it is.
        step: Of the checkpoint that was evaluated.
        split: Of the dataset.
        protocol: By which it was scored.
        prepared: How that brings pictures to a size and cuts them; empty where they are compared as they are.
        images: How many pairs.
        sizes: At which pictures were compared, ``HxW``, each once.
        names: A digest of the pairs' names and sizes.
        groups: Of each pair, in the order of their names, the number of those that share photos with it.
        pictures: What else is known of the pairs' pictures, e.g. ``targets`` -> a digest; without what is not known.
        sample: How it was sampled, dotted as in `RunFacts.settings`.
        averaged: Whether by the weights' moving average; None if it does not say.
        measures: Name -> what it is; of those that were computed.
        means: Name -> mean over the pairs that have a value, or the value for all of them.
        values: Name -> value of each pair, in the order of their names: of the same pairs, the same place; not a number
            where a pair has none. Without measures of sets.
        references: Measure of sets -> what the pictures are known by that these were compared with, if that is known.
        libraries: What computed it -> its version.
    """

    folder: Path
    step: int
    split: str
    protocol: str
    prepared: str
    images: int
    sizes: tuple[str, ...]
    names: str
    groups: tuple[int, ...]
    pictures: Mapping[str, str]
    sample: Mapping[str, Any]
    averaged: bool | None
    measures: Mapping[str, Measured]
    means: Mapping[str, float]
    values: Mapping[str, array[float]] = field(repr=False)
    references: Mapping[str, str]
    libraries: Mapping[str, str]

    def has_pairs_of(self, other: Evaluation) -> bool:
        """Whether both are of the same pairs: the names and sizes are, and of their pictures all that both know."""
        known = self.pictures.keys() & other.pictures.keys()
        if self.names != other.names or any(self.pictures[what] != other.pictures[what] for what in known):
            return False
        return bool(known) or not (self.pictures or other.pictures)


def read_evaluation(file: Path) -> Evaluation | None:
    """An evaluation; None for what is none, or was written over."""
    facts = read_json(file)
    try:
        return _checked(file, facts) if facts else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # a number that no float or int holds
        return None


def _checked(file: Path, facts: Mapping[str, Any]) -> Evaluation:
    about = facts["about"]
    rows = sorted(facts["rows"], key=lambda row: str(row["name"]))
    measures = measured(facts)
    return Evaluation(
        folder=file.parent,
        step=int(about["step"]),
        split=str(about["split"]),
        protocol=str(about.get("protocol", _FORMERLY)),
        prepared=_prepared(about),
        images=len(rows),
        sizes=tuple(sorted({"x".join(map(str, row["size"])) for row in rows})),
        names=_digest([row["name"], row["size"]] for row in rows),
        groups=groups_of(_photos(row) for row in rows),
        pictures=_pictures(rows),
        sample=dotted({"sample": about["sample"]}),
        averaged=about.get("ema"),
        measures=measures,
        means={name: number_of(facts["mean"][name]) for name in measures},
        values={name: _column(rows, name) for name, one in measures.items() if one.of != "set"},
        references=references_of(facts),
        libraries={str(name): str(version) for name, version in facts.get("libraries", {}).items()},
    )


def _prepared(about: Mapping[str, Any]) -> str:
    if not (about.get("size") or about.get("cuts")):
        return ""
    return json.dumps([about.get(what) for what in ("resizing", "cuts")], sort_keys=True)


def _pictures(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What pictures are known by, wherever they lie: what the source scores, which follows from both, and the targets.

    Each only where every row says it.
    """
    source = [row.get("copy_source", {}).get(_OF_THE_SOURCE) for row in rows]
    targets = [row.get("target_sha256") for row in rows]
    found = {}
    if all(value is not None for value in source):
        found["source"] = _digest(f"{value:.{_DIGITS}g}" for value in source)
    if all(targets):
        found["targets"] = _digest(targets)
    return found


def _photos(row: Mapping[str, Any]) -> list[str]:
    """By what its photos are known: the group that it names, else their hashes."""
    known = ("group",) if "group" in row else ("target_sha256", "source_sha256")
    return [str(row[what]) for what in known if what in row]


def _digest(items: Iterable[Any]) -> str:
    return hashlib.blake2b(json.dumps([*items]).encode(), digest_size=16).hexdigest()


def _column(rows: Iterable[Mapping[str, Any]], name: str) -> array[float]:
    return array("d", (number_of(row[name]) if name in row else math.nan for row in rows))
