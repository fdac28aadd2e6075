"""The share of each encoder's attention on body, clothes and face: one definition for every method.

TruePose reports such a table for pre-trained encoders (21.5 % and 37.3 % of attention on clothes, 47.1 % on body), and
does not define it. Here, for one pair at one diffusion time: where on the source an encoder is read at a site (see
`composition.looking`) is spread evenly over the pixels of each cell and summed over the pixels of each group of the
source's label map; the shares of all sites are averaged with equal weight. So attention that is the same everywhere
gives every group the share that it has of the photo's area. Tokens without a place are a group of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pgsynth_core.composition.looking import Read
from pgsynth_core.data.labels import Group, LabelSet
from pgsynth_core.patches import spread

GROUPS: Final[tuple[str, ...]] = ("body", "clothes", "face", "background")
"""Columns of the table."""

NO_PLACE: Final = "no place"
"""The column of tokens that stand for no place of the photo."""

DEFINITION: Final = (
    "Attention weight of the target's queries on an encoder's tokens, averaged over heads and queries and brought to a "
    "sum of one at each site that reads them; each token's share goes to the cells of the source at which the token "
    "looks, is spread evenly over the cell's pixels and summed by the group of their labels; sites have equal weight. "
    "times_area: a group's share of what has a place, over its share of the photo's area."
)

assert set(GROUPS) == set(get_args(Group)), "every group has a column"


@dataclass(frozen=True, kw_only=True)
class ShareRow:
    """How the attention to one encoder is shared out.

    Attributes:
        encoder: Its label.
        by: How it is read: by cross-attention, or the label of a processor.
        shares: Group -> share of attention, `NO_PLACE` among them; they sum to 1.
        sites: Name of a site -> its shares.
    """

    encoder: str
    by: str
    shares: Mapping[str, float]
    sites: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class ShareTable:
    """The table of one pair.

    Attributes:
        label_set: Of the label map.
        area: Group -> its share of the photo's area.
        rows: In the order in which the encoders are read.
    """

    label_set: str
    area: Mapping[str, float]
    rows: tuple[ShareRow, ...]

    def times_area(self, row: ShareRow) -> dict[str, float | None]:
        """Group -> how many times its share of the area its share of what has a place is; None where it has none."""
        placed = 1 - row.shares[NO_PLACE]
        return {
            group: row.shares[group] / placed / self.area[group] if self.area[group] and placed > 1e-6 else None
            for group in GROUPS
        }

    def facts(self) -> dict[str, Any]:
        """Everything as plain data, with the definition."""
        rows = [
            {
                "encoder": row.encoder,
                "by": row.by,
                "shares": dict(row.shares),
                "times_area": self.times_area(row),
                "sites": {site: dict(shares) for site, shares in row.sites.items()},
            }
            for row in self.rows
        ]
        return {"definition": DEFINITION, "label_set": self.label_set, "area": dict(self.area), "rows": rows}


def share_table(reads: Iterable[Read], parsing: Int[Tensor, "H W"], labels: LabelSet) -> ShareTable:
    """The table of the first sample that was looked at.

    Args:
        reads: Where encoders are read.
        parsing: Label map of its source at pixels.
        labels: What the labels mean.
    """
    found: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for read in reads:
        shares = {**by_group(read.where[0], parsing, labels), NO_PLACE: float(read.nowhere[0])}
        found.setdefault((read.encoder, read.by), {})[read.site] = shares
    rows = tuple(
        ShareRow(encoder=encoder, by=by, shares=_mean(list(sites.values())), sites=sites)
        for (encoder, by), sites in found.items()
    )
    everywhere = torch.ones(1, 1, dtype=torch.float64)
    return ShareTable(label_set=labels.name, area=by_group(everywhere, parsing, labels), rows=rows)


def by_group(where: Float[Tensor, "h w"], parsing: Int[Tensor, "H W"], labels: LabelSet) -> dict[str, float]:
    """How much of a map lies on each group of a label map.

    Args:
        where: Shares on a grid over the picture.
        parsing: The label map, at pixels.
        labels: What its labels mean.
    """
    height, width = parsing.shape
    pixels = spread(where.double().cpu(), (height, width)).flatten()
    of_label = torch.zeros(len(labels), dtype=torch.float64).index_add(0, parsing.flatten().long().cpu(), pixels)
    found = dict.fromkeys(GROUPS, 0.0)
    for group, share in zip(labels.groups, of_label.tolist(), strict=True):
        found[group] += share
    return found


def _mean(shares: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(one[name] for one in shares) / len(shares) for name in shares[0]}
