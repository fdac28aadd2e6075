"""Colours: dark, light and high contrast, told apart by people who do not tell red from green.

The hues are Okabe and Ito's (Color Universal Design, 2008): blue, orange, bluish green, vermilion. No meaning rests on
a colour alone: states have a symbol and a word, curves a dash pattern.
"""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

__all__ = ["DARK", "LIGHT", "SERIES", "THEMES"]

DARK: Final = Theme(
    name="pgsynth-dark",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#e69f00",
    warning="#e69f00",
    error="#ff7b3d",
    success="#2fc79a",
    background="#101418",
    surface="#181e24",
    panel="#222a32",
    foreground="#e4e8ec",
    dark=True,
)
LIGHT: Final = Theme(
    name="pgsynth-light",
    primary="#0060a0",
    secondary="#8a3f6b",
    accent="#a35200",
    warning="#a35200",
    error="#b33a00",
    success="#00694e",
    background="#fbfbf8",
    surface="#f1f1ec",
    panel="#e2e4e0",
    foreground="#1a1d20",
    dark=False,
)
CONTRAST: Final = Theme(
    name="pgsynth-contrast",
    primary="#7fd0ff",
    secondary="#ffb3d9",
    accent="#ffd000",
    warning="#ffd000",
    error="#ffab85",
    success="#6dffd0",
    background="#000000",
    surface="#000000",
    panel="#303030",
    foreground="#ffffff",
    dark=True,
)
THEMES: Final = (DARK, LIGHT, CONTRAST)
SERIES: Final = ("#56b4e9", "#e69f00", "#2fc79a", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999")
"""Of curves, in order; the eighth is the last."""
