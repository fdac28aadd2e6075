"""Poses in CSV, each form known by its header.

* ``name:keypoints_y:keypoints_x``: the community's, see `tables`; a frame per row.
* ``nose_x,nose_y,left_eye_x,...``: TensorFlow's, COCO's joints by name, with ``nose_score`` too; a person per row.
* ``pose_id,pose_score,keypoint_id,keypoint_score,keypoint_x,keypoint_y``: of detectors, with ``keypoint_label`` in
  place of the id too; a joint per row.

The last two may be in capitals. A column ``file_name`` or ``frame_id`` says which rows are of one frame; without,
every person of a row is a frame, and every ``pose_id`` in one. A joint with a score below `LEAST_SCORE` is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from pgsynth_core.data.poses.frames import Scene, joints_of
from pgsynth_core.data.records import BadRecord, DataError, Keypoints
from pgsynth_core.data.tables import Row, Table, read_annotations, read_table
from pgsynth_core.errors import nearest

__all__ = ["read_csv"]

_COCO_NAMES: Final = (
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
)  # fmt: skip
_WIDE: Final = tuple(f"{name}_{axis}" for name in _COCO_NAMES for axis in "xy")
_SCORES: Final = tuple(f"{name}_score" for name in _COCO_NAMES)
_LONG: Final = ("pose_id", "keypoint_score", "keypoint_x", "keypoint_y")
_FRAMES: Final = ("file_name", "frame_id")
"""Columns that say which frame a row is of."""


def read_csv(path: Path, *, name: str, row: str = "", shown: str = "") -> list[Scene]:
    """The frames of a CSV file.

    Args:
        path: The file.
        name: For frames whose rows have no name.
        row: Only the row or frame of that name; a number from 1 on where they have none.
        shown: How messages call the file.

    Raises:
        DataError: If the file cannot be read, is of none of the forms, holds a bad row, or has no such row.
    """
    shown = shown or str(path)
    header = _header(path, shown)
    if "keypoints_y" in header:
        return _community(path, row, shown)
    folded = {column.casefold() for column in header}
    reader = next((its for columns, its in ((_WIDE, _wide), (_LONG, _long)) if folded.issuperset(columns)), None)
    if reader:
        try:
            return _chosen(_named(reader(_folded(read_table(path, columns=(), shown=shown))), name), row, shown)
        except ValueError as failure:
            raise DataError.of(BadRecord(shown, 0, f"no keypoints in it: {failure}.", "unreadable")) from failure
    cure = "Name the columns name:keypoints_y:keypoints_x; or nose_x,nose_y,left_eye_x,...; or " + ",".join(_LONG) + "."
    reason = f"its first line is the header of no poses: {','.join(header) or 'nothing'!r:.120}."
    raise DataError.of(BadRecord(shown, 1, reason, "unreadable"), cure=cure)


def _header(path: Path, shown: str) -> tuple[str, ...]:
    try:
        with open(path, "rb") as file:
            line = file.readline(65536).decode("utf-8-sig").strip()
    except OSError as failure:
        raise DataError.of(BadRecord(shown, 0, f"it cannot be read: {failure.strerror}.", "unreadable")) from failure
    except UnicodeDecodeError as failure:
        reason = f"it is no table: at its byte {failure.start:,} it is no UTF-8 text."
        raise DataError.of(BadRecord(shown, 0, reason, "unreadable")) from failure
    delimiter = ":" if "keypoints_y" in line and ":" in line else ","
    return tuple(cell.strip().strip('"') for cell in line.split(delimiter))


def _community(path: Path, row: str, shown: str) -> list[Scene]:
    found = read_annotations(path, shown=shown)
    if row:
        if row not in found.lines:
            raise _no_row(row, list(found.lines), shown)
        return [Scene(_stem(row), [found.keypoints(row)])]
    if found.problems:
        raise DataError.of(found.problems)
    return [Scene(_stem(name), [joints]) for name, joints in zip(found.lines, found.joints, strict=True)]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _no_row(row: str, names: Sequence[str], shown: str) -> DataError:
    hit = nearest(row, names)
    cure = f"Did you mean {hit!r}?" if hit else f"The first of its {len(names)}: {', '.join(names[:3])}."
    return DataError.of(BadRecord(shown, 0, f"there is no row {row!r}.", "missing"), cure=cure)


def _folded(table: Table) -> Table:
    """The table with the names of its columns in small letters.

    Raises:
        DataError: If a row of it is bad.
    """
    if table.problems:
        raise DataError.of(table.problems)
    rows = [Row(row.line, {column.casefold(): cell for column, cell in row.cells.items()}) for row in table.rows]
    return replace(table, columns=tuple(map(str.casefold, table.columns)), rows=tuple(rows))


_Frames = dict[str, list[Keypoints]]
"""What a frame is called, a number from 1 on where nothing says it -> the people in it."""


def _named(frames: _Frames, name: str) -> dict[str, Scene]:
    digits = max(4, len(str(len(frames))))
    found = {}
    for number, (key, people) in enumerate(frames.items()):
        plain = name if len(frames) == 1 else f"{name}-{number:0{digits}}"
        found[key] = Scene(plain if key.isdigit() else _stem(key), people)
    return found


def _chosen(scenes: Mapping[str, Scene], row: str, shown: str) -> list[Scene]:
    if row and row not in scenes:
        raise _no_row(row, list(scenes), shown)
    return [scenes[row]] if row else list(scenes.values())


def _frame_of(row: Row, otherwise: int) -> str:
    return next((row.cells[column] for column in _FRAMES if row.cells.get(column)), str(otherwise))


def _wide(table: Table) -> _Frames:
    scored = set(_SCORES) <= set(table.columns)
    columns = [(f"{name}_x", f"{name}_y", *([f"{name}_score"] if scored else [])) for name in _COCO_NAMES]
    frames: _Frames = {}
    for number, row in enumerate(table.rows, start=1):
        points = np.array([[_number(row, column, table.file) for column in joint] for joint in columns])
        frames.setdefault(_frame_of(row, number), []).append(joints_of(points))
    return frames


def _long(table: Table) -> _Frames:
    people: dict[tuple[str, str], np.ndarray] = {}
    for row in table.rows:
        points = people.setdefault((_frame_of(row, 1), row.cells["pose_id"]), np.zeros((17, 3)))
        points[_joint(row, table.file)] = [_number(row, column, table.file) for column in
                                           ("keypoint_x", "keypoint_y", "keypoint_score")]  # fmt: skip
    frames: _Frames = {}
    for (frame, _), points in people.items():
        frames.setdefault(frame, []).append(joints_of(points))
    return frames


def _joint(row: Row, shown: str) -> int:
    label = row.cells.get("keypoint_label", row.cells.get("keypoint_id", "")).lower()
    if label in _COCO_NAMES:
        return _COCO_NAMES.index(label)
    if label.isdigit() and int(label) < len(_COCO_NAMES):
        return int(label)
    reason = f"{label!r} is no joint of COCO's: a number from 0 to 16, or one of {', '.join(_COCO_NAMES)}."
    raise DataError.of(BadRecord(shown, row.line, reason))


def _number(row: Row, column: str, shown: str) -> float:
    try:
        return float(row.cells[column])
    except ValueError:
        reason = f"{column} is a number; given: {row.cells[column]!r:.40}."
        raise DataError.of(BadRecord(shown, row.line, reason)) from None
