"""Options of LPIPS: none. No torch."""

from __future__ import annotations

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """LPIPS has no options: the AlexNet trunk and version 0.1 of the linear layers are what the field reports."""
