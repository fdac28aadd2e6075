"""Score pairs: look at the files, then read, prepare and measure them in threads, with torch in batches.

Decoding, resizing and the filters of numpy metrics leave Python's lock, so threads use every core and need neither
copies of pictures nor a second interpreter; memory is the same for any number of pairs. What an earlier scoring found
of the same two files is taken up. Nothing is left out of a mean in silence: what cannot be scored ends it, or is
counted and named.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, TypeVar

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.evaluation.earlier import Earlier, keep_moments, kept_moments, set_key
from pgsynth_core.evaluation.prepare import resize_id, resized
from pgsynth_core.evaluation.protocol import Bound, Protocol
from pgsynth_core.evaluation.table import ImageScores, Measure, ScoreTable
from pgsynth_core.metrics import Moments, NotComputed, PairMetric, Picture, SetMetric

__all__ = ["Bad", "Looked", "Material", "OnScored", "Pictures", "Reference", "Shown", "Yardstick", "score"]

BATCH: Final = 32
"""Pictures that a metric on a device looks at together."""

_AHEAD: Final = 4
"""Pairs that are read ahead of the one that is wanted, for each thread."""

_TOLD: Final = 20
"""So many that cannot be scored are named; looking at more helps nobody."""

Size = tuple[int, int]
T = TypeVar("T")
R = TypeVar("R")
OnScored = Callable[[str, int, int], None]
"""Told what is being done, how many are done, and of how many."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The pictures of a pair as they are stored.

    Attributes:
        predicted: What a method made.
        target: The truth.
        source: The photo it was made from: shown unchanged, it is the baseline. None for no baseline.
    """

    predicted: Picture
    target: Picture
    source: Picture | None = None


@dataclass(frozen=True)
class Looked:
    """What is known of a pair without decoding it.

    Attributes:
        hashes: Of prediction and truth.
        sizes: (height, width) of both.
    """

    hashes: tuple[str, str]
    sizes: tuple[Size, Size]


class Material(ABC):
    """Pairs that can be scored. All of it is called from several threads.

    Attributes:
        sources: Whether `read` gives the sources, too.
    """

    sources: bool = False

    @abstractmethod
    def __len__(self) -> int:
        """How many pairs."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Which pair; unique."""

    @abstractmethod
    def look(self, index: int) -> Looked:
        """What can be known without decoding.

        Raises:
            UserError: If one of the pictures cannot be read; said of its file.
        """

    @abstractmethod
    def read(self, index: int) -> Shown:
        """The pictures.

        Raises:
            UserError: As `look`.
        """


class Pictures(ABC):
    """A reference of pictures, such as a training set. All of it is called from several threads."""

    @abstractmethod
    def __len__(self) -> int:
        """How many."""

    @abstractmethod
    def digest(self, index: int) -> str:
        """The hash of one."""

    @abstractmethod
    def read(self, index: int) -> Picture:
        """One."""


@dataclass(frozen=True)
class Bad:
    """A pair that cannot be scored."""

    name: str
    problem: Problem


@dataclass(frozen=True)
class Reference:
    """What sets of predictions are compared with.

    Attributes:
        pictures: None: the truths of the scored pairs, each once.
        problem: Why there is none where one is needed.
    """

    pictures: Pictures | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class Yardstick:
    """How it is scored.

    Attributes:
        protocol: Whose labels the results bear.
        size: (height, width) at which pictures are compared; None: at their own.
        metrics: Built.
        missing: Label -> why, of those that cannot be computed.
        reference: For sets.
        cuts: What is cut out of predictions and truths, for the table.
    """

    protocol: Protocol
    size: Size | None
    metrics: tuple[Bound, ...]
    missing: Mapping[str, Problem] = field(default_factory=dict)
    reference: Reference = field(default_factory=Reference)
    cuts: Mapping[str, str] = field(default_factory=dict)

    @property
    def way(self) -> dict[str, Any]:
        """How pictures become what is compared: equal ways give equal pictures."""
        protocol = self.protocol
        return {
            "protocol": protocol.name,
            "size": None if self.size is None else list(self.size),
            "predictions": resize_id(protocol.predictions),
            "truths": resize_id(protocol.truths),
            "cuts": dict(self.cuts),
        }

    @property
    def libraries(self) -> dict[str, str]:
        """Version of every library that computes something."""
        names = {name for bound in self.metrics for name in bound.metric.libraries}
        return {name: version(name) for name in sorted(names | {"numpy", "pillow"})}

    def measures(self) -> dict[str, Measure]:
        """Label -> what its numbers are."""
        found = {}
        for bound in self.metrics:
            scores, metric = bound.choice.scores, bound.metric
            found[bound.label] = Measure(
                metric.id,
                scores.better,
                scores.unit,
                scores.digits,
                metric.definition,
                tuple(metric.libraries),
                scores.of,
            )
        return found


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
        pool = _Pool(executor, threads)
        looked = _Looking(pool, material, yardstick, told).all()
        bad = [*found_bad, *looked.bad]
        _refuse(bad, skip=skip, pairs=len(material) + len(found_bad))
        work = _Scoring(pool, material, yardstick, looked.good, earlier or Earlier())
        work.pairs(told)
        bad += work.bad
        _refuse(bad, skip=skip, pairs=len(material) + len(found_bad))
        overall, sets, missing = work.sets(told)
    rows = tuple(work.rows[index] for index in sorted(work.rows))
    left_out = {"count": len(bad), "first": {one.name: one.problem.message for one in bad[:_TOLD]}}
    seen = {"pairs": len(material) + len(found_bad), "left_out": left_out, "prediction_sizes": looked.sizes}
    return ScoreTable(
        rows,
        yardstick.measures(),
        {**(about or {}), **yardstick.way, **seen},
        overall,
        sets,
        {**yardstick.missing, **missing},
        yardstick.libraries,
    )


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


