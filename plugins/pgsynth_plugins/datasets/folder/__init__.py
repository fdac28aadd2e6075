"""Options of the folder reader. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig, PathText

__all__ = ["Config"]


class Config(PartConfig):
    """Where the photos lie, and what lies beside them."""

    root: PathText = Field(
        "", description="Folder with pairs.csv; the joints of NAME.jpg are beside it in NAME.pose.json (OpenPose JSON)."
    )
    pairs: str = Field(
        "pairs.csv",
        description="File of pairs in root, paths relative to it: "
        "source,target[,split,source_pose,target_pose,source_parsing,target_parsing].",
    )
    parsing: bool = Field(False, description="Read the label maps beside the photos: NAME.parsing.png.")
    label_set: Literal["atr18", "lip20", "cihp20"] = Field("atr18", description="What the label maps' indices mean.")
    bad: Literal["fail", "skip"] = Field("fail", description="Pairs that cannot be used: end with them named, or skip.")
