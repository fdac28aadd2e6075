"""Poses written: OpenPose's JSON of 18 or 25 joints, COCO's annotations, DWPose's JSON, CSV, .npy and PNG."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from pgsynth_core.data.draw import skeleton
from pgsynth_core.data.files import MOST_PIXELS
from pgsynth_core.data.formats import PIXEL_CENTRE
from pgsynth_core.data.keypoints import JOINTS, present
from pgsynth_core.data.poses.frames import PoseFrame
from pgsynth_core.data.records import Keypoints
from pgsynth_core.errors import UserError

__all__ = ["POSE_FORMS", "PoseForm", "frame_size", "poses_as"]

_COCO_JOINTS: Final = ("nose", *(f"{side}-{part}" for part in
    ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")))  # fmt: skip
_BODY_25: Final = (*range(8), -1, *range(8, 18), *[-1] * 6)
"""Joint of OpenPose's 25 -> OpenPose-18; the middle of the hips and the feet are none."""
_MIDDLE_OF_HIPS: Final = 8
_HIPS: Final = [JOINTS["right-hip"], JOINTS["left-hip"]]
_SKELETON_LINES: Final = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9), (8, 10), (9, 11),
    (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip


@dataclass(frozen=True)
class PoseForm:
    """A form that poses are written in.

    Attributes:
        summary: What it is and what it does not keep.
        suffix: Of its files, with the dot.
        together: Whether all frames go into one file.
        content: The frames as what is in a file; a form that is not `together` is given one at a time.
    """

    summary: str
    suffix: str
    together: bool
    content: Callable[[Sequence[PoseFrame]], bytes]


def poses_as(frames: Sequence[PoseFrame], form: str) -> dict[str, bytes]:
    """The files that hold the frames in a form.

    Args:
        frames: What to write.
        form: Of `POSE_FORMS`.

    Returns:
        Name -> content. One file ``poses.SUFFIX`` for forms that hold several frames, named as the frame if there is
        one only; else ``NAME.SUFFIX`` each, a name that was there already with a number.

    Raises:
        UserError: If a picture is to be drawn and the size is not known.
    """
    made = POSE_FORMS[form]
    if made.together:
        name = frames[0].name if len(frames) == 1 else "poses"
        return {f"{_plain(name)}{made.suffix}": made.content(frames)}
    files: dict[str, bytes] = {}
    for frame in frames:
        name, number = _plain(frame.name), 1
        while f"{name}{made.suffix}" in files:
            number += 1
            name = f"{_plain(frame.name)}.{number}"
        files[f"{name}{made.suffix}"] = made.content([frame])
    return files


def _plain(name: str) -> str:
    """The name as that of a file: in no other folder, not hidden, not too long."""
    shown = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in name)
    return shown.lstrip(".")[:100] or "pose"


def frame_size(frame: PoseFrame) -> tuple[int, int]:
    """(height, width) of the picture a frame is drawn in.

    Raises:
        UserError: If nothing says it, or it is larger than any picture that is read.
    """
    if frame.canvas is None:
        message = "it does not say the size of the picture its joints are in."
        raise UserError(
            message,
            where=f"pose {frame.name}",
            cure="Give it: --canvas HEIGHTxWIDTH; of a source's pose, --onto-canvas.",
        )
    if frame.canvas[0] * frame.canvas[1] > MOST_PIXELS:
        message = f"its canvas is {frame.canvas[0]}x{frame.canvas[1]}; at most {MOST_PIXELS:,} pixels are drawn."
        raise UserError(message, where=f"pose {frame.name}", cure="Write it as numbers, --to openpose, or scale it.")
    return frame.canvas


# ------------------------------------------------------------------------------------------- forms
def _bare(keypoints: Keypoints) -> np.ndarray:
    """As files count: from the centre of the first pixel; missing joints all 0."""
    points = keypoints.astype(np.float64)
    points[:, :2] = np.where(present(keypoints)[:, None], points[:, :2] - PIXEL_CENTRE, 0)
    return points


def _json(content: Any) -> bytes:
    return (json.dumps(content) + "\n").encode()


def _openpose(frame: PoseFrame, points: np.ndarray) -> dict[str, Any]:
    people = [{"person_id": [-1], "pose_keypoints_2d": points.reshape(-1).tolist()}] if points[:, 2].any() else []
    sides = {} if frame.canvas is None else {"canvas_height": frame.canvas[0], "canvas_width": frame.canvas[1]}
    return {"version": 1.3, "people": people, **sides}


