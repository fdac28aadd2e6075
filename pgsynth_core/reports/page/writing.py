"""The page, put together: its parts in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pgsynth_core.reports.document import document, is_document, lightbox, made
from pgsynth_core.reports.markup import Child, Markup, element
from pgsynth_core.reports.page.drawn import curves_part, looks_part, samples_part
from pgsynth_core.reports.page.found import evaluations_of, looks_of
from pgsynth_core.reports.page.grid import grids_of
from pgsynth_core.reports.page.head import Shown, head_part, labelled
from pgsynth_core.reports.page.numbers import numbers_part, scores_part, settings_part
from pgsynth_core.reports.page.pairs import pairs_part
from pgsynth_core.reports.pictures import MOST_BYTES, Album
from pgsynth_core.runs.comparing import compare
from pgsynth_core.runs.durable import amount
from pgsynth_core.runs.reader import RunFacts

__all__ = ["PAIRS", "Page", "is_page", "make_page"]

PAIRS: Final = 24
"""Pairs that are shown of an evaluation: of so many it keeps source, pose and target."""
_MADE_BY: Final = "pgsynth report"
_LINKS: Final = {
    "numbers": "Numbers",
    "pairs": "Pairs",
    "curves": "Curves",
    "attention": "Attention",
    "samples": "Samples",
    "settings": "Settings",
}


@dataclass(frozen=True)
class Page:
    """A page that is made.

    Attributes:
        html: All of it.
        pairs: How many pairs it shows, over all its grids.
        pictures: How many pictures.
        notes: What was left out, or could not be read, in sentences.
    """

    html: str
    pairs: int
    pictures: int
    notes: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Its size as a file."""
        return len(self.html.encode())


def make_page(
    runs: Sequence[RunFacts],
    *,
    command: str,
    limit: int = PAIRS,
    looks: Mapping[str, Sequence[Path]] = MappingProxyType({}),
    most: int = MOST_BYTES,
) -> Page:
    """Make the page of one run, or of several side by side.

    Args:
        runs: At least one, each with an id of its own.
        command: That makes it, to be said on it.
        limit: Pairs that are shown of an evaluation, at most.
        looks: Id of a run -> folders besides its own in which `pgsynth inspect` may have left pictures of it.
        most: Bytes that its pictures may have together.
    """
    comparison = compare(runs)
    shown = [
        Shown(
            label,
            series,
            run,
            tuple(evaluations_of(run.folder)),
            tuple(looks_of(run.folder, *looks.get(run.id, ()))),
        )
        for label, series, run in labelled(comparison)
    ]
    album = Album(most=most)
    pairs, notes = _pairs(shown, album, limit)
    curves, told = curves_part(shown)
    attention, of_looks = looks_part(shown, album)
    samples, of_samples = samples_part(shown, album)
    notes += [*told, *of_looks, *of_samples, *album.problems]
    scores = scores_part([(run.label, run.evaluations) for run in shown])
    body = [
        head_part(shown, comparison, made(), command),
        element("nav", [element("a", said, href=f"#{place}") for place, said in _LINKS.items()], aria_label="sections"),
        element("main", numbers_part(comparison, scores), pairs, curves, attention, samples, settings_part(comparison)),
        _foot(album, notes),
        lightbox("← → along the pair, ↑ ↓ to other pairs, Esc closes"),
    ]
    title = shown[0].facts.id if len(shown) == 1 else f"{len(shown)} runs: {', '.join(run.facts.id for run in shown)}"
    html = document(body, title=title, made_by=_MADE_BY, own=Path(__file__).with_name("page"))
    return Page(html, html.count('<article class="pair"'), album.count, tuple(notes))


def is_page(file: Path) -> bool:
    """Whether a file was made here, so that it may be made anew."""
    return is_document(file, _MADE_BY)


def _pairs(shown: Sequence[Shown], album: Album, limit: int) -> tuple[Markup, list[str]]:
    grids, notes = grids_of([(run.label, run.series, run.evaluations) for run in shown]), list[str]()
    parts = list[Child]()
    for number, grid in enumerate(grids):
        part, told = pairs_part(grid, album, limit, number)
        parts.append(part)
        notes += told
    if len(grids) > 1 and len(shown) > 1:
        parts.insert(0, element("p", "What is not of the same pairs stands in a grid of its own.", class_="note"))
    for run in shown:
        if not any(one.outputs for one in run.evaluations):
            command = element("code", f"pgsynth evaluate {run.facts.id}")
            words = [f"{run.label} has no pictures of an evaluation; to have some: ", command]
            parts.append(element("p", words, class_="note"))
    return element("section", element("h2", "Pairs"), parts, id="pairs"), notes


# ------------------------------------------------------------------------------------------- around it
def _foot(album: Album, notes: Sequence[str]) -> Markup:
    size = f"{album.count:,} pictures, {amount(album.bytes)} of this page."
    left = [element("li", note) for note in notes]
    return element(
        "footer",
        element("div", element("h2", "Left out"), element("ul", left)) if left else None,
        element("p", size, " It needs no network.", class_="note"),
    )
