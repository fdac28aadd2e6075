"""Options of reference attention. No torch: listing and checking parts must not load it."""

from __future__ import annotations

from pydantic import Field

from pgsynth_core.options import PartConfig, SitePatterns

__all__ = ["Config"]


class Config(PartConfig):
    """Where it acts."""

    sites: SitePatterns = Field("denoiser:self", description="Where it acts.")
