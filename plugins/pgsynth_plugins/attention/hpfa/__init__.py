"""Options of human-parsing-guided fusion attention. No torch: listing and checking parts must not load it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgsynth_core.options import PartConfig, SitePatterns

__all__ = ["Config"]


class Config(PartConfig):
    """How attention to the source is weighted by its parsing, whose keys and values it has, and where it acts."""

    sigma: float = Field(0.3, ge=0, le=1, description="Weight of source tokens outside the regions.")
    delta: float = Field(0.6, ge=0, description="Gain of highly attended source tokens in a region.")
    threshold: Literal["row-mean", "none"] = Field(
        "row-mean", description="Attention counts as high at or above its row's mean, or always."
    )
    renormalise: bool = Field(False, description="Rows of the weighted attention sum to one again.")
    body: bool = Field(True, description="Bare skin is a region.")
    clothes: bool = Field(True, description="What is worn is a region.")
    face: bool = Field(True, description="Face, hair and glasses are a region.")
    projections: Literal["own", "backbone"] = Field(
        "own", description="Source keys and values: trained copies of the site's projections, or the site's own."
    )
    sites: SitePatterns = Field("denoiser:self", description="Where it acts.")
