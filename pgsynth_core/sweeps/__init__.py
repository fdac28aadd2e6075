"""Ablations: a base, what is varied of it, every combination as a run; kept as a folder, its state derived. Floor 2.

No torch. `grid` says which combinations there are, `sweep` which of them fit, `folder` keeps them on disk, `standing`
says how their runs stand, `pace` how long such runs took.
"""

from pgsynth_core.sweeps.folder import Row, SweepFolder, create_sweep, find_sweep, list_sweeps, read_sweep
from pgsynth_core.sweeps.grid import MOST, Factor, Grid, Point, idle
from pgsynth_core.sweeps.pace import Pace, earlier_paces, pace_key, pace_keys, sweep_hours
from pgsynth_core.sweeps.standing import NOT_BEGUN, PRUNED, Standing, standings
from pgsynth_core.sweeps.sweep import Combination, Sweep, sweep_of

__all__ = [
    "MOST",
    "NOT_BEGUN",
    "PRUNED",
    "Combination",
    "Factor",
    "Grid",
    "Pace",
    "Point",
    "Row",
    "Standing",
    "Sweep",
    "SweepFolder",
    "create_sweep",
    "earlier_paces",
    "find_sweep",
    "idle",
    "list_sweeps",
    "pace_key",
    "pace_keys",
    "read_sweep",
    "standings",
    "sweep_hours",
    "sweep_of",
]
