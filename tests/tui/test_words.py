"""Few cells that say it without colour."""

from __future__ import annotations

import math

import pytest

from pgsynth_core.runs import STATES
from pgsynth_tui.words import STATE_STYLES, STATE_SYMBOLS, clock, found, pace, shortened, sparkline, state_text


def test_every_state_has_a_symbol_of_its_own_in_both_forms() -> None:
    assert set(STATE_SYMBOLS) == set(STATE_STYLES) == set(STATES)
    for plain in (0, 1):
        assert len({symbols[plain] for symbols in STATE_SYMBOLS.values()}) == len(STATES)
    assert all(plain.isascii() for _, plain in STATE_SYMBOLS.values())
    assert state_text("running") == "● running" and state_text("failed", plain=True) == "x failed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (math.inf, ""),
        (-3, "0s"),
        (0, "0s"),
        (59.4, "59s"),
        (61, "1m01"),
        (3661, "1h01"),
        (90_000, "1d01h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.0, ""), (-1.0, ""), (math.nan, ""), (0.25, "4.0/s"), (2.5, "2.5s")]
)
def test_paces(seconds: float | None, text: str) -> None:
    assert pace(seconds) == text


def test_names_are_cut_where_they_do_not_fit() -> None:
    assert shortened("20261122-171151-tiny", 20) == "20261122-171151-tiny"
    assert shortened("20261122-171151-tiny", 19) == "…171151-tiny"
    assert shortened("20261122-171151-qfft-pma-eq5", 3, plain=True) == "~171151-qfft-p~"
    assert shortened("a-name-of-somebody's-own", 16) == "a-name-of-someb…"


def test_of_what_has_every_word_names_come_first() -> None:
    parts = {"qfft": "local queries", "clip": "like qfft, and global", "pma": "masked"}

    def names(search: str) -> tuple[str, ...]:
        return found(parts, search, str, lambda name: parts[name])

    assert names("") == tuple(parts) and names("QFFT") == ("qfft", "clip") and names("global  qfft") == ("clip",)
    assert found(reversed(parts), "qfft", str, lambda name: parts[name]) == ("qfft", "clip"), "whatever their order"
    assert names("no such words") == ()


def test_sparklines() -> None:
    assert sparkline(()) == ""
    assert sparkline((1.0, 2.0, 3.0)) == "▁▅█" and sparkline((1.0, 2.0, 3.0), plain=True).isascii()
    assert sparkline((1.0, math.nan, math.inf, 1.0)) == "▁!!▁"
    assert sparkline((math.nan,)) == "!"
