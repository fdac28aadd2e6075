"""Checks of an annotator: what it finds has the form of the contract, and depends on the photo alone."""

from __future__ import annotations

from importlib import metadata
from itertools import starmap

import numpy as np

from pgsynth_core.annotators import Annotator, AnnotatorContext, Joints, Photo, PoseAnnotator, poses_of
from pgsynth_core.registry import configure
from pgsynth_core.testing.declaration import loaded
from pgsynth_core.testing.subject import Skip, Subject

_SIZES = ((96, 64), (65, 97), (96, 64))
"""(height, width) of the photos: odd and even, tall and wide, two of one size."""


def build_annotator(subject: Subject) -> PoseAnnotator:
    """The annotator, built once on the CPU without weights; `Skip` where what it finds is not checked."""
    if "annotator" not in subject.shared:
        entry = subject.entry
        config = configure(entry, {**entry.component.defaults(), **subject.options})
        context = AnnotatorContext(label=entry.name, weights=lambda weight_id, files=(), /: None)
        subject.shared["annotator"] = loaded(subject)(config, context)
    built: Annotator = subject.shared["annotator"]
    if not isinstance(built, PoseAnnotator):
        raise Skip(f"what finds {' and '.join(subject.entry.component.finds)} is not checked")
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
    for people in poses_of(build_annotator(subject), _photos()):
        for person in people:
            confidence = person[:, 2]
            assert ((confidence >= 0) & (confidence <= 1)).all(), f"a confidence is {confidence.max():g}"
            assert not person[confidence == 0].any(), "a joint without confidence has a place"


def a_photo_alone_has_the_same_poses(subject: Subject) -> None:
    """Photos have the poses that they have alone, and have them again when asked again."""
    annotator, photos = build_annotator(subject), _photos()
    together = poses_of(annotator, photos)
    alone = [poses_of(annotator, [photo])[0] for photo in photos]
    for first, second in ((together, alone), (together, poses_of(annotator, photos))):
        assert all(starmap(_alike, zip(first, second, strict=True))), "with other photos beside it one has other poses"


def _alike(one: tuple[Joints, ...], other: tuple[Joints, ...]) -> bool:
    if len(one) != len(other):
        return False
    return all(np.allclose(*pair, rtol=1e-3, atol=1e-2) for pair in zip(one, other, strict=True))


def photos_stay_as_they_are(subject: Subject) -> None:
    """It changes no pixel of what it is given."""
    photos = _photos()
    poses_of(build_annotator(subject), photos)
    assert all(map(np.array_equal, photos, _photos())), "it changes the photos that it is given"
