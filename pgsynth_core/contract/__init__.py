"""Do these parts fit together? Answered from manifests alone, without torch; every refusal has its reason and cure.

Names, axes, ranges, data ports, roles, sites and chains; every required output has a reader; where nothing but a
width differs, an adapter is proposed.
"""

from __future__ import annotations

from pgsynth_core.contract.check import check, fits
from pgsynth_core.contract.sites import SitePattern, pattern_list
from pgsynth_core.contract.verdict import DATA, Adapter, Link, Misfit, Network, Verdict, with_adapters

__all__ = [
    "DATA",
    "Adapter",
    "Link",
    "Misfit",
    "Network",
    "SitePattern",
    "Verdict",
    "check",
    "fits",
    "pattern_list",
    "with_adapters",
]
