"""Checks of a dataset: the form of its pairs, and that they are the same every time and everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Final

import numpy as np

from pgsynth_core.data import LABELS, DataContext, DataError, Dataset, Pair, Person
from pgsynth_core.errors import UserError
from pgsynth_core.registry import load_part
from pgsynth_core.testing.subject import Skip, Subject

MOST_NAMES: Final = 200_000
"""Names that are looked at; a dataset of more pairs is looked at in part."""
LONGEST_NAME: Final = 200
"""Bytes of a pair's name: it becomes part of names of files."""
_SIZE: Final = (104, 88)
"""At which datasets that draw are asked to draw."""


def build_dataset(subject: Subject) -> Dataset:
    """The dataset of the training split, built anew; `Skip` where it needs data that nobody named."""
    target: type[Any] = load_part(subject.entry)
    try:
        built = target(subject.config, DataContext(split="train", image_size=_SIZE))
    except UserError as error:
        if subject.options or not _open_places(subject):
            raise
        raise Skip(f"as it comes it has no data; give options, e.g. root=PATH. It says: {error}") from error
    assert isinstance(built, Dataset), f"{target} is no Dataset"
    return built


def _open_places(subject: Subject) -> list[str]:
    """Options that are empty as they come and may say where its data is."""
    options = subject.entry.component.options.items()
    return [name for name, option in options if option.type in ("path", "str") and not option.default]


