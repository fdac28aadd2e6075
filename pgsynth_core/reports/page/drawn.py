"""The other pictures of the page: curves, attention, samples over time; and what is missing, with its cure."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pgsynth_core.errors import UserError
from pgsynth_core.reports.markup import Child, Markup, element
from pgsynth_core.reports.page.chart import Line, chart, series_class
from pgsynth_core.reports.page.found import curves_of, samples_of
from pgsynth_core.reports.page.head import Shown
from pgsynth_core.reports.pictures import Album, Level
from pgsynth_core.runs.curves import Points
from pgsynth_core.runs.points import reduced, smoothed

__all__ = ["curves_part", "looks_part", "samples_part"]

_POINTS: Final = 600
"""Of a line at most, as many as a screen has columns."""
_WINDOW: Final = 40
"""Losses are smoothed over this part of the longest run: one in so many."""
_LONGEST_WINDOW: Final = 500
_TIMES: Final = 10
"""Steps whose samples are shown, at most."""
_SAMPLES: Final = 4
"""Pairs of which samples are shown, of one run; of several, fewer."""
_LOOKS: Final = 2
"""Folders of attention pictures that are shown of a run."""
_LOOK: Final = Level(1600, 85)


# ------------------------------------------------------------------------------------------- curves
def curves_part(runs: Sequence[Shown]) -> tuple[Markup, list[str]]:
    """Losses of training and on unseen pairs; and what could not be read."""
    notes, read = list[str](), list[tuple[Shown, Points, dict[int, float]]]()
    for run in runs:
        try:
            read.append((run, *curves_of(run.facts.folder)))
        except UserError as error:
            notes.append(str(error))
    longest = max((len(points.steps) for _, points, _ in read), default=0)
    window = min(_LONGEST_WINDOW, max(1, longest // _WINDOW))
    losses = [line for run, points, _ in read if (line := _loss(run, points, window))]
    unseen = [Line(run.label, run.series, [*found], [*found.values()], marked=True) for run, _, found in read if found]
    charts = [
        _figure(losses, "Loss of training", "loss", _smoothing(window)) if losses else None,
        _figure(unseen, "Loss on unseen pairs", "loss", "At each checkpoint, always with the same noise.")
        if unseen
        else None,
    ]
    missing = [
        element("p", f"{run.label} has no loss on unseen pairs: train with train.validate_pairs=N.", class_="note")
        for run, _, found in read
        if not found
    ]
    missing += [
        element("p", f"{run.label} has taken no step: there is no loss.", class_="note")
        for run, points, _ in read
        if not points.steps
    ]
    return element(
        "section", element("h2", "Curves"), element("div", charts, class_="charts"), missing, id="curves"
    ), notes


def _smoothing(window: int) -> str:
    if window == 1:
        return "Each step's."
    return f"Smoothed, an exponential mean over about {window} steps; each step's is faint behind it."


def _loss(run: Shown, points: Points, window: int) -> Line | None:
    if not any(map(math.isfinite, points.values)):
        return None
    steps, raw = reduced(points.steps, points.values, _POINTS)
    smooth = reduced(points.steps, smoothed(points.values, 1 - 1 / window), _POINTS)
    faint = None if window == 1 else (steps.tolist(), raw.tolist())
    return Line(run.label, run.series, smooth[0].tolist(), smooth[1].tolist(), faint)


def _figure(lines: Sequence[Line], title: str, up: str, about: str) -> Markup:
    return element("figure", element("h3", title), chart(lines, title=title, up=up), element("figcaption", about))


# ------------------------------------------------------------------------------------------- attention
def looks_part(runs: Sequence[Shown], album: Album) -> tuple[Markup, list[str]]:
    """What `pgsynth inspect` drew, or the command that draws it; and what was left out."""
    notes, parts = list[str](), list[Child]()
    for run in runs:
        title = element("h3", element("b", run.label, class_=f"chip {series_class(run.series)}"), " ", run.facts.id)
        parts.append(title if len(runs) > 1 else None)
        for look in run.looks[:_LOOKS]:
            parts += [element("h4", look.folder.name), *_look(run, look.pictures, album, notes)]
        if more := [look.folder.name for look in run.looks[_LOOKS:]]:
            parts.append(element("p", f"Not shown, for they are older: {', '.join(more)}.", class_="note"))
        if not run.looks:
            command = element("code", f"pgsynth inspect {shlex.quote(run.facts.id)}")
            parts.append(element("p", "There are no attention pictures; to have some: ", command, class_="note"))
    return element("section", element("h2", "Attention"), parts, id="attention"), notes


def _look(run: Shown, files: Sequence[Path], album: Album, notes: list[str]) -> Iterator[Markup]:
    for file in files:
        if album.full:
            notes.append(f"{file.parent.name}/{file.name} of {run.label} is left out: the page would be too large.")
            continue
        shown = album.shown(album.read(file), f"{file.stem} of {run.label}: {file.parent.name}", _LOOK)
        yield element("figure", shown, element("figcaption", file.stem), class_="sheet")


# ------------------------------------------------------------------------------------------- samples
def samples_part(runs: Sequence[Shown], album: Album) -> tuple[Markup, list[str]]:
    """What each run drew while it trained, step by step; and what was left out."""
    notes, parts = list[str](), list[Child]()
    most = max(1, _SAMPLES // len(runs))
    for run in runs:
        found = samples_of(run.facts.folder)
        title = element("h3", element("b", run.label, class_=f"chip {series_class(run.series)}"), " ", run.facts.id)
        parts.append(title if len(runs) > 1 else None)
        if not found:
            parts.append(element("p", "It drew none: train with train.sample_every=N.", class_="note"))
            continue
        steps = _thinned(list(found))
        if len(steps) < len(found):
            parts.append(element("p", f"{len(steps)} of {len(found)} steps at which it drew.", class_="note"))
        for number in range(min(most, max(map(len, found.values())))):
            if album.full:
                notes.append(f"Samples of {run.label} are left out: the page would be too large.")
                break
            strip = [_sample(run, step, files[number], album) for step in steps if number < len(files := found[step])]
            parts.append(
                element(
                    "div",
                    strip,
                    class_="strip",
                    tabindex="0",
                    role="region",
                    aria_label=f"samples {number} of {run.label} by step",
                )
            )
    return element("section", element("h2", "Samples of training"), parts, id="samples"), notes


def _sample(run: Shown, step: int, file: Path, album: Album) -> Markup:

    shown = album.shown(album.read(file), f"sample {file.stem} of {run.label} after {step:,} steps", Level(256, 80))
    return element("figure", shown, element("figcaption", f"{step:,}"))


def _thinned(steps: Sequence[int]) -> list[int]:
    """Some of them, evenly, with the first and the last."""
    if len(steps) <= _TIMES:
        return list(steps)
    return [steps[round(at * (len(steps) - 1) / (_TIMES - 1))] for at in range(_TIMES)]
