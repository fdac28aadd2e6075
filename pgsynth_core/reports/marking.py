"""How text is written into Markdown and LaTeX: what a sign would mean there is escaped. Floor 2, no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["ARROWS", "latex_row", "latex_text", "markdown_row", "markdown_text"]

ARROWS: Final = {"higher": "↑", "lower": "↓", "": ""}
"""Which way is better, as a sign."""
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


def markdown_row(cells: Iterable[str]) -> str:
    """A row of a table, of cells that are escaped."""
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Text on one line that means nothing to Markdown."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def latex_row(cells: Iterable[str]) -> str:
    """A row of a tabular, of cells that are escaped."""
    return f"{' & '.join(cells)} \\\\"


def latex_text(text: str) -> str:
    """Text on one line that means nothing to LaTeX."""
    escaped = "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))
    return _MINUS.sub("$-$", escaped)