def _body_25(keypoints: Keypoints) -> np.ndarray:
    bare = _bare(keypoints)
    points = np.where((np.array(_BODY_25) >= 0)[:, None], bare[list(_BODY_25)], 0.0)
    if present(keypoints)[_HIPS].all():
        points[_MIDDLE_OF_HIPS] = *bare[_HIPS, :2].mean(axis=0), bare[_HIPS, 2].min()
    return points


def _dwpose(frames: Sequence[PoseFrame]) -> bytes:
    listed = []
    for frame in frames:
        content = _openpose(frame, _bare(frame.joints))
        extras = {"face_keypoints_2d": None, "hand_left_keypoints_2d": None, "hand_right_keypoints_2d": None}
        content["people"] = [{"pose_keypoints_2d": one["pose_keypoints_2d"], **extras} for one in content["people"]]
        listed.append({key: value for key, value in content.items() if key != "version"})
    return _json(listed)


def _coco(frames: Sequence[PoseFrame]) -> bytes:
    images, annotations = [], []
    for number, frame in enumerate(frames, start=1):
        size = {} if frame.canvas is None else {"height": frame.canvas[0], "width": frame.canvas[1]}
        images.append({"id": number, "file_name": f"{frame.name}.jpg", **size})
        points = _bare(frame.joints)[[JOINTS[name] for name in _COCO_JOINTS]]
        known = points[:, 2] > 0
        if not known.any():
            continue
        low, high = points[known, :2].min(axis=0), points[known, :2].max(axis=0)
        marked = np.column_stack([points[:, :2], np.where(known, np.where(points[:, 2] > 0.5, 2, 1), 0)])
        annotations.append({
            "id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "num_keypoints": int(known.sum()),
            "keypoints": marked.reshape(-1).tolist(), "keypoint_scores": points[:, 2].tolist(),
            "bbox": [*low.tolist(), *(high - low).tolist()], "area": float(np.prod(high - low)),
        })  # fmt: skip
    names = [name.replace("-", "_") for name in _COCO_JOINTS]
    person = {"id": 1, "name": "person", "keypoints": names, "skeleton": [list(line) for line in _SKELETON_LINES]}
    return _json({"images": images, "annotations": annotations, "categories": [person]})


def _csv(frames: Sequence[PoseFrame]) -> bytes:
    lines, names = ["name:keypoints_y:keypoints_x"], set[str]()
    for frame in frames:
        name = plain = _plain(frame.name)
        while name in names:
            name = f"{plain}.{len(names)}"
        names.add(name)
        known, bare = present(frame.joints), _bare(frame.joints)
        bare[:, :2] = np.where(bare[:, :2] == -1, -1.0001, bare[:, :2])  # -1 itself says missing
        across, down = (np.where(known, bare[:, axis], -1).tolist() for axis in (0, 1))
        lines.append(f"{name}.jpg: {json.dumps(down)}: {json.dumps(across)}")
    return ("\n".join(lines) + "\n").encode()


def _npy(frames: Sequence[PoseFrame]) -> bytes:
    stacked = np.stack([_bare(frame.joints) for frame in frames]).astype(np.float32)
    buffer = io.BytesIO()
    np.save(buffer, stacked[0] if len(frames) == 1 else stacked, allow_pickle=False)
    return buffer.getvalue()


def _png(frames: Sequence[PoseFrame]) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(skeleton(frames[0].joints, frame_size(frames[0]))).save(buffer, format="PNG")
    return buffer.getvalue()


POSE_FORMS: Final[Mapping[str, PoseForm]] = MappingProxyType({
    "openpose": PoseForm(
        "OpenPose JSON, 18 joints; what sample reads", ".pose.json", False,
        lambda frames: _json(_openpose(frames[0], _bare(frames[0].joints))),
    ),
    "openpose25": PoseForm(
        "OpenPose JSON of BODY_25; no feet", ".json", False,
        lambda frames: _json(_openpose(frames[0], _body_25(frames[0].joints))),
    ),
    "coco": PoseForm("COCO's annotations, 17 joints: without the neck", ".json", True, _coco),
    "dwpose": PoseForm("a list of OpenPose frames, as DWPose and ControlNet write", ".json", True, _dwpose),
    "csv": PoseForm("the community's CSV, a row a frame: without confidences and canvas", ".csv", True, _csv),
    "npy": PoseForm("an array [18, 3], or [frames, 18, 3]: without canvas", ".npy", True, _npy),
    "png": PoseForm("the skeleton in ControlNet's colours", ".png", False, _png),
})  # fmt: skip
