"""The scores of evaluations side by side: a row for each measure of each definition. Floor 1, no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pgsynth_core.runs.alike import Block
from pgsynth_core.runs.apart import Values, ahead, differences
from pgsynth_core.runs.compared import Cell, Notes, Number, Variant
from pgsynth_core.runs.evaluations import Evaluation
from pgsynth_core.runs.scores import Measured

__all__ = ["other_counts", "score_numbers"]


def score_numbers(block: Block, variants: Sequence[Variant], against: int, notes: Notes) -> list[Number]:
    """A row for each measure, or for each definition that it has.

    Args:
        block: Evaluations of the same pairs, sampled and scored alike.
        variants: Whose they are.
        against: Place of the variant from which the others are told apart.
        notes: What is to be known of the rows is added.
    """
    told = tuple(notes.add(sentence) for sentence in block.notes)
    kinds: dict[tuple[str, str], Measured] = {}
    for found in block.found:
        for some in found.values():
            kinds |= {(name, one.id): one for name, one in some.measures.items()}
    groups = min((one.groups for found in block.found for one in found.values()), key=max)  # who knows most of them
    rows = []
    for (name, definition), measured in kinds.items():
        several = sum(other == name for other, _ in kinds) > 1
        have = [_with(found.items(), name, definition) for found in block.found]
        values = [_values(some, name, measured) for some in have]
        of_set = measured.of == "set"
        other = _other_sets(have, name, block, notes) if of_set else ()
        gaps = _gaps(values)
        rows.append(
            Number(
                block.title,
                f"{name} ({definition})" if several else name,
                measured.unit,
                measured.digits,
                measured.better,
                tuple(Cell({run: one.means[name] for run, one in some.items()}) if some else None for some in have),
                notes=(*told, *other, *_told(gaps, name, block, notes)),
                compares=not (other or gaps[1]),
                about=measured.definition,
                ahead=() if of_set else ahead(values, against, better=measured.better),
                differences=() if other else differences(variants, values, against, () if of_set else groups),
            )
        )
    return rows


def _with(found: Iterable[tuple[str, Evaluation]], name: str, definition: str) -> dict[str, Evaluation]:
    """Those that have a measure by this definition."""
    return {run: one for run, one in found if name in one.measures and one.measures[name].id == definition}


def _values(found: Mapping[str, Evaluation], name: str, measured: Measured) -> Values:
    return {run: [one.means[name]] if measured.of == "set" else one.values[name] for run, one in found.items()}


def _other_sets(have: Sequence[Mapping[str, Evaluation]], name: str, block: Block, notes: Notes) -> tuple[int, ...]:
    """The note that says that sets were compared with other sets; none if they were not."""
    known = {one.references[name] for some in have for one in some.values() if one.references.get(name)}
    if len(known) < 2:
        return ()
    return (
        notes.add(f"{name} of {block.title} is of pictures that were compared with other sets: it does not compare."),
    )


def _gaps(values: Sequence[Values]) -> tuple[bool, bool]:
    """Whether some pairs have no value, and whether others of them in one run than in another."""
    gaps = {tuple(map(math.isnan, column)) for some in values for column in some.values()}
    return any(map(any, gaps)), len(gaps) > 1


def _told(gaps: tuple[bool, bool], name: str, block: Block, notes: Notes) -> Iterator[int]:
    """The note on pairs without a value, if there are some."""
    if gaps[0]:
        over = "a mean is over the pairs that have one, a difference over those that have one in every run of both"
        unlike = "; where these are not the same pairs none is marked as better" if gaps[1] else ""
        yield notes.add(f"Not every pair of {block.title} has a value of {name}: {over}{unlike}.")


def other_counts(block: Block, variants: Sequence[Variant]) -> tuple[str, ...]:
    """A mean over more runs is steadier, pair by pair, too: that is no merit of the method."""
    counts = {variant.name: len(found) for variant, found in zip(variants, block.found, strict=True) if found}
    if len(set(counts.values())) < 2:
        return ()
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    steadier = "Those over more are steadier, pair by pair, too, which is no merit"
    return (f"Means of {block.title} are over unequal numbers of runs: {said}. {steadier}.",)
