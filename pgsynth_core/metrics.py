"""What a part of kind `metric` is. Floor 0, no torch: pictures are scored without it wherever a metric can be.

A metric reads pictures as a protocol has brought them: 8-bit RGB, a prediction and its truth of one size. A
`PairMetric` gives a value for each pair, and its mean is the result; a `SetMetric` gives one value for all pictures,
of which only `Moments` are kept. Numbers compare where the `id` of what made them is equal, and nowhere else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from jaxtyping import Float64, UInt8

from pgsynth_core.annotators import PoseAnnotator
from pgsynth_core.errors import UserError

__all__ = [
    "FoundWeights",
    "Metric",
    "MetricContext",
    "Moments",
    "NotComputed",
    "PairMetric",
    "Picture",
    "SetMetric",
    "WeightFile",
]

Picture = UInt8[np.ndarray, "_H _W 3"]
"""RGB, 0 to 255."""

_PREFIX: Final = 8
"""Digits of a hash that tell one file of weights from another."""


class NotComputed(UserError):
    """A metric has no value here, for something that it needs is missing: what, and how to get it.

    Never a reason to take something else in its place.
    """


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file of weights that a metric needs.

    Attributes:
        name: Of the file, as its publisher calls it.
        url: Where it is to be had.
        sha256: The beginning of its hash, as many digits as are known; at least 8.
        megabytes: How large it is.
        folder: Where its publisher's own library keeps it, below the user's home; empty: where torch does.
        command: What fetches it there; empty: curl does, from `url`.
    """

    name: str
    url: str
    sha256: str
    megabytes: int
    folder: str = ""
    command: str = ""


@dataclass(frozen=True)
class FoundWeights:
    """Weights that were found.

    Attributes:
        path: The file.
        sha256: Of its content.
        official: Whether that is the hash that its publisher names.
    """

    path: Path
    sha256: str
    official: bool

    @property
    def id(self) -> str:
        """What tells scores with these weights from scores with others; empty for the published ones."""
        return "" if self.official else f"/weights-{self.sha256[:_PREFIX]}"


def _none_found(wanted: WeightFile) -> NoReturn:
    raise NotComputed(f"it needs the weights {wanted.name}.", cure=f"Download {wanted.url}.")


def _no_annotator(name: str) -> NoReturn:
    raise NotComputed("it needs an annotator that finds poses, and none is at hand.")


@dataclass(frozen=True, kw_only=True)
class MetricContext:
    """What a metric may know while it is built.

    Attributes:
        label: Its name in the protocol.
        device: Where a metric that uses torch works, e.g. ``cpu`` or ``cuda:0``.
        weights: Finds a file of weights, on this machine alone.
        annotator: Gives the annotator of poses of that name, built; with an empty one the only one that is installed.

    Raises:
        NotComputed: `weights`, if it is not there; `annotator`, if there is none, or several and no name.
    """

    label: str
    device: str = "cpu"
    weights: Callable[[WeightFile], FoundWeights] = field(default=_none_found)
    annotator: Callable[[str], PoseAnnotator] = field(default=_no_annotator)


class Metric(ABC):
    """What both kinds share. A part is a `PairMetric` or a `SetMetric`.

    Whatever cannot work here says so when it is built, by `NotComputed`.

    Attributes:
        least: Pixels that each side must have at least.
        libraries: Distributions whose arithmetic the value is; their versions are kept with it.
    """

    least: int = 1
    libraries: tuple[str, ...] = ("numpy",)

    def __init__(self, config: Any, context: MetricContext) -> None:
        super().__init__()

    @property
    @abstractmethod
    def id(self) -> str:
        """The definition as one word; it differs wherever numbers would not compare."""

    @property
    @abstractmethod
    def definition(self) -> str:
        """The definition in a few sentences, for people."""


class PairMetric(Metric):
    """Gives each pair a value."""

    @abstractmethod
    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> Sequence[float | None]:
        """The value of each pair; None where it has none, such as the likeness of a face that nobody sees.

        Args:
            predicted: What a method made, one at least.
            truth: What it should have made, each of the size of its prediction.
        """


class SetMetric(Metric):
    """Compares all predictions with all pictures of a reference.

    Attributes:
        most: Pictures that are looked at together, at most.
    """

    @abstractmethod
    def features(self, pictures: Sequence[Picture]) -> Float64[np.ndarray, "n F"]:
        """What stands for each of some pictures of one size."""

    @abstractmethod
    def distance(self, predicted: Moments, reference: Moments) -> float:
        """How far the predictions are from the reference.

        Raises:
            NotComputed: If there are too few of them.
        """


@dataclass
class Moments:
    """Number, mean and scatter of feature vectors, taken up in any number of portions; memory stays the same.

    Attributes:
        count: How many vectors.
        mean: Their mean, [F].
        scatter: Sum of outer products of their distances from the mean, [F, F].
    """

    count: int = 0
    mean: Float64[np.ndarray, " F"] = field(default_factory=lambda: np.zeros(0))
    scatter: Float64[np.ndarray, "F F"] = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, features: Float64[np.ndarray, "n F"]) -> None:
        """Take up some vectors (Chan et al. 1979: the parts' moments give the whole's)."""
        if not len(features):
            return
        mean = features.mean(axis=0)
        centred = features - mean
        self._join(len(features), mean, centred.T @ centred)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        if not self.count:
            self.count, self.mean, self.scatter = count, mean, scatter
            return
        total, apart = self.count + count, mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(apart, apart) * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    @property
    def covariance(self) -> Float64[np.ndarray, "F F"]:
        """Sample covariance, as `numpy.cov` gives it; of two vectors at least."""
        covariance: Float64[np.ndarray, "F F"] = self.scatter / (self.count - 1)
        return covariance
