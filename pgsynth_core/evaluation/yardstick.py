"""By what pairs are scored: a protocol, its metrics built, a size, and what sets are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pgsynth_core.errors import Problem
from pgsynth_core.evaluation.material import Reference, Size
from pgsynth_core.evaluation.prepare import resize_id
from pgsynth_core.evaluation.protocol import Bound, Protocol
from pgsynth_core.evaluation.table import Measure
from pgsynth_core.evaluation.versions import here, series

__all__ = ["Yardstick"]


@dataclass(frozen=True)
class Yardstick:
    """How it is scored.

    Attributes:
        protocol: Whose labels the results bear.
        size: (height, width) at which pictures are compared; None: at their own.
        metrics: Built.
        missing: Label -> why, of those that cannot be computed.
        reference: For sets.
        cuts: What is cut out of predictions and truths, for the table.
        notes: What was given for it and does nothing, a sentence each.
    """

    protocol: Protocol
    size: Size | None
    metrics: tuple[Bound, ...]
    missing: Mapping[str, Problem] = field(default_factory=dict)
    reference: Reference = field(default_factory=Reference)
    cuts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def way(self) -> dict[str, Any]:
        """How pictures become what is compared: equal ways give equal pictures."""
        protocol, resizes = self.protocol, self.size is not None
        return {
            "protocol": protocol.name,
            "size": None if self.size is None else list(self.size),
            "resizing": {
                "predictions": resize_id(protocol.predictions if resizes else "none"),
                "truths": resize_id(protocol.truths if resizes else "none"),
            },
            "cuts": dict(self.cuts),
        }

    @property
    def libraries(self) -> dict[str, str]:
        """Version of every library that computes something, and of every package that brings a metric."""
        resized = self.size is not None and "torch-bicubic-truncated" in (
            self.protocol.predictions,
            self.protocol.truths,
        )
        names = {name for bound in self.metrics for name in bound.metric.libraries}
        names |= {"numpy", "pillow", *(["torch"] if resized else [])}
        packages = {name: version for bound in self.metrics for name, version in bound.packages.items()}
        return {name: here(name) for name in sorted(names)} | packages

    def stamp(self, bound: Bound) -> str:
        """A metric's definition with the versions that matter: equal ones give equal numbers."""
        libraries = [f"{name}-{series(here(name))}" for name in sorted(bound.metric.libraries)]
        return " ".join((bound.metric.id, *libraries, *(" ".join(one) for one in sorted(bound.packages.items()))))

    def measures(self) -> dict[str, Measure]:
        """Label -> what its numbers are."""
        found = {}
        for bound in self.metrics:
            scores, metric = bound.choice.scores, bound.metric
            found[bound.label] = Measure(
                metric.id,
                scores.better,
                scores.unit,
                scores.digits,
                metric.definition,
                tuple(metric.libraries),
                scores.of,
                tuple(bound.packages),
            )
        return found
