"""Checks of an annotator: what it finds has the form of the contract, and depends on the photo alone."""

from __future__ import annotations

from importlib import metadata
from itertools import starmap

import numpy as np

from pgsynth_core.annotators import (
    Annotator,
    AnnotatorContext,
    Joints,
    ParsingAnnotator,
    Photo,
    PoseAnnotator,
    parsings_of,
    poses_of,
)
from pgsynth_core.registry import configure
from pgsynth_core.testing.declaration import loaded
from pgsynth_core.testing.subject import Skip, Subject

_SIZES = ((96, 64), (65, 97), (96, 64))
"""(height, width) of the photos: odd and even, tall and wide, two of one size."""

_FEW = 0.001
"""Share of pixels between two labels that are as likely: their sums may be rounded otherwise in another batch."""


def build_annotator(subject: Subject) -> Annotator:
    """The annotator, built once on the CPU without weights."""
    if "annotator" not in subject.shared:
        entry = subject.entry
        config = configure(entry, {**entry.component.defaults(), **subject.options})
        context = AnnotatorContext(label=entry.name, weights=lambda weight_id, files=(), /: None)
        subject.shared["annotator"] = loaded(subject)(config, context)
    built: Annotator = subject.shared["annotator"]
    return built


def _of_poses(subject: Subject) -> PoseAnnotator:
    built = build_annotator(subject)
    if not isinstance(built, PoseAnnotator):
        raise Skip("it finds no poses")
    return built


def _of_labels(subject: Subject) -> ParsingAnnotator:
    built = build_annotator(subject)
    if not isinstance(built, ParsingAnnotator):
        raise Skip("it finds no label maps")
    return built


def _photos() -> list[Photo]:
    """Patches of colour; nobody is in them, and an annotator may find whom it likes."""
    made = []
    for seed, (height, width) in enumerate(_SIZES):
        patches = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        made.append(np.kron(patches, np.ones((8, 8, 1), np.uint8))[:height, :width])
    return made


def annotator_says_what_it_is(subject: Subject) -> None:
    """Its id is one word, and its libraries are installed."""
    annotator = build_annotator(subject)
    assert annotator.id and len(annotator.id.split()) == 1, f"the id {annotator.id!r} is not one word"
    for name in annotator.libraries:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            raise AssertionError(f"it names the library {name!r}, and no such distribution is installed") from None


def poses_have_the_documented_form(subject: Subject) -> None:
    """Photos of any size have poses: float32 [18, 3], finite, confidence in [0, 1], a missing joint all 0."""
    for people in poses_of(_of_poses(subject), _photos()):
        for person in people:
            confidence = person[:, 2]
            assert ((confidence >= 0) & (confidence <= 1)).all(), f"a confidence is {confidence.max():g}"
            assert not person[confidence == 0].any(), "a joint without confidence has a place"


def label_maps_have_the_documented_form(subject: Subject) -> None:
    """Photos of any size have label maps of that size, in the label set that the manifest names too."""
    annotator, declared = _of_labels(subject), subject.entry.component.label_set
    parsings_of(annotator, _photos())
    said = f"label_set = {declared!r} in the manifest, and {annotator.label_set!r} in the class"
    assert annotator.label_set == declared, said


def a_photo_alone_has_the_same_poses(subject: Subject) -> None:
    """Photos have the poses that they have alone, and have them again when asked again."""
    annotator, photos = _of_poses(subject), _photos()
    together = poses_of(annotator, photos)
    alone = [poses_of(annotator, [photo])[0] for photo in photos]
    for first, second in ((together, alone), (together, poses_of(annotator, photos))):
        assert all(starmap(_alike, zip(first, second, strict=True))), "with other photos beside it one has other poses"


def a_photo_alone_has_the_same_labels(subject: Subject) -> None:
    """Photos have the labels that they have alone, and have them again when asked again; few pixels may differ."""
    annotator, photos = _of_labels(subject), _photos()
    together = parsings_of(annotator, photos)
    alone = [parsings_of(annotator, [photo])[0] for photo in photos]
    for other in (alone, parsings_of(annotator, photos)):
        shares = [(one != two).mean() for one, two in zip(together, other, strict=True)]
        assert max(shares) < _FEW, "with other photos beside it one has other labels"


def _alike(one: tuple[Joints, ...], other: tuple[Joints, ...]) -> bool:
    if len(one) != len(other):
        return False
    return all(np.allclose(*pair, rtol=1e-3, atol=1e-2) for pair in zip(one, other, strict=True))


def photos_stay_as_they_are(subject: Subject) -> None:
    """It changes no pixel of what it is given."""
    photos, annotator = _photos(), build_annotator(subject)
    if isinstance(annotator, PoseAnnotator):
        poses_of(annotator, photos)
    if isinstance(annotator, ParsingAnnotator):
        parsings_of(annotator, photos)
    assert all(map(np.array_equal, photos, _photos())), "it changes the photos that it is given"
