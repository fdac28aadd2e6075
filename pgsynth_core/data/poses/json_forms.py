"""Poses in JSON, each form known by its keys.

* ``people`` with ``pose_keypoints_2d``: OpenPose, of 18 or 25 joints; in a list, one per frame, ControlNet and DWPose.
* ``bodies`` with ``candidate`` and ``subset``: DWPose's own, fractions of the picture.
* ``annotations`` with ``images``: COCO's annotations; a list of ``image_id`` with ``keypoints``: its results.
* ``instances`` or ``instance_info`` with ``keypoints`` and ``keypoint_scores``: MMPose, whose 133 begin with COCO's 17.
* ``keypoints`` alone, or a bare list of 17, 18 or 25 joints, or a list of such lists: one per frame.

Of COCO's joints the third number, or ``keypoint_scores``, is how sure a detector is: joints below `LEAST_SCORE` are
missing. That of OpenPose's joints, and of COCO's annotations, is kept as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np

from pgsynth_core.data.formats import FAR
from pgsynth_core.data.poses.frames import LEAST_SCORE, Scene, joints_of, matrix
from pgsynth_core.data.records import BadRecord, DataError, Keypoints

__all__ = ["read_json", "read_pose", "scenes_in"]


def read_pose(path: Path | bytes, *, size: tuple[int, int] | None = None, shown: str = "") -> Keypoints:
    """The joints of the one person of a JSON file, the most certain where there are several.

    Args:
        path: The file, of any form of `scenes_in`, or what is in it.
        size: (height, width) of the image the joints are wanted for. Where the file names its canvas, joints are
            scaled from there; otherwise fractions are of this image, and pixels are its pixels already.
        shown: How messages call the file; the path if empty.

    Returns:
        The joints; all missing if the file holds no person.

    Raises:
        DataError: If the file is missing, no JSON, holds no joints in any of these forms, or several frames.
    """
    named = shown or ("a pose" if isinstance(path, bytes) else str(path))
    content = read_json(path, shown=named)
    try:
        scenes = scenes_in(content, "pose")
        if len(scenes) != 1:
            raise ValueError(f"it holds {len(scenes)} frames, and one is wanted")
        frame = scenes[0].frame("most-certain", None, size)
    except ValueError as failure:
        raise DataError.of(BadRecord(named, 0, f"no keypoints in it: {failure}.", "unreadable")) from failure
    return frame.joints if size is None else frame.scaled(size)


def read_json(path: Path | bytes, *, shown: str = "") -> Any:
    """What a JSON file of a pose holds, for `scenes_in`; or what is in such a file.

    Raises:
        DataError: If the file is missing or no JSON.
    """
    named = shown or str(path)
    try:
        return json.loads((path if isinstance(path, bytes) else path.read_bytes()).decode("utf-8-sig"))
    except FileNotFoundError:
        raise DataError.of(BadRecord(named, 0, "there is no such file.", "missing")) from None
    except UnicodeDecodeError as failure:
        raise DataError.of(BadRecord(named, 0, "it is no JSON file: it is no text.", "unreadable")) from failure
    except (OSError, json.JSONDecodeError, RecursionError) as failure:
        raise DataError.of(BadRecord(named, 0, f"it is no JSON file: {failure}.", "unreadable")) from failure
    except ValueError as failure:  # a number of thousands of digits
        raise DataError.of(BadRecord(named, 0, f"no keypoints in it: {failure}.", "unreadable")) from failure


def scenes_in(content: Any, name: str) -> list[Scene]:
    """The frames that JSON holds.

    Args:
        content: What is in the file.
        name: Of the file, for the frames; of several, each gets a number.

    Raises:
        ValueError: If it is of none of the forms above, or its numbers are no places.
    """
    if content == []:
        raise ValueError("it is an empty list: there is no pose in it")
    if isinstance(content, list) and all(isinstance(item, Mapping) for item in content):
        if all("image_id" in item for item in content):
            return _results(content, name)
        return _numbered([_scene(item, name) for item in content], name)
    if isinstance(content, list):
        return _numbered([Scene(name, [joints_of(points)]) for points in _bare(content)], name)
    if isinstance(content, Mapping) and "annotations" in content:
        return _annotated(content, name)
    if isinstance(content, Mapping) and isinstance(content.get("instance_info"), list):
        return _numbered([_scene(item, name) for item in content["instance_info"]], name)
    return [_scene(content, name)]


def _numbered(scenes: list[Scene], name: str) -> list[Scene]:
    if len(scenes) == 1:
        return scenes
    digits = max(4, len(str(len(scenes))))
    return [Scene(f"{name}-{k:0{digits}}", scene.people, scene.canvas) for k, scene in enumerate(scenes)]


def _bare(content: list[Any]) -> list[np.ndarray]:
    """One joint list, or a list of them."""
    nested = content and isinstance(content[0], list)
    if nested and content[0] and isinstance(content[0][0], list):
        return [matrix(points) for points in content]
    if nested and len(content[0]) > 10:  # flat lists, one per frame: no joint has so many numbers
        return [matrix(points) for points in content]
    return [matrix(content)]


# ------------------------------------------------------------------------------------------- one frame
def _scene(frame: Any, name: str) -> Scene:
    if not isinstance(frame, Mapping):
        raise ValueError(f"a frame is an object; given: {frame!r:.60}")  # noqa: TRY004  # the user's file is wrong
    people_in = next((reader for key, reader in _PEOPLE.items() if key in frame), None)
    if people_in is None:
        held = ", ".join(map(repr, list(frame)[:8])) or "nothing"
        raise ValueError(f"it holds none of {', '.join(_PEOPLE)}, annotations, but {held}")
    return Scene(name, people_in(frame), _canvas(frame))


def _canvas(
    frame: Mapping[str, Any], height: str = "canvas_height", width: str = "canvas_width"
) -> tuple[float, float] | None:
    sides = frame.get(height), frame.get(width)
    good = all(isinstance(side, int | float) and not isinstance(side, bool) and 1 <= side <= FAR for side in sides)
    return (float(sides[0]), float(sides[1])) if good else None  # type: ignore[arg-type]


def _objects(value: Any, what: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise ValueError(f"`{what}` is a list of objects; given: {value!r:.60}")
    return value


def _openpose(frame: Mapping[str, Any]) -> list[Keypoints]:
    lists = [
        person.get("pose_keypoints_2d", person.get("pose_keypoints")) for person in _objects(frame["people"], "people")
    ]
    return [joints_of(matrix(numbers)) for numbers in lists if numbers]


def _dwpose(frame: Mapping[str, Any]) -> list[Keypoints]:
    bodies = frame["bodies"]
    if not isinstance(bodies, Mapping) or not {"candidate", "subset"} <= set(bodies):
        raise ValueError("`bodies` holds `candidate` and `subset`")
    if not bodies["candidate"] or not bodies["subset"]:
        return []
    places, subset = matrix(bodies["candidate"]), matrix(bodies["subset"])
    if subset.shape[1] < 18 or places.shape[1] < 2:
        raise ValueError("`subset` has a row of 18 per person, and `candidate` x and y")
    people = []
    for row in subset[:, :18]:
        known = row >= 0
        if not np.isfinite(row).all() or (row[known] >= len(places)).any():
            raise ValueError(f"`subset` holds rows of `candidate`, of which there are {len(places)}, or -1")
        points = np.zeros((18, 3))
        points[known, :2], points[known, 2] = places[row[known].astype(int), :2], 1
        people.append(joints_of(points))
    return people


def _scored(item: Mapping[str, Any], *, annotated: bool = False) -> Keypoints:
    """A person's ``keypoints``, with ``keypoint_scores`` as their confidences where there are some."""
    points, scores = matrix(item.get("keypoints")), item.get("keypoint_scores")
    if scores is None:
        return joints_of(points, annotated=annotated and len(points) == 17)
    if not isinstance(scores, list) or len(scores) != len(points):
        raise ValueError(f"`keypoint_scores` has a number per joint, {len(points)}; given: {scores!r:.60}")
    confidence = matrix([[score] for score in scores])
    return joints_of(np.column_stack([points[:, :2], confidence]), least=0.0 if annotated else LEAST_SCORE)


