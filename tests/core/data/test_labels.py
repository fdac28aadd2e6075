"""Label sets, and their flip against published pairs of flipped maps."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pgsynth_core.axes import LABEL_SETS
from pgsynth_core.data import LABELS, flip_labels, label_set_of, read_image, read_label_map, voc_palette

from ...fixtures.people import Shared


def test_every_label_set_is_there_and_complete() -> None:
    assert {name: len(labels) for name, labels in LABELS.items()} == dict(LABEL_SETS)
    for labels in LABELS.values():
        assert len(set(labels.names)) == len(labels.names) == len(labels.groups)
        assert labels.groups[0] == "background" and "background" not in labels.groups[1:]
        grouped = [label for group in ("background", "body", "clothes", "face") for label in labels.of_group(group)]
        assert sorted(grouped) == list(range(len(labels)))
        assert {name for name in labels.names if "left" in name or "right" in name} == {
            labels.names[label] for pair in labels.swaps for label in pair
        }


@pytest.mark.parametrize(
    ("name", "label", "meaning", "group"),
    [
        ("lip20", 5, "upper-clothes", "clothes"),
        ("lip20", 10, "jumpsuit", "clothes"),
        ("cihp20", 10, "torso-skin", "body"),
        ("lip20", 14, "left-arm", "body"),
        ("lip20", 19, "right-shoe", "clothes"),
        ("atr18", 9, "left-shoe", "clothes"),
        ("atr18", 11, "face", "face"),
        ("atr18", 15, "right-arm", "body"),
        ("atr18", 17, "scarf", "clothes"),
    ],
)
def test_labels_are_those_of_the_field(name: str, label: int, meaning: str, group: str) -> None:
    labels = label_set_of(name)
    assert labels.names[label] == meaning and labels.index(meaning) == label and labels.groups[label] == group


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match="no label set 'lip'.*Did you mean 'lip20'"):
        label_set_of("lip")
    with pytest.raises(ValueError, match="atr18 has no label 'left_arm'.*Did you mean 'left-arm'"):
        label_set_of("atr18").index("left_arm")


@pytest.mark.parametrize("name", LABEL_SETS)
def test_flipping_twice_gives_the_same_map(name: str) -> None:
    parsing = np.random.default_rng(1).integers(0, LABEL_SETS[name], (13, 8), dtype=np.uint8)
    flipped = flip_labels(parsing, name)
    assert (flip_labels(flipped, name) == parsing).all() and (flipped != parsing).any()


def test_flips_are_those_of_cihp(shared: Shared) -> None:
    """`labels_rev` is `labels` mirrored by others, with left and right exchanged."""
    folder = shared("parsing", "cihp20_flip")
    files = sorted((folder / "labels").glob("*.png"))
    assert len(files) == 5
    for file in files:
        ours = flip_labels(read_label_map(file, label_set="cihp20"), "cihp20")
        theirs = read_label_map(folder / "labels_rev" / file.name, label_set="cihp20")
        assert (ours == theirs).all(), file.name
        assert (np.asarray(Image.open(file))[:, ::-1] != theirs).any(), "the pair shows nothing about left and right"


def test_label_maps_of_the_field_are_read(shared: Shared) -> None:
    folder = shared("parsing", "viton_lip20")
    maps = [read_label_map(file, label_set="lip20") for file in sorted((folder / "image-parse").glob("*.png"))]
    assert len(maps) == 21 and {parsing.shape for parsing in maps} == {(256, 192)}
    upper = label_set_of("lip20").index("upper-clothes")
    assert sum((parsing == upper).mean() > 0.05 for parsing in maps) > 15
    photo = read_image(folder / "image" / "000066_0.jpg")
    assert photo.shape == (256, 192, 3)


def test_the_palette_is_pascal_vocs() -> None:
    assert voc_palette()[[0, 1, 2, 3, 4, 8, 15, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [64, 0, 0],
        [192, 128, 128],
        [224, 224, 192],
    ]
    assert len({tuple(colour) for colour in voc_palette().tolist()}) == 256
