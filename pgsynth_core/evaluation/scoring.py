"""Score pairs: look at the files, then read, prepare and measure them in threads, with torch in batches.

Decoding, resizing and the filters of numpy metrics leave Python's lock, so threads use every core and need neither
copies of pictures nor a second interpreter; memory is the same for any number of pairs. What an earlier scoring found
of the same two files is taken up. Nothing is left out of a mean in silence: what cannot be scored ends it, or is
counted and named.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pgsynth_core.errors import PartError, Problem, UserError
from pgsynth_core.evaluation.earlier import Earlier
from pgsynth_core.evaluation.looking import Looking, guarded, refuse_turned, written
from pgsynth_core.evaluation.material import Bad, Looked, Material, Shown, Size
from pgsynth_core.evaluation.pool import BATCH, OnScored, Pool
from pgsynth_core.evaluation.prepare import resized
from pgsynth_core.evaluation.protocol import Bound
from pgsynth_core.evaluation.sets import Compared, set_keys
from pgsynth_core.evaluation.table import ImageScores, Measure, ScoreTable
from pgsynth_core.evaluation.yardstick import Yardstick
from pgsynth_core.metrics import NotComputed, PairMetric, Picture, SetMetric
from pgsynth_core.runs.grouping import groups_of

__all__ = ["score"]

_TOLD: Final = 20
"""So many that cannot be scored are named; looking at more helps nobody."""

_NAMED: Final = 3
"""So many are named of those with which the same is wrong."""


# ------------------------------------------------------------------------------------------- scoring
def score(  # noqa: PLR0913 - what, how, and what is to be done meanwhile
    material: Material,
    yardstick: Yardstick,
    *,
    found_bad: Sequence[Bad] = (),
    skip: bool = False,
    earlier: Earlier | None = None,
    about: Mapping[str, Any] | None = None,
    workers: int = 0,
    on_scored: OnScored | None = None,
    keep: Callable[[ScoreTable], object] | None = None,
) -> ScoreTable:
    """Score every pair by every metric.

    Args:
        material: The pairs.
        yardstick: By what.
        found_bad: Pairs of which it is known that they cannot be scored.
        skip: Leave out what cannot be scored, count and name it; else that is an error.
        earlier: What was found before.
        about: What is scored, as plain data for the table.
        workers: Threads; 0: one for each core.
        on_scored: Told how far it is.
        keep: Given the table of the pairs before sets are compared, which may take hours.

    Returns:
        The table, in the order of the pairs; with what was found before and is still true of the same pictures.

    Raises:
        UserError: If there is no pair that can be scored, or, unless they are skipped, with those that cannot.
    """
    told = on_scored or (lambda doing, done, of: None)
    threads, earlier = workers or os.cpu_count() or 1, earlier or Earlier()
    with ThreadPoolExecutor(threads, "scoring") as executor:
        pool = Pool(executor, threads)
        looked = Looking(pool, material, yardstick, told).all()
        pairs, bad = len(material) + len(found_bad), [*found_bad, *looked.bad]
        _refuse(bad, skip=skip, pairs=pairs)
        yardstick = _that_fit(yardstick, looked.good.values())
        work = _Scoring(pool, material, yardstick, looked.good, earlier)
        work.pairs(told)
        bad += work.bad
        _refuse(bad, skip=skip, pairs=pairs)
        left_out = {"count": len(bad), "first": {one.name: one.problem.message for one in bad[:_TOLD]}}
        seen = {"pairs": pairs, "left_out": left_out, "prediction_sizes": looked.sizes}
        facts = {**(about or {}), **yardstick.way, **seen}
        rows = _grouped(material, work.rows)
        if keep and work.compares:
            keep(_table(yardstick, rows, work.not_yet(), earlier, facts))
        return _table(yardstick, rows, work.of_sets(told), earlier, facts)


_NOT_YET: Final = Problem("the scoring ended before it was computed.", cure="Score again: what is known stays known.")


@dataclass(frozen=True)
class _OfSets:
    """What sets gave.

    Attributes:
        overall: Label -> value.
        keys: Label -> what both sets are known by.
        missing: Label -> why there is no value.
        predictions: What the predictions are known by.
        reference: What was compared with, for the table; None if nothing was.
    """

    overall: Mapping[str, float] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, Problem] = field(default_factory=dict)
    predictions: str = ""
    reference: Mapping[str, Any] | None = None


def _table(
    yardstick: Yardstick, rows: Sequence[ImageScores], of_sets: _OfSets, earlier: Earlier, about: Mapping[str, Any]
) -> ScoreTable:
    """The table, with those columns and values of sets of an earlier one that are of the same pictures."""
    measures, overall, keys = yardstick.measures(), dict(of_sets.overall), dict(of_sets.keys)
    reference, besides = of_sets.reference, dict[str, Measure]()
    values = [({**row.values}, None if row.copy_source is None else {**row.copy_source}) for row in rows]
    for label, measure in earlier.measures.items():
        if label in yardstick.missing:  # asked for, and what it would be is not known
            continue
        if measure.of == "set":
            key = earlier.keys.get(label, "")
            of_these = of_sets.predictions and key.partition("/")[0] == of_sets.predictions
            if label in overall or not of_these or (reference and reference["key"] != key.partition("/")[2]):
                continue
            overall[label], keys[label], reference = earlier.sets[measure.id, key], key, earlier.reference
        elif label in measures or (column := earlier.column(label, rows)) is None:
            continue
        else:
            for (of_pair, of_source), (value, copied) in zip(values, column, strict=True):
                of_pair |= {} if value is None else {label: value}
                if of_source is not None and copied is not None:
                    of_source[label] = copied
        besides[label] = measure
    rows = tuple(replace(row, values=one, copy_source=other) for row, (one, other) in zip(rows, values, strict=True))
    missing = {**yardstick.missing, **of_sets.missing, **_without_mean(yardstick, rows)}
    used = {name for measure in besides.values() for name in (*measure.libraries, *measure.packages)}
    return ScoreTable(
        rows,
        measures | besides,
        {**about, **({"reference": reference} if reference else {})},
        overall,
        keys,
        {label: problem for label, problem in missing.items() if label not in besides},
        {name: version for name, version in earlier.libraries.items() if name in used} | yardstick.libraries,
    )


def _grouped(material: Material, rows: Mapping[int, ImageScores]) -> tuple[ImageScores, ...]:
    """In the order of the pairs, with their groups: by their photos' names, else by the truth."""
    order = sorted(rows)
    photos = [material.photos_of(index) or tuple(filter(None, rows[index].hashes[1:])) for index in order]
    groups = groups_of(photos)
    return tuple(replace(rows[index], group=group) for index, group in zip(order, groups, strict=True))


