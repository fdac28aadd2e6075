"""A comparison of runs as text: Markdown, LaTeX, CSV; and as plain data."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from pgsynth_core.reports.cells import (
    cell_text,
    difference_text,
    heading,
    legend,
    number_name,
    over_text,
    sections,
    value_text,
)
from pgsynth_core.reports.marking import ARROWS, latex_row, latex_text, markdown_row, markdown_text
from pgsynth_core.runs.compared import ABSENT, Comparison, Difference, Number, SettingRow, Variant
from pgsynth_core.runs.written import inert

__all__ = ["FORMATS", "comparison_facts", "comparison_text"]

_CLEAR: Final = "A difference in bold is clear of zero."
_DIFFERENCE: Final = ("against", "difference", "low", "high", "over", "pairs")


def comparison_text(comparison: Comparison, form: str, *, all_settings: bool = False) -> str:
    """The comparison in one of `FORMATS`, without a line break at its end.

    Args:
        comparison: What is written.
        form: One of `FORMATS`.
        all_settings: Whether identical settings are in it.
    """
    return FORMATS[form](comparison, all_settings).rstrip("\n")


# ------------------------------------------------------------------------------------------- Markdown
def _markdown(comparison: Comparison, all_settings: bool) -> str:
    variants = comparison.variants
    lines = [f"- **{one.name}**: {_ids(one, '`')}, {markdown_text(_seeds(one.seeds))}" for one in variants]
    for section in sections(comparison, all_settings=all_settings):
        head = [section.title, *map(heading, variants)]
        lines += ["", markdown_row(map(markdown_text, head)), markdown_row([":--", *["--:"] * len(variants)])]
        lines += [
            markdown_row(cells) for row in section.rows for cells in _lines(comparison, row, markdown_text, "**{}**")
        ]
    told = [*(f"[{number}] {note}" for number, note in enumerate(comparison.notes, 1)), *_legend(comparison)]
    return "\n".join([*lines, "", *(f"- {markdown_text(line)}" for line in told)])


def _seeds(seeds: Iterable[Any]) -> str:
    return f"seed {' '.join(', '.join(map(str, seeds)).split())}"


def _ids(variant: Variant, quote: str = "") -> str:
    """Its runs in one line, whatever their folders are called."""
    ids = (" ".join(run.id.split()) for run in variant.runs)
    return ", ".join(f"{quote}{one.replace(quote, '') if quote else one}{quote}" for one in ids)


def _legend(comparison: Comparison) -> list[str]:
    return [*legend(comparison), *([_CLEAR] if comparison.differences else [])]


def _lines(
    comparison: Comparison, row: SettingRow | Number, escaped: Callable[[str], str], strong: str
) -> Iterator[Iterator[str]]:
    """A row, and a second one below it where it has differences."""
    yield _cells(comparison, row, escaped, strong)
    if isinstance(row, Number) and any(row.differences):
        yield _difference_cells(comparison, row, escaped, strong)


def _difference_cells(comparison: Comparison, row: Number, escaped: Callable[[str], str], clear: str) -> Iterator[str]:
    """What the intervals are over is said once, where it is the same."""
    over = {over_text(one) for one in row.differences if one}
    common = f" ({', '.join(over)})" if len(over) == 1 else ""
    yield escaped(f"... from {comparison.variants[comparison.against].name}{common}")
    for one in row.differences:
        own = f" ({over_text(one)})" if one and not common else ""
        text = escaped(difference_text(row, one) + own)
        yield clear.format(text) if one and one.clear else text


def _cells(comparison: Comparison, row: SettingRow | Number, escaped: Callable[[str], str], best: str) -> Iterator[str]:
    """Name and cells of a row, escaped; the better ones as told."""
    if isinstance(row, SettingRow):
        yield escaped(row.key)
        yield from (escaped(value_text(value)) for value in row.values)
        return
    yield escaped(f"{number_name(row)} {ARROWS[row.better]}".rstrip())
    for place, (cell, variant) in enumerate(zip(row.cells, comparison.variants, strict=True)):
        text = escaped(cell_text(row, cell, len(variant.counted)))
        yield best.format(text) if place in row.best else text


# ------------------------------------------------------------------------------------------- LaTeX
def _latex(comparison: Comparison, all_settings: bool) -> str:
    """A tabular; what it needs and what is to be known of it stands in comments."""
    variants = comparison.variants
    lines = ["% \\usepackage{booktabs}"]
    lines += [f"% {one.name}: {_ids(one)}, {_seeds(one.seeds)}" for one in variants]
    lines += [f"% [{number}] {' '.join(note.split())}" for number, note in enumerate(comparison.notes, 1)]
    lines += [f"% {sentence}" for sentence in _legend(comparison)]
    lines += [f"\\begin{{tabular}}{{l{'r' * len(variants)}}}", "\\toprule"]
    lines.append(latex_row(["", *(latex_text(heading(one)) for one in variants)]))
    for section in sections(comparison, all_settings=all_settings):
        title = f"\\multicolumn{{{len(variants) + 1}}}{{l}}{{\\emph{{{latex_text(section.title)}}}}}"
        lines += ["\\midrule", f"{title} \\\\"]
        for row in section.rows:
            lines += [latex_row(cells) for cells in _lines(comparison, row, latex_text, "\\textbf{{{}}}")]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


# ------------------------------------------------------------------------------------------- CSV
def _csv(comparison: Comparison, all_settings: bool) -> str:
    """One line for each setting and number of each variant, at full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["section", "name", "unit", "variant", "runs", "value", "spread", "n", "better", "best", "notes", *_DIFFERENCE]
    )
    for section in sections(comparison, all_settings=all_settings):
        for row in section.rows:
            for place, variant in enumerate(comparison.variants):
                runs = " ".join(run.id for run in variant.counted)
                if isinstance(row, SettingRow):
                    value = row.values[place]
                    said = "" if value is ABSENT else value_text(value)
                    facts = [variant.name, runs, said, "", "", "", "", "", *_no_difference()]
                    writer.writerow(map(inert, [section.title, row.key, "", *facts]))
                elif cell := row.cells[place]:
                    spread = "" if cell.spread is None else repr(cell.spread)
                    best, notes = "yes" if place in row.best else "", " ".join(map(str, row.notes))
                    facts = [variant.name, runs, repr(cell.mean), spread, str(cell.n), row.better, best, notes]
                    facts += _difference_columns(comparison, row, place)
                    writer.writerow(map(inert, [section.title, row.name, row.unit, *facts]))
    return text.getvalue()


