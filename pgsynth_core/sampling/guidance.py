"""Guidance over several conditions, nested in written order: e0 + s1 (e_1 - e0) + s2 (e_12 - e_1) + …

In the first branch every condition that is named is dropped; each further branch shows one more. Conditions that are
not named are on in every branch. One number is the usual two branches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from pgsynth_core.composition.conditions import Conditions, conditions, labels_of, stacked
from pgsynth_core.composition.method import Method
from pgsynth_core.interfaces import Conditioning


@dataclass(frozen=True)
class Guidance:
    """The branches of a step.

    Attributes:
        scales: One for each branch after the first; empty: one branch, nothing dropped.
        dropped: For each branch, the labels that are dropped in it.
    """

    scales: tuple[float, ...]
    dropped: tuple[frozenset[str], ...]

    @property
    def branches(self) -> int:
        """How many times the batch is run in one step."""
        return len(self.dropped)

    @staticmethod
    def of(scales: Mapping[str, float], method: Method) -> Guidance:
        """From the spec's mapping; all scales 1 is the plain conditional model."""
        named = [frozenset(labels_of(name, method)) for name in scales]
        if all(scale == 1 for scale in scales.values()):
            return Guidance((), (frozenset(),))
        dropped = [frozenset[str]().union(*named[shown:]) for shown in range(len(named) + 1)]
        shown_before = [frozenset[str]().union(*named[:shown]) for shown in range(len(named) + 1)]
        return Guidance(
            tuple(scales.values()), tuple(rest - shown for rest, shown in zip(dropped, shown_before, strict=True))
        )

    def conditions(
        self, method: Method, parts: Mapping[str, Conditioning], data: Conditioning, rows: Bool[Tensor, " B"]
    ) -> Conditions:
        """What every branch is conditioned on, as one batch, branch after branch.

        Args:
            method: The method.
            parts: From `Method.encode_parts`.
            data: The target poses' ports.
            rows: All True, one per picture, on the method's device.
        """
        batch = rows.shape[0]
        made = [conditions(method, parts, data, dict.fromkeys(sorted(labels), rows)) for labels in self.dropped]
        labels = sorted({label for one in made for label in one.branches})

        def joined(each: Iterable[Conditioning]) -> Conditioning:
            return stacked(*(method.batched(one, batch) for one in each))

        return Conditions(
            joined(one.shared for one in made),
            {label: joined(one.branches.get(label, one.shared) for one in made) for label in labels},
        )

    def combine(self, predicted: Float[Tensor, "B Z h w"]) -> Float[Tensor, "b Z h w"]:
        """The guided prediction from those of all branches."""
        first, *others = predicted.chunk(self.branches)
        out, before = first, first
        for scale, other in zip(self.scales, others, strict=True):
            out, before = out + scale * (other - before), other
        return out
