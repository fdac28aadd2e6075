"""Libraries that a run's settings ask for and that are not here: said before anything is loaded. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Final

from pgsynth_core.errors import Problem
from pgsynth_core.spec import TrainSettings

__all__ = ["missing_libraries"]

_IN_ITS_PLACE: Final[Mapping[str, str]] = {"tensorboard": "tensorboardX"}
"""Tracker -> what Accelerate takes where the library of its own name is not installed."""


def missing_libraries(settings: TrainSettings) -> Iterator[Problem]:
    """One problem for each library that training by these settings would lack; none is imported to know.

    Args:
        settings: The spec's section `train`.
    """
    if settings.optimizer == "adamw8bit" and not _is_here("bitsandbytes"):
        yield Problem(
            "train.optimizer=adamw8bit needs bitsandbytes, which is not installed.",
            cure='Install it: pip install "pgsynth[bnb]".',
        )
    for name in dict.fromkeys(settings.trackers):
        if not _is_here(name) and not _is_here(_IN_ITS_PLACE.get(name, name)):
            yield Problem(
                f"train.trackers names {name}, which is not installed.", cure=f"Install it: pip install {name}."
            )


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # somebody put a module in its place that says nothing of itself
        return True
