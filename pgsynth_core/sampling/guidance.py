"""Guidance over several conditions, nested in written order: e0 + s1 (e_1 - e0) + s2 (e_12 - e_1) + …

In the first branch every condition that is named is dropped; each further branch shows one more. Conditions that are
not named are on in every branch. One number is the usual two branches.

Scales may change by step. The sum is that of c_k e_k with c_k = s_k - s_{k+1}, where s_0 = 1 and 0 follows the last:
with a schedule, a step runs only the branches whose c_k is not zero. Where every scale is 1 that is the last alone, so
outside of its interval guidance costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pgsynth_core.composition.chain import Prepared
from pgsynth_core.composition.conditions import Conditions, conditions, labels_of, stacked
from pgsynth_core.composition.method import Method
from pgsynth_core.composition.ports import over_ports
from pgsynth_core.errors import PartError
from pgsynth_core.interfaces import Conditioning
from pgsynth_core.spec import Schedule, scales_by_step


@dataclass(frozen=True)
class Mix:
    """How one step is guided.

    Attributes:
        branches: Which branches are run, in order.
        scales: One for each of them after the first.
    """

    branches: tuple[int, ...]
    scales: tuple[float, ...]

    def combine(self, predicted: Float[Tensor, "B Z h w"]) -> Float[Tensor, "b Z h w"]:
        """The guided prediction from those of the branches that were run, as one batch, branch after branch."""
        first, *others = predicted.chunk(len(self.branches))
        out, before = first, first
        for scale, other in zip(self.scales, others, strict=True):
            out, before = out + scale * (other - before), other
        return out


@dataclass(frozen=True)
class Shown:
    """What the method is given besides latent and time, as one batch, branch after branch.

    Attributes:
        count: How many branches.
        pictures: How many rows one branch has.
        conditions: What is read.
        prepared: What the processors made of it, the batch first in every tensor.
    """

    count: int
    pictures: int
    conditions: Conditions
    prepared: Prepared

    def of(self, branches: tuple[int, ...]) -> Shown:
        """Only the rows of some branches. Neighbours are a view, nothing is copied.

        Raises:
            PartError: If a processor's `prepare` gave a tensor whose rows are not those of the batch.
        """
        if len(branches) == self.count:
            return self
        for name, kept in self.prepared.items():
            for key, tensor in kept.items():
                if tensor.shape[:1] != (self.count * self.pictures,):
                    found = f"prepare gives {key!r} of shape {list(tensor.shape)}"
                    raise PartError(
                        f"{name}: {found}, its first axis is not the batch of {self.count * self.pictures}.",
                        cure="Guide by scales that do not change by step, or mend the part.",
                    )
        rows = _taken(branches, self.pictures)
        given = self.conditions
        own = {label: over_ports(rows, ports) for label, ports in given.branches.items()}
        prepared = {name: {key: rows(tensor) for key, tensor in kept.items()} for name, kept in self.prepared.items()}
        return Shown(len(branches), self.pictures, Conditions(over_ports(rows, given.shared), own), prepared)


def _taken(branches: tuple[int, ...], pictures: int) -> Callable[[Tensor], Tensor]:
    """What takes some branches' rows out of a tensor that holds all of them."""

    def neighbours(tensor: Tensor) -> Tensor:
        return tensor.narrow(0, branches[0] * pictures, len(branches) * pictures)

    def apart(tensor: Tensor) -> Tensor:
        return torch.cat([tensor.narrow(0, branch * pictures, pictures) for branch in branches])

    return neighbours if branches[-1] - branches[0] < len(branches) else apart


@dataclass(frozen=True)
class Guidance:
    """The branches of a step, and how far it goes from each to the next.

    Attributes:
        scales: One for each branch after the first; empty: one branch, nothing dropped.
        dropped: For each branch, the labels that are dropped in it.
    """

    scales: tuple[float | Schedule, ...]
    dropped: tuple[frozenset[str], ...]

    @property
    def branches(self) -> int:
        """How many branches there are; a step may run fewer."""
        return len(self.dropped)

    @staticmethod
    def of(scales: Mapping[str, float | Schedule], method: Method) -> Guidance:
        """From the spec's mapping; all scales 1 is the plain conditional model."""
        named = [frozenset(labels_of(name, method)) for name in scales]
        if all(scale == 1 for scale in scales.values()):
            return Guidance((), (frozenset(),))
        dropped = [frozenset[str]().union(*named[shown:]) for shown in range(len(named) + 1)]
        shown_before = [frozenset[str]().union(*named[:shown]) for shown in range(len(named) + 1)]
        return Guidance(
            tuple(scales.values()), tuple(rest - shown for rest, shown in zip(dropped, shown_before, strict=True))
        )

    def mixes(self, steps: int) -> tuple[Mix, ...]:
        """How each step is guided.

        Constant scales run every branch in every step, so that their pictures are bitwise what they always were; with
        a schedule, a step leaves out the branches that its sum does not hold.

        Args:
            steps: How often the sampler asks for a prediction; step i lies at (i + 0.5) / steps.
        """
        constant = not any(isinstance(scale, Schedule) for scale in self.scales)
        by_step = [scales_by_step(scale, steps) for scale in self.scales]

        def mix(step: int) -> Mix:
            chain = (1.0, *(scales[step] for scales in by_step), 0.0)
            run = tuple(k for k in range(self.branches) if constant or chain[k] != chain[k + 1])
            return Mix(run, tuple(chain[k] for k in run[1:]))

        return tuple(mix(step) for step in range(steps))

    def shown(
        self, method: Method, parts: Mapping[str, Conditioning], data: Conditioning, rows: Bool[Tensor, " B"]
    ) -> Shown:
        """What every branch is shown, prepared once; arguments as of `conditions`."""
        given = self.conditions(method, parts, data, rows)
        return Shown(self.branches, rows.shape[0], given, method.prepare(given.shared))

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
