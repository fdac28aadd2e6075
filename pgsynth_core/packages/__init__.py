"""What is installed, what it offers, whether it is well: data for the commands that list, show, sync and examine.

Floor 2, no torch. Every function works whatever package is broken.
"""

from __future__ import annotations

from pgsynth_core.packages.catalogue import Counts, OptionRow, Row, Shown, listing, show
from pgsynth_core.packages.checks import Check
from pgsynth_core.packages.fitting import Fit, fit_of, fits_of, parts_named
from pgsynth_core.packages.health import doctor
from pgsynth_core.packages.records import Record, read_records, record_of
from pgsynth_core.packages.searching import Hit, search
from pgsynth_core.packages.switching import Switched, disable, enable, installed_packages
from pgsynth_core.packages.syncing import Change, Synced, sync
from pgsynth_core.packages.timing import Imported, import_times

__all__ = [
    "Change",
    "Check",
    "Counts",
    "Fit",
    "Hit",
    "Imported",
    "OptionRow",
    "Record",
    "Row",
    "Shown",
    "Switched",
    "Synced",
    "disable",
    "doctor",
    "enable",
    "fit_of",
    "fits_of",
    "import_times",
    "installed_packages",
    "listing",
    "parts_named",
    "read_records",
    "record_of",
    "search",
    "show",
    "sync",
]
