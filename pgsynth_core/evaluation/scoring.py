"""Score pairs: look at the files, then read, prepare and measure them in threads, with torch in batches.

Decoding, resizing and the filters of numpy metrics leave Python's lock, so threads use every core and need neither
copies of pictures nor a second interpreter; memory is the same for any number of pairs. What an earlier scoring found
of the same two files is taken up. Nothing is left out of a mean in silence: what cannot be scored ends it, or is
counted and named.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.evaluation.earlier import Earlier
from pgsynth_core.evaluation.material import Bad, Looked, Material, Shown, Size
from pgsynth_core.evaluation.pool import BATCH, OnScored, Pool
from pgsynth_core.evaluation.prepare import resized
from pgsynth_core.evaluation.protocol import Bound
from pgsynth_core.evaluation.sets import Compared
from pgsynth_core.evaluation.table import ImageScores, ScoreTable
from pgsynth_core.evaluation.yardstick import Yardstick
from pgsynth_core.metrics import NotComputed, PairMetric, Picture, SetMetric
from pgsynth_core.runs.grouping import groups_of

__all__ = ["score"]

_TOLD: Final = 20
"""So many that cannot be scored are named; looking at more helps nobody."""

R = TypeVar("R")


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

    Returns:
        The table, in the order of the pairs.

    Raises:
        UserError: If there is no pair that can be scored, or, unless they are skipped, with those that cannot.
    """
    told = on_scored or (lambda doing, done, of: None)
    threads = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(threads, "scoring") as executor:
        pool = Pool(executor, threads)
        looked = _Looking(pool, material, yardstick, told).all()
        bad = [*found_bad, *looked.bad]
        _refuse(bad, skip=skip, pairs=len(material) + len(found_bad))
        yardstick = _that_fit(yardstick, looked.good.values())
        work = _Scoring(pool, material, yardstick, looked.good, earlier or Earlier())
        work.pairs(told)
        bad += work.bad
        _refuse(bad, skip=skip, pairs=len(material) + len(found_bad))
        overall, sets, missing = work.sets(told)
    rows = _grouped(material, work.rows)
    left_out = {"count": len(bad), "first": {one.name: one.problem.message for one in bad[:_TOLD]}}
    seen = {"pairs": len(material) + len(found_bad), "left_out": left_out, "prediction_sizes": looked.sizes}
    return ScoreTable(
        rows,
        yardstick.measures(),
        {**(about or {}), **yardstick.way, **seen},
        overall,
        sets,
        {**yardstick.missing, **missing, **_without_values(yardstick, rows)},
        yardstick.libraries,
    )


def _grouped(material: Material, rows: Mapping[int, ImageScores]) -> tuple[ImageScores, ...]:
    """In the order of the pairs, with their groups: by their photos' names, else by the truth."""
    order = sorted(rows)
    photos = [material.photos(index) or tuple(filter(None, rows[index].hashes[1:])) for index in order]
    groups = groups_of(photos)
    return tuple(replace(rows[index], group=group) for index, group in zip(order, groups, strict=True))


def _without_values(yardstick: Yardstick, rows: Sequence[ImageScores]) -> dict[str, Problem]:
    """Metrics of pairs that no pair has a value for, and that."""
    labels = [bound.label for bound in yardstick.metrics if not _is_set(bound)]
    lost = Problem(f"none of {len(rows):,} pairs has a value." if len(rows) > 1 else "the pair has no value.")
    return {label: lost for label in labels if not any(label in row.values for row in rows)}


def _refuse(bad: Sequence[Bad], *, skip: bool, pairs: int) -> None:
    """End it if pairs cannot be scored, or if none can.

    Raises:
        UserError: As said.
    """
    if bad and (not skip or len(bad) >= pairs):
        problems = [Problem(one.problem.message, one.problem.where or one.name, one.problem.cure) for one in bad]
        more = [Problem(f"and {len(bad) - _TOLD:,} more of {len(bad):,}.")] if len(bad) > _TOLD else []
        raise UserError([*problems[:_TOLD], *more, _counted(len(bad), pairs, skip=skip)])
    if not pairs:
        raise UserError("there is no pair to score.", cure="Look at the pairs, or sample some first.")


def _counted(bad: int, pairs: int, *, skip: bool) -> Problem:
    message = f"{bad:,} of {pairs:,} pairs cannot be scored, and no mean leaves them out in silence."
    return Problem(message, cure="" if skip else "Mend them, or score the others and have these counted: --bad skip.")


