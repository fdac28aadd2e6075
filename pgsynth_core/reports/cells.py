"""How a comparison is said in cells: what a setting's value, a number and its spread look like, in which order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgsynth_core.runs.comparing import ABSENT, Cell, Comparison, Number, SettingRow, Variant

__all__ = ["Section", "cell_text", "heading", "number_name", "sections", "spread_text", "value_text"]


@dataclass(frozen=True)
class Section:
    """Rows under a title.

    Attributes:
        title: What they are.
        rows: Of settings or of numbers.
    """

    title: str
    rows: Sequence[SettingRow | Number]


def sections(comparison: Comparison, *, all_settings: bool = False) -> list[Section]:
    """Everything in order: settings, then numbers by their group; none without rows.

    Args:
        comparison: What is shown.
        all_settings: Whether identical settings are among them.
    """
    settings = comparison.settings if all_settings else comparison.differing
    found = [Section("settings" if all_settings else "what differs", settings)] if settings else []
    for group in dict.fromkeys(number.group for number in comparison.numbers):
        found.append(Section(group, [number for number in comparison.numbers if number.group == group]))
    return found


def heading(variant: Variant) -> str:
    """A column: its letter, and over how many runs its numbers are."""
    return f"{variant.name} (n={len(variant.counted)})"


def value_text(value: Any) -> str:
    """A setting's value as one would type it; a dash where there is none."""
    if value is ABSENT:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number_name(number: Number) -> str:
    """What a number is, with its unit and the notes upon it: ``psnr, dB [2]``."""
    unit = f", {number.unit}" if number.unit else ""
    notes = f" [{', '.join(map(str, number.notes))}]" if number.notes else ""
    return f"{number.name}{unit}{notes}"


def cell_text(number: Number, cell: Cell | None, runs: int) -> str:
    """Mean and spread, e.g. ``0.5123 ± 0.0041``; with n where not every run of the variant has it; empty for none.

    Args:
        number: What it is.
        cell: Of the variant.
        runs: How many runs of that count.
    """
    if cell is None:
        return ""
    fewer = f" (n={cell.n})" if cell.n != runs else ""
    return _rounded(number, cell.mean) + spread_text(number, cell) + fewer


def spread_text(number: Number, cell: Cell, sign: str = " ± ") -> str:
    """The spread with its sign; empty of a single run, and of a whole number that is everywhere the same."""
    if cell.spread is None or (number.digits is None and not cell.spread):
        return ""
    return sign + _rounded(number, cell.spread)


def _rounded(number: Number, value: float) -> str:
    if number.digits is None:
        return f"{value:,.0f}" if value == round(value) else f"{value:,.{number.places}f}"
    return f"{value:.{number.places}f}"
