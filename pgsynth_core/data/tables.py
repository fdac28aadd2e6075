"""Tables of a dataset: CSV with a header, and the community's keypoint lists in it. Every bad row is named.

The community's annotation file is delimited by ``:`` with columns ``name``, ``keypoints_y``, ``keypoints_x``, the last
two JSON lists of 18 in OpenPose-18 order with -1 for a missing joint; its pairs file is delimited by ``,`` with columns
``from`` and ``to``.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from pgsynth_core.data.formats import FAR, PIXEL_CENTRE
from pgsynth_core.data.records import BadRecord, DataError, Keypoints
from pgsynth_core.errors import nearest

__all__ = ["Annotations", "Row", "Table", "read_annotations", "read_table"]

_NAME, _ROWS, _COLUMNS = "name", "keypoints_y", "keypoints_x"
_MISSING: Final = -1


@dataclass(frozen=True)
class Row:
    """One row: its line in the file, the header being line 1, and its cells by column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A CSV file.

    Attributes:
        file: How messages call it.
        columns: The header.
        rows: Rows with as many cells as the header.
        problems: The other rows.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[BadRecord, ...] = ()


def read_table(path: Path, *, columns: Sequence[str], delimiter: str = ",", shown: str = "") -> Table:
    """A CSV file in UTF-8 with a header; empty lines are passed over, blanks around a cell do not count.

    Args:
        path: The file.
        columns: What the header must hold, in any order; more is allowed.
        delimiter: Between cells.
        shown: How messages call the file; its name if empty.

    Raises:
        DataError: If the file is missing or no text, or its header lacks a column; rows are never fatal here.
    """
    named = shown or path.name
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        near = nearest(path.name, (file.name for file in path.parent.glob("*") if file.is_file()))
        cure = f"Did you mean {near!r}?" if near else ""
        raise DataError.of(BadRecord(named, 0, "there is no such file.", "missing"), cure=cure) from None
    except IsADirectoryError:
        within = ", ".join(sorted(file.name for file in path.glob("*.csv"))[:3])
        reason = f"it is a folder, not a table{f'; it holds {within}' if within else ''}."
        raise DataError.of(BadRecord(named, 0, reason, "unreadable"), cure=_wanted(columns)) from None
    except OSError as failure:
        raise DataError.of(BadRecord(named, 0, f"it cannot be read: {failure.strerror}.", "unreadable")) from failure
    except UnicodeDecodeError as failure:
        reason = f"it is no table: at its byte {failure.start:,} it is no UTF-8 text."
        raise DataError.of(BadRecord(named, 0, reason, "unreadable"), cure=_wanted(columns)) from failure
    lines = text.splitlines()
    try:
        header = tuple(cell.strip() for cell in _cells(lines[0], delimiter)) if lines else ()
    except csv.Error as failure:
        raise DataError.of(BadRecord(named, 1, _no_cells(failure), "unreadable")) from failure
    if lost := [column for column in columns if column not in header]:
        cure = f"Name the columns in its first line: {delimiter.join(columns)}."
        raise DataError.of(BadRecord(named, 1, _header_reason(lost, header, delimiter)), cure=cure)
    rows, problems = [], []
    for line, text in enumerate(lines[1:], start=2):
        if not text.strip():
            continue
        try:
            cells = _cells(text, delimiter)
        except csv.Error as failure:
            problems.append(BadRecord(named, line, _no_cells(failure)))
            continue
        if len(cells) == len(header):
            rows.append(Row(line, dict(zip(header, map(str.strip, cells), strict=True))))
        else:
            reason = f"{len(cells)} cells between {delimiter!r}; the header has {len(header)}."
            problems.append(BadRecord(named, line, reason))
    return Table(named, header, tuple(rows), tuple(problems))


def _wanted(columns: Sequence[str]) -> str:
    return f"Give a file with the columns {', '.join(columns)}." if columns else "Give a CSV file."


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of a line. Quotes count only between commas: the community's lists hold none."""
    return next(csv.reader([line])) if delimiter == "," and '"' in line else line.split(delimiter)


def _no_cells(failure: csv.Error) -> str:
    return f"it cannot be split into cells: {failure}."


