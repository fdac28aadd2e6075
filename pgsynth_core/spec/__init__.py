"""The spec: what a composition is made of, read from YAML, presets, overrides or Python, checked, and written again.

Floor 1, no torch. `resolve` reads and checks names, options and sections; whether parts fit together is for
`pgsynth_core.contract`.
"""

from __future__ import annotations

from pgsynth_core.spec.explain import Explained, explain
from pgsynth_core.spec.grammar import KIND_OF_SLOT, SINGLE_SLOTS, SPEC_KEYS, Override, is_path, override_of, split_sweep
from pgsynth_core.spec.locked import lock_of, other_axes
from pgsynth_core.spec.model import SPEC_VERSION, PartChoice, Spec
from pgsynth_core.spec.resolve import Resolved, parts_of, resolve
from pgsynth_core.spec.schedules import Schedule, scales_by_step
from pgsynth_core.spec.sections import PLAIN_OPTIONS
from pgsynth_core.spec.settings import (
    GROUPS,
    RESUMABLE,
    SCHEDULERS,
    TABLES,
    LossWeights,
    SampleSettings,
    Setting,
    TrainSettings,
)
from pgsynth_core.spec.values import options_of

__all__ = [
    "GROUPS",
    "KIND_OF_SLOT",
    "PLAIN_OPTIONS",
    "RESUMABLE",
    "SCHEDULERS",
    "SINGLE_SLOTS",
    "SPEC_KEYS",
    "SPEC_VERSION",
    "TABLES",
    "Explained",
    "LossWeights",
    "Override",
    "PartChoice",
    "Resolved",
    "SampleSettings",
    "Schedule",
    "Setting",
    "Spec",
    "TrainSettings",
    "explain",
    "is_path",
    "lock_of",
    "options_of",
    "other_axes",
    "override_of",
    "parts_of",
    "resolve",
    "scales_by_step",
    "split_sweep",
]
