"""Options of the Market-1501 reader. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig, PathText

__all__ = ["Config"]


class Config(PartConfig):
    """Where the dataset lies and what is done about what is wrong with it."""

    root: PathText = Field("", description="Folder with the CSV files; photos in it or in bounding_box_SPLIT/.")
    annotation: str = Field("", description="File of keypoints in root; empty: market-annotation-SPLIT.csv.")
    pairs: str = Field("", description="File of pairs in root; empty: market-pairs-SPLIT.csv.")
    parsing: bool = Field(False, description="Read the label maps beside the photos: NAME.parsing.png.")
    label_set: Literal["atr18", "lip20", "cihp20"] = Field("atr18", description="What the label maps' indices mean.")
    bad: Literal["fail", "skip"] = Field("fail", description="Pairs that cannot be used: end with them named, or skip.")
