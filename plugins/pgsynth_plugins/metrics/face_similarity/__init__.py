"""Options of the likeness of faces: none. No torch."""

from __future__ import annotations

from pgsynth_core.options import PartConfig

__all__ = ["Config"]


class Config(PartConfig):
    """The likeness of faces has no options: networks, sizes and thresholds are those that MCLD reports by."""