def _header_reason(lost: Sequence[str], header: Sequence[str], delimiter: str) -> str:
    hints = [f"{hit!r} is there" for column in lost if (hit := nearest(column, header))]
    found = ", ".join(map(repr, header)) or "nothing"
    reason = f"the header lacks {', '.join(map(repr, lost))}; it holds {found} between {delimiter!r}"
    return f"{reason} ({'; '.join(hints)})." if hints else f"{reason}."


# ------------------------------------------------------------------------------------------- keypoint lists
@dataclass(frozen=True, eq=False)
class Annotations:
    """Keypoints by photo.

    Attributes:
        file: How messages call the file.
        lines: Name of a photo -> line of its row, in the file's order.
        joints: One `Keypoints` per name, in that order, in the pixels of the space the table is written in.
        problems: Rows that could not be used.
    """

    file: str
    lines: Mapping[str, int]
    joints: Float32[np.ndarray, "photos 18 3"]
    problems: tuple[BadRecord, ...] = ()
    _places: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {name: place for place, name in enumerate(self.lines)})

    def keypoints(self, name: str, *, scale: tuple[float, float] = (1.0, 1.0)) -> Keypoints:
        """The joints of a photo.

        Args:
            name: As in the table.
            scale: (y, x) from the table's pixels to those wanted.

        Raises:
            KeyError: If the table has no such photo.
        """
        return np.asarray(self.joints[self._places[name]] * np.array([scale[1], scale[0], 1], np.float32))

    def having(self, joints: Sequence[int]) -> frozenset[str]:
        """Names of the photos in which all of these joints are known."""
        known = np.atleast_1d((self.joints[:, list(joints), 2] > 0).all(axis=1)).tolist()
        return frozenset(name for name, has in zip(self.lines, known, strict=True) if has)

    def empty(self) -> tuple[str, ...]:
        """Names of the photos without a single joint."""
        some = np.atleast_1d((self.joints[:, :, 2] > 0).any(axis=1)).tolist()
        return tuple(name for name, has in zip(self.lines, some, strict=True) if not has)


def read_annotations(path: Path, *, shown: str = "") -> Annotations:
    """The community's annotation file. The first row of a photo counts; a second one is a problem.

    Raises:
        DataError: If the file is missing or no text, or its header lacks a column.
    """
    table = read_table(path, columns=(_NAME, _ROWS, _COLUMNS), delimiter=":", shown=shown)
    lines: dict[str, int] = {}
    points: list[tuple[list[Any], list[Any]]] = []
    problems = list(table.problems)
    for row in table.rows:
        try:
            name = _new_name(row.cells[_NAME], lines)
            points.append((_numbers(row.cells[_COLUMNS]), _numbers(row.cells[_ROWS])))
            lines[name] = row.line
        except ValueError as failure:
            problems.append(BadRecord(table.file, row.line, f"{failure}."))
    places = np.array(points, np.float64).reshape(-1, 2, 18)
    known = (places != _MISSING).all(axis=1)
    joints = np.zeros((len(points), 18, 3), np.float32)
    joints[..., :2] = np.where(known[..., None], places.transpose(0, 2, 1) + PIXEL_CENTRE, 0)
    joints[..., 2] = known
    return Annotations(table.file, lines, joints, tuple(problems))


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number of pixels")


_DECODER: Final = json.JSONDecoder(parse_constant=_refused)
"""One for all rows: `json.loads` would build one for each of a hundred thousand lists."""


def _new_name(name: str, lines: Mapping[str, int]) -> str:
    if not name:
        raise ValueError("the name is empty")
    if name in lines:
        raise ValueError(f"{name} has a row already, line {lines[name]}")
    return name


def _numbers(text: str) -> list[Any]:
    try:
        numbers: Any = _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError) as failure:
        raise ValueError(f"no JSON list of 18 numbers: {text!r:.60}") from failure
    if not isinstance(numbers, list) or len(numbers) != 18:
        given = f"{len(numbers)}" if isinstance(numbers, list) else f"{text!r:.60}"
        raise ValueError(f"a list of 18 numbers is wanted, one per joint; given: {given}")
    if not set(map(type, numbers)) <= {int, float} or max(numbers) > FAR or min(numbers) < -FAR:
        raise ValueError(f"a joint's place is a number of pixels; given: {text!r:.120}")
    return numbers
