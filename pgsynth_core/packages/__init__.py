"""What is installed, what it offers, whether it is well: data for the commands that list, show, sync and examine.

Floor 2, no torch. Every function works whatever package is broken.
"""

from __future__ import annotations

from pgsynth_core.packages.catalogue import OptionRow, Row, Shown, listing, show
from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.health import doctor
from pgsynth_core.packages.syncing import Change, Synced, sync

__all__ = ["Change", "Check", "OptionRow", "Row", "Shown", "Synced", "doctor", "listing", "show", "sync"]
