"""Text of other people inside Markdown, LaTeX and CSV, where it can be taken for nothing but text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["inert", "latex_row", "latex_text", "markdown_row", "markdown_text"]

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>|#~])")
_MINUS: Final = re.compile(r"(?<![^\s\[])-(?=\d)")
_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def markdown_text(text: str) -> str:
    """The text on one line, every sign that Markdown knows escaped."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def markdown_row(cells: Iterable[str]) -> str:
    """A row of a table, of cells that are escaped already."""
    return f"| {' | '.join(cells)} |"


def latex_text(text: str) -> str:
    """The text on one line, every sign that LaTeX knows escaped."""
    escaped = "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))
    return _MINUS.sub("$-$", escaped)


def latex_row(cells: Iterable[str]) -> str:
    """A row of a tabular, of cells that are escaped already."""
    return f"{' & '.join(cells)} \\\\"


def inert(cell: str) -> str:
    """A cell of CSV: what a spreadsheet would take for a formula, behind an apostrophe; a number stays one."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
