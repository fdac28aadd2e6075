"""What reaches the terminal: text that cannot harm it, colours only where somebody sees them, rich only when needed.

Results go to stdout, everything said about them to stderr. Text of other people (manifests, files, exceptions) passes
through `visible`, so that it cannot move the cursor or forge lines.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

Stream = Literal["stdout", "stderr"]

STYLES: Final[Mapping[str, str]] = {
    "error": "1;31",
    "warning": "33",
    "good": "32",
    "place": "36",
    "strong": "1",
    "faint": "2",
}
"""Names of styles to ANSI codes; the first sixteen colours only, which every terminal maps to its own theme."""

_PLAIN_LINES: Final = str.maketrans({"├": "|", "└": "`", "│": "|", "─": "-", "→": ">", "…": "~", "·": "-"})


def visible(text: object) -> str:
    """The text with every character that is not shown as itself written out, line breaks and tabs left."""
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in str(text))


def one_line(text: object) -> str:
    """As `visible`, on one line."""
    return " ".join(visible(text).split())


_results: list[Any] = []
"""stdout, while `only_results` keeps it from others."""


def _file(stream: Stream) -> Any:
    """The stream as it is now: tests and callers may have put another in its place."""
    return _results[-1] if stream == "stdout" and _results else getattr(sys, stream)


class _Besides(io.TextIOBase):
    """Hands what is printed on to stderr as it is then; whether anybody reads it is nobody's trouble."""

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()

    def fileno(self) -> int:
        return sys.stderr.fileno()


@contextmanager
def only_results() -> Iterator[None]:
    """Keep stdout for results: what Python code of a part or a library prints meanwhile goes to stderr."""
    _results.append(_file("stdout"))
    before, sys.stdout = sys.stdout, _Besides()
    try:
        yield
    finally:
        sys.stdout = before
        _results.pop()


def is_terminal(stream: Stream) -> bool:
    """Whether somebody sits behind the stream."""
    return bool(_file(stream).isatty())


def coloured(stream: Stream) -> bool:
    """Whether colours may go to the stream: a terminal, no ``NO_COLOR`` (https://no-color.org), no dumb terminal."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, style: str, stream: Stream) -> str:
    """The text in a style of `STYLES`, where the stream shows colours."""
    return f"\033[{STYLES[style]}m{text}\033[0m" if coloured(stream) else text


def write(text: str, stream: Stream) -> None:
    """A line to the stream; what its encoding cannot hold is written out.

    Raises:
        OSError: If the result cannot be written; BrokenPipeError, if nobody reads it any more. What is said about the
            work goes nowhere then, and the work goes on: training takes days, and whoever listened may have left.
    """
    file = _file(stream)
    encoding = file.encoding or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.translate(_PLAIN_LINES)
    try:
        file.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    except OSError:  # nobody reads it, the terminal is closed, the disk of a log is full
        if stream == "stdout":  # the rest of the result has nowhere to go
            raise
        abandon(stream)


def abandon(stream: Stream) -> None:
    """Point a stream that nobody reads to nowhere: the work goes on, and Python does not complain when it ends."""
    try:
        descriptor = _file(stream).fileno()
    except (OSError, ValueError):  # a captured stream has none
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def say(text: str = "") -> None:
    """A line of the result, to stdout."""
    write(text, "stdout")


def tell(text: str = "") -> None:
    """A line about the work, to stderr."""
    write(text, "stderr")


def say_json(facts: Mapping[str, Any]) -> None:
    """The result as JSON, to stdout: plain ASCII, two spaces, keys in the order given."""
    say(json.dumps(facts, indent=2, default=_plain))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str) else str(value)


# ------------------------------------------------------------------------------------------- with rich, if seen
def rich_console(stream: Stream) -> Any:
    """rich's console on the stream; imported only here, by whoever draws for a terminal."""
    from rich.console import Console

    return Console(file=_file(stream), highlight=False, emoji=False, markup=False, no_color=not coloured(stream))


@contextmanager
def progress(doing: str) -> Iterator[None]:
    """A spinner on stderr while something takes seconds; nothing where nobody would see it."""
    if not is_terminal("stderr"):
        yield
        return
    with rich_console("stderr").status(doing):
        yield


_LEAST_WIDTH: Final = 40
"""Columns of the terminal that the longest column and all gaps need at least."""


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        title: Above it; empty for none.
        head: Heading of each column.
        rows: Cells of each row, as many as headings.
    """

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def lines(self) -> Iterator[str]:
        """The table as aligned text, nothing cut off."""
        cells = [tuple(one_line(cell) for cell in row) for row in (self.head, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        if self.title:
            yield visible(self.title)
        for row in cells:
            padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield "  " + "  ".join(padded).rstrip()


def _words_of(table: Table, column: int) -> list[str]:
    return " ".join(one_line(row[column]) for row in (table.head, *table.rows)).split()


def draw_table(table: Table, stream: Stream = "stdout") -> None:
    """A table, to stdout unless told: on a terminal its long cells wrap, elsewhere every row is one line.

    With room, only the longest column wraps; without, every column but the names in the first.
    """
    if not is_terminal(stream):
        for line in table.lines():
            write(line, stream)
        return
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    console = rich_console(stream)
    widths = [max(len(one_line(row[place])) for row in (table.head, *table.rows)) for place in range(len(table.head))]
    longest = widths.index(max(widths))
    if sum(widths) - widths[longest] + _LEAST_WIDTH <= console.width:
        whole = [place != longest for place in range(len(widths))]
    else:
        whole = [place == 0 and width <= console.width // 3 for place, width in enumerate(widths)]
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    words = [max(map(len, _words_of(table, place)), default=0) for place in range(len(table.head))]
    if sum(words) + 2 * len(words) + 2 > console.width:  # somewhere a word has to be broken: rich decides
        words = [0] * len(words)
    for name, unbroken, least in zip(table.head, whole, words, strict=True):
        drawn.add_column(name, overflow="fold", no_wrap=unbroken, min_width=least)
    for row in table.rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    if table.title:
        console.print(Text(visible(table.title), style="bold"))
    console.print(Padding(drawn, (0, 0, 0, 2)))
