"""The pairs of a grid on the page: source, pose, target, each run's output with its error map and its scores."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pgsynth_core.data.heat import colours
from pgsynth_core.reports.markup import Child, Markup, element
from pgsynth_core.reports.page.chart import series_class
from pgsynth_core.reports.page.found import GIVEN
from pgsynth_core.reports.page.grid import Grid, Metric
from pgsynth_core.reports.pictures import (
    LEVELS,
    LEVELS_SUM,
    Album,
    Deviation,
    Level,
    Picture,
    beside_each_other,
    coloured,
    deviation,
)

__all__ = ["pairs_part"]

_HIGH: Final = 0.995
"""The share of all pixels of all error maps that is below their last colour."""
_ROUND: Final = 0.05
_BESIDE: Final = 2
"""Runs up to which an error map has its place beside the output; of more, below it."""
_INFINITE: Final = 1e300
"""Stands for an infinite score where pairs are ordered: JSON has none."""
_TRIED: Final = 2
"""Pairs from whose bytes those of all are foreseen."""


@dataclass(frozen=True)
class _Row:
    """A pair's pictures: by what they are, and by the column's label; words where there is none."""

    name: str
    listed: int
    given: Mapping[str, Picture | str]
    outputs: Mapping[str, Picture | str]


def pairs_part(grid: Grid, album: Album, limit: int, number: int) -> tuple[Markup, list[str]]:
    """A grid with its legend and its controls.

    Args:
        grid: What is shown.
        album: Takes the pictures.
        limit: Pairs that are shown at most.
        number: Of the grid on the page, from 0.

    Returns:
        It, and what was left out, in sentences.
    """
    names = grid.names[:limit]
    rows = [(name, place) for place, name in enumerate(names)]
    counts = [counted for found in beside_each_other(lambda row: _counts(grid, row, album), rows) for counted in found]
    most = _most(counts)
    level, room = _level(grid, rows, most, album)
    drawing = _Drawing(grid, album, most, level)

    def draw(row: tuple[str, int]) -> Markup | None:
        return None if album.bytes > room else drawing.pair(row)

    drawn = beside_each_other(draw, _by_worst(grid, rows))
    kept = [one for one in drawn if one is not None]
    notes = _left_out(grid, len(kept), len(names), level)
    part = element(
        "section",
        element("h3", grid.title),
        element("p", _said(grid, len(kept))),
        _controls(grid, number),
        _legend(most) if counts else None,
        [element("p", note, class_="note") for note in (*grid.notes, *notes)],
        element("div", kept, class_="pairs"),
        class_="grid",
    )
    return part, [f"{grid.title}: {note}" for note in notes]


def _said(grid: Grid, shown: int) -> list[Child]:
    every, metrics = len(grid.names), grid.metrics
    which = f"The {every} pairs, " if shown == every else f"{shown} of {every:,} pairs, "
    if not metrics:
        return [which, "as they are listed; there are no scores to order them by."]
    over = ", the mean over the runs" if len(grid.columns) > 1 else ""
    return [which, element("span", f"worst first by {metrics[0].label}{over}", class_="order"), "."]


def _left_out(grid: Grid, shown: int, wanted: int, level: Level) -> list[str]:
    notes = []
    kept = sum(grid.given(name) is not None for name in grid.names)
    if kept < len(grid.names):
        notes.append(
            f"Source, pose and target are kept of {kept:,} of the {len(grid.names):,} pairs; those come first."
            if kept
            else "Source, pose and target of these pairs were not kept: pgsynth evaluate RUN --fresh keeps them."
        )
    if wanted < len(grid.names):
        notes.append(f"--limit {wanted} left out {len(grid.names) - wanted:,} pairs.")
    if shown < wanted:
        notes.append(f"{wanted - shown:,} pairs are left out: the page would be too large.")
    if level is not LEVELS[0]:
        notes.append(f"Pictures are reduced to {level.side} pixels, for the page would be too large.")
    return notes


# ------------------------------------------------------------------------------------------- reading
def _read(grid: Grid, row: tuple[str, int], album: Album) -> _Row:
    name, listed = row
    given = grid.given(name)
    shown = {what: album.read(given[what]) if given else "not kept" for what in GIVEN}
    outputs: dict[str, Picture | str] = {}
    for column in grid.columns:
        file = column.shown.outputs.get(name)
        outputs[column.label] = album.read(file) if file else "not drawn by this run"
    return _Row(name, listed, shown, outputs)


def _apart(row: _Row, label: str) -> Deviation | str:
    """The error map of an output, or why there is none."""
    output, target = row.outputs[label], row.given["target"]
    if isinstance(output, str):
        return "no output"
    if isinstance(target, str):
        return f"target {target}"
    if output.shape != target.shape:
        sizes = [f"{height}x{width}" for height, width, _ in (output.shape, target.shape)]
        return f"of {sizes[0]}, the target of {sizes[1]}"
    return deviation(output, target)


def _counts(grid: Grid, row: tuple[str, int], album: Album) -> list[np.ndarray]:
    """How many pixels of each error map deviate how far."""
    quiet = Album(most=album.most)  # what cannot be read is told once, where it is shown
    read = _read(grid, row, quiet)
    found = [_apart(read, column.label) for column in grid.columns]
    return [np.bincount(one.ravel(), minlength=LEVELS_SUM + 1) for one in found if not isinstance(one, str)]


def _most(counts: Sequence[np.ndarray]) -> float:
    """The deviation that has the last colour, as a share of the largest there can be."""
    if not counts:
        return 1.0
    below = np.cumsum(np.sum(counts, axis=0))
    at = int(np.searchsorted(below, _HIGH * below[-1])) / LEVELS_SUM
    return min(1.0, max(1, math.ceil(at / _ROUND - 1e-9)) * _ROUND)


def _level(grid: Grid, rows: Sequence[tuple[str, int]], most: float, album: Album) -> tuple[Level, int]:
    """How large pictures may be, so that these pairs take no more than three quarters of what is left."""
    room = album.bytes + (album.most - album.bytes) * 3 // 4
    for level in LEVELS:
        tried = Album(most=album.most)
        for row in rows[:_TRIED]:
            _Drawing(grid, tried, most, level).pair(row)
        if tried.bytes * len(rows) / max(1, min(_TRIED, len(rows))) <= room - album.bytes:
            return level, room
    return LEVELS[-1], room


# ------------------------------------------------------------------------------------------- order
def _by_worst(grid: Grid, rows: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Worst first by the first metric, over the runs; what has no value last."""
    metrics = grid.metrics
    if not metrics:
        return list(rows)
    sign = 1 if metrics[0].better == "higher" else -1

    def key(row: tuple[str, int]) -> float:
        values = [column.value(row[0], metrics[0]) for column in grid.columns]
        there = [value for value in values if value is not None]
        return sign * sum(there) / len(there) if there else math.inf

    return sorted(rows, key=key)


