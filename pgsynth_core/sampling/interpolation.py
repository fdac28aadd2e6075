"""Appearance between two sources: what the encoders gave of each, mixed evenly, port by port. Floor 2.

Reading: no paper here says how. Ports of numbers (tokens, reference features, embeddings of regions) go along a
straight line: their slots mean the same in both, and attention reads them as weighted sums, which straight lines stay
in. Ports of labels and truths cannot be mixed and are the nearer source's; so is a region that only one of them has.
Noise is not interpolated: all pictures of a row begin with the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from pgsynth_core.composition.ports import over_ports
from pgsynth_core.interfaces import Conditioning, Regions

__all__ = ["between"]


def between(
    first: Mapping[str, Conditioning], second: Mapping[str, Conditioning], shares: Float[Tensor, " F"]
) -> dict[str, Conditioning]:
    """What encoders give of pictures between two sources.

    Args:
        first: From `Method.encode_parts`, of one source: where a share is 0.
        second: Of the other: where a share is 1.
        shares: From 0 to 1, one a picture; at the ends, bitwise the sources' own.

    Returns:
        By label, a batch of F.
    """

    def mixed(here: Tensor, there: Tensor) -> Tensor:
        share = shares.to(here.device).view(-1, *[1] * (here.ndim - 1))
        if here.is_floating_point():
            return torch.lerp(here, there, share.to(here.dtype))
        return torch.where(share > 0.5, there, here)

    found = {label: over_ports(mixed, first[label], second[label]) for label in first}
    for label, ports in found.items():
        if ports.regions is not None:
            regions = _regions(first[label].regions, second[label].regions, ports.regions, shares)
            found[label] = replace(ports, regions=regions)
    return found


def _regions(here: Regions | None, there: Regions | None, mixed: Regions, shares: Float[Tensor, " F"]) -> Regions:
    """A region that one source lacks has no embedding there to mix with: the nearer source's stands as it is."""
    assert here is not None and there is not None, "both come from one encoder"
    nearer = torch.where((shares > 0.5).to(here.values.device)[:, None, None], there.values, here.values)
    both = (here.exists & there.exists)[..., None]
    return replace(mixed, values=torch.where(both, mixed.values, nearer))
