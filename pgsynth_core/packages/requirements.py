"""Who asks for whom among what is here, read from metadata. Floor 2, imports nobody's code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

from pgsynth_core.packages.present import Present
from pgsynth_core.registry import FOREIGN_FAULTS

__all__ = ["applying", "required_by"]


def required_by(one: Present) -> list[str]:
    """What a distribution that is here says it requires, as written."""
    if one.older:
        try:
            return list(Distribution.at(one.info).requires or ())
        except FOREIGN_FAULTS:
            return []
    head = one.text("METADATA").partition("\n\n")[0].splitlines()
    return [line.partition(":")[2].strip() for line in head if line.startswith("Requires-Dist:")]


def applying(texts: Sequence[str], extras: Sequence[str] = ("",)) -> Iterator[Requirement]:
    """Those requirements that hold on this Python with these extras.

    What cannot be read is passed over, as pip does with what is already here.
    """
    for text in texts:
        try:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                yield requirement
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            continue
