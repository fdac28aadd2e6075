"""How values are written into tables: what is not finite, and what a spreadsheet would take for a formula."""

from __future__ import annotations

import math

import pytest

from pgsynth_core.runs.written import inert, number_text


def test_what_is_no_number_has_a_word() -> None:
    values = (0.12345, -2.0, math.inf, -math.inf, math.nan)
    assert [number_text(value, 3) for value in values] == ["0.123", "-2.000", "infinite", "-infinite", "none"]


@pytest.mark.parametrize("cell", ["=1+1", "+a", "-a", "@a", "\ta", "\r=a"])
def test_a_formula_is_text_and_a_number_stays_one(cell: str) -> None:
    assert inert(cell) == f"'{cell}"
    assert [inert(one) for one in ("-0.5", "+1e3", "-inf", "a-b", "")] == ["-0.5", "+1e3", "-inf", "a-b", ""]
