"""segformer_clothes: against the library's own processing, and labels by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pgsynth_core.annotators import parsings_of
from pgsynth_core.data import LABELS
from pgsynth_core.errors import PartError
from pgsynth_plugins.annotators.segformer_clothes import Config, annotator
from pgsynth_plugins.annotators.segformer_clothes.annotator import SegFormerClothes

from ...fixtures.networks import context_of, write_parser

NAMES = LABELS["atr18"].names
SIZES = ((80, 60), (33, 97), (80, 60), (7, 200), (130, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_parser(tmp_path_factory.mktemp("parser"))


def made(folder: Path) -> SegFormerClothes:
    return SegFormerClothes(Config(network=str(folder)), context_of())


def photos() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        np.kron(random.integers(0, 256, (9, 9, 3), np.uint8), np.ones((15, 23, 1), np.uint8))[:h, :w] for h, w in SIZES
    ]


@pytest.mark.parametrize("at_once", [1, 5000, 2**25], ids=["a row", "some rows", "all"])
def test_labels_are_the_librarys(folder: Path, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    network = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    monkeypatch.setattr(annotator, "_SCORES_AT_ONCE", at_once)
    for photo, found in zip(photos(), parsings_of(made(folder), photos()), strict=True):
        with torch.no_grad():
            outputs = network(**processor(photo, input_data_format="channels_last", return_tensors="pt"))
        (given,) = processor.post_process_semantic_segmentation(outputs, target_sizes=[photo.shape[:2]])
        assert found.shape == photo.shape[:2] and (found == given.numpy()).mean() > 0.999
        assert len(np.unique(found)) > 1


def test_labels_go_by_their_names_and_not_by_their_order(folder: Path, tmp_path: Path) -> None:
    reversed_names = {label: name.replace("-", "_").title() for label, name in enumerate(reversed(NAMES))}
    other = made(write_parser(tmp_path, reversed_names))
    for one, two in zip(parsings_of(made(folder), photos()), parsings_of(other, photos()), strict=True):
        np.testing.assert_array_equal(two, len(NAMES) - 1 - one)


def test_a_network_without_some_labels_serves(tmp_path: Path) -> None:
    few = made(write_parser(tmp_path, {0: "Background", 1: "Upper-clothes", 2: "Left-shoe"}))
    found = {int(label) for parsing in parsings_of(few, photos()) for label in np.unique(parsing)}
    assert found <= {0, NAMES.index("upper-clothes"), NAMES.index("left-shoe")} and len(found) > 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({0: "Background", 1: "Uper-clothes"}, ["'Uper-clothes' that atr18 has not", "Did you mean 'upper-clothes'?"]),
        ({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, ["'LABEL_0' and 2 others", "id2label"]),
        ({0: "Background", 1: "Hat", 2: "hat"}, ["not those of atr18", "a name of its own"]),
        ({0: "Hat", 1: "Hair"}, ["one is background"]),
    ],
)
def test_other_labels_are_refused(labels: dict[int, str], said: list[str], tmp_path: Path) -> None:
    with pytest.raises(PartError) as refused:
        made(write_parser(tmp_path, labels))
    assert all(word in str(refused.value) for word in said), refused.value


def test_another_network_has_another_id(folder: Path, tmp_path: Path) -> None:
    other = write_parser(tmp_path, dict(enumerate(reversed(NAMES))))
    assert made(folder).id != made(other).id and made(folder).id == made(folder).id


def test_memory_of_a_large_photo_stays_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never all scores at the photo's size at once."""
    largest = 0
    interpolate: Any = torch.nn.functional.interpolate

    def watched(*given: Any, **named: Any) -> torch.Tensor:
        nonlocal largest
        made: torch.Tensor = interpolate(*given, **named)
        largest = max(largest, made.numel())
        return made

    annotated = made(folder)
    monkeypatch.setattr(annotator, "_SCORES_AT_ONCE", 2**20)
    monkeypatch.setattr(torch.nn.functional, "interpolate", watched)
    (found,) = parsings_of(annotated, [np.zeros((1500, 1000, 3), np.uint8)])
    assert found.shape == (1500, 1000) and 0 < largest <= 2**20
