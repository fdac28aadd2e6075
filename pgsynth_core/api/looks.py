"""The pictures of `pgsynth inspect`: what was seen of a step, as figures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from PIL import Image as Pillow

from pgsynth_core.api.shares import ShareTable
from pgsynth_core.api.subjects import Subject
from pgsynth_core.composition.looking import CROSS, Looked, Read
from pgsynth_core.data.heat import FEW, Bars, Block, Figure, Maps
from pgsynth_core.data.labels import voc_palette
from pgsynth_core.data.sheet import Sheet, label_legend
from pgsynth_core.interfaces import AttentionView

__all__ = ["MOST_MAPS", "encoder_figures", "overview", "processor_figures", "view_facts"]

MOST_MAPS: Final = 128
"""Maps that a view shows at one site: those with the highest mean."""

GATHERED: Final = 4.0
"""Cells over which the middle token must spread for its places to be drawn: those of single patches are no news."""


def processor_figures(looked: Looked, subject: Subject, title: str) -> dict[str, Figure]:
    """A figure for each processor, by its label: a group for each of its views, a block for each site."""
    figures = {}
    for label, sites in looked.views.items():
        groups: dict[str, list[Block]] = {}
        for site, views in sites.items():
            for name, view in views.items():
                groups.setdefault(_heading(name, view, subject), []).append(_block(view, site, subject))
        figures[label] = Figure(f"{label}\n{title}", list(groups.items()))
    return figures


def encoder_figures(looked: Looked, subject: Subject, title: str) -> dict[str, Figure]:
    """A figure for each encoder whose tokens have places, by its label: where it is read, and where tokens look."""
    figures = {}
    for label, places in looked.places.items():
        reads = [read for read in looked.reads if read.encoder == label and read.by == CROSS]
        groups = []
        if reads:
            groups.append(("where on the source its tokens are read", _read_blocks(reads, subject)))
        if places is not None and _gathers(places[0]):
            view = AttentionView(
                values=places, names=tuple(f"{label} {number + 1}" for number in range(places.shape[1])), grid="source"
            )
            groups.append(("where on the source each token looks", [_block(view, "", subject)]))
        if groups:
            figures[label] = Figure(f"{label}\n{title}", groups)
    return figures


def view_facts(looked: Looked) -> dict[str, list[dict[str, Any]]]:
    """What there is to see, as plain data: label -> site, title, grid, names and range of each view.

    What has no value, NaN in the view, is not among the names; where nothing has one, low and high are None.
    """
    return {
        label: [_facts(site, title, view) for site, views in sites.items() for title, view in views.items()]
        for label, sites in looked.views.items()
    }


def _facts(site: str, title: str, view: AttentionView) -> dict[str, Any]:
    values = view.values[0].float().cpu().numpy()
    there = _there(values)
    low, high = (float(values[there].min()), float(values[there].max())) if there else (None, None)
    names = [view.names[number] for number in there]
    return {"site": site, "title": title, "on": view.grid, "names": names, "low": low, "high": high}


def overview(subject: Subject, table: ShareTable | None) -> Pillow.Image:
    """Source, its label map with a legend, target pose and target, side by side."""
    tiles = {"source": subject.source}
    if subject.parsing is not None:
        tiles["parsing"] = voc_palette()[subject.parsing]
        tiles["labels"] = label_legend(subject.parsing, subject.label_set)
    tiles |= {"pose": subject.pose, subject.target_is: subject.target}
    return Sheet(tuple(tiles), [tuple(tiles.values())], [subject.name]).picture()


# ------------------------------------------------------------------------------------------- blocks
def _heading(title: str, view: AttentionView, subject: Subject) -> str:
    over = {"target": f", over the {subject.target_is}", "source": ", over the source", "": ""}[view.grid]
    return f"{title}{over}"


def _block(view: AttentionView, site: str, subject: Subject) -> Block:
    values = view.values[0].float().cpu().numpy()
    there = _there(values)
    kept, notes = (_worth_showing if view.grid else _worth_a_bar)(values[there], [view.names[row] for row in there])
    if len(there) < len(values):
        notes.append(f"{len(values) - len(there)} of {len(values)} have no value here.")
    shown = [there[row] for row in kept]
    names, note = [view.names[row] for row in shown], " ".join(notes)
    if not view.grid or not shown:
        return Block(Bars(values[shown].reshape(len(shown)), names), site, note)
    return Block(Maps(values[shown], names, subject.source if view.grid == "source" else subject.target), site, note)


def _there(values: np.ndarray) -> list[int]:
    """Which of a view's n have a value: NaN says that one has none here, such as a region that the source lacks."""
    return [number for number, value in enumerate(values) if not np.isnan(value).any()]


def _worth_a_bar(values: np.ndarray, names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Which of many numbers are drawn, and what is said of the others: where all are 0 or 1, those that are 1."""
    kept = list(range(len(names)))
    if len(kept) <= FEW or not set(np.unique(values)) <= {0.0, 1.0}:
        return kept, []
    ones = [number for number in kept if values[number]]
    return ones, [f"{len(kept) - len(ones)} of {len(kept)} are 0."] if len(ones) < len(kept) else []


def _worth_showing(values: np.ndarray, names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Which of many maps are drawn, and what is said of the others."""
    kept, notes = list(range(len(names))), list[str]()
    if len(kept) > FEW:
        empty = [number for number in kept if not values[number].any()]
        if empty and len(empty) < len(kept):
            kept = [number for number in kept if number not in empty]
            notes.append(f"0 everywhere: {', '.join(names[number] for number in empty)}.")
    if len(kept) > MOST_MAPS:
        highest = sorted(kept, key=lambda number: -float(values[number].mean()))[:MOST_MAPS]
        notes.append(f"{MOST_MAPS} of {len(kept)}, those with the highest mean.")
        kept = sorted(highest)
    return kept, notes


def _read_blocks(reads: Sequence[Read], subject: Subject) -> list[Block]:
    """Where the tokens of one encoder are read: the mean of all sites, then each."""
    maps = [(read.site, read.where[0], float(read.nowhere[0])) for read in reads]
    if len(maps) > 1:
        where = torch.stack([where for _, where, _ in maps]).mean(0)
        maps.insert(0, (f"mean of {len(maps)} sites", where, sum(rest for _, _, rest in maps) / len(maps)))
    return [
        Block(
            Maps(where[None].float().cpu().numpy(), [site], subject.source),
            site,
            f"{100 * rest:.1f} % on tokens of no place" if rest > 5e-4 else "",
        )
        for site, where, rest in maps
    ]


def _gathers(places: torch.Tensor) -> bool:
    placed = places.flatten(1)[places.flatten(1).sum(1) > 0]
    spread_over = 1 / placed.square().sum(1).clamp(min=torch.finfo(placed.dtype).tiny)
    return len(placed) > 0 and float(spread_over.median()) > GATHERED
