"""Keypoint formats to OpenPose-18 and back: COCO-17, OpenPose JSON of 18 or 25 joints, DWPose.

The community's joint lists in CSV are read by `tables`.

Files count pixels from 0 at the *centre* of the first pixel, as detectors and annotators do; `Keypoints` count from its
edge. So half a pixel is added on the way in and taken off on the way out, and a joint stays on the same spot when an
image is resized.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float

from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.records import BadRecord, DataError, Keypoints

__all__ = [
    "FAR",
    "PIXEL_CENTRE",
    "canvas_of",
    "from_coco",
    "from_openpose",
    "keypoints_in",
    "read_json",
    "read_pose",
    "to_openpose",
    "write_pose",
]

PIXEL_CENTRE: Final = 0.5
"""What is added to a file's coordinates: its 0 is the centre of the first pixel."""

FAR: Final = 1e6
"""Pixels. No joint is further away than this; a number that is, is no place."""

_COCO_OF: Final = (0, -1, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose-18 joint -> COCO-17 joint; the neck is made of the shoulders."""

_BODY_25_OF: Final = (*range(8), 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
"""OpenPose-18 joint -> joint of OpenPose's 25, whose 8 is the middle of the hips."""

_NECK, _RIGHT_SHOULDER, _LEFT_SHOULDER = 1, 2, 5


def _cleaned(points: Float[np.ndarray, "18 3"]) -> Keypoints:
    """Missing joints to 0, confidence into [0, 1]; adds the half pixel."""
    if not np.isfinite(points).all():
        raise ValueError(f"coordinates are finite numbers; given: {points.tolist()}")
    known = points[:, 2] > 0
    if (np.abs(points[known, :2]) > FAR).any():
        raise ValueError(f"a joint's place is a number of pixels; given: {points[known, :2].tolist()!r:.120}")
    cleaned = np.zeros((18, 3), np.float32)
    cleaned[known, :2] = points[known, :2] + PIXEL_CENTRE
    cleaned[known, 2] = np.minimum(points[known, 2], 1)
    return cleaned


def from_coco(
    points: Float[np.ndarray, "17 3"], *, third: Literal["visibility", "confidence"] = "visibility"
) -> Keypoints:
    """COCO's 17 joints; the neck is the middle of the shoulders where both are known.

    Args:
        points: x, y in pixels and a third number.
        third: What that is. COCO's visibility: 0 missing, 1 known but hidden (confidence 0.5), 2 seen (1). Or the
            confidence of a detector, 0 = missing.

    Raises:
        ValueError: If a number is not finite, or a joint further away than `FAR`.
    """
    scored = points.astype(np.float64)
    if third == "visibility":
        scored[:, 2] = np.minimum(scored[:, 2], 2) / 2
    joints = np.zeros((18, 3))
    for joint, coco in enumerate(_COCO_OF):
        joints[joint] = scored[coco] if coco >= 0 else 0
    shoulders = joints[[_RIGHT_SHOULDER, _LEFT_SHOULDER]]
    if (shoulders[:, 2] > 0).all():
        joints[_NECK] = *shoulders[:, :2].mean(axis=0), shoulders[:, 2].min()
    return _cleaned(joints)


def from_openpose(points: Float[np.ndarray, "joints columns"]) -> Keypoints:
    """OpenPose's 18 (COCO model) or 25 (BODY_25) joints; further columns than x, y, confidence are ignored.

    Raises:
        ValueError: If there are other than 18 or 25 joints, fewer than three columns, a number is not finite, or a
            joint further away than `FAR`.
    """
    if points.shape[0] not in (18, 25) or points.shape[1] < 3:
        raise ValueError(
            f"OpenPose has 18 or 25 joints of x, y, confidence; given: {' x '.join(map(str, points.shape))}"
        )
    if points.shape[0] == 25:
        points = points[list(_BODY_25_OF)]
    return _cleaned(points[:, :3].astype(np.float64))


# ------------------------------------------------------------------------------------------- JSON
def to_openpose(keypoints: Keypoints) -> dict[str, Any]:
    """OpenPose JSON of one person with 18 joints; `from_openpose` gives back the very same numbers."""
    points = keypoints.astype(np.float64)
    points[:, :2] = np.where(present(keypoints)[:, None], points[:, :2] - PIXEL_CENTRE, 0)
    return {"version": 1.3, "people": [{"pose_keypoints_2d": points.reshape(-1).tolist()}]}


def write_pose(path: Path, keypoints: Keypoints) -> None:
    """Write `to_openpose` to a file.

    Raises:
        OSError: If it cannot be written.
    """
    path.write_text(json.dumps(to_openpose(keypoints)) + "\n", encoding="utf-8")


def read_pose(path: Path | bytes, *, size: tuple[int, int] | None = None, shown: str = "") -> Keypoints:
    """The joints of the most confident person of a JSON file.

    Reads OpenPose's ``people`` with ``pose_keypoints_2d`` (or the older ``pose_keypoints``), the same inside a list as
    the DWPose and ControlNet annotators write it, and a plain ``keypoints`` list of [x, y, confidence, ...].

    Args:
        path: The file.
        size: (height, width) of the image the joints are wanted for. Where the file names its ``canvas_height`` and
            ``canvas_width``, joints are scaled from there, from fractions of it too; otherwise they are pixels of the
            image already.
        shown: How messages call the file; the path if empty.

    Returns:
        The joints; all missing if the file holds no person.

    Raises:
        DataError: If the file is missing, no JSON, or holds no joints in any of these forms.
    """
    named = shown or ("a pose" if isinstance(path, bytes) else str(path))
    return keypoints_in(read_json(path, shown=named), size=size, shown=named)


def read_json(path: Path | bytes, *, shown: str = "") -> Any:
    """What a JSON file of a pose holds, for `keypoints_in`; or what is in such a file.

    Raises:
        DataError: If the file is missing or no JSON.
    """
    named = shown or str(path)
    try:
        return json.loads(path.decode() if isinstance(path, bytes) else path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError.of(BadRecord(named, 0, "there is no such file.", "missing")) from None
    except UnicodeDecodeError as failure:
        raise DataError.of(BadRecord(named, 0, "it is no JSON file: it is no text.", "unreadable")) from failure
    except (OSError, json.JSONDecodeError, RecursionError) as failure:
        raise DataError.of(BadRecord(named, 0, f"it is no JSON file: {failure}.", "unreadable")) from failure
    except ValueError as failure:  # a number of thousands of digits
        raise DataError.of(BadRecord(named, 0, f"no keypoints in it: {failure}.", "unreadable")) from failure


def keypoints_in(content: Any, *, size: tuple[int, int] | None = None, shown: str) -> Keypoints:
    """As `read_pose`, of JSON that is read already.

    Args:
        content: What a file of a pose holds.
        size: (height, width) of the image the joints are wanted for.
        shown: How messages call it.

    Raises:
        DataError: If it holds no joints in any of the forms of `read_pose`.
    """
    try:
        return _joints(content, size)
    except ValueError as failure:
        raise DataError.of(BadRecord(shown, 0, f"no keypoints in it: {failure}.", "unreadable")) from failure


def canvas_of(content: Any) -> tuple[float, float] | None:
    """(height, width) in pixels of the picture a pose was made on, where the JSON names both.

    Raises:
        ValueError: If that is of none of the forms of `read_pose`.
    """
    frame = _frame(content)
    height, width = (_length(frame.get(key)) for key in ("canvas_height", "canvas_width"))
    return (height, width) if height and width else None


class _NoKeypoints(ValueError):
    """The JSON is of none of the forms that are read."""


def _joints(content: Any, size: tuple[int, int] | None) -> Keypoints:
    frame = _frame(content)
    if "keypoints" in frame:
        flat = [number for point in _listed(frame["keypoints"]) for number in _padded(point)]
        people = [flat]
    elif isinstance(frame.get("people"), list):
        people = [_numbers_of(person) for person in frame["people"]]
    else:
        raise _NoKeypoints(f"it holds neither `people` nor `keypoints`, but {', '.join(map(repr, frame)) or 'nothing'}")
    found = [from_openpose(_array(numbers)) for numbers in people if numbers]
    if not found:
        return no_keypoints()
    best = max(found, key=lambda joints: float(joints[:, 2].sum()))
    return _onto(best, frame, size)


def _frame(content: Any) -> Mapping[str, Any]:
    """The picture's object; the annotators write it into a list."""
    frame = content[0] if isinstance(content, list) and content else content
    if not isinstance(frame, Mapping):
        raise _NoKeypoints("it holds neither `people` nor `keypoints`")
    return frame


def _numbers_of(person: Any) -> list[Any]:
    if not isinstance(person, dict):
        raise _NoKeypoints("each of `people` is an object")
    return _listed(person.get("pose_keypoints_2d", person.get("pose_keypoints")) or [])


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _NoKeypoints(f"keypoints are a list; given: {value!r:.60}")
    return value


def _padded(point: Any) -> list[Any]:
    given = _listed(point)
    if len(given) < 2:
        raise ValueError(f"a joint is x, y, confidence; given: {given!r:.60}")
    return [*given[:2], given[2] if len(given) > 2 else 1.0]


def _array(numbers: list[Any]) -> np.ndarray:
    plain = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
    if not plain or len(numbers) % 3:
        raise ValueError(f"keypoints are numbers in threes; given {len(numbers)}: {numbers[:4]!r:.60}")
    try:
        return np.array(numbers, np.float64).reshape(-1, 3)
    except OverflowError as failure:
        raise ValueError(f"a number is too large for any place: {failure}") from failure


def _onto(joints: Keypoints, frame: Mapping[str, Any], size: tuple[int, int] | None) -> Keypoints:
    """From fractions, or from the canvas the file was made on where it names one, to the image."""
    if size is None:
        return joints
    canvas = canvas_of(frame)
    known = present(joints)
    bare = joints[known, :2] - PIXEL_CENTRE
    moved = joints.copy()
    if (np.abs(bare) <= 1).all():  # fractions, of the canvas or of the picture: no person is two pixels high
        moved[known, :2] = bare * np.array([size[1], size[0]], np.float32)
    elif canvas is not None:
        moved[known, :2] *= np.array([size[1] / canvas[1], size[0] / canvas[0]], np.float32)
    return moved


def _length(side: Any) -> float:
    """The side of a canvas in pixels; 0 if that is none."""
    return float(side) if isinstance(side, int | float) and 1 <= side <= FAR else 0.0
