"""Options of pose-masked attention. No torch: listing and checking parts must not load it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig, SitePatterns

__all__ = ["Config"]


class Config(PartConfig):
    """Which columns the mask closes off the body, and where it acts."""

    mask: Literal["eq5", "eq9", "none"] = Field(
        "eq5", description="Off the body: eq5 closes local queries, eq9 the columns of eq9_keys, none nothing."
    )
    eq9_keys: Literal["all", "local_only"] = Field(
        "all", description="Columns that eq9 closes: all (the equation as written) or local_only (the text on B4)."
    )
    sites: SitePatterns = Field("pose:cross", description="Where it acts.")
