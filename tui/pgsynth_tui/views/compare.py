"""Comparing runs: what differs between them, what they scored, the same pairs side by side."""

from __future__ import annotations

from typing import ClassVar

from pgsynth_tui.actions import bindings
from pgsynth_tui.view import View

__all__ = ["CompareView"]


class CompareView(View):
    """What differs between the chosen run and those that are marked, and what came of it."""

    PLACE = "compare"
    BINDINGS: ClassVar = bindings("compare")
