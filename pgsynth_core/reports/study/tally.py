"""Count a study: which share of the choices fell to each method, how sure that is, and whether raters agree.

The share is the Jab of the papers: the percentage of questions in which a method's picture was held to be the best.

Answers of one rater are alike, and so are answers to one question: intervals that take all for independent are too
sure of themselves. So raters and questions are both drawn again with replacement, and an answer counts as often as its
rater times as often as its question (A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1(2), 2007).
With one rater, or one question, there is nothing to draw: then it is Wilson's interval (1927) over the answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from pgsynth_core.reports.study.agreement import fleiss_kappa, krippendorff_alpha
from pgsynth_core.reports.study.answers import Rated
from pgsynth_core.reports.study.key import Key, Question
from pgsynth_core.runs.compared import LEVEL
from pgsynth_core.runs.intervals import DRAWS

__all__ = ["Asked", "Share", "Tally", "Versus", "tally", "wilson"]

_FEW: Final = 5
"""Fewer raters than this stand for nobody but themselves, however the interval looks."""

_Answers = Bool[np.ndarray, "raters questions methods"]


@dataclass(frozen=True)
class Share:
    """A part of the choices.

    Attributes:
        count: Choices.
        of: Of so many.
        low: Of the interval, from 0 to 1.
        high: Of the interval.
    """

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The part, from 0 to 1; not a number of no choice at all."""
        return self.count / self.of if self.of else math.nan


@dataclass(frozen=True)
class Versus:
    """Two methods: of the choices that fell to one of them, those that fell to the first.

    Attributes:
        first: A method.
        second: Another.
        share: Of the first.
    """

    first: str
    second: str
    share: Share

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out that both are chosen equally often."""
        return self.share.low > 0.5 or self.share.high < 0.5


@dataclass(frozen=True)
class Asked:
    """What came of one question.

    Attributes:
        question: It.
        counts: Choices of each method.
        ties: Answers that choose none.
    """

    question: Question
    counts: tuple[int, ...]
    ties: int


@dataclass(frozen=True)
class Tally:
    """What a study says.

    Attributes:
        key: Of the study.
        rated: The raters whose answers count.
        shares: Of each method.
        versus: Of each two methods.
        intervals: How the intervals are made, a sentence.
        ties: Answers that choose none; they are in no share.
        places: Choices by where the candidate stood: A, B, C and so on.
        kappa: Fleiss'; None where it is not defined.
        alpha: Krippendorff's; None where it is not defined.
        questions: One by one.
        notes: What to know of it, a sentence each.
    """

    key: Key
    rated: tuple[Rated, ...]
    shares: tuple[Share, ...]
    versus: tuple[Versus, ...]
    intervals: str
    ties: int
    places: tuple[int, ...]
    kappa: float | None
    alpha: float | None
    questions: tuple[Asked, ...]
    notes: tuple[str, ...]

    @property
    def answers(self) -> int:
        """How many there are, ties among them."""
        return sum(len(one.choices) for one in self.rated)

    def above(self, share: Share) -> bool:
        """Whether the interval of a method's share lies above that of each, were none better than another."""
        return share.low > 1 / len(self.shares)

    @property
    def best(self) -> frozenset[int]:
        """Places of the methods that were chosen most often; empty where all were equally often."""
        most = max(share.count for share in self.shares)
        found = frozenset(place for place, share in enumerate(self.shares) if share.count == most)
        return found if len(found) < len(self.shares) else frozenset()


