"""Leaderboards as text: cells for a terminal, Markdown, LaTeX, CSV; and as plain data. Floor 2, no torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pgsynth_core.reports.board import Board, Line
from pgsynth_core.reports.marking import ARROWS, latex_row, latex_text, markdown_row, markdown_text
from pgsynth_core.runs.written import inert, number_text

__all__ = [
    "BOARD_FORMATS",
    "MISSING",
    "board_cells",
    "board_facts",
    "board_head",
    "board_title",
    "board_told",
    "boards_text",
]

MISSING: Final = "-"
YOURS: Final = "> "
"""Before the name of what is not published."""


def board_title(board: Board) -> str:
    """What a board is: dataset, size, protocol, order."""
    column = board.columns[board.metric]
    place = " ".join(filter(None, (board.dataset, board.size)))
    title = f"{board.title}: " if board.title else ""
    return f"{title}{place}, ranked by {board.metric} ({column.better} is better) of {board.protocol}"


def board_head(board: Board) -> tuple[str, ...]:
    """Headings: rank, method, where published, settings of an ablation, metrics with unit and notes."""
    heads = []
    for name, column in board.columns.items():
        unit = f" ({column.unit})" if column.unit else ""
        heads.append(f"{column.title}{unit} {ARROWS[column.better]}{_signs(board.heads.get(name, ()))}")
    return ("#", "method", "published", *_settings(board), *heads)


def board_cells(board: Board, line: Line) -> tuple[str, ...]:
    """The cells of a row, as many as headings; a dash for what is missing."""
    name = f"{YOURS if line.yours else ''}{line.name}{line.mark}{_signs(line.notes)}"
    values = [_value(board, line, column) for column in board.columns]
    settings = [line.settings.get(key, MISSING) for key in _settings(board)]
    return (str(line.rank or MISSING), name, line.venue or MISSING, *settings, *values)


def _settings(board: Board) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for line in (*board.ranked, *board.apart) for key in line.settings))


def _value(board: Board, line: Line, name: str) -> str:
    if name not in line.values:
        return MISSING
    return number_text(line.values[name], board.columns[name].digits) + _signs(line.cells.get(name, ()))


def _signs(notes: Sequence[int]) -> str:
    return f" [{', '.join(map(str, notes))}]" if notes else ""


def boards_text(boards: Sequence[Board], form: str) -> str:
    """Boards in one of `BOARD_FORMATS`, without a line break at the end."""
    return BOARD_FORMATS[form](boards).rstrip("\n")


def board_told(board: Board) -> Iterator[str]:
    """What stands below a board: notes by their numbers, remarks, sources."""
    yield from (f"[{number}] {note}" for number, note in enumerate(board.notes, 1))
    yield from board.remarks
    sources = dict.fromkeys(line.source for line in (*board.ranked, *board.apart) if not line.yours)
    if sources:
        yield f"Sources: {'; '.join(sources)}."


# ------------------------------------------------------------------------------------------- Markdown
def _markdown(boards: Sequence[Board]) -> str:
    lines: list[str] = []
    for board in boards:
        head = board_head(board)
        lines += ["", f"**{markdown_text(board_title(board))}**", "", markdown_row(map(markdown_text, head))]
        lines.append(markdown_row(["--:", ":--", ":--", *["--:"] * (len(head) - 3)]))
        lines += [markdown_row(_marked_down(board, line)) for line in board.ranked]
        if board.apart:
            lines.append(markdown_row(["", "*not comparable:*", *[""] * (len(head) - 2)]))
            lines += [markdown_row(_marked_down(board, line)) for line in board.apart]
        lines += ["", *(f"- {markdown_text(text)}" for text in board_told(board))]
    return "\n".join(lines[1:])


def _marked_down(board: Board, line: Line) -> Iterator[str]:
    for place, cell in enumerate(board_cells(board, line)):
        own = line.yours and place == 1
        yield f"**{markdown_text(cell.removeprefix(YOURS))}**" if own else markdown_text(cell)


# ------------------------------------------------------------------------------------------- LaTeX
def _latex(boards: Sequence[Board]) -> str:
    """A tabular each; what must be known stands in comments, and below it in the numbers of notes."""
    lines = ["% \\usepackage{booktabs,xcolor}"]
    for board in boards:
        head = board_head(board)
        lines += [
            f"% {' '.join(board_title(board).split())}",
            *(f"% {' '.join(text.split())}" for text in board_told(board)),
        ]
        lines += [f"\\begin{{tabular}}{{rll{'r' * (len(head) - 3)}}}", "\\toprule"]
        lines += [latex_row(map(_latex_cell, head)), "\\midrule"]
        lines += [latex_row(_latex_cells(board, line)) for line in board.ranked]
        if board.apart:
            lines.append("\\midrule")
            lines += [
                latex_row(f"\\textcolor{{gray}}{{{cell}}}" for cell in _latex_cells(board, line))
                for line in board.apart
            ]
        lines += ["\\bottomrule", "\\end{tabular}", ""]
    return "\n".join(lines)


def _latex_cells(board: Board, line: Line) -> Iterator[str]:
    for place, cell in enumerate(board_cells(board, line)):
        own = line.yours and place == 1
        yield f"\\textbf{{{_latex_cell(cell.removeprefix(YOURS))}}}" if own else _latex_cell(cell)


def _latex_cell(text: str) -> str:
    return latex_text(text).replace("†", r"\dag{}").replace("‡", r"\ddag{}")


# ------------------------------------------------------------------------------------------- CSV
_FIXED: Final = ("dataset", "size", "protocol", "rank", "method", "yours", "published", "way", "pairs", "mark")


def _csv(boards: Sequence[Board]) -> str:
    """A line for each row of each board, at full precision."""
    metrics = list(dict.fromkeys(name for board in boards for name in board.columns))
    settings = list(dict.fromkeys(key for board in boards for key in _settings(board)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIXED, *settings, *metrics, "notes", "source"])
    for board in boards:
        for line in (*board.ranked, *board.apart):
            fixed = [board.dataset, board.size, board.protocol, line.rank or "", line.name]
            fixed += ["yes" if line.yours else "", line.venue, line.way, line.pairs or "", line.mark]
            values = [repr(line.values[name]) if name in line.values else "" for name in metrics]
            given = [line.settings.get(key, "") for key in settings]
            notes = [*line.notes, *(note for some in line.cells.values() for note in some)]
            told = " ".join(board.notes[note - 1] for note in dict.fromkeys(notes))
            writer.writerow([inert(str(cell)) for cell in (*fixed, *given, *values, told, line.source)])
    return text.getvalue()


BOARD_FORMATS: Final[Mapping[str, Callable[[Sequence[Board]], str]]] = {
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
}


# ------------------------------------------------------------------------------------------- plain data
def board_facts(board: Board) -> dict[str, Any]:
    """A board as plain data, all of it fit for JSON: what is infinite is None, and what is missing absent."""
    return {
        "dataset": board.dataset,
        "size": board.size,
        "protocol": board.protocol,
        "metric": board.metric,
        "columns": {
            name: {"better": column.better, "unit": column.unit, "notes": list(board.heads.get(name, ()))}
            for name, column in board.columns.items()
        },
        "ranked": [_line_facts(line) for line in board.ranked],
        "apart": [_line_facts(line) for line in board.apart],
        "notes": list(board.notes),
        "remarks": list(board.remarks),
    }


def _line_facts(line: Line) -> dict[str, Any]:
    plain = (
        *("name", "rank", "yours", "way", "implied", "own"),
        *("venue", "mark", "copied", "reevaluated", "pairs", "source"),
    )
    return {
        **{key: getattr(line, key) for key in plain},
        "settings": dict(line.settings),
        "values": {name: value if math.isfinite(value) else None for name, value in line.values.items()},
        "notes": list(line.notes),
        "value_notes": {name: list(notes) for name, notes in line.cells.items()},
    }
