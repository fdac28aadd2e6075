"""Checks of a metric: its numbers mean what it says, whoever asks, however often and in whichever batch."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any, Final

import numpy as np

from pgsynth_core.data.weights import weights_in
from pgsynth_core.errors import PartError, UserError
from pgsynth_core.manifest import Scores
from pgsynth_core.metrics import Metric, MetricContext, Moments, NotComputed, PairMetric, Picture, SetMetric
from pgsynth_core.registry import configure
from pgsynth_core.testing.declaration import loaded, values_of
from pgsynth_core.testing.subject import Skip, Subject

LEAST_SIDE: Final = 40
"""Pictures have at least so many pixels a side, more where the metric needs more."""
THREADS: Final = 4
WORDS: Final = 4
"""A definition has at least so many."""
_RELATIVE: Final = 1e-4
_ABSOLUTE: Final = 1e-5
"""How far a value may be off in another batch, where torch computes it; elsewhere it may not at all."""

_ASKED: Final = {"values": ("predicted", "truth"), "features": ("pictures",), "distance": ("predicted", "reference")}
"""Method -> its arguments, in the order in which they are given."""


def the_metric(subject: Subject) -> PairMetric | SetMetric:
    """The metric, built once for all checks; `Skip` as `build_metric`."""
    if "metric" not in subject.shared:
        subject.shared["metric"] = build_metric(subject)
    built: PairMetric | SetMetric = subject.shared["metric"]
    return built


def build_metric(subject: Subject, **options: Any) -> PairMetric | SetMetric:
    """The metric, built anew on the CPU; `Skip` where it cannot be computed here, as without its weights."""
    entry = subject.entry
    config = configure(entry, {**entry.component.defaults(), **subject.options, **options})
    kind = loaded(subject)
    try:
        built = kind(config, MetricContext(label=entry.name, weights=weights_in(())))
    except NotComputed as reason:
        raise Skip(f"it is not computed here: {reason}") from reason
    assert isinstance(built, PairMetric | SetMetric), f"{built} is neither a PairMetric nor a SetMetric"
    return built


def _scores(subject: Subject) -> Scores:
    scores = subject.entry.component.scores
    assert scores is not None, "validated: a metric has [component.scores]"
    return scores


def _picture(seed: int, height: int, width: int) -> Picture:
    """Patches of colour with a little noise, as photographs have; those of one seed are alike at any size."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(40, 216, (height // 8 + 1, width // 8 + 1, 3))
    fine = np.random.default_rng([seed, 1]).integers(-20, 21, (height, width, 3))
    patches = np.kron(coarse, np.ones((8, 8, 1), int))[:height, :width]
    made: Picture = (patches + fine).astype(np.uint8)
    return made


def _pictures(metric: Metric, count: int, first: int = 0) -> list[Picture]:
    """Some of one size, whose sides are odd and even."""
    side = max(LEAST_SIDE, metric.least)
    return [_picture(first + number, side + 5, side + 2) for number in range(count)]


def _asked(metric: PairMetric, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float | None]:
    values = list(metric.values(predicted, truth))
    assert len(values) == len(predicted), f"of {len(predicted)} pairs it gives {len(values)} values"
    for value in values:
        assert value is None or isinstance(value, float | int), f"{value!r} is {type(value)}, and no number"
        assert value is None or not math.isnan(value), "a value is no number (nan): a pair without one has None"
    return values


def _features(metric: SetMetric, pictures: Sequence[Picture]) -> np.ndarray:
    found = metric.features(pictures)
    assert isinstance(found, np.ndarray) and found.dtype == np.float64, f"features are {type(found)}, not float64"
    assert found.ndim == 2 and len(found) == len(pictures), f"features of {len(pictures)} pictures: {found.shape}"
    assert np.isfinite(found).all(), "a feature is not finite"
    return found


def _distance(metric: SetMetric, predicted: Sequence[Picture], reference: Sequence[Picture]) -> float:
    sides = []
    for pictures in (predicted, reference):
        sides.append(Moments())
        sides[-1].add(_features(metric, pictures))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # covariances of so few are singular, which says nothing of the metric
            return float(metric.distance(*sides))
    except NotComputed as reason:
        raise Skip(f"of {len(predicted)} pictures it has no value: {reason}") from reason


