"""What stands in a table of scores, as all who read one need it: where tables lie, numbers, measures. Floor 1.

`evaluation.ScoreTable` writes them. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgsynth_core.runs.folder import RunFolder

__all__ = ["Measured", "measured", "number_of", "references_of", "score_files", "tables_in"]

_WEIGHTS: Final = "/weights-"
"""In the id of a metric whose weights are not those that their publisher names."""
_BELOW: Final = "-inf"


@dataclass(frozen=True)
class Measured:
    """What a number of an evaluation is.

    Attributes:
        id: The definition as one word: numbers compare only where these are equal.
        better: ``higher`` or ``lower``.
        unit: ``dB``, or empty.
        definition: The definition in a sentence or two.
        digits: So many after the point are shown.
        of: ``pair``, or ``set``: one number for all pictures, and no values of pairs.
    """

    id: str
    better: str
    unit: str
    definition: str
    digits: int
    of: str = "pair"

    @property
    def official(self) -> bool:
        """Whether its weights, if it has any, are the published ones."""
        return _WEIGHTS not in self.id


def measured(facts: Mapping[str, Any]) -> dict[str, Measured]:
    """What the numbers of a table are: of the metrics that have a mean or a value for all.

    Raises:
        KeyError: If something is missing; also TypeError, ValueError or AttributeError for what is no table.
    """
    return {str(name): _measured(some) for name, some in facts["measures"].items() if name in facts["mean"]}


def _measured(facts: Mapping[str, Any]) -> Measured:
    name, better, unit, definition = (str(facts[word]) for word in ("id", "better", "unit", "definition"))
    digits = int(facts.get("digits", 2 if unit else 4))
    return Measured(name, better, unit, definition, digits, str(facts.get("of", "pair")))


def references_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Metric of sets -> what the pictures are known by that these were compared with, of those that are."""
    return {str(name): str(key).partition("/")[2] for name, key in facts.get("sets", {}).items()}


def number_of(value: Any) -> float:
    """A number of a table: what is null there is infinite, and ``-inf`` below all others.

    Raises:
        ValueError: If it is none; also TypeError, or OverflowError for one that no float holds.
    """
    if isinstance(value, str) and value != _BELOW:
        raise ValueError(f"{value!r} is no number")
    return math.inf if value is None else float(value)


def tables_in(folder: Path) -> list[Path]:
    """Every table of scores of one evaluation, the default protocol's first; none of what cannot be listed."""
    try:
        return sorted(folder.glob("scores*.json"), key=lambda file: file.stem)
    except OSError:
        return []


def score_files(run: RunFolder) -> list[Path]:
    """Every table of scores of a run, those of one evaluation together, ``.10`` after ``.2``."""
    try:
        folders = [folder for folder in run.path.glob("evaluation/*") if folder.suffix != ".tmp"]
    except OSError:
        return []
    return [file for folder in sorted(folders, key=lambda one: (len(one.name), one.name)) for file in tables_in(folder)]
