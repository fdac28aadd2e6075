"""How long the runs of an ablation will take, by what earlier runs of their like took on a machine like this.

Like is: the same base, size, parts, batch, precision and device. What no such run tells is unknown; nothing is guessed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from pgsynth_core.errors import UserError
from pgsynth_core.runs import RunFolder, list_runs
from pgsynth_core.runs.devices import kind_wanted
from pgsynth_core.runs.durable import read_json
from pgsynth_core.runs.events import last_events
from pgsynth_core.runs.settings import dotted, read_settings
from pgsynth_core.spec import Spec
from pgsynth_core.sweeps.sweep import Sweep

__all__ = ["Pace", "earlier_paces", "pace_key", "pace_keys", "sweep_hours"]

_TRAIN: Final = ("batch_size", "accumulate", "precision", "checkpointing", "optimizer")
_SLOTS: Final = ("base", "encoder", "pose", "attn")
_MOST: Final = 12
"""Runs that are asked for one pace, the newest."""
_LEAST_STEPS: Final = 10
"""Before so many steps a run has not found its pace."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class Pace:
    """How long a step takes.

    Attributes:
        seconds: Seconds a step.
        source: By what it is known, in words.
    """

    seconds: float
    source: str

    def hours(self, steps: int) -> float:
        """Of so many steps; looks at unseen pairs, sheets and checkpoints come besides."""
        return self.seconds * steps / 3600


def pace_key(spec: Spec) -> Key:
    """What a step's time depends on, for the most part: equal keys, the same pace."""
    return _key(dotted(spec.to_mapping()))


def pace_keys(sweep: Sweep) -> tuple[Key | None, ...]:
    """The key of each combination; None for what is pruned."""
    return tuple(pace_key(row.spec) if row.ok and row.spec else None for row in sweep.combinations)


def sweep_hours(sweep: Sweep, known: Mapping[Key, Pace]) -> tuple[float | None, ...]:
    """Hours of each combination's training; None for what is pruned, or of which no pace is known."""
    hours = list[float | None]()
    for row, key in zip(sweep.combinations, pace_keys(sweep), strict=True):
        pace = known.get(key) if key else None
        hours.append(pace.hours(row.spec.train.steps) if pace and row.spec else None)
    return tuple(hours)


def _key(settings: Mapping[str, Any]) -> Key:
    slots = [f"{slot}={settings.get(slot)}" for slot in _SLOTS]
    options = [f"{path}={value}" for path, value in settings.items() if path.startswith("base.")]
    train = [f"{name}={settings.get(f'train.{name}')}" for name in _TRAIN]
    return (*slots, *options, f"size={settings.get('size')}", *train)


def earlier_paces(root: Path, wanted: Iterable[Key]) -> dict[Key, Pace]:
    """What earlier runs in a folder say of these keys; keys of which none says anything are not in it.

    Args:
        root: Where runs are.
        wanted: Keys.

    Raises:
        UserError: If the folder cannot be read.
    """
    open_ = {*wanted}
    found: dict[Key, list[float]] = {}
    here = kind_wanted()
    for folder in reversed(list_runs(root)):
        with suppress(UserError):
            key = _key(read_settings(folder.spec_file))
            if key in open_ and len(found.get(key, ())) < _MOST and (seconds := _seconds(folder, here)):
                found.setdefault(key, []).append(seconds)
    return {
        key: Pace(median(times), f"{len(times)} earlier run{'s' * (len(times) > 1)}") for key, times in found.items()
    }


def _seconds(folder: RunFolder, kind: str) -> float | None:
    """Seconds a step, if it trained on this machine and on the kind of device that would be taken now."""
    if folder.replayed or (read_json(folder.process_file) or {}).get("host") != socket.gethostname():
        return None
    seconds: float | None = None
    for event in last_events(folder.events_file):
        value = event.get("seconds_per_step")
        if seconds is None and event["kind"] == "step":
            if not isinstance(value, int | float) or event.get("step", 0) < _LEAST_STEPS:
                return None
            seconds = float(value)
        if event["kind"] == "run":
            return seconds if str(event.get("device", "")).startswith("cuda") == (kind == "gpu") else None
    return None
