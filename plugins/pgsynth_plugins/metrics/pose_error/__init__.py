"""Options of the error of the pose. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """What of the pose is compared, and who finds it."""

    measure: Literal["distance", "missing"] = Field(
        "distance", description="How far joints are off that both show; or the share of the truth's that are lost."
    )
    annotator: str = Field("", description="Who finds the joints: an annotator; empty for pgsynth's own.")
