"""Spikes: a figure of a step that stands far above those of the steps before it. Told, never acted upon."""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import Final

__all__ = ["Spikes"]

WINDOW: Final = 200
"""Steps that a figure is compared with: enough to know their spread, few enough to follow a loss that falls."""

ENOUGH: Final = 50
"""Steps before anything is told. The spread of 50 is known to a sixth, so a wrong alarm stays one in ten thousand."""

TIMES_SPREAD: Final = 6.0
"""How many robust standard deviations above the median a spike lies."""

LEAST_RATIO: Final = 2.0
"""A spike is at least so many times the median, however steady the steps before it were."""

_NORMAL: Final = 1.4826
"""What the median of absolute deviations is multiplied by to be the standard deviation of a normal distribution."""


class Spikes:
    """Watches one figure of a run, a loss or a norm.

    The figure's logarithm is compared with the median of the steps before it, plus so many times their spread, by the
    median of absolute deviations. The logarithm, because the loss of a batch depends on its diffusion times over
    orders of magnitude, as a product of many causes does; medians, because an earlier spike among the steps must not
    hide the next (they stand until half of the steps are spikes, and then it is a new level).

    Worked: batches of 8 pairs, losses about 0.1 with a spread of a third up and down (0.3 in the logarithm). A spike
    is then a loss above 0.1 * exp(6 * 0.3) = 0.6, six times as usual. By chance a normal logarithm gets there in one
    step of a thousand million; were the spread underestimated by a third, in one of thirty thousand. Were every loss
    the same to a hundredth, the second rule would take over: twice as usual.
    """

    def __init__(self) -> None:
        self._before: deque[float] = deque(maxlen=WINDOW)
        self._high = False

    def ratio(self, value: float) -> float | None:
        """Take the figure of the next step.

        Args:
            value: Positive; others, and those that are no finite number, are passed over.

        Returns:
            How many times the usual it is, if it is the first step of a spike; else None.
        """
        if not math.isfinite(value) or value <= 0:
            return None
        level, high = math.log(value), False
        if len(self._before) >= ENOUGH:
            usual = median(self._before)
            spread = _NORMAL * median(abs(one - usual) for one in self._before)
            high = level - usual > max(TIMES_SPREAD * spread, math.log(LEAST_RATIO))
        first, self._high = high and not self._high, high
        ratio = math.exp(level - usual) if first else None
        self._before.append(level)
        return ratio
