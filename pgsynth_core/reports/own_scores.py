"""Scores of one's own: what `pgsynth evaluate` writes, as far as a leaderboard needs it. Floor 2, no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgsynth_core.errors import UserError
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.scores import Measured, measured, number_of, references_of

__all__ = ["OwnScores", "read_scores"]


@dataclass(frozen=True)
class OwnScores:
    """One file of scores.

    Attributes:
        name: What it is shown as.
        file: Where it is.
        protocol: By which it was scored.
        size: ``HxW``; ``mixed`` where pictures are of several.
        dataset: Of the run; empty for a folder of pictures, which does not say.
        split: Of the dataset; empty for a folder.
        limit: Only so many of the first pairs; None for all.
        pairs: How many there were to score.
        images: How many were scored.
        left_out: How many could not be.
        cuts: What was cut out of pictures.
        alike: A digest of the pairs' names and truths: equal ones were scored on the same.
        measures: Metric -> what it is.
        values: Metric -> mean, or value of the set; infinite if it is.
        sets: Metric of sets -> what the pictures are known by that these were compared with, if that is known.
        reference: How many training photos those were; None if that is not said.
    """

    name: str
    file: Path
    protocol: str
    size: str
    dataset: str
    split: str
    limit: int | None
    pairs: int
    images: int
    left_out: int
    cuts: Mapping[str, str]
    alike: str
    measures: Mapping[str, Measured]
    values: Mapping[str, float]
    sets: Mapping[str, str]
    reference: int | None


def read_scores(file: Path) -> OwnScores:
    """Read a file of scores.

    Raises:
        UserError: If it is none, or one of an older pgsynth that does not say its protocol.
    """
    facts = read_json(file)
    cure = "Give a scores.json of pgsynth evaluate, or score anew what an older pgsynth scored."
    try:
        return _scores(file, facts or {})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError("these are no scores with a protocol.", where=str(file), cure=cure) from error


def _scores(file: Path, facts: Mapping[str, Any]) -> OwnScores:
    about, rows = facts["about"], facts["rows"]
    sizes = {"x".join(str(int(side)) for side in row["size"]) for row in rows}
    measures = measured(facts)
    limit = about.get("limit")
    return OwnScores(
        name=_name(file, about),
        file=file,
        protocol=str(about["protocol"]),
        size=sizes.pop() if len(sizes) == 1 else "mixed",
        dataset="+".join(str(part["part"]).rpartition(":")[2] for part in about.get("data", {}).values()),
        split=str(about.get("split", "")),
        limit=None if limit is None else int(limit),
        pairs=int(about["pairs"]),
        images=len(rows),
        left_out=int(about["left_out"]["count"]),
        cuts={str(what): str(rule) for what, rule in about["cuts"].items()},
        alike=_known_by(rows),
        measures=measures,
        sets=references_of(facts),
        reference=int(about["reference"]["count"]) if about.get("reference") else None,
        values={name: number_of(facts["mean"][name]) for name in measures},
    )


def _known_by(rows: Sequence[Mapping[str, Any]]) -> str:
    pairs = sorted((str(row["name"]), str(row.get("target_sha256", ""))) for row in rows)
    return hashlib.blake2b(json.dumps(pairs).encode(), digest_size=16).hexdigest()


def _name(file: Path, about: Mapping[str, Any]) -> str:
    """A run with its step, else the folder of predictions."""
    if "run" in about:
        return f"{about['run']}, step {int(about['step']):,}"
    return Path(str(about["predictions"])).name if about.get("predictions") else file.parent.name
