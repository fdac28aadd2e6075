"""Options of ViTPose. No torch."""

from __future__ import annotations

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """Who finds people, who finds their joints, and how sure both must be."""

    detector: str = Field(
        "PekingU/rtdetr_r50vd_coco_o365",
        description="Who finds people: any object detector of transformers with a label person; hub id or folder.",
    )
    estimator: str = Field(
        "usyd-community/vitpose-base-simple",
        description="Who finds their joints: any ViTPose of COCO's 17; hub id or folder.",
    )
    least_person: float = Field(0.5, ge=0, le=1, description="A person is one that the detector is as sure of.")
    least_joint: float = Field(0.3, ge=0, le=1, description="Joints with less confidence are missing.")
    most_people: int = Field(16, ge=1, le=1000, description="Of a crowd so many are looked at, the most certain.")
