"""An ablation in a line: how many runs it is, how many hours, how they stand; the terminal UI says the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgsynth_core.cli.progress import duration

if TYPE_CHECKING:
    from pgsynth_core.sweeps import Combination, Standing

__all__ = ["hours_text", "summary", "sweep_sentence"]

_HOUR = 3600


def hours_text(hours: float | None) -> str:
    """A time, or that it is not known."""
    return "unknown" if hours is None else duration(hours * _HOUR)


def sweep_sentence(
    rows: Sequence[Combination], hours: Sequence[float | None], *, measure: str = "--time takes a few steps"
) -> str:
    """``5 runs, 1 pruned; about 2 h of training, one after another``.

    Args:
        rows: Every combination.
        hours: Of each; None for what is pruned, or unknown.
        measure: What to do where none is known.
    """
    good, count = sum(row.ok for row in rows), len(rows)
    pruned = f", {count - good} pruned" if good < count else ""
    known = [time for time in hours if time is not None]
    if not known:
        said = f"time unknown: no earlier run is like them; {measure}"
    elif len(known) == good:
        said = f"about {hours_text(sum(known))} of training, one after another"
    else:
        said = f"about {hours_text(sum(known))} of training for {len(known)} of them, the others unknown"
    return f"{good} run{'s' * (good != 1)}{pruned}; {said}"


def summary(now: Sequence[Standing]) -> str:
    """``12 finished, 2 running, 1 failed; 3 pruned``."""
    counts: dict[str, int] = {}
    for one in now:
        if one.row.run:
            counts[one.state] = counts.get(one.state, 0) + 1
    pruned = sum(not one.row.run for one in now)
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"{said}; {pruned} pruned" if pruned else said
