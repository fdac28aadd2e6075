"""Looking at pictures: source, pose, target and every run's output in aligned tiles, over steps."""

from __future__ import annotations

from typing import ClassVar

from pgsynth_tui.actions import bindings
from pgsynth_tui.view import View

__all__ = ["LookView"]


class LookView(View):
    """Pictures of the chosen run and of those that are marked, pair by pair."""

    PLACE = "look"
    BINDINGS: ClassVar = bindings("look")
