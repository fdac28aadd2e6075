"""Results in words and tables for people and papers. Floor 2, no torch."""

from __future__ import annotations

from pgsynth_core.reports.cells import cell_text, heading, number_name, sections, value_text
from pgsynth_core.reports.comparison import FORMATS, comparison_facts, comparison_text

__all__ = [
    "FORMATS",
    "cell_text",
    "comparison_facts",
    "comparison_text",
    "heading",
    "number_name",
    "sections",
    "value_text",
]
