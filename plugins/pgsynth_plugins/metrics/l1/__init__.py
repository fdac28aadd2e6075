"""Options of L1: none. No torch."""

from __future__ import annotations

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """L1 has no options."""
