"""Many points to few, and rough ones to smooth ones; a million in some ten milliseconds. Floor 1, no torch."""

from __future__ import annotations

import math
from typing import Any, Final

__all__ = ["reduced", "smoothed"]

_BLOCK: Final = 128


def smoothed(values: Any, weight: float) -> Any:
    """An exponential moving average that begins unbiased, as TensorBoard's; what is not finite is passed over.

    Args:
        values: An array of floats.
        weight: Of what was before, 0 to below 1.
    """
    import numpy as np

    given = np.array(values, dtype=float)
    if not weight or not len(given):
        return given
    counts = np.isfinite(given)
    sums = _averaged(np.where(counts, given, 0.0), weight)
    if counts.all():  # nearly always, and then only the first of them are biased
        first = np.arange(1, min(len(sums), math.ceil(math.log(1e-17, weight))) + 1.0)
        sums[: len(first)] /= 1 - weight**first
        return sums
    shares = _averaged(counts.astype(float), weight)
    return np.where(shares > 0, sums / np.maximum(shares, 1e-300), given)


def _averaged(values: Any, weight: float) -> Any:
    """y[n] = weight y[n-1] + (1 - weight) x[n], block by block: in each, one product with a triangle of powers."""
    import numpy as np

    blocks = np.pad(values, (0, -len(values) % _BLOCK)).reshape(-1, _BLOCK)
    ages = np.arange(_BLOCK)[:, None] - np.arange(_BLOCK)
    inner = blocks @ np.where(ages >= 0, (1 - weight) * weight ** np.maximum(ages, 0), 0.0).T
    fading, before = weight ** (np.arange(_BLOCK) + 1.0), 0.0
    for block in inner:
        block += before * fading
        before = block[-1]
    return inner.reshape(-1)[: len(values)]


def reduced(steps: Any, values: Any, most: int) -> tuple[Any, Any]:
    """At most so many points that look the same: of each stretch the lowest and the highest, and what is not finite."""
    import numpy as np

    steps, values = np.asarray(steps), np.asarray(values, dtype=float)
    if len(steps) <= most:
        return steps.copy(), values.copy()  # an array that somebody looks into cannot grow
    stretch = -(-len(steps) // (most // 3))
    starts = np.arange(0, len(steps), stretch)
    padded = np.pad(values, (0, -len(values) % stretch), constant_values=np.nan).reshape(-1, stretch)
    lowest = np.where(np.isfinite(padded), padded, np.inf).argmin(1) + starts
    highest = np.where(np.isfinite(padded), padded, -np.inf).argmax(1) + starts
    odd = np.flatnonzero(~np.isfinite(values))
    odd = odd[:: max(1, len(odd) // (most // 3))]
    kept = np.unique(np.concatenate([lowest, highest, odd, [len(steps) - 1]]))
    return steps[kept], values[kept]
