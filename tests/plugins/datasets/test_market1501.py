"""Market-1501: the same form of files as DeepFashion's, in photos of 128x64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgsynth_core.data import DataContext, DataError
from pgsynth_core.data.check import check_dataset
from pgsynth_core.errors import UserError
from pgsynth_plugins.datasets.market1501 import Config
from pgsynth_plugins.datasets.market1501.reader import Market1501

from ...fixtures.people import STANDING, annotation_row, write_annotations, write_pairs, write_photo

FIRST, SECOND = "0002_c1s1_000451_03.jpg", "0002_c2s1_000301_01.jpg"


def opened(root: Path, **options: Any) -> Market1501:
    return Market1501(Config(root=str(root), **options), DataContext("train", (128, 64)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = [annotation_row(name) for name in (FIRST, SECOND)]
    write_annotations(tmp_path / "market-annotation-train.csv", rows)
    write_pairs(tmp_path / "market-pairs-train.csv", [(FIRST, SECOND)])
    for name in (FIRST, SECOND):
        write_photo(tmp_path / "bounding_box_train" / name, (128, 64))
    return tmp_path


def test_pairs_are_read(root: Path) -> None:
    dataset = opened(root)
    pair = dataset.pair(0)
    assert pair.name == dataset.name(0) == f"{FIRST[:-4]}___{SECOND[:-4]}"
    assert pair.source.size == (128, 64) and (pair.source.keypoints[:, :2] == np.array(STANDING) + 0.5).all()
    assert check_dataset(dataset).ok and Market1501.recognises(root) and not Market1501.recognises(root.parent)


def test_keypoints_are_scaled_from_128x64(root: Path) -> None:
    write_photo(root / "bounding_box_train" / FIRST, (256, 64))
    source = opened(root).pair(0).source
    assert np.allclose(source.keypoints[:, :2], (np.array(STANDING) + 0.5) * [1, 2])


def test_there_must_be_a_file_of_pairs(root: Path) -> None:
    (root / "market-pairs-train.csv").unlink()
    with pytest.raises(
        UserError,
        match=r"market1501 has no file of pairs for train .*: market-pairs-train\.csv\. .*data\.market1501\.pairs=FILE",
    ):
        opened(root)
    write_pairs(root / "mine.csv", [(SECOND, FIRST)])
    assert len(opened(root, pairs="mine.csv")) == 1


def test_a_photo_that_is_not_there_is_named(root: Path) -> None:
    (root / "bounding_box_train" / SECOND).unlink()
    with pytest.raises(DataError, match=rf"{SECOND}: there is no such photo in the folder itself, bounding_box_train/"):
        opened(root)