def _some(dataset: Dataset) -> Iterator[tuple[int, Pair]]:
    """A few pairs from all over; those that the dataset itself calls unusable are left out, but not all."""
    count, found, unusable = len(dataset), False, ""
    for index in dict.fromkeys((0, 1, count // 2, count - 1)):
        if 0 <= index < count:
            try:
                yield index, dataset.pair(index)
                found = True
            except DataError as error:
                unusable = f": {error}"
    assert found, f"none of its pairs that were tried can be used{unusable}"


def pairs_have_the_documented_form(subject: Subject) -> None:
    """Names, uint8 photos, keypoints with their confidence in [0, 1], labels of the label set, and what it promises."""
    dataset = build_dataset(subject)
    count, has_parsing = len(dataset), False
    assert type(count) is int and count > 0, f"it has {count!r} pairs"
    for index, pair in _some(dataset):
        assert isinstance(pair, Pair), f"pair({index}) is {type(pair)}"
        name = dataset.name(index)
        assert pair.name == name, f"pair({index}) is called {pair.name!r}, and name({index}) says {name!r}"
        for person in (pair.source, pair.target):
            _is_well_formed(person, dataset)
        has_parsing = has_parsing or pair.source.parsing is not None
    _gives_what_is_promised(dataset, subject, has_parsing=has_parsing)


def _is_well_formed(person: Person, dataset: Dataset) -> None:
    assert isinstance(person, Person), f"{person!r:.80} is no Person"
    confidence = person.keypoints[:, 2]
    assert ((confidence >= 0) & (confidence <= 1)).all(), f"{person.name}: a confidence is outside [0, 1]"
    missing = person.keypoints[confidence == 0]
    assert not missing.any(), f"{person.name}: a joint of confidence 0 has a place; a missing joint is 0, 0, 0"
    if person.parsing is None:
        return
    label_set = person.label_set or dataset.label_set
    assert label_set in LABELS, f"{person.name}: label set {label_set!r}; there are {', '.join(LABELS)}"
    most, labels = int(person.parsing.max()), len(LABELS[label_set].names)
    assert most < labels, f"{person.name}: label {most} where {label_set} has {labels}"


def _gives_what_is_promised(dataset: Dataset, subject: Subject, *, has_parsing: bool) -> None:
    """By its manifest; photos and joints are in every pair, so that only the label map of the source may be absent.

    One pair may lack its label map, and is then told as a bad record; a dataset of which none has one gives no such
    port.
    """
    component = subject.entry.component
    options = {**component.defaults(), **subject.options}
    if "source_parsing" not in component.provided(options):
        return
    assert has_parsing, "the manifest provides source_parsing, and no source that was tried has a label map"
    said = str(options.get("label_set") or component.label_set)
    told = f"the manifest says {said!r}" if said else "the manifest says none"
    assert dataset.label_set == said, f"its label set is {dataset.label_set!r}, and {told}"


def names_are_unique(subject: Subject) -> None:
    """Every pair has a name of its own that can be part of a file's name, the same in a dataset built anew."""
    dataset, other = build_dataset(subject), build_dataset(subject)
    count = min(len(dataset), MOST_NAMES)
    names = [dataset.name(index) for index in range(count)]
    twice = len(names) - len(set(names))
    assert not twice, f"{twice} of {count} names are there twice, e.g. {max(set(names), key=names.count)!r}"
    wrong = [name for name in names if not name or "/" in name or len(name.encode()) > LONGEST_NAME]
    assert not wrong, f"{wrong[0]!r} cannot be part of a file's name: not empty, no '/', at most {LONGEST_NAME} bytes"
    again = [other.name(index) for index in range(count)]
    assert names == again, "built anew, it has other names"


def pairs_are_always_the_same(subject: Subject) -> None:
    """`pair(index)` gives the same arrays every time, also from a dataset built anew and asked in another order."""
    dataset, other = build_dataset(subject), build_dataset(subject)
    given = list(_some(dataset))
    for index, pair in reversed(given):
        _same(pair, dataset.pair(index), f"pair({index}), asked twice,")
        _same(pair, other.pair(index), f"pair({index}) of a dataset built anew")


def _same(one: Pair, other: Pair, what: str) -> None:
    assert one.name == other.name, f"{what} is called {other.name!r} and was {one.name!r}"
    for left, right in ((one.source, other.source), (one.target, other.target)):
        assert left.name == right.name, f"{what} is of another photo"
        for name in ("image", "keypoints", "parsing"):
            assert np.array_equal(getattr(left, name), getattr(right, name)), f"{what} has another {name}"


def no_pair_beyond_the_end(subject: Subject) -> None:
    """Asked for a pair that there is not, it raises IndexError."""
    dataset = build_dataset(subject)
    for ask in (dataset.pair, dataset.name):
        try:
            ask(len(dataset))
        except IndexError:
            continue
        raise AssertionError(f"{ask.__name__}({len(dataset)}) of {len(dataset)} pairs raises no IndexError")


def goes_to_workers(subject: Subject) -> None:
    """It is sent to a data worker's process as Python sends objects, and gives the same pairs there."""
    dataset = build_dataset(subject)
    sent = ForkingPickler.loads(bytes(ForkingPickler.dumps(dataset)))
    for index, pair in _some(dataset):
        _same(pair, sent.pair(index), f"pair({index}) in a worker")


def blocks_add_up(subject: Subject) -> None:
    """`blocks` are together all pairs, and `prefetch` of any of them changes none."""
    dataset = build_dataset(subject)
    blocks = list(dataset.blocks())
    if blocks:
        assert all(type(size) is int and size >= 1 for size in blocks), f"a block has {min(blocks)} pairs"
        assert sum(blocks) == len(dataset), f"its blocks have {sum(blocks)} pairs, and it has {len(dataset)}"
    given = list(_some(dataset))
    dataset.prefetch([index for index, _ in given], wait=True)
    for index, pair in given:
        _same(pair, dataset.pair(index), f"pair({index}) after prefetch")


def people_are_those_of_the_pairs(subject: Subject) -> None:
    """`people` are unique, `person` gives the same photo as a pair does, `targets` are some of them."""
    dataset = build_dataset(subject)
    people = list(dataset.people())
    if not people:
        raise Skip("it cannot say cheaply which photos there are")
    assert len(set(people)) == len(people), "a photo is named twice"
    strangers = sorted(set(dataset.targets()) - set(people))
    assert not strangers, f"the target {strangers[0]!r} is none of its people"
    for _, pair in _some(dataset):
        for photo in (pair.source, pair.target):
            assert photo.name in people, f"{photo.name!r} of a pair is none of its people"
            alone = dataset.person(photo.name)
            assert np.array_equal(alone.image, photo.image), f"person({photo.name!r}) is another photo than in a pair"
    _raises(partial(dataset.person, "\0 no such photo"), KeyError, "person of a photo that there is not")


def _raises(ask: Callable[[], object], error: type[Exception], what: str) -> None:
    try:
        ask()
    except error:
        return
    raise AssertionError(f"{what} raises no {error.__name__}")


def recognises_no_other_folder(subject: Subject) -> None:
    """`recognises` says no to a folder that holds nothing of its layout."""
    target = load_part(subject.entry)
    assert not target.recognises(Path(__file__).parent), "it says that a folder of Python files is its layout"


def contract_fits(subject: Subject) -> None:
    """By its manifest it fits into a composition, with the data ports that it gives."""
    subject.around.verdict.raise_if_refused()