def _value(metric: PairMetric | SetMetric, predicted: list[Picture], truth: list[Picture]) -> list[float | None]:
    """Of a pair metric the values, of a set metric the one distance."""
    if isinstance(metric, PairMetric):
        return _asked(metric, predicted, truth)
    return [_distance(metric, predicted, truth)]


def _told(metric: PairMetric | SetMetric, predicted: list[Picture], truth: list[Picture]) -> list[Any]:
    """Of a pair metric the values, of a set metric the features: a distance may take a minute."""
    if isinstance(metric, PairMetric):
        return _asked(metric, predicted, truth)
    return [_features(metric, pictures).tolist() for pictures in (predicted, truth)]


# ------------------------------------------------------------------------------------------- what it says of itself
def says_what_it_is(subject: Subject) -> None:
    """Its id is one word, its definition a sentence, its libraries are installed, its least side is a number."""
    metric = the_metric(subject)
    assert metric.id and len(metric.id.split()) == 1, f"the id {metric.id!r} is not one word"
    definition = metric.definition.strip()
    sentence = definition.endswith(".") and len(definition.split()) >= WORDS
    assert sentence, f"the definition {definition!r} is no sentence"
    assert type(metric.least) is int and metric.least >= 1, f"least is {metric.least!r}, and no number of pixels"
    assert metric.libraries, "it names no library: that whose arithmetic it is, numpy at least"
    for name in metric.libraries:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise AssertionError(f"it names the library {name!r}, and no such distribution is installed") from None


def asks_in_the_order_of_the_contract(subject: Subject) -> None:
    """Its methods take predictions first, by the contract's names."""
    target = loaded(subject)
    for name, wanted in _ASKED.items():
        if method := getattr(target, name, None):
            given = tuple(inspect.signature(method).parameters)[1 : len(wanted) + 1]
            assert given == wanted, f"{name} takes {', '.join(given)}; it is given {', '.join(wanted)}"


def other_values_have_another_id(subject: Subject) -> None:
    """An option that changes a value changes the id: numbers of one id compare."""
    if not subject.entry.component.options:
        raise Skip("it has no options")
    metric = the_metric(subject)
    for name, value in values_of(subject.entry.component):
        try:
            other = build_metric(subject, **{name: value})
        except (Skip, PartError, UserError):
            continue  # not to be had here, or refused by the metric itself
        side = max(metric.least, other.least, LEAST_SIDE)
        predicted, truth = ([_picture(seed, side + 5, side + 2) for seed in seeds] for seeds in ((0, 1, 2), (3, 4, 5)))
        try:
            same = _value(metric, predicted, truth) == _value(other, predicted, truth)
        except Skip:
            continue
        assert same or metric.id != other.id, f"with {name} = {value!r} values are others and the id is the same"


# ------------------------------------------------------------------------------------------- what its numbers are
def the_same_is_best(subject: Subject) -> None:
    """Pictures that equal the truth score at least as well as others, in the direction that the manifest says."""
    metric, scores = the_metric(subject), _scores(subject)
    truth, others = _pictures(metric, 3), _pictures(metric, 3, first=3)
    best, worse = _value(metric, truth, [one.copy() for one in truth]), _value(metric, others, truth)
    compared = 0
    for equal, other in zip(best, worse, strict=True):
        if equal is not None and other is not None:
            compared += 1
            good = equal >= other if scores.better == "higher" else equal <= other
            said = f"the truth itself scores {equal:g} and another picture {other:g}"
            assert good, f"{said}, and the manifest says that {scores.better} is better"
    if not compared:
        raise Skip("drawn pictures have no value")


def values_are_finite(subject: Subject) -> None:
    """Different pictures have finite values or none; those that equal the truth may have an infinite one."""
    metric = the_metric(subject)
    truth, others = _pictures(metric, 3), _pictures(metric, 3, first=3)
    for value in _value(metric, others, truth):
        assert value is None or math.isfinite(value), f"of different pictures it gives {value}"
    for value in _value(metric, truth, truth):
        assert value is None or not math.isnan(value), "of equal pictures the distance is no number (nan)"


