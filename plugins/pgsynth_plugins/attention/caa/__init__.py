"""Options of CLIP-guided attention alignment. No torch: listing and checking parts must not load it."""

from __future__ import annotations

from pydantic import Field

from pgsynth_core.options import PartConfig, SitePatterns

__all__ = ["Config"]


class Config(PartConfig):
    """How many regions are attended to again, and where it acts."""

    k: int = Field(2, ge=0, description="Regions with the least attention that are attended to again; 0: none.")
    sites: SitePatterns = Field("denoiser:self", description="Where it acts.")
