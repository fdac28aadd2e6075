"""Checks of a preset that a package ships: it resolves, its parts fit, and it can be written and read. No torch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pgsynth_core.contract import check, with_adapters
from pgsynth_core.errors import PgsynthError
from pgsynth_core.registry import FOREIGN_FAULTS, PresetEntry, Registry, reason_of
from pgsynth_core.spec import Spec, resolve
from pgsynth_core.testing.report import Outcome, Report

__all__ = ["PRESET_CHECKS", "check_preset"]


def preset_resolves(preset: PresetEntry, registry: Registry) -> None:
    """Every part, option and value of it exists, and nothing in it is warned of."""
    warnings = resolve(preset.qualified, [], registry).warnings
    assert not warnings, "; ".join(map(str, warnings))


def preset_fits(preset: PresetEntry, registry: Registry) -> None:
    """Its parts fit together by their contracts."""
    spec = _spec(preset, registry)
    verdict = check(spec, registry)
    if verdict.adapters and not verdict.problems:
        verdict = check(with_adapters(spec, verdict.adapters), registry)
    verdict.raise_if_refused()


def preset_goes_round(preset: PresetEntry, registry: Registry) -> None:
    """The resolved spec, written as YAML, is read as the same."""
    spec = _spec(preset, registry)
    with tempfile.TemporaryDirectory(prefix="pgsynth-check-") as folder:
        file = Path(folder) / "spec.yaml"
        file.write_text(spec.to_yaml(), encoding="utf-8")
        assert resolve(file, [], registry).spec == spec, "it is read as another one"


def _spec(preset: PresetEntry, registry: Registry) -> Spec:
    return resolve(preset.qualified, [], registry).spec


PRESET_CHECKS: Final[tuple[Callable[[PresetEntry, Registry], None], ...]] = (
    preset_resolves,
    preset_fits,
    preset_goes_round,
)


def check_preset(preset: PresetEntry, registry: Registry) -> Report:
    """Check a preset.

    Args:
        preset: Which.
        registry: What its parts come from.

    Returns:
        Every check with its outcome; nothing is raised for a preset that fails.
    """
    outcomes = []
    for one in PRESET_CHECKS:
        try:
            one(preset, registry)
        except (PgsynthError, AssertionError) as error:
            outcomes.append(Outcome(one.__name__, "failed", str(error)))
        except FOREIGN_FAULTS as error:
            outcomes.append(Outcome(one.__name__, "failed", reason_of(error)))
        else:
            outcomes.append(Outcome(one.__name__, "passed"))
    return Report(preset.qualified, tuple(outcomes), kind="preset")