def _difference_columns(comparison: Comparison, row: Number, place: int) -> list[str]:
    found = row.differences[place] if row.differences else None
    if found is None:
        return _no_difference()
    numbers = map(repr, (found.mean, found.low, found.high))
    return [comparison.variants[comparison.against].name, *numbers, found.over, str(found.pairs or "")]


def _no_difference() -> list[str]:
    return [""] * len(_DIFFERENCE)


FORMATS: Final[Mapping[str, Callable[[Comparison, bool], str]]] = {
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
}


# ------------------------------------------------------------------------------------------- plain data
def comparison_facts(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data, all of it fit for JSON: what is not finite is None."""
    names = [variant.name for variant in comparison.variants]
    variants = [
        {
            "name": variant.name,
            "runs": [
                {
                    "run": run.id,
                    "path": str(run.folder.path),
                    "seed": seed,
                    "state": run.state,
                    "step": run.step,
                    "counts": run.id not in variant.stands_in,
                }
                for run, seed in zip(variant.runs, variant.seeds, strict=True)
            ],
        }
        for variant in comparison.variants
    ]
    settings = [
        {
            "key": row.key,
            "differs": row.differs,
            "values": {name: value for name, value in zip(names, row.values, strict=True) if value is not ABSENT},
        }
        for row in comparison.settings
    ]
    return {
        "variants": variants,
        "against": names[comparison.against],
        "settings": settings,
        "numbers": [_number_facts(number, names) for number in comparison.numbers],
        "notes": list(comparison.notes),
    }


def _number_facts(number: Number, names: list[str]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, cell in zip(names, number.cells, strict=True):
        if cell:
            values = {run: _finite(value) for run, value in cell.values.items()}
            spread = None if cell.spread is None else _finite(cell.spread)
            cells[name] = {"mean": _finite(cell.mean), "spread": spread, "n": cell.n, "values": values}
    ahead = {
        name: {"pairs": some[1], "better": some[0]} for name, some in zip(names, number.ahead, strict=False) if some
    }
    differences = {name: _difference_facts(one) for name, one in zip(names, number.differences, strict=False) if one}
    facts = {name: getattr(number, name) for name in ("group", "name", "unit", "better", "compares", "about")}
    best = [names[place] for place in sorted(number.best)]
    apart = {"ahead": ahead, "differences": differences}
    return {**facts, "cells": cells, "best": best, **apart, "notes": list(number.notes)}


def _difference_facts(one: Difference) -> dict[str, Any]:
    facts = {name: getattr(one, name) for name in ("mean", "low", "high", "over", "clear", "pairs", "matched")}
    return {**facts, "runs": list(one.runs)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
