"""Options of the built-in painter of people. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """How many people, in how many pictures each, and how varied the pictures are."""

    identities: int = Field(200, ge=1, le=99999, description="People in the training split.")
    test_identities: int = Field(40, ge=1, le=99999, description="People in the test split, where they are others.")
    test: Literal["people", "pictures"] = Field(
        "people", description="New in the test split: people, or only pictures, of the people in training."
    )
    poses: int = Field(6, ge=2, le=99, description="Pictures of each person; the first is seen from the front.")
    pairs: int = Field(0, ge=0, description="Pairs of each person; 0: every ordered pair of their pictures.")
    views: Literal["all", "front"] = Field("all", description="Seen from everywhere, or from the front only.")
    framing: Literal["full", "mixed"] = Field("full", description="Whole bodies, or also pictures cut at knee or hip.")
    backdrops: Literal["varied", "plain"] = Field("varied", description="Walls with soft light, or of one colour.")
    seed: int = Field(0, ge=0, description="Another seed, other people.")
