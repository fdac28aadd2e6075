"""Whether raters agree: Fleiss' kappa and Krippendorff's alpha, for answers that have no order.

`fleiss_kappa`: J. L. Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin 76(5), 1971.
`krippendorff_alpha`: K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, nominal data. It takes
questions that not everybody answered, and corrects for few answers; with everything answered both tell much the same.
1 is agreement on everything, 0 what chance alone would give, below 0 less than that.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

__all__ = ["Counts", "fleiss_kappa", "krippendorff_alpha"]

Counts = Int64[np.ndarray, "questions answers"]
"""How many raters gave each possible answer to each question."""


def fleiss_kappa(counts: Counts) -> float | None:
    """Fleiss' kappa.

    Args:
        counts: Of each question; the same number of raters for all.

    Returns:
        None where it is not defined: unequal numbers of raters, fewer than two, or all answers the same.
    """
    raters = counts.sum(axis=1)
    if not len(counts) or raters[0] < 2 or (raters != raters[0]).any():
        return None
    n = int(raters[0])
    observed = float(((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))).mean())
    expected = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return None if expected == 1 else (observed - expected) / (1 - expected)


def krippendorff_alpha(counts: Counts) -> float | None:
    """Krippendorff's alpha for nominal data; questions with fewer than two answers say nothing and are left out.

    Returns:
        None where it is not defined: nobody answered what another did, or all answers are the same.
    """
    paired = counts[counts.sum(axis=1) > 1]
    if not len(paired):
        return None
    raters, totals = paired.sum(axis=1), paired.sum(axis=0)
    n = int(totals.sum())
    observed = n - float(((paired * (paired - 1)).sum(axis=1) / (raters - 1)).sum())  # sum of o_ck, c other than k
    expected = float(n * n - (totals**2).sum()) / (n - 1)
    return None if not expected else 1 - observed / expected