def any_size_is_taken(subject: Subject) -> None:
    """Pictures as small as `least`, with odd sides, tall and wide, have values."""
    metric = the_metric(subject)
    least = metric.least
    for height, width in ((least, least), (least, 2 * least + 1), (2 * least + 3, least + 1)):
        predicted, truth = _picture(0, height, width), _picture(1, height, width)
        if isinstance(metric, PairMetric):
            _asked(metric, [predicted], [truth])
        else:
            _features(metric, [predicted, truth])


def too_small_ends_nothing(subject: Subject) -> None:
    """Pictures smaller than `least`, which pgsynth refuses before, raise an error at worst."""
    metric = the_metric(subject)
    side = metric.least - 1
    if not side:
        raise Skip("every picture is large enough")
    small = _picture(0, side, side)
    ask: Callable[[], object]
    if isinstance(metric, PairMetric):
        pairs = metric
        ask = lambda: pairs.values([small], [small])
    else:
        sets = metric
        ask = lambda: sets.features([small])
    try:
        ask()
    except Exception:  # noqa: BLE001 - whatever it raises is caught by who asks
        return


# ------------------------------------------------------------------------------------------- the same every time
def any_batch_is_the_same(subject: Subject) -> None:
    """Pairs have the values that they have alone: three at once, and, of pairs, with others of another size."""
    metric = the_metric(subject)
    predicted, truth = _pictures(metric, 3), _pictures(metric, 3, first=3)
    if isinstance(metric, SetMetric):
        single = np.concatenate([_features(metric, [one]) for one in predicted])
        assert np.allclose(_features(metric, predicted), single, rtol=_RELATIVE, atol=_ABSOLUTE), _IN_A_BATCH
        return
    side = max(LEAST_SIDE, metric.least)
    predicted.insert(1, _picture(6, side, side + 9))
    truth.insert(1, _picture(7, side, side + 9))
    together = _asked(metric, predicted, truth)
    alone = [_asked(metric, [one], [other])[0] for one, other in zip(predicted, truth, strict=True)]
    for value, other in zip(together, alone, strict=True):
        assert _close(value, other, exact=not _scores(subject).device), f"{_IN_A_BATCH}: {value} and {other}"


_IN_A_BATCH: Final = "with other pairs beside it a pair has another value than alone"


def _close(value: float | None, other: float | None, *, exact: bool) -> bool:
    if value is None or other is None or exact:
        return value == other
    return math.isclose(value, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)


def asked_again_it_says_the_same(subject: Subject) -> None:
    """The same pictures have the same values, asked twice with others between, and of a metric built anew."""
    metric = the_metric(subject)
    predicted, truth = _pictures(metric, 3), _pictures(metric, 3, first=3)
    first = _told(metric, predicted, truth)
    _told(metric, truth, predicted)
    assert _told(metric, predicted, truth) == first, "asked again, it gives other values"
    assert _told(build_metric(subject), predicted, truth) == first, "built anew, it gives other values"


def pictures_stay_as_they_are(subject: Subject) -> None:
    """It changes no pixel of what it is given: other metrics are given the same."""
    metric = the_metric(subject)
    given = _pictures(metric, 2), _pictures(metric, 2, first=3)
    before = [[one.copy() for one in some] for some in given]
    _told(metric, *given)
    for some, were in zip(given, before, strict=True):
        assert all(map(np.array_equal, some, were)), "it changes the pictures that it is given"


def threads_do_not_meet(subject: Subject) -> None:
    """Where it does not use torch it is asked by several threads at once, and gives what it gives to one."""
    metric = the_metric(subject)
    if _scores(subject).device or isinstance(metric, SetMetric):
        raise Skip("on a device it is asked by one thread")
    pairs = list(_some_pairs(metric))
    alone = [_asked(metric, [one], [other]) for one, other in pairs]
    with ThreadPoolExecutor(THREADS) as threads:
        together = list(threads.map(lambda pair: _asked(metric, [pair[0]], [pair[1]]), pairs))
    wrong = sum(value != other for value, other in zip(alone, together, strict=True))
    assert not wrong, f"asked by {THREADS} threads, {wrong} of {len(pairs)} values are others"


def _some_pairs(metric: Metric) -> Iterator[tuple[Picture, Picture]]:
    side = max(LEAST_SIDE, metric.least)
    for number in range(4 * THREADS):
        size = side + number % 5, side + number % 3
        yield _picture(number, *size), _picture(100 + number, *size)
