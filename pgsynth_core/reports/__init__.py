"""Results in words and tables for people and papers. Floor 2, no torch."""

from __future__ import annotations

from pgsynth_core.reports.cells import (
    cell_text,
    difference_text,
    heading,
    legend,
    number_name,
    over_text,
    sections,
    value_text,
    verdict,
)
from pgsynth_core.reports.comparison import FORMATS, comparison_facts, comparison_text

__all__ = [
    "FORMATS",
    "cell_text",
    "comparison_facts",
    "comparison_text",
    "difference_text",
    "heading",
    "legend",
    "number_name",
    "over_text",
    "sections",
    "value_text",
    "verdict",
]