def _that_fit(yardstick: Yardstick, looked: Iterable[Looked]) -> Yardstick:
    """By the metrics for which pictures are large enough; of the others it is said why."""
    sizes = [yardstick.size] if yardstick.size else {found.sizes[1] for found in looked}
    least = min(sizes, key=min)
    small = {
        bound.label: Problem(f"{_written(least)} is smaller than the {bound.metric.least} pixels a side that it needs.")
        for bound in yardstick.metrics
        if min(least) < bound.metric.least
    }
    metrics = tuple(bound for bound in yardstick.metrics if bound.label not in small)
    missing = {**yardstick.missing, **small}
    if not metrics:
        problems = [Problem(f"{label}: {problem.message}", cure=problem.cure) for label, problem in missing.items()]
        raise UserError([Problem("none of the metrics can be computed."), *problems])
    return replace(yardstick, metrics=metrics, missing=missing)


class _Looking:
    """Looks at every pair before one is decoded: what is not there, or of another size than the rest."""

    def __init__(self, pool: Pool, material: Material, yardstick: Yardstick, told: OnScored) -> None:
        self._pool, self._material, self._yardstick, self._told = pool, material, yardstick, told
        self.good: dict[int, Looked] = {}
        self.bad: list[Bad] = []
        self.sizes: dict[str, int] = {}

    def all(self) -> _Looking:
        """Look at all of them."""
        total = len(self._material)
        for index, found in enumerate(self._pool.in_order(self._look, range(total))):
            if isinstance(found, Looked):
                self.good[index] = found
            else:
                self.bad.append(found)
            self._told("looking at the files", index + 1, total)
        sizes = Counter(found.sizes[0] for found in self.good.values())
        self.sizes = {_written(size): count for size, count in sizes.most_common()}
        if len(sizes) > 1:
            self._keep_the_usual(sizes.most_common(1)[0])
        for index, found in [*self.good.items()]:
            if problem := self._unlike(found):
                self.bad.append(Bad(self._material.name(index), problem))
                del self.good[index]
        return self

    def _look(self, index: int) -> Looked | Bad:
        return _guarded(self._material.look, index, self._material.name)

    def _keep_the_usual(self, usual: tuple[Size, int]) -> None:
        """One method's pictures are of one size: of those that are not, something else is wrong."""
        size, count = usual
        for index in [index for index, found in self.good.items() if found.sizes[0] != size]:
            given = _written(self.good.pop(index).sizes[0])
            message = f"the prediction is {given} (height x width); {count:,} others are {_written(size)}."
            self.bad.append(Bad(self._material.name(index), Problem(message)))

    def _unlike(self, found: Looked) -> Problem | None:
        predicted, truth = found.sizes
        if self._yardstick.size is None and predicted != truth:
            message = f"the prediction is {_written(predicted)} and the truth {_written(truth)} (height x width)."
            return Problem(
                message, cure="Bring both to one size: --size HxW; or cut the picture out of a strip: --cut."
            )
        return None


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A pair as metrics see it, and what those without torch gave."""

    index: int
    shown: Shown
    values: dict[str, float]
    baseline: dict[str, float]
    hashes: tuple[str, str]


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
        self._alone = [bound for bound in yardstick.metrics if not bound.device]
        self._batched = [bound for bound in yardstick.metrics if bound.device and isinstance(bound.metric, PairMetric)]
        self._sets = {bound.label: Compared(bound, yardstick) for bound in yardstick.metrics if _is_set(bound)}
        self.rows: dict[int, ImageScores] = {}
        self.bad: list[Bad] = []

    # ------------------------------------------------------------------ pairs
    def pairs(self, told: OnScored) -> None:
        """Fill `rows`, and gather what sets need."""
        digests = [found.hashes for found in self._looked.values()]
        for one in self._sets.values():
            one.begin(digests, self._earlier)
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
        values = self._before(looked.hashes)
        of_pairs = [bound.label for bound in self._yardstick.metrics if not _is_set(bound)]
        if not all(label in values for label in of_pairs) or any(one.gathers for one in self._sets.values()):
            return False
        name, size = self._material.name(index), self._yardstick.size or looked.sizes[1]
        baseline = self._of_labels(self._earlier.baselines.get((name, looked.hashes[1]), {}))
        if self._material.sources and not all(label in baseline for label in of_pairs):
            return False
        self.rows[index] = ImageScores(name, size, values, baseline if self._material.sources else {}, looked.hashes)
        return True

    def _before(self, hashes: tuple[str, str]) -> dict[str, float]:
        """What an earlier scoring found of these two files."""
        return self._of_labels(self._earlier.rows.get(hashes, {}))

    def _of_labels(self, by_id: Mapping[str, float]) -> dict[str, float]:
        of_pairs = [bound for bound in self._yardstick.metrics if not _is_set(bound)]
        return {bound.label: by_id[bound.metric.id] for bound in of_pairs if bound.metric.id in by_id}

    def _prepare(self, index: int) -> _Prepared | Bad:
        return _guarded(self._prepared, index, self._material.name)

    def _prepared(self, index: int) -> _Prepared:
        shown, protocol = self._material.read(index), self._yardstick.protocol
        size = self._yardstick.size or shown.target.shape[:2]
        shown = Shown(
            resized(shown.predicted, size, protocol.predictions),
            resized(shown.target, size, protocol.truths),
            None if shown.source is None else resized(shown.source, size, protocol.truths),
        )
        hashes = self._looked[index].hashes
        hashes = (hashes[0] or _hash(shown.predicted), hashes[1] or _hash(shown.target))
        known = self._before(hashes)
        new = [bound for bound in self._alone if bound.label not in known]
        values = known | _values(new, [shown.predicted], [shown.target])[0]
        baseline = _values(self._alone, [shown.source], [shown.target])[0] if shown.source is not None else {}
        return _Prepared(index, shown, values, baseline, hashes)

    def _take(self, batch: Sequence[_Prepared]) -> None:
        """Torch's share of some pairs, and their rows."""
        if not batch:
            return
        predicted, target = [one.shown.predicted for one in batch], [one.shown.target for one in batch]
        source = [one.shown.source for one in batch if one.shown.source is not None]
        found = _values(self._batched, predicted, target)
        whole = len(source) == len(batch)
        baseline = _values(self._batched, source, target) if whole else [{} for _ in batch]
        order = [bound.label for bound in self._yardstick.metrics]
        for one, values, unchanged in zip(batch, found, baseline, strict=True):
            both = one.values | values, one.baseline | unchanged
            values, unchanged = ({label: some[label] for label in order if label in some} for some in both)
            size = one.shown.target.shape[0], one.shown.target.shape[1]
            self.rows[one.index] = ImageScores(self._material.name(one.index), size, values, unchanged, one.hashes)
        for some in self._sets.values():
            some.take(predicted, [(one.hashes[1], one.shown.target) for one in batch])

    # ------------------------------------------------------------------ sets
    def sets(self, told: OnScored) -> tuple[dict[str, float], dict[str, str], dict[str, Problem]]:
        """Values, what the sets are known by, and why the others have none."""
        overall, keys, missing = dict[str, float](), dict[str, str](), dict[str, Problem]()
        for label, one in self._sets.items():
            try:
                overall[label] = one.value(self._pool, told, whole=not self.bad)
            except NotComputed as error:
                missing[label] = error.problems[0]
            else:
                keys |= {label: one.key} if one.key and not self.bad else {}
        return overall, keys, missing


def _values(metrics: Sequence[Bound], predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[dict[str, float]]:
    """Of each pair, label -> value, of the metrics that have one."""
    found: list[dict[str, float]] = [{} for _ in predicted]
    for bound in metrics:
        assert isinstance(bound.metric, PairMetric), "what is asked here gives a value for each pair"
        for values, value in zip(found, bound.metric.values(predicted, truth), strict=True):
            if value is not None:
                values[bound.label] = float(value)
    return found


def _is_set(bound: Bound) -> bool:
    return isinstance(bound.metric, SetMetric)


# ------------------------------------------------------------------------------------------- one by one
def _guarded(of: Callable[[int], R], index: int, name: Callable[[int], str]) -> R | Bad:
    """What a function gives of a pair, or what is wrong with that pair."""
    try:
        return of(index)
    except UserError as error:
        return Bad(name(index), error.problems[0])
    except ValueError as error:
        return Bad(name(index), Problem(f"{error}."))


def _hash(picture: Picture) -> str:
    """Of the pixels of what is in no file."""
    return hashlib.sha256(f"{picture.shape}".encode() + picture.tobytes()).hexdigest()


def _written(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
