"""How a comparison is said in cells: what a setting's value, a number, its spread and a difference look like, in which
order, and what is to be known of all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgsynth_core.runs.compared import ABSENT, LEVEL, Cell, Comparison, Difference, Number, SettingRow, Variant
from pgsynth_core.runs.written import number_text

__all__ = [
    "Section",
    "cell_text",
    "difference_text",
    "heading",
    "legend",
    "number_name",
    "over_text",
    "sections",
    "spread_text",
    "value_text",
    "verdict",
]

_MOST_PLACES: Final = 8
_ROUNDING: Final = 1e-9
"""An interval that much narrower than its difference is that of numbers that do not vary."""


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


def legend(comparison: Comparison) -> list[str]:
    """What is to be known of all its numbers, a sentence or two each."""
    spread = "± is the sample standard deviation over the runs of a variant; of one run there is none."
    if not (count := comparison.differences):
        return [spread, "The better mean is marked; whether it is better by more than chance, it does not say."]
    first, level = comparison.variants[comparison.against].name, f"{100 * LEVEL:.0f} %"
    best = "The better mean is marked; whether it is better by more than chance, the interval of its difference says."
    over = "over the pairs and seeds that are told; pairs that share photos are one group, for they are alike"
    over += "; one over pairs alone says nothing of other seeds"
    chance = f"{count * (1 - LEVEL):.2g} of {count} (5 %) would be expected to look clear of zero by chance"
    apart = f"Differences are from {first}, with {level} intervals {over}."
    return [spread, best, apart, f"Were all of them zero in truth, {chance}."]


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


def difference_text(number: Number, difference: Difference | None) -> str:
    """A difference and its interval, e.g. ``+0.0120 [+0.0040, +0.0200]``; empty for none.

    So many digits that half the interval's width has two: over thousands of pairs a mean is known better than it is
    printed.
    """
    if difference is None:
        return ""
    half, places = (difference.high - difference.low) / 2, number.places
    if half > _ROUNDING * abs(difference.mean):
        places = max(places, min(_MOST_PLACES, 1 - math.floor(math.log10(half))))
    mean, low, high = (f"{value:+.{places}f}" for value in (difference.mean, difference.low, difference.high))
    return f"{mean} [{low}, {high}]"


def verdict(number: Number, difference: Difference | None) -> str:
    """``better`` or ``worse``, where the interval leaves out no difference at all; else empty."""
    if difference is None or not difference.clear:
        return ""
    return "better" if (difference.mean > 0) == (number.better == "higher") else "worse"


def over_text(difference: Difference) -> str:
    """What an interval is over: ``30 pairs in 9 groups, 3 seeds``; ``3 and 2 seeds`` where these are not the same."""
    said = [f"{difference.pairs:,} pairs"] if difference.pairs else []
    if difference.groups < difference.pairs:
        said = [f"{difference.pairs:,} pairs in {difference.groups:,} groups"]
    if "seeds" in difference.over:
        first, second = difference.runs
        said.append(f"{first} seeds" if difference.matched else f"{first} and {second} seeds")
    return ", ".join(said)


def _rounded(number: Number, value: float) -> str:
    if number.digits is None:
        return f"{value:,.0f}" if value == round(value) else f"{value:,.{number.places}f}"
    return number_text(value, number.places)
