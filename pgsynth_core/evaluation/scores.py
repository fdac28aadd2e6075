"""Score pictures against the truth, one by one as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import UInt8

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.evaluation.measures import LEAST_SIDE, MEASURES
from pgsynth_core.evaluation.table import ImageScores, ScoreTable

__all__ = ["Compared", "score_pairs"]

Picture = UInt8[np.ndarray, "_H _W 3"]
"""RGB, 0 to 255. The sizes may differ here: that is found out and said below."""

_ENOUGH: Final = 20
"""So many pairs that cannot be scored are told; looking at more helps nobody."""


class Compared(NamedTuple):
    """A picture, the truth, and what it was made from, all of one size.

    Attributes:
        name: Which pair this is; unique in a table.
        predicted: What the method made.
        target: The truth.
        source: The photo it was made from: shown unchanged, it is the baseline. None for no baseline.
    """

    name: str
    predicted: Picture
    target: Picture
    source: Picture | None = None


def score_pairs(
    pairs: Iterable[Compared | tuple[str, Picture, Picture]], *, about: Mapping[str, Any] | None = None
) -> ScoreTable:
    """Score every pair by every measure; pictures are taken one at a time and not kept.

    Args:
        pairs: What to compare: `Compared`, or ``(name, predicted, target)``.
        about: What was scored, as plain data for the table: run, split, seed and so on.

    Returns:
        The table, in the order given.

    Raises:
        UserError: If there is no pair, or with up to 20 pairs whose sizes differ, are too small for SSIM's window, or
            whose name occurs twice.
    """
    rows: dict[str, ImageScores] = {}
    problems: list[Problem] = []
    for item in pairs:
        pair = Compared(*item)
        found = list(_problems(pair, rows))
        problems += found
        if len(problems) >= _ENOUGH:
            break
        if not found:
            rows[pair.name] = _scored(pair)
    if problems:
        raise UserError(problems)
    if not rows:
        raise UserError("there is no picture to score.", cure="Sample some first: pgsynth sample RUN.")
    return ScoreTable(tuple(rows.values()), dict(about or {}))


def _scored(pair: Compared) -> ImageScores:
    source = pair.source
    return ImageScores(
        name=pair.name,
        size=_size(pair.target),
        values={name: measure.of(pair.predicted, pair.target) for name, measure in MEASURES.items()},
        copy_source={} if source is None else {name: it.of(source, pair.target) for name, it in MEASURES.items()},
    )


def _problems(pair: Compared, rows: Mapping[str, ImageScores]) -> Iterator[Problem]:
    wanted = _size(pair.target)
    for what, picture in (("predicted", pair.predicted), ("source", pair.source)):
        if picture is not None and (given := _size(picture)) != wanted:
            message = f"the {what} picture is {_written(given)} and the target {_written(wanted)} (height x width)."
            yield Problem(message, pair.name, "Bring all to one size first; scores do not resize.")
    if min(wanted) < LEAST_SIDE:
        message = f"a picture of {_written(wanted)} is smaller than SSIM's window of {LEAST_SIDE}x{LEAST_SIDE}."
        yield Problem(message, pair.name, f"Score pictures of at least {LEAST_SIDE} pixels a side.")
    if pair.name in rows:
        yield Problem("this name occurs twice.", pair.name, "Give every pair a name of its own.")


def _size(picture: Picture) -> tuple[int, int]:
    return picture.shape[0], picture.shape[1]


def _written(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