def _without_mean(yardstick: Yardstick, rows: Sequence[ImageScores]) -> dict[str, Problem]:
    """Metrics of pairs that no pair has a value for, or whose values have no mean, and that."""
    lost = Problem(f"none of {len(rows):,} pairs has a value." if len(rows) > 1 else "the pair has no value.")
    both = Problem("some of its values are infinite and some minus infinite, which have no mean.")
    found = {}
    for label in [bound.label for bound in yardstick.metrics if not _is_set(bound)]:
        values = [row.values[label] for row in rows if label in row.values]
        if not values or {math.inf, -math.inf} <= {*values}:
            found[label] = both if values else lost
    return found


def _refuse(bad: Sequence[Bad], *, skip: bool, pairs: int) -> None:
    """End it if pairs cannot be scored, or if none can.

    Raises:
        UserError: As said.
    """
    if bad and (not skip or len(bad) >= pairs):
        raise UserError([*_each_once(bad), _counted(len(bad), pairs, skip=skip)])
    if not pairs:
        raise UserError("there is no pair to score.", cure="Look at the pairs, or sample some first.")


def _each_once(bad: Sequence[Bad]) -> list[Problem]:
    """What is wrong with pairs; where it is the same with many, once with the names of some, and each cure once."""
    alike: dict[tuple[str, str], list[Bad]] = {}
    for one in bad:
        alike.setdefault((one.problem.message, one.problem.cure), []).append(one)
    found, cures, named = list[Problem](), set[str](), 0
    for (message, cure), (first, *others) in [*alike.items()][:_TOLD]:
        if others:
            names, more = ", ".join(one.name for one in others[:_NAMED]), len(others) - _NAMED
            message += f" So it is with {names}{f' and {more:,} more' if more > 0 else ''}."
        found.append(Problem(message, first.problem.where or first.name, "" if cure in cures else cure))
        cures.add(cure)
        named += 1 + len(others)
    return [*found, Problem(f"and {len(bad) - named:,} more of {len(bad):,}.")] if len(bad) > named else found