def _controls(grid: Grid, number: int) -> Markup | None:
    """What orders the pairs otherwise; of use with JavaScript only, and shown by it."""
    if not grid.metrics:
        return None
    orders = {"worst": "worst first", "best": "best first", "listed": "as they are listed"}
    of = {"mean": "the mean over the runs", **{str(at): column.label for at, column in enumerate(grid.columns)}}
    if len(grid.columns) > 1:
        orders["apart"] = "where runs differ most"
    by = {str(at): metric.label for at, metric in enumerate(grid.metrics)}
    fields = [_select("order", "Order", orders, number), _select("by", "by", by, number)]
    if len(grid.columns) > 1:
        fields.append(_select("of", "of", of, number))
    errors = element("label", element("input", type="checkbox", name="errors", checked=True), " error maps")
    signs = json.dumps([1 if metric.better == "higher" else -1 for metric in grid.metrics])
    return element("form", fields, errors, class_="controls", hidden=True, data_signs=signs)


def _select(name: str, label: str, choices: Mapping[str, str], number: int) -> Markup:
    options = [element("option", said, value=value) for value, said in choices.items()]
    made = f"{name}-{number}"
    return element("span", element("label", label, for_=made), " ", element("select", options, name=name, id=made))


# ------------------------------------------------------------------------------------------- drawing
@dataclass(frozen=True)
class _Drawing:
    """How pairs are drawn: error maps up to the deviation `most`, pictures of a level, into an album."""

    grid: Grid
    album: Album
    most: float
    level: Level

    def pair(self, place: tuple[str, int]) -> Markup:
        """Everything of one pair."""
        row, grid = _read(self.grid, place, self.album), self.grid
        given = [
            element("figure", self._shown(row.given[what], f"{what} of {row.name}"), element("figcaption", what))
            for what in GIVEN
        ]
        values = {metric: [column.value(row.name, metric) for column in grid.columns] for metric in grid.metrics}
        outputs = [self._output(row, at, values) for at in range(len(grid.columns))]
        beside = len(grid.columns) <= _BESIDE
        columns = len(GIVEN) + len(grid.columns) * (2 if beside else 1)
        sorts = [[v if v is None or math.isfinite(v) else _INFINITE for v in some] for some in values.values()]
        return element(
            "article",
            element("h4", row.name, " ", element("small", f"no. {row.listed + 1}")),
            element("div", given, outputs, class_="cells beside" if beside else "cells", style=f"--n:{columns}"),
            class_="pair",
            data_listed=row.listed,
            data_values=json.dumps(sorts),
        )

    def _output(self, row: _Row, at: int, values: Mapping[Metric, Sequence[float | None]]) -> Markup:
        column = self.grid.columns[at]
        apart, alt = _apart(row, column.label), f"error map of {column.label} for {row.name}"
        if isinstance(apart, str):
            error = self._shown(apart, alt)
        else:
            mean = float(apart.mean()) / LEVELS_SUM
            error = self._shown(coloured(apart, self.most), f"{alt}, mean {mean:.3f}")
        output = self._shown(row.outputs[column.label], f"output of {column.label} for {row.name}")
        said = [_value(metric, some, at) for metric, some in values.items() if some[at] is not None]
        return element(
            "figure",
            element("div", output, class_="drawn"),
            element("div", error, class_="error"),
            element("figcaption", element("b", column.label, class_=f"chip {series_class(column.series)}"), " ", said),
            class_="out",
        )

    def _shown(self, picture: Picture | str, alt: str) -> Markup:
        return self.album.shown(picture, alt, self.level)


def _value(metric: Metric, values: Sequence[float | None], at: int) -> Markup:
    """A score, strong where it is the best of several as they are printed."""
    there = [value for value in values if value is not None]
    value = values[at]
    assert value is not None, "only what is there is shown"
    best = max(there) if metric.better == "higher" else min(there)
    printed = metric.said(value)
    leads = printed == metric.said(best) and len({metric.said(one) for one in there}) > 1
    unit = f" {metric.unit}" if metric.unit else ""
    return element("span", f"{metric.label} ", element("strong" if leads else "span", printed), unit, class_="value")


def _legend(most: float) -> Markup:
    bar = np.repeat(colours()[None], 12, axis=0)
    drawn = Album().shown(bar, "the colours of the error maps", LEVELS[0], zoom=False)
    last = f"{most:.2f}" if most >= 1 else f"{most:.2f} and above"
    return element(
        "p",
        "Error maps: |output − target|, the mean over red, green and blue, as a share of the whole range, ",
        element("span", "0 ", drawn, f" {last}", class_="scale"),
        ". The scale is the same for all runs; no more than 0.5 % of all pixels are above it.",
        class_="legend",
    )
