"""What a metric of sets makes of predictions and a reference: gathered pair by pair, or known from before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pgsynth_core.evaluation.earlier import Earlier, keep_moments, kept_moments, set_key
from pgsynth_core.evaluation.pool import BATCH, OnScored, Pool
from pgsynth_core.evaluation.prepare import resized
from pgsynth_core.evaluation.protocol import Bound
from pgsynth_core.evaluation.yardstick import Yardstick
from pgsynth_core.metrics import Moments, NotComputed, Picture, SetMetric

__all__ = ["Compared"]

_LEAST: Final = 2
"""Pictures of which there is a covariance."""


class Compared:
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
        predictions, truths = (
            {"size": way["size"], "way": way["resizing"][what], "cuts": way["cuts"]}
            for what in ("predictions", "truths")
        )
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

    def value(self, pool: Pool, told: OnScored, *, whole: bool) -> float:
        """The number.

        Args:
            pool: Threads that read a reference.
            told: How far that is.
            whole: Whether every pair that was looked at was taken up: else nothing is kept under the name of all.

        Raises:
            NotComputed: If there is nothing to compare with, or too little.
        """
        if self._reference.problem:
            raise NotComputed(self._reference.problem)
        if self._known is not None:
            return self._known
        reference = self._of_truths or self._gathered(pool, told)
        if self._of_truths is None and (whole or self._reference.pictures is not None):
            keep_moments(self._keys[1], self._metric.id, reference)
        for moments, what in ((self._predicted, "predictions"), (reference, "pictures to compare them with")):
            if moments.count < _LEAST:
                raise NotComputed(f"{moments.count} {what} have no covariance.", cure="Score two pairs at least.")
        distance = float(self._metric.distance(self._predicted, reference))
        if math.isnan(distance):
            raise NotComputed("the distance of the two sets is no number (nan).")
        return distance

    def _gathered(self, pool: Pool, told: OnScored) -> Moments:
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
                self._add(moments, waiting)
                waiting = []
            told(f"{self._label} of the reference", done, len(pictures))
        return moments
