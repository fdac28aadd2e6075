"""Files of annotations beside photos: whether one is there and whole, and writing one, never half. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from pgsynth_core.data import LABELS, PARSING_SUFFIX, POSE_SUFFIX, BadRecord, DataError, read_label_map, to_openpose
from pgsynth_core.data import write_label_map as write_labels
from pgsynth_core.data.formats import keypoints_in
from pgsynth_core.manifest import Finding
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import replace_file

__all__ = ["place_of", "put", "put_parsing", "put_pose", "read_parsing", "whole"]

_SUFFIXES: Final[Mapping[Finding, str]] = {"pose": POSE_SUFFIX, "parsing": PARSING_SUFFIX}
_PNG_END: Final = b"IEND\xaeB`\x82"
_CURE: Final = "Mend it, move it away, or have it made anew: --fresh."


def place_of(stem: Path, finding: Finding) -> Path:
    """The file of that annotation: ``NAME.pose.json`` or ``NAME.parsing.png``."""
    return stem.with_name(stem.name + _SUFFIXES[finding])


def whole(path: Path, finding: Finding) -> bytes | None:
    """What is in a file that is there and whole; None of one that is not there, or was cut off while it was written.

    Raises:
        DataError: If something else is there, which nobody made here.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError.of(BadRecord(str(path), 0, f"it cannot be read: {error.strerror}.", "unreadable")) from error
    if _cut_off(content, finding):
        return None
    try:
        if finding == "pose":
            keypoints_in(json.loads(content.decode()), shown=str(path))
        else:
            read_parsing(content, shown=str(path))
    except DataError as failure:
        raise DataError.of(failure.records, cure=_CURE) from failure
    except (ValueError, RecursionError) as failure:
        reason = f"it is no JSON file: {failure}."
        raise DataError.of(BadRecord(str(path), 0, reason, "unreadable"), cure=_CURE) from failure
    return content


def _cut_off(content: bytes, finding: Finding) -> bool:
    if finding == "parsing":
        return not content.rstrip(b"\0") or (content[1:4] == b"PNG" and _PNG_END not in content[-32:])
    return not content.strip(b"\0 \n").endswith((b"}", b"]"))


def read_parsing(path: Path | bytes, *, shown: str = "") -> tuple[np.ndarray, str]:
    """A label map, and the label set that it names; of one that names none, the first that its labels fit.

    Raises:
        DataError: If it is none.
    """
    try:
        with Image.open(BytesIO(path) if isinstance(path, bytes) else path) as opened:
            said = str(opened.info.get("label_set", ""))
    except (OSError, ValueError, SyntaxError):
        said = ""  # reading it says what is wrong
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
    content: dict[str, Any] = to_openpose(people[0]) if people else {"version": 1.3, "people": []}
    content |= {"canvas_width": size[1], "canvas_height": size[0], "annotator": annotator}
    put(path, (json.dumps(content) + "\n").encode())


def put_parsing(path: Path, parsing: np.ndarray, label_set: str) -> None:
    """Write a label map.

    Raises:
        UserError: If the system refuses.
    """
    buffer = BytesIO()
    write_labels(buffer, parsing, label_set=label_set)
    put(path, buffer.getvalue())


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with its folder; what stood there is replaced.

    Raises:
        UserError: If the system refuses; nothing is left behind.
    """
    with refusing("annotations cannot be written", path, elsewhere="-o DIR"):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content, flush=False)
