"""How single values are written into tables that people and spreadsheets read. Floor 1, no torch."""

from __future__ import annotations

import math

__all__ = ["inert", "number_text"]


def number_text(value: float, digits: int) -> str:
    """A number with so many digits after the point; ``infinite``, ``-infinite`` and ``none`` for what is no such."""
    if math.isfinite(value):
        return f"{value:.{digits}f}"
    return "none" if math.isnan(value) else "infinite" if value > 0 else "-infinite"


def inert(cell: str) -> str:
    """What a spreadsheet would take for a formula, behind an apostrophe; a number stays one."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
