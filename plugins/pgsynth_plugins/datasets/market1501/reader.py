"""Market-1501 as the field passes it on for pose transfer: photos of 128x64, 18 joints each, pairs per split.

Dataset: Scalable Person Re-identification: A Benchmark (Zheng et al., 2015). Keypoints and pairs are those of PATN, in
files of the same form as DeepFashion's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pgsynth_core.data import (
    CommunityFiles,
    CommunityLayout,
    DataContext,
    FileDataset,
    Person,
    existing_root,
    read_community,
)
from pgsynth_plugins.datasets.market1501 import Config

__all__ = ["LAYOUT", "Market1501"]

LAYOUT: Final = CommunityLayout(
    part="market1501",
    space=(128, 64),
    annotations=("market-annotation-{split}.csv",),
    pairs=("market-pairs-{split}.csv",),
    folders=(".", "{split}", "bounding_box_{split}", "img", "train", "test", "bounding_box_train", "bounding_box_test"),
)


class Market1501(FileDataset):
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
        """Read a photo and scale its keypoints from 128x64 to its size."""
        return self._tables.person(name)

    def photo_file(self, name: str) -> Path:
        """The file of the photo of that name."""
        return self._tables.photo_file(name)

    def facts(self) -> dict[str, int]:
        """What the tables say, in numbers."""
        return self._tables.facts()

    @classmethod
    def recognises(cls, root: Path) -> bool:
        """Whether a keypoint file of Market-1501 lies in the folder."""
        return LAYOUT.recognises(root)
