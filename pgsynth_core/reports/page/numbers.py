"""The tables of the page: what `pgsynth compare` says of the runs, what each table of scores says, the settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pgsynth_core.reports.cells import (
    cell_text,
    difference_text,
    heading,
    legend,
    number_name,
    over_text,
    sections,
    value_text,
    verdict,
)
from pgsynth_core.reports.markup import Child, Markup, element
from pgsynth_core.reports.page.found import Evaluated, Scores
from pgsynth_core.runs.compared import Comparison, Difference, Number, SettingRow
from pgsynth_core.runs.written import number_text

__all__ = ["numbers_part", "scores_part", "settings_part", "table"]

_ARROWS = {"higher": "↑", "lower": "↓", "": ""}


def table(head: Sequence[Child], rows: Iterable[Sequence[Child]], *, caption: str = "") -> Markup:
    """A table whose first column names its rows; it scrolls by itself where it is too wide.

    Args:
        head: A cell for each column.
        rows: Cells of each row.
        caption: What it shows.
    """
    first, *others = head
    top = element("tr", element("th", first, scope="col"), [element("th", one, scope="col") for one in others])
    body = [
        element("tr", element("th", name, scope="row"), [element("td", cell) for cell in cells])
        for name, *cells in rows
    ]
    made = element(
        "table", element("caption", caption) if caption else None, element("thead", top), element("tbody", body)
    )
    return element("div", made, class_="wide", tabindex="0", role="region", aria_label=caption or "table")


# ------------------------------------------------------------------------------------------- compare
def numbers_part(comparison: Comparison, scores: Markup | None = None) -> Markup:
    """The numbers of the comparison, a table for each group, with their definitions and notes.

    Args:
        comparison: What is shown.
        scores: What `scores_part` gave.
    """
    variants = comparison.variants
    heads = [heading(one) for one in variants]
    groups = [part for part in sections(comparison) if isinstance(part.rows[0], Number)]
    tables = [
        table(
            ["", *heads],
            [cells for row in part.rows if isinstance(row, Number) for cells in _number(comparison, row)],
            caption=part.title,
        )
        for part in groups
    ]
    notes = [element("li", note) for note in comparison.notes]
    told = legend(comparison) if len(variants) > 1 else legend(comparison)[:1]
    return element(
        "section",
        element("h2", "Numbers"),
        element("div", tables, class_="tables")
        if tables
        else element("p", "There are none yet: it has taken no step.", class_="note"),
        element("p", " ".join(["↑ higher is better, ↓ lower.", *told]), class_="note") if tables else None,
        _definitions(comparison),
        scores,
        element("div", element("h3", "Notes"), element("ol", notes), class_="notes") if notes else None,
        id="numbers",
    )


def _number(comparison: Comparison, row: Number) -> Iterator[list[Child]]:
    """Its row, and a second one below it where it has differences."""
    cells: list[Child] = [f"{number_name(row)} {_ARROWS.get(row.better, '')}".rstrip()]
    for place, (cell, variant) in enumerate(zip(row.cells, comparison.variants, strict=True)):
        said = cell_text(row, cell, len(variant.counted))
        cells.append(element("strong", said) if place in row.best else said or "–")
    yield cells
    if any(row.differences):
        first = comparison.variants[comparison.against].name
        yield [element("small", f"... from {first}"), *(_difference(row, one) for one in row.differences)]


def _difference(row: Number, difference: Difference | None) -> Markup | None:
    """How far it is from the variant that others are told apart from, over what that is known, and whether clearly."""
    if difference is None:
        return None
    word = verdict(row, difference)
    clear = [", ", element("b", word)] if word else None
    return element("small", difference_text(row, difference), clear, element("br"), f"over {over_text(difference)}")


def _definitions(comparison: Comparison) -> Markup | None:
    """What each number is, and on how many pairs which variant is ahead."""
    first, entries = comparison.variants[0].name, list[Markup]()
    for row in comparison.numbers:
        ahead = [
            f"{variant.name} is better than {first} on {some[0]} of the same {some[1]} pairs."
            for variant, some in zip(comparison.variants, row.ahead, strict=False)
            if some
        ]
        if row.about or ahead:
            entries.append(element("dt", f"{row.name}, {row.group}"))
            entries.append(element("dd", " ".join(filter(None, [row.about, *ahead]))))
    if not entries:
        return None
    return element("details", element("summary", "What these numbers are"), element("dl", entries))


# ------------------------------------------------------------------------------------------- scores
def scores_part(shown: Sequence[tuple[str, Sequence[Evaluated]]]) -> Markup | None:
    """The tables of scores as they lie in the runs' evaluations, by protocol; None without any.

    Args:
        shown: Label of each run, and its evaluations.
    """
    by_title: dict[tuple[str, str], list[tuple[str, Evaluated, Scores]]] = {}
    for label, found in shown:
        for one in found:
            for scores in one.scores:
                by_title.setdefault((one.split, scores.title), []).append((label, one, scores))
    parts = [_scores(f"{split}, {title}", some) for (split, title), some in by_title.items()]
    if not parts:
        return None
    summary = element("summary", "Scores by protocol: every evaluation, with intervals over its pairs")
    return element("details", summary, parts, class_="scores", id="scores")


def _scores(title: str, some: Sequence[tuple[str, Evaluated, Scores]]) -> Markup:
    measures = {name: measure for _, _, scores in some for name, measure in scores.measures.items()}
    head = ["", *(f"{label}, step {one.step:,}" for label, one, _ in some)]
    rows = [["pairs", *(f"{len(scores.values):,}" for _, _, scores in some)]]
    for name, measure in measures.items():
        unit, better = (value if isinstance(value := measure.get(key), str) else "" for key in ("unit", "better"))
        said = f"{name}{f', {unit}' if unit else ''} {_ARROWS.get(better, '')}"
        rows.append([said.rstrip(), *(_mean(name, measure, scores) for _, _, scores in some)])
        if any(name in scores.told("copy_source") for _, _, scores in some):
            copied = [_value(scores.told("copy_source").get(name), measure) for _, _, scores in some]
            rows.append([f"{name} of the source unchanged", *copied])
    missing = {
        f"{name}: {about.get('reason', '')} {about.get('cure', '')}".strip(): None
        for _, _, scores in some
        for name, about in scores.told("not_computed").items()
        if isinstance(about, Mapping)
    }
    entries = [
        (element("dt", f"{name} ({measure.get('id', '')})"), element("dd", str(measure.get("definition", ""))))
        for name, measure in measures.items()
    ]
    return element(
        "section",
        table(head, rows, caption=title),
        element("p", "[ ] is the 95 % interval of the mean over pairs like these.", class_="note"),
        [element("p", f"Not computed, {line}", class_="note") for line in missing],
        element("dl", entries),
    )


def _mean(name: str, measure: Mapping[str, Any], scores: Scores) -> str:
    mean, ends = scores.told("mean"), scores.told("interval95").get(name)
    if name not in mean:
        return "–"
    said = _value(mean[name], measure)
    if isinstance(ends, list) and len(ends) == 2:
        said += f" [{_value(ends[0], measure)}, {_value(ends[1], measure)}]"
    counted = scores.told("counted").get(name)
    return said if counted in (None, len(scores.values)) else f"{said} (n={counted})"


def _value(value: Any, measure: Mapping[str, Any]) -> str:
    if value is None:
        value = math.inf
    if not isinstance(value, int | float):
        return "–"
    digits = measure.get("digits")
    places = digits if isinstance(digits, int) and 0 <= digits < 9 else 2 if measure.get("unit") else 4
    return number_text(value, places)


# ------------------------------------------------------------------------------------------- settings
def settings_part(comparison: Comparison) -> Markup:
    """The settings that differ, and those that are the same folded away."""
    heads = [heading(one) for one in comparison.variants]
    differing = list(_settings(comparison.differing))
    same = list(_settings(row for row in comparison.settings if not row.differs))
    several = len(comparison.variants) > 1
    folded = f"{len(same)} settings that are the same" if several else f"All {len(same) + len(differing)} settings"
    if not several:
        differing, same = [], [*differing, *same]
    return element(
        "section",
        element("h2", "Settings"),
        table(["", *heads], differing, caption="what differs") if differing else None,
        element("p", "No setting differs but the seed.", class_="note") if several and not differing else None,
        element("details", element("summary", folded), table(["", *heads], same)) if same else None,
        id="settings",
    )


def _settings(rows: Iterable[SettingRow]) -> Iterator[list[Child]]:
    for row in rows:
        yield [element("code", row.key), *(value_text(value) for value in row.values)]
