"""What an earlier scoring of the same files found, read from its scores.json: scoring again costs a look at the files.

A value is taken up where the hashes of both files, the definition of the metric, the way to its size and the versions
of the libraries are the same. Moments of many pictures, which take hours for a training set, are kept in the cache.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pgsynth_core.data import cache_root, place_of
from pgsynth_core.errors import UserError
from pgsynth_core.metrics import Moments
from pgsynth_core.runs.durable import read_json, temporary

__all__ = ["Earlier", "keep_moments", "kept_moments", "set_key"]

_KIND: Final = "moments"


@dataclass(frozen=True)
class Earlier:
    """Values of an earlier scoring.

    Attributes:
        rows: Hashes of prediction and truth -> definition of a metric -> value.
        baselines: Name of a pair and hash of its truth -> definition -> value of the source unchanged.
        targets: Name of a pair and hash of its prediction -> hash of its truth.
        sets: Definition of a metric and key of both sets -> value.
    """

    rows: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    baselines: Mapping[tuple[str, str], Mapping[str, float]] = field(default_factory=dict)
    targets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sets: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @staticmethod
    def of(file: Path, way: Mapping[str, Any], libraries: Mapping[str, str]) -> Earlier:
        """Read it; nothing, if it is not there, is none, or was made otherwise.

        Args:
            file: scores.json.
            way: How pictures are prepared, as the table's `about` says.
            libraries: What computes now -> its version.
        """
        facts = read_json(file)
        try:
            if not facts or {key: facts["about"].get(key) for key in way} != _plain(way):
                return Earlier()
            same = {
                label: about["id"]
                for label, about in facts["measures"].items()
                if all(facts["libraries"].get(name) == libraries.get(name) for name in about["libraries"])
            }
            rows, baselines, targets = {}, {}, {}
            for row in facts["rows"]:
                made, truth = row.get("predicted_sha256", ""), row.get("target_sha256", "")
                if made and truth:
                    rows[made, truth] = _by_definition(row, same)
                    baselines[row["name"], truth] = _by_definition(row.get("copy_source", {}), same)
                    targets[row["name"], made] = truth
            sets = {
                (same[label], key): float(facts["mean"][label])
                for label, key in facts.get("sets", {}).items()
                if label in same
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            return Earlier()
        return Earlier(rows, baselines, targets, sets)


def _by_definition(values: Mapping[str, Any], same: Mapping[str, str]) -> dict[str, float]:
    """Definition -> value, of what is computed as it was; what is null there is infinite."""
    known = {label: values[label] for label in same if label in values}
    return {same[label]: math.inf if value is None else float(value) for label, value in known.items()}


def _plain(facts: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(facts))


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
    place = _place(key, definition)
    if place is None or not place.is_file():
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(place)
        moments = Moments(int(found["count"].item()), found["mean"], found["scatter"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None
    width = len(moments.mean)
    return moments if moments.scatter.shape == (width, width) else None


def keep_moments(key: str, definition: str, moments: Moments) -> None:
    """Keep moments of a set. What the disk refuses is made anew another time."""
    place = _place(key, definition)
    if place is None:
        return
    import numpy as np
    from safetensors.numpy import save_file

    made = {"count": np.array([moments.count]), "mean": moments.mean, "scatter": moments.scatter}
    with suppress(OSError, UserError):
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = temporary(place)
        try:
            save_file({name: np.ascontiguousarray(value) for name, value in made.items()}, beside)
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


def _place(key: str, definition: str) -> Path | None:
    if not key:
        return None
    name = hashlib.blake2b(f"{key}{definition}".encode(), digest_size=16).hexdigest()
    return place_of(cache_root(), _KIND, name)