def _instances(frame: Mapping[str, Any]) -> list[Keypoints]:
    return [_scored(person) for person in _objects(frame["instances"], "instances")]


_PEOPLE: Final[Mapping[str, Callable[[Mapping[str, Any]], list[Keypoints]]]] = {
    "people": _openpose,
    "bodies": _dwpose,
    "instances": _instances,
    "keypoints": lambda frame: [_scored(frame)],
}
"""Key -> how the people of such a frame are read."""


# ------------------------------------------------------------------------------------------- COCO's files
def _annotated(content: Mapping[str, Any], name: str) -> list[Scene]:
    """COCO's annotations: a frame per picture, in the file's order; pictures without people keep an empty one."""
    pictures = {str(item.get("id")): item for item in _objects(content.get("images") or [], "images")}
    people: dict[str, list[Keypoints]] = {picture: [] for picture in pictures}
    for item in _objects(content["annotations"], "annotations"):
        if item.get("keypoints") not in (None, [], [0] * 51):
            people.setdefault(str(item.get("image_id")), []).append(_scored(item, annotated=True))
    if not people:
        raise ValueError("its `annotations` hold no `keypoints`: they may be of boxes or captions only")
    scenes = []
    for picture, found in people.items():
        about = pictures.get(picture, {})
        file = PurePosixPath(str(about.get("file_name") or f"{name}-{picture}").replace("\\", "/"))
        scenes.append(Scene(file.stem, found, _canvas(about, "height", "width")))
    return scenes


def _results(content: list[Mapping[str, Any]], name: str) -> list[Scene]:
    people: dict[str, list[Keypoints]] = {}
    for item in content:
        people.setdefault(str(item["image_id"]), []).append(_scored(item))
    return [Scene(f"{name}-{picture}" if len(people) > 1 else name, found) for picture, found in people.items()]