def tally(key: Key, rated: Sequence[Rated], notes: Sequence[str] = (), *, seed: int = 0) -> Tally:
    """Count the answers.

    Args:
        key: Of the study.
        rated: Answers as `read_answers` gives them; at least one rater's.
        notes: What is known of them already.
        seed: Of the draws of intervals.
    """
    methods = key.methods
    chosen = np.zeros((len(rated), len(key.questions), len(methods)), bool)
    ties = np.zeros(chosen.shape[:2], bool)
    places = [0] * len(methods)
    for rater, one in enumerate(rated):
        for at, question in enumerate(key.questions):
            choice = one.choices.get(question.id)
            if choice is None:
                continue
            if choice.place is None:
                ties[rater, at] = True
            else:
                chosen[rater, at, methods.index(choice.method)] = True
                places[choice.place] += 1
    counts = np.concatenate([chosen.sum(axis=0), ties.sum(axis=0)[:, None]], axis=1).astype(np.int64)
    sure = _Sure(chosen, seed)
    everything = tuple(range(len(methods)))
    pairs = [(first, second) for first in everything for second in everything if first < second]
    return Tally(
        key=key,
        rated=tuple(rated),
        shares=tuple(sure.share(place, everything) for place in everything),
        versus=tuple(Versus(methods[one], methods[two], sure.share(one, (one, two))) for one, two in pairs),
        intervals=sure.how,
        ties=int(ties.sum()),
        places=tuple(places),
        kappa=fleiss_kappa(counts),
        alpha=krippendorff_alpha(counts),
        questions=tuple(
            Asked(question, tuple(map(int, row[:-1])), int(row[-1]))
            for question, row in zip(key.questions, counts, strict=True)
        ),
        notes=(*notes, *_notes(key, len(rated), counts)),
    )


class _Sure:
    """How sure shares are: the same draws for all of them."""

    def __init__(self, chosen: _Answers, seed: int) -> None:
        self._counts = chosen.sum(axis=(0, 1))
        of_raters, of_questions = chosen.any(axis=(1, 2)), chosen.any(axis=(0, 2))
        self._independent = max(1, min(int(of_raters.sum()), int(of_questions.sum())))
        self._drawn = _drawn(chosen, seed) if self._independent > 1 else None
        self.how = "95 % intervals: Wilson's over the answers, which are of one rater, or to one question."
        if self._drawn is not None:
            self.how = f"95 % intervals: raters and questions drawn {DRAWS:,} times (pigeonhole bootstrap, Owen 2007)."

    def share(self, method: int, among: tuple[int, ...]) -> Share:
        """What falls to a method of all that falls to some."""
        count, of = int(self._counts[method]), int(self._counts[[*among]].sum())
        if self._drawn is None:
            return Share(count, of, *wilson(count, of))
        if count in (0, of):  # drawn again it is ever the same: how much that says depends on how many were asked
            few = min(of, self._independent)
            return Share(count, of, *wilson(few if count else 0, few))
        with np.errstate(invalid="ignore"):
            drawn = self._drawn[:, method] / self._drawn[:, [*among]].sum(axis=1)
        low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Share(count, of, float(low), float(high))


def _drawn(chosen: _Answers, seed: int) -> Float64[np.ndarray, "draws methods"]:
    """Choices of each method when raters and questions are drawn again."""
    random = np.random.default_rng(seed)
    raters, questions, methods = chosen.shape
    of_raters = random.multinomial(raters, np.full(raters, 1 / raters), DRAWS).astype(np.float64)
    of_questions = random.multinomial(questions, np.full(questions, 1 / questions), DRAWS).astype(np.float64)
    found = np.empty((DRAWS, methods))
    for method in range(methods):
        found[:, method] = ((of_raters @ chosen[:, :, method].astype(np.float64)) * of_questions).sum(axis=1)
    return found


def wilson(count: int, of: int) -> tuple[float, float]:
    """Wilson's score interval of a share (Journal of the American Statistical Association 22, 1927).

    Returns:
        Low and high; 0 and 1 of nothing.
    """
    if not of:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, wide = count / of, z * z / of
    half = z * math.sqrt(share * (1 - share) / of + wide / (4 * of))
    low, high = ((share + wide / 2 + sign * half) / (1 + wide) for sign in (-1, 1))
    return max(0.0, low) if count else 0.0, min(1.0, high) if count < of else 1.0


def _notes(key: Key, raters: int, counts: np.ndarray) -> list[str]:
    told = []
    if raters < _FEW:
        who = "one rater" if raters == 1 else f"{raters} raters"
        told.append(f"These are the choices of {who}: they say little of anybody else's, whatever the intervals are.")
    if nobody := int((counts.sum(axis=1) == 0).sum()):
        told.append(f"{nobody} of {len(key.questions)} questions nobody answered.")
    return told
