"""Options of the ControlNet pose branch: none so far. No torch."""

from __future__ import annotations

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """ControlNet follows the denoiser in everything; there is nothing to choose."""