def _counted(bad: int, pairs: int, *, skip: bool) -> Problem:
    if bad >= pairs:
        return Problem(f"none of {pairs:,} pairs can be scored." if pairs > 1 else "the one pair cannot be scored.")
    message = f"{bad:,} of {pairs:,} pairs cannot be scored, and no mean leaves them out in silence."
    cure = "Mend them; or score the others and have these counted: --bad skip, or data.DATASET.bad=skip for a run."
    return Problem(message, cure="" if skip else cure)


def _that_fit(yardstick: Yardstick, looked: Iterable[Looked]) -> Yardstick:
    """By the metrics for which pictures are large enough; of the others it is said why."""
    sizes = [yardstick.size] if yardstick.size else {found.sizes[1] for found in looked}
    least = min(sizes, key=min)
    small = {
        bound.label: Problem(f"{written(least)} is smaller than the {bound.metric.least} pixels a side that it needs.")
        for bound in yardstick.metrics
        if min(least) < bound.metric.least
    }
    metrics = tuple(bound for bound in yardstick.metrics if bound.label not in small)
    missing = {**yardstick.missing, **small}
    if not metrics:
        problems = [Problem(f"{label}: {problem.message}", cure=problem.cure) for label, problem in missing.items()]
        raise UserError([Problem("none of the metrics can be computed."), *problems])
    return replace(yardstick, metrics=metrics, missing=missing)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A pair as metrics see it, and what is known of it or those without torch gave."""

    index: int
    shown: Shown
    values: dict[str, float | None]
    baseline: dict[str, float | None] | None
    hashes: tuple[str, str]
    source: str


class _Scoring:
    """One pass over the pairs: what is not known yet is computed, numpy in the threads, torch in batches here."""

    def __init__(
        self,
        pool: Pool,
        material: Material,
        yardstick: Yardstick,
        looked: Mapping[int, Looked],
        earlier: Earlier,
    ) -> None:
        self._pool, self._material, self._yardstick, self._earlier = pool, material, yardstick, earlier
        self._looked = dict(looked)
        self._of_pairs = [bound for bound in yardstick.metrics if not _is_set(bound)]
        self._sets: dict[str, Compared] = {}
        self._digests: Sequence[str] | None = None
        self.rows: dict[int, ImageScores] = {}
        self.bad: list[Bad] = []

    @property
    def compares(self) -> list[str]:
        """Labels of the sets that are still to be compared."""
        return [label for label, one in self._sets.items() if one.gathers]

    # ------------------------------------------------------------------ pairs
    def pairs(self, told: OnScored) -> None:
        """Fill `rows`, and gather what sets need."""
        of_sets, reference = [bound for bound in self._yardstick.metrics if _is_set(bound)], self._yardstick.reference
        if of_sets and reference.pictures is not None:
            self._digests = reference.pictures.digests(lambda done, of: told("hashing the reference", done, of))
        self._sets = {bound.label: Compared(bound, self._yardstick, self._digests) for bound in of_sets}
        for one in self._sets.values():
            one.begin((found.hashes for found in self._looked.values()), self._earlier)
        wanted = [index for index in self._looked if not self._known(index)]
        done = len(self._looked) - len(wanted)
        waiting: list[_Prepared] = []
        for found in self._pool.in_order(self._prepare, wanted):
            done += 1
            if isinstance(found, Bad):
                self.bad.append(found)
            else:
                waiting.append(found)
            if len(waiting) == BATCH:
                self._take(waiting)
                waiting = []
            told("scoring", done, len(self._looked))
        self._take(waiting)

    def _known(self, index: int) -> bool:
        """Whether nothing is left to compute of a pair; then its row is there."""
        looked = self._looked[index]
        values, baseline = self._before(looked.hashes), self._of_source(looked.source, looked.hashes[1])
        if not self._whole(values) or any(one.gathers for one in self._sets.values()):
            return False
        if self._material.sources and not self._whole(baseline):
            return False
        size = self._yardstick.size or looked.sizes[1]
        self._row(index, size, values, baseline if self._material.sources else None, (looked.hashes, looked.source))
        return True

    def _whole(self, values: Mapping[str, float | None]) -> bool:
        return all(bound.label in values for bound in self._of_pairs)

    def _row(
        self,
        index: int,
        size: Size,
        values: Mapping[str, float | None],
        baseline: Mapping[str, float | None] | None,
        hashes: tuple[tuple[str, str], str],
    ) -> None:
        of_both = [
            None
            if some is None
            else {bound.label: value for bound in self._of_pairs if (value := some[bound.label]) is not None}
            for some in (values, baseline)
        ]
        name, files = self._material.name(index), self._looked[index].files
        self.rows[index] = ImageScores(name, size, of_both[0] or {}, of_both[1], *hashes, files)

    def _before(self, hashes: tuple[str, str]) -> dict[str, float | None]:
        """What an earlier scoring found of these two files."""
        return self._of_labels(self._earlier.rows.get(hashes, {}))

    def _of_source(self, source: str, truth: str) -> dict[str, float | None]:
        """What an earlier scoring found of a source, shown unchanged."""
        return self._of_labels(self._earlier.baselines.get((source, truth), {}))

    def _of_labels(self, by_id: Mapping[str, float | None]) -> dict[str, float | None]:
        return {bound.label: by_id[bound.metric.id] for bound in self._of_pairs if bound.metric.id in by_id}

    def _prepare(self, index: int) -> _Prepared | Bad:
        return guarded(self._prepared, index, self._material.name)

    def _prepared(self, index: int) -> _Prepared:
        shown, looked = self._shown(index), self._looked[index]
        hashes = looked.hashes[0] or _hash(shown.predicted), looked.hashes[1] or _hash(shown.target)
        values = self._before(hashes)
        self._alone(index, shown.predicted, shown.target, values)
        if shown.source is None:
            return _Prepared(index, shown, values, None, hashes, "")
        source = looked.source or _hash(shown.source)
        baseline = self._of_source(source, hashes[1])
        self._alone(index, shown.source, shown.target, baseline)
        return _Prepared(index, shown, values, baseline, hashes, source)

    def _shown(self, index: int) -> Shown:
        """The pictures of a pair as they are compared."""
        shown, protocol = self._material.read(index), self._yardstick.protocol
        refuse_turned(shown, self._looked[index], self._yardstick)
        size = self._yardstick.size or shown.target.shape[:2]
        return Shown(
            resized(shown.predicted, size, protocol.predictions),
            resized(shown.target, size, protocol.truths),
            None if shown.source is None else resized(shown.source, size, protocol.truths),
        )

    def _alone(self, index: int, made: Picture, truth: Picture, values: dict[str, float | None]) -> None:
        """Add what metrics without torch give and is not known."""
        for bound in self._of_pairs:
            if not bound.device and bound.label not in values:
                (values[bound.label],) = _values(bound, [made], [truth], [self._material.name(index)])

    def _batched(self, pairs: Sequence[tuple[int, Picture, Picture, dict[str, float | None]]]) -> None:
        """Add what metrics with torch give and is not known."""
        for bound in self._of_pairs:
            if new := [pair for pair in pairs if bound.label not in pair[3]]:
                indices, made, truths, values = zip(*new, strict=True)
                names = [self._material.name(index) for index in indices]
                for some, value in zip(values, _values(bound, made, truths, names), strict=True):
                    some[bound.label] = value

    def _take(self, batch: Sequence[_Prepared]) -> None:
        """Torch's share of some pairs, and their rows."""
        if not batch:
            return
        self._batched([(one.index, one.shown.predicted, one.shown.target, one.values) for one in batch])
        self._batched(
            [
                (one.index, one.shown.source, one.shown.target, one.baseline)
                for one in batch
                if one.shown.source is not None and one.baseline is not None
            ]
        )
        for one in batch:
            size = one.shown.target.shape[0], one.shown.target.shape[1]
            self._row(one.index, size, one.values, one.baseline, (one.hashes, one.source))
        self._gather([*self._sets.values()], [(one.shown, one.hashes[1]) for one in batch])

    def _gather(self, sets: Sequence[Compared], pairs: Sequence[tuple[Shown, str]]) -> None:
        for some in sets:
            some.take([shown.predicted for shown, _ in pairs], [(truth, shown.target) for shown, truth in pairs])

    # ------------------------------------------------------------------ sets
    def of_sets(self, told: OnScored) -> _OfSets:
        """Values of sets of the pairs that were scored, and of no others."""
        hashes = {index: self.rows[index].hashes for index in sorted(self.rows)}
        if stale := [one for one in self._sets.values() if not one.ended(hashes.values())]:
            self._gather_again(stale, hashes)
        overall, missing = dict[str, float](), dict[str, Problem]()
        for label, one in self._sets.items():
            try:
                overall[label] = one.value(self._pool, told)
            except NotComputed as error:
                missing[label] = error.problems[0]
        keys = {label: "/".join(one.keys) for label, one in self._sets.items() if label in overall and all(one.keys)}
        predictions, compared = set_keys(self._yardstick, hashes.values(), self._digests)
        count = len({truth for _, truth in hashes.values()} if self._digests is None else self._digests)
        reference = {"folder": self._yardstick.reference.folder, "count": count, "key": compared}
        return _OfSets(overall, keys, missing, predictions, reference if overall else None)

    def not_yet(self) -> _OfSets:
        """What there is before sets are compared: why there is no value."""
        predictions, _ = set_keys(self._yardstick, (row.hashes for row in self.rows.values()), self._digests)
        return _OfSets(missing=dict.fromkeys(self.compares, _NOT_YET), predictions=predictions)

    def _gather_again(self, sets: Sequence[Compared], hashes: Mapping[int, tuple[str, str]]) -> None:
        """What was known of all pairs does not hold where some could not be read: take up the others."""
        for one in sets:
            one.begin(hashes.values())
        waiting: list[tuple[Shown, str]] = []
        for index, shown in zip(hashes, self._pool.in_order(self._shown, hashes), strict=True):
            waiting.append((shown, hashes[index][1]))
            if len(waiting) == BATCH:
                self._gather(sets, waiting)
                waiting = []
        if waiting:
            self._gather(sets, waiting)


def _values(
    bound: Bound, predicted: Sequence[Picture], truth: Sequence[Picture], names: Sequence[str]
) -> list[float | None]:
    """What a metric gives of each pair; None where it has no value.

    Raises:
        PartError: If a value is no number: no mean says anything with it.
    """
    assert isinstance(bound.metric, PairMetric), "what is asked here gives a value for each pair"
    found = [None if value is None else float(value) for value in bound.metric.values(predicted, truth)]
    for name, value in zip(names, found, strict=True):
        if value is not None and math.isnan(value):
            cure = f"It is a fault of {bound.choice.entry.origin.package}; score by the others: --metrics LIST."
            raise PartError(f"the metric {bound.label} gives no number (nan).", where=name, cure=cure)
    return found


def _is_set(bound: Bound) -> bool:
    return isinstance(bound.metric, SetMetric)


def _hash(picture: Picture) -> str:
    """Of the pixels of what is in no file."""
    return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()