class _Looking:
    """Looks at every pair before one is decoded: what is not there, or of another size than the rest."""

    def __init__(self, pool: _Pool, material: Material, yardstick: Yardstick, told: OnScored) -> None:
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
        size = self._yardstick.size or truth
        if self._yardstick.size is None and predicted != truth:
            message = f"the prediction is {_written(predicted)} and the truth {_written(truth)} (height x width)."
            return Problem(
                message, cure="Bring both to one size: --size HxW; or cut the picture out of a strip: --cut."
            )
        for bound in self._yardstick.metrics:
            if min(size) < bound.metric.least:
                message = f"{_written(size)} is smaller than the {bound.metric.least} pixels that {bound.label} needs."
                return Problem(
                    message, cure=f"Score larger pictures, or leave it out: --metrics without {bound.label}."
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
        pool: _Pool,
        material: Material,
        yardstick: Yardstick,
        looked: Mapping[int, Looked],
        earlier: Earlier,
    ) -> None:
        self._pool, self._material, self._yardstick, self._earlier = pool, material, yardstick, earlier
        self._looked = dict(looked)
        self._alone = [bound for bound in yardstick.metrics if not bound.device]
        self._batched = [bound for bound in yardstick.metrics if bound.device and isinstance(bound.metric, PairMetric)]
        self._sets = {bound.label: _Set(bound, yardstick) for bound in yardstick.metrics if _is_set(bound)}
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
            both = one.values | values, one.baseline | unchanged if one.baseline else {}
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
                overall[label] = one.value(self._pool, told)
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


class _Set:
    """What one metric makes of two sets; neither is gathered where the value is known."""

    def __init__(self, bound: Bound, yardstick: Yardstick) -> None:
        assert isinstance(bound.metric, SetMetric), "asked before"
        self._metric, self._label, self._yardstick = bound.metric, bound.label, yardstick
        self._reference = yardstick.reference
        self._predicted, self._truths = Moments(), Moments()
        self._seen: set[str] = set()
        self._known: float | None = None
        self._of_truths: Moments | None = None
        self._keys = ("", "")

    @property
    def key(self) -> str:
        """What both sets are known by; empty if they are not."""
        return "/".join(self._keys) if all(self._keys) else ""

    @property
    def gathers(self) -> bool:
        """Whether it wants the pictures of pairs."""
        return self._known is None and self._reference.problem is None

    def begin(self, hashes: Sequence[tuple[str, str]], earlier: Earlier) -> None:
        """Find out what is known already."""
        way, pictures = self._yardstick.way, self._reference.pictures
        predictions = {"size": way["size"], "way": way["predictions"], "cuts": way["cuts"]}
        truths = {"size": way["size"], "way": way["truths"], "cuts": way["cuts"]}
        references = (
            {truth for _, truth in hashes}
            if pictures is None
            else [pictures.digest(index) for index in range(len(pictures))]
        )
        self._keys = set_key((predicted for predicted, _ in hashes), predictions), set_key(references, truths)
        self._known = earlier.sets.get((self._metric.id, self.key)) if self.key else None
        self._of_truths = kept_moments(self._keys[1], self._metric.id)

    def take(self, predicted: Sequence[Picture], truths: Sequence[tuple[str, Picture]]) -> None:
        """Take up some pairs."""
        if not self.gathers:
            return
        self._predicted.add(self._metric.features(predicted))
        if self._reference.pictures is None and self._of_truths is None:
            new = {digest: picture for digest, picture in truths if digest not in self._seen}
            self._seen |= {*new}
            if new:
                self._truths.add(self._metric.features([*new.values()]))

    def value(self, pool: _Pool, told: OnScored) -> float:
        """The number.

        Raises:
            NotComputed: If there is nothing to compare with, or too little.
        """
        if self._reference.problem:
            raise NotComputed(self._reference.problem)
        if self._known is not None:
            return self._known
        reference = self._of_truths or self._gathered(pool, told)
        if self._of_truths is None:
            keep_moments(self._keys[1], self._metric.id, reference)
        for moments, what in ((self._predicted, "predictions"), (reference, "pictures to compare them with")):
            if moments.count < _LEAST:
                raise NotComputed(f"{moments.count} {what} have no covariance.", cure="Score two pairs at least.")
        return self._metric.distance(self._predicted, reference)

    def _gathered(self, pool: _Pool, told: OnScored) -> Moments:
        pictures, way = self._reference.pictures, self._yardstick.protocol.truths
        if pictures is None:
            return self._truths

        def prepared(index: int) -> Picture:
            picture = pictures.read(index)
            return resized(picture, self._yardstick.size or picture.shape[:2], way)

        moments, waiting = Moments(), list[Picture]()
        for done, picture in enumerate(pool.in_order(prepared, range(len(pictures))), 1):
            waiting.append(picture)
            if len(waiting) == BATCH or done == len(pictures):
                moments.add(self._metric.features(waiting))
                waiting = []
            told(f"{self._label} of the reference", done, len(pictures))
        return moments


_LEAST: Final = 2


# ------------------------------------------------------------------------------------------- threads
@dataclass(frozen=True)
class _Pool:
    """Threads, and how many."""

    executor: ThreadPoolExecutor
    threads: int

    def in_order(self, of: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """What a function gives of each item, in order; a few are worked on ahead, so that memory stays the same."""
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(self.executor.submit(of, item))
                if len(waiting) > _AHEAD * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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
