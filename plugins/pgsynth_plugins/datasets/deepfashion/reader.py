"""DeepFashion, In-shop Clothes Retrieval, as the field passes it on: 52,712 photos, 18 joints each, pairs per split.

Dataset: DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations (Liu et al., 2016).
The split, the pairs and the keypoints are those of PATN and GFLA, in the CSV files of DPTN and CFLD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pgsynth_core.data import (
    JOINTS,
    Annotations,
    CommunityFiles,
    CommunityLayout,
    DataContext,
    FileDataset,
    Person,
    existing_root,
    read_community,
)
from pgsynth_plugins.datasets.deepfashion import Config

__all__ = ["LAYOUT", "DeepFashion", "official_pairs"]

_GARMENT: Final = re.compile(r"id(\d{10})_")
_TORSO: Final = tuple(JOINTS[name] for name in ("right-shoulder", "left-shoulder", "right-hip", "left-hip"))


def official_pairs(annotations: Annotations) -> Iterator[tuple[str, str]]:
    """The pairs of the official split: two photos of one garment, in both orders, with the whole torso in both.

    One garment is one ten-digit number in the photos' names. On the keypoints of the test split this rule gives
    exactly the 8,570 pairs that are published.
    """
    whole = annotations.having(_TORSO)
    garments: dict[str, list[str]] = {}
    for name in annotations.lines:
        if name in whole and (garment := _GARMENT.search(name)):
            garments.setdefault(garment[1], []).append(name)
    for photos in garments.values():
        yield from ((source, target) for source in photos for target in photos if source != target)


LAYOUT: Final = CommunityLayout(
    part="deepfashion",
    space=(256, 176),
    annotations=("fasion-resize-annotation-{split}.csv", "fashion-resize-annotation-{split}.csv"),
    pairs=("fasion-resize-pairs-{split}.csv", "fashion-resize-pairs-{split}.csv"),
    folders=(".", "{split}", "{split}_highres", "img", "img/{split}", "train", "test", "train_highres", "test_highres"),
    rule=official_pairs,
    listed="{split}.lst",
)


class DeepFashion(FileDataset):
    """The reader.

    Args:
        config: Where and how.
        build: Which split.

    Raises:
        UserError: If the folder or a table is missing, or holds something unusable while `bad` is ``fail``.
    """

    def __init__(self, config: Config, build: DataContext) -> None:
        root = existing_root(config.root, part=LAYOUT.part)
        super().__init__(config, build, root=root, bad=config.bad)
        self.label_set = config.label_set if config.parsing else ""
        files = CommunityFiles(annotation=config.annotation, pairs=config.pairs, label_set=self.label_set)
        self._tables = read_community(root, LAYOUT, build.split, files)
        self.use(self._tables.pairs, self._tables.problems)

    def person(self, name: str) -> Person:
        """Read a photo and scale its keypoints from 256x176 to its size."""
        return self._tables.person(name)

    def photo_file(self, name: str) -> Path:
        """The file of the photo of that name."""
        return self._tables.photo_file(name)

    def photos(self) -> tuple[Path, ...]:
        """Files of all photos of the split, as ``train.lst`` or ``test.lst`` lists them; none without that file.

        Raises:
            DataError: If one of them is not there.
        """
        return self._tables.all_photos()

    def facts(self) -> dict[str, int]:
        """What the tables say, in numbers."""
        return self._tables.facts()

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether a keypoint file of DeepFashion lies in the folder."""
        return LAYOUT.recognises(root)
