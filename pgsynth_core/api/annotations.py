"""Files of annotations beside photos: whether one is there and whole, and writing one, never half. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from pgsynth_core.data import LABELS, PARSING_SUFFIX, POSE_SUFFIX, BadRecord, DataError, read_label_map, to_openpose
from pgsynth_core.data import write_label_map as write_labels
from pgsynth_core.data.files import said_label_set
from pgsynth_core.data.poses.json_forms import read_json, scenes_in
from pgsynth_core.manifest import Finding
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import replace_file

__all__ = ["place_of", "put", "put_parsing", "put_pose", "read_parsing", "whole"]

_SUFFIXES: Final[Mapping[Finding, str]] = {"pose": POSE_SUFFIX, "parsing": PARSING_SUFFIX}
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_END: Final = b"IEND\xaeB`\x82"
_OUR_POSE: Final = b'{"annotator":'
_OUR_PARSING: Final = b"tEXtlabel_set"
_CURE: Final = "Mend it, move it away, or have it made anew: --fresh."


def place_of(stem: Path, finding: Finding) -> Path:
    """The file of that annotation: ``NAME.pose.json`` or ``NAME.parsing.png``."""
    return stem.with_name(stem.name + _SUFFIXES[finding])


def whole(path: Path, finding: Finding) -> bytes | None:
    """What is in a file that is there and whole; None of one that is not there, is empty, or is ours and was cut off.

    Raises:
        DataError: If something else is there, which nobody made here.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError.of(BadRecord(str(path), 0, f"it cannot be read: {error.strerror}.", "unreadable")) from error
    if not content.strip(b"\0"):
        return None
    try:
        if finding == "pose":
            scenes_in(read_json(content, shown=str(path)), path.name)
        else:
            read_parsing(content, shown=str(path))
    except DataError as failure:
        if _ours_cut_off(content):
            return None
        raise DataError.of(failure.records, cure=_CURE) from failure
    except ValueError as failure:
        record = BadRecord(str(path), 0, f"no keypoints in it: {failure}.", "unreadable")
        raise DataError.of(record, cure=_CURE) from failure
    return content


def _ours_cut_off(content: bytes) -> bool:
    """Whether a file that cannot be read begins as `put_pose` and `put_parsing` write it, and has no end.

    What a person writes or corrects is never taken for such: programs write JSON in several lines.
    """
    if content.startswith(_OUR_POSE):
        return not content.rstrip(b"\0").endswith((b"}", b"]")) and not any(end in content for end in b"\r\n")
    return content.startswith(_PNG) and _OUR_PARSING in content[:256] and _PNG_END not in content


def read_parsing(path: Path | bytes, *, shown: str = "") -> tuple[np.ndarray, str]:
    """A label map, and the label set that it names; of one that names none, the first that its labels fit.

    Raises:
        DataError: If it is none.
    """
    said = said_label_set(path) or ""  # what cannot be read, reading it says
    for label_set in [said] if said in LABELS else list(LABELS):
        try:
            return read_label_map(path, label_set=label_set, shown=shown), label_set
        except DataError as error:
            failure = error
    raise failure


def put_pose(path: Path, people: list[np.ndarray], size: tuple[int, int], annotator: str) -> None:
    """Write a pose as OpenPose JSON, with the photo's size as its canvas and who found it; of nobody, nobody.

    Args:
        path: The file.
        people: The one who is meant; none where nobody is seen.
        size: (height, width) of the photo.
        annotator: Its id.

    Raises:
        UserError: If the system refuses.
    """
    canvas = {"canvas_width": size[1], "canvas_height": size[0]}
    content: dict[str, Any] = to_openpose(people[0]) if people else {"version": 1.3, "people": []}
    put(path, (json.dumps({"annotator": annotator, **content, **canvas}) + "\n").encode())


def put_parsing(path: Path, parsing: np.ndarray, label_set: str) -> None:
    """Write a label map.

    Raises:
        UserError: If the system refuses.
    """
    buffer = BytesIO()
    write_labels(buffer, parsing, label_set=label_set)
    put(path, buffer.getvalue())


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, also where power is lost, with its folder; what stood there is replaced.

    Raises:
        UserError: If the system refuses; nothing is left behind.
    """
    with refusing("annotations cannot be written", path, elsewhere="-o DIR"):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
