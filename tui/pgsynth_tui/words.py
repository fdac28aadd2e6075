"""How things are said in a few cells: states with a symbol and a word, times, paces. No Textual.

A state never stands by colour alone, and in plain ASCII where the terminal or the user wants that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from pgsynth_core.runs import State

__all__ = [
    "BLOCKS",
    "STATE_STYLES",
    "STATE_SYMBOLS",
    "clock",
    "found",
    "pace",
    "shortened",
    "sparkline",
    "state_text",
]

_One = TypeVar("_One")

STATE_SYMBOLS: Final[Mapping[State, tuple[str, str]]] = {
    "queued": ("◌", "."),
    "starting": ("◐", "~"),
    "running": ("●", ">"),
    "stalled": ("◍", "!"),
    "stopping": ("◑", "-"),
    "finished": ("✓", "+"),
    "stopped": ("■", "="),
    "failed": ("✗", "x"),
    "lost": ("?", "?"),
}
"""State to its symbol, and that in ASCII."""
STATE_STYLES: Final[Mapping[State, str]] = {
    "queued": "$text-muted",
    "starting": "$text-secondary",
    "running": "$text-primary",
    "stalled": "$text-warning",
    "stopping": "$text-secondary",
    "finished": "$text-success",
    "stopped": "$text-muted",
    "failed": "$text-error",
    "lost": "$text-error",
}
"""Colours that differ in lightness too, and that no meaning rests upon."""
BLOCKS: Final = "▁▂▃▄▅▆▇█"
_DAY: Final = re.compile(r"[0-9]{8}-")
_BLOCKS_ASCII: Final = "_.-=+*%#"


def state_text(state: State, *, plain: bool = False) -> str:
    """A state's symbol and word."""
    return f"{STATE_SYMBOLS[state][plain]} {state}"


def found(
    those: Iterable[_One], search: str, name: Callable[[_One], str], about: Callable[[_One], str]
) -> tuple[_One, ...]:
    """Those that have every word of a search in their name or in what is said of them; by their name first."""
    words = search.lower().split()

    def has(text: str) -> bool:
        return all(word in text.lower() for word in words)

    return tuple(sorted((one for one in those if has(f"{name(one)} {about(one)}")), key=lambda one: not has(name(one))))


def clock(seconds: float | None) -> str:
    """A duration: ``59s``, ``12m``, ``3h05``, ``4d02h``; empty for None."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02}"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def pace(seconds_per_step: float | None) -> str:
    """Steps a second, or seconds a step, whichever is more than one; empty for None."""
    if not seconds_per_step or not math.isfinite(seconds_per_step) or seconds_per_step < 0:
        return ""
    return f"{1 / seconds_per_step:.1f}/s" if seconds_per_step < 1 else f"{seconds_per_step:.1f}s"


def shortened(name: str, width: int, *, plain: bool = False) -> str:
    """The name of a run, in which runs differ: where it is too long, its day is left out first, then its end is cut.

    Args:
        name: Of its folder, ``YYYYmmdd-HHMMSS-SLUG``.
        width: How many columns there are; never fewer than 15 are taken.
        plain: With signs of ASCII.
    """
    width, sign = max(15, width), "~" if plain else "…"
    if len(name) > width and _DAY.match(name):
        name = sign + name[9:]
    return name if len(name) <= width else name[: width - 1] + sign


def sparkline(values: tuple[float, ...], *, plain: bool = False) -> str:
    """One character for each value, lowest to highest; what is not finite is a ``!``."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "!" * len(values)
    low, high = min(finite), max(finite)
    blocks = _BLOCKS_ASCII if plain else BLOCKS
    spread = (high - low) or 1.0
    return "".join(blocks[min(7, int((value - low) / spread * 8))] if math.isfinite(value) else "!" for value in values)
