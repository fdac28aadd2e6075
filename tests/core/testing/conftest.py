"""What the kit's own tests share: the toys as an installed package."""

from __future__ import annotations

from ..composition.conftest import toys

__all__ = ["toys"]
