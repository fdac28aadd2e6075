"""What the tests of sampling share with those of training."""

from __future__ import annotations

from ..training.conftest import composed, stage, toys

__all__ = ["composed", "stage", "toys"]
