"""The mirror of a whole person."""

from __future__ import annotations

import numpy as np
import pytest

from pgsynth_core.data import JOINTS, Pair, flip_pair, flip_person, label_set_of, read_image, read_label_map

from ...fixtures.people import MakePerson, Shared


@pytest.mark.parametrize("size", [(72, 48), (31, 17)])
def test_flipping_twice_gives_the_same_person(size: tuple[int, int], person: MakePerson) -> None:
    parsing = np.random.default_rng(0).integers(0, 20, size, dtype=np.uint8)
    somebody = person(size=size, parsing=parsing, label_set="lip20")
    once = flip_person(somebody, label_set="lip20")
    twice = flip_person(once, label_set="lip20")
    assert (once.image == somebody.image[:, ::-1]).all() and once.image.flags.c_contiguous
    assert (twice.image == somebody.image).all() and (twice.parsing == somebody.parsing).all()
    assert np.allclose(twice.keypoints, somebody.keypoints, atol=1e-4)
    assert once.name == somebody.name and once.label_set == "lip20"


def test_a_label_map_needs_its_set(person: MakePerson) -> None:
    assert flip_person(person()).parsing is None
    with pytest.raises(ValueError, match="no label set ''"):
        flip_person(person(parsing=np.zeros((72, 48), np.uint8)))


def test_both_of_a_pair_are_mirrored(person: MakePerson) -> None:
    pair = Pair("a___b", person("a"), person("b", image=np.zeros((72, 48, 3), np.uint8)))
    flipped = flip_pair(pair)
    assert (flipped.name, flipped.source.name, flipped.target.name) == ("a___b", "a", "b")
    for ours, given in ((flipped.source, pair.source), (flipped.target, pair.target)):
        assert (ours.image == given.image[:, ::-1]).all()
        assert ours.keypoints[JOINTS["left-hip"], 0] == 48 - given.keypoints[JOINTS["right-hip"], 0]


def test_a_left_arm_stays_on_the_left_of_a_mirrored_photo(shared: Shared, person: MakePerson) -> None:
    """Seen from behind or before, in a mirror the left arm is where the right one was."""
    folder = shared("parsing", "cihp20_flip")
    left, right = (label_set_of("cihp20").index(name) for name in ("left-arm", "right-arm"))
    swapped = 0
    for file in sorted((folder / "labels").glob("*.png")):
        parsing = read_label_map(file, label_set="cihp20")
        photo = read_image(folder / "images" / file.with_suffix(".jpg").name)
        flipped = flip_person(person(image=photo, parsing=parsing), label_set="cihp20")
        assert flipped.parsing is not None
        assert ((flipped.parsing == left) == (parsing == right)[:, ::-1]).all()
        swapped += int((parsing == right).any())
    assert swapped >= 3
