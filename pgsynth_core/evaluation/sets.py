"""What a metric of sets makes of predictions and a reference: gathered pair by pair, or known from before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from pgsynth_core.errors import Problem, UserError
from pgsynth_core.evaluation.earlier import Earlier, keep_moments, kept_moments, set_key
from pgsynth_core.evaluation.pool import BATCH, OnScored, Pool
from pgsynth_core.evaluation.prepare import resized
from pgsynth_core.evaluation.protocol import Bound
from pgsynth_core.evaluation.yardstick import Yardstick
from pgsynth_core.metrics import Moments, NotComputed, Picture, SetMetric

__all__ = ["Compared", "set_keys"]

_LEAST: Final = 2
"""Pictures of which there is a covariance."""


def set_keys(
    yardstick: Yardstick, hashes: Iterable[tuple[str, str]], reference: Sequence[str] | None
) -> tuple[str, str]:
    """What the predictions and what they are compared with are known by; empty of what is not known.

    Args:
        yardstick: How both are prepared.
        hashes: Of prediction and truth of each pair.
        reference: Of the pictures of a reference; None: the truths are it.
    """
    way, pairs = yardstick.way, list(hashes)
    predictions, truths = (
        {"size": way["size"], "way": way["resizing"][what], "cuts": way["cuts"]} for what in ("predictions", "truths")
    )
    compared = {truth for _, truth in pairs} if reference is None else reference
    return set_key((predicted for predicted, _ in pairs), predictions), set_key(compared, truths)


class Compared:
    """What one metric makes of two sets; neither is gathered where the value is known.

    Args:
        bound: The metric.
        yardstick: What is compared with what.
        reference: Hashes of the pictures of a reference; None: the truths are it.
    """

    def __init__(self, bound: Bound, yardstick: Yardstick, reference: Sequence[str] | None) -> None:
        assert isinstance(bound.metric, SetMetric), "asked before"
        self._metric, self._label, self._yardstick = bound.metric, bound.label, yardstick
        self._definition = yardstick.stamp(bound)
        self._reference, self._digests = yardstick.reference, reference
        self.keys = ("", "")

    def begin(self, hashes: Iterable[tuple[str, str]], earlier: Earlier | None = None) -> None:
        """Find out what is known already of pairs, and gather nothing yet."""
        self._predicted, self._truths, self._seen = Moments(), Moments(), set[str]()
        self.keys = set_keys(self._yardstick, hashes, self._digests)
        known = earlier.sets if earlier and all(self.keys) else {}
        self._known = known.get((self._metric.id, "/".join(self.keys)))
        self._of_truths = kept_moments(self.keys[1], self._definition)

    @property
    def gathers(self) -> bool:
        """Whether it wants the pictures of pairs."""
        return self._known is None and self._reference.problem is None

    def ended(self, hashes: Iterable[tuple[str, str]]) -> bool:
        """Told which pairs were scored in the end. Whether what it knows is of these: else they are to be gathered."""
        keys = set_keys(self._yardstick, hashes, self._digests)
        of_others = keys[0] != self.keys[0] and self._known is not None
        of_others |= keys[1] != self.keys[1] and self._of_truths is not None
        self.keys = keys
        return not of_others

    def take(self, predicted: Sequence[Picture], truths: Sequence[tuple[str, Picture]]) -> None:
        """Take up some pairs."""
        if not self.gathers:
            return
        self._add(self._predicted, predicted)
        if self._reference.pictures is None and self._of_truths is None:
            new = {digest: picture for digest, picture in truths if digest not in self._seen}
            self._seen |= {*new}
            self._add(self._truths, [*new.values()])

    def _add(self, moments: Moments, pictures: Sequence[Picture]) -> None:
        """Take up pictures, those of one size together."""
        by_size: dict[tuple[int, ...], list[Picture]] = {}
        for picture in pictures:
            by_size.setdefault(picture.shape, []).append(picture)
        for alike in by_size.values():
            moments.add(self._metric.features(alike))

    def value(self, pool: Pool, told: OnScored) -> float:
        """The number.

        Args:
            pool: Threads that read a reference.
            told: How far that is.

        Raises:
            NotComputed: If there is nothing to compare with, or too little, or a picture of it cannot be read.
        """
        if self._reference.problem:
            raise NotComputed(self._reference.problem)
        if self._known is not None:
            return self._known
        reference = self._of_truths or self._gathered(pool, told)
        if self._of_truths is None:
            keep_moments(self.keys[1], self._definition, reference)
        for moments, what in ((self._predicted, "predictions"), (reference, "pictures to compare them with")):
            if moments.count < _LEAST:
                raise NotComputed(f"{moments.count} {what} have no covariance.", cure="Score two pairs at least.")
        distance = float(self._metric.distance(self._predicted, reference))
        if math.isnan(distance):
            raise NotComputed("the distance of the two sets is no number (nan).")
        return distance

    def _gathered(self, pool: Pool, told: OnScored) -> Moments:
        """Moments of the reference.

        Raises:
            NotComputed: If one of its pictures cannot be used.
        """
        pictures, way = self._reference.pictures, self._yardstick.protocol.truths
        if pictures is None:
            return self._truths

        def prepared(index: int) -> Picture:
            picture = pictures.read(index)
            return resized(picture, self._yardstick.size or picture.shape[:2], way)

        moments, waiting = Moments(), list[Picture]()
        try:
            for done, picture in enumerate(pool.in_order(prepared, range(len(pictures))), 1):
                waiting.append(picture)
                if len(waiting) == BATCH or done == len(pictures):
                    self._add(moments, waiting)
                    waiting = []
                told(f"{self._label} of the reference", done, len(pictures))
        except UserError as error:
            first = error.problems[0]
            message = f"of the reference, {first.where or 'a picture'} cannot be used: {first.message}"
            raise NotComputed(Problem(message, cure="Mend it or take it out of the reference.")) from error
        except ValueError as error:
            raise NotComputed(f"a picture of the reference cannot be used: {error}.") from error
        return moments
