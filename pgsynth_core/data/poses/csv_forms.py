"""Poses in CSV, each form known by its header.

* ``name:keypoints_y:keypoints_x``: the community's, see `tables`; a frame per row.
* ``nose_x,nose_y,left_eye_x,...``: TensorFlow's, COCO's joints by name; a frame per row.
* ``pose_id,pose_score,keypoint_id,keypoint_score,keypoint_x,keypoint_y``: of detectors, with ``keypoint_label`` in
  place of the id too; a joint per row, and every pose of the file in one frame.
"""

from __future__ import annotations

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
_LONG: Final = ("pose_id", "keypoint_score", "keypoint_x", "keypoint_y")


def read_csv(path: Path, *, name: str, row: str = "", shown: str = "") -> list[Scene]:
    """The frames of a CSV file.

    Args:
        path: The file.
        name: For frames whose rows have no name.
        row: Only the row of that name; a number from 1 on where rows have none.
        shown: How messages call the file.

    Raises:
        DataError: If the file cannot be read, is of none of the forms, holds a bad row, or has no such row.
    """
    shown = shown or str(path)
    header = _header(path, shown)
    if "keypoints_y" in header:
        return _community(path, row, shown)
    try:
        if set(_WIDE) <= set(header):
            return _chosen(_wide(read_table(path, columns=_WIDE, shown=shown), name), row, shown)
        if set(_LONG) <= set(header):
            return _chosen([_long(read_table(path, columns=_LONG, shown=shown), name)], row, shown)
    except ValueError as failure:
        raise DataError.of(BadRecord(shown, 0, f"no keypoints in it: {failure}.", "unreadable")) from failure
    cure = "Name the columns name:keypoints_y:keypoints_x; or nose_x,nose_y,left_eye_x,...; or " + ",".join(_LONG) + "."
    reason = f"its first line is the header of no poses: {','.join(header) or 'nothing'!r:.120}."
    raise DataError.of(BadRecord(shown, 1, reason, "unreadable"), cure=cure)


def _header(path: Path, shown: str) -> tuple[str, ...]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            line = file.readline(65536).strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise DataError.of(BadRecord(shown, 0, f"it is no UTF-8 text: {failure}.", "unreadable")) from failure
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


def _no_row(row: str, names: list[str], shown: str) -> DataError:
    hit = nearest(row, names)
    cure = f"Did you mean {hit!r}?" if hit else f"The first of its {len(names)}: {', '.join(names[:3])}."
    return DataError.of(BadRecord(shown, 0, f"there is no row {row!r}.", "missing"), cure=cure)


def _chosen(scenes: list[Scene], row: str, shown: str) -> list[Scene]:
    numbers = [str(number) for number in range(1, len(scenes) + 1)]
    if row and row not in numbers:
        raise _no_row(row, numbers, shown)
    return [scenes[int(row) - 1]] if row else scenes


def _wide(table: Table, name: str) -> list[Scene]:
    _refuse(table)
    digits = max(4, len(str(len(table.rows))))
    scenes = []
    for number, row in enumerate(table.rows):
        flat = [_number(row, column, table.file) for column in _WIDE]
        joints = joints_of(np.array(flat).reshape(17, 2))
        scenes.append(Scene(f"{name}-{number:0{digits}}" if len(table.rows) > 1 else name, [joints]))
    return scenes


def _long(table: Table, name: str) -> Scene:
    _refuse(table)
    people: dict[str, np.ndarray] = {}
    for row in table.rows:
        points = people.setdefault(row.cells["pose_id"], np.zeros((17, 3)))
        points[_joint(row, table.file)] = [_number(row, column, table.file) for column in
                                           ("keypoint_x", "keypoint_y", "keypoint_score")]  # fmt: skip
    found: list[Keypoints] = [joints_of(points) for points in people.values()]
    return Scene(name, found)


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


def _refuse(table: Table) -> None:
    if table.problems:
        raise DataError.of(table.problems)
