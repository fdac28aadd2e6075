"""The photo, pose and label map that a person gives for one picture, read and checked. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from pgsynth_core.contract import Verdict
from pgsynth_core.data import LABELS, DataError, Keypoints, LabelMap, present, read_image, read_label_map
from pgsynth_core.data.files import as_rgb, said_label_set
from pgsynth_core.data.keypoints import at_one_point
from pgsynth_core.data.people import said_choice
from pgsynth_core.data.poses import FoundIn, PoseFrame, poses_in, read_poses
from pgsynth_core.errors import UserError, not_there

__all__ = [
    "OnWarning",
    "Pose",
    "Source",
    "frame_of",
    "joints_of",
    "label_map_of",
    "needs_parsing",
    "parsing_of",
    "photo_of",
    "pose_of",
    "require_inside",
    "require_somebody",
]

Source = str | Path | Image.Image | np.ndarray
"""A photo: a path, a Pillow image, or uint8 [H, W, 3] RGB."""

Pose = str | Path | Mapping[str, Any] | np.ndarray
"""A target pose: the path of a file of any form that `data.poses.read_poses` reads; JSON as the mapping in it; or
keypoints [18, 3], a joint a row of x, y, confidence, in pixels of a picture of the source's size."""

OnWarning = Callable[[str], None]
"""Told a sentence about what is odd and is done all the same."""

_PHOTO_CURE: Final = (
    "Give a photo that other programs open, JPEG or PNG of 8 bits a channel; if this one was cut off on its way, copy "
    "or download it again. A telephone's HEIC is saved as JPEG first; scale down what is too large."
)
_PARSING_CURE: Final = "Give a PNG of one channel, of the photo's size, whose values are labels."


def photo_of(source: Source) -> np.ndarray:
    """A photo as uint8 [H, W, 3].

    Raises:
        UserError: If a file cannot be read, or an array is of another form.
    """
    if isinstance(source, str | Path):
        try:
            return read_image(Path(source), managed=True)
        except DataError as failure:
            cure = _PHOTO_CURE if Path(source).exists() else not_there(source)
            raise DataError.of(failure.records, cure=cure) from failure
    if isinstance(source, Image.Image):
        try:
            return as_rgb(source, managed=True)
        except ValueError as error:
            raise UserError(f"{error}.", where="source", cure="Convert its values to 8-bit RGB first.") from None
    array = np.asarray(source)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        message = f"a photo is RGB of uint8 [H, W, 3]; given: {_form(array)}."
        raise UserError(message, where="source", cure=_photo_cure(array))
    return array


def _photo_cure(array: np.ndarray) -> str:
    if array.dtype == np.uint8 and array.size and (array.ndim == 2 or array.ndim == 3 and array.shape[2] in (1, 4)):
        return "Give Image.fromarray(photo.squeeze()): a Pillow image of any mode of 8 bits becomes RGB."
    if np.issubdtype(array.dtype, np.floating):
        return "Of values from 0 to 1: (255 * photo).round().astype('uint8'), with the channels last."
    return "Give such an array, a Pillow image, or the path of a picture."


def pose_of(
    pose: Pose, size: tuple[int, int], *, person: str = "most-certain", on_warning: OnWarning | None = None
) -> Keypoints:
    """The joints of a target pose, in pixels of a photo of `size`, (height, width); one at least lies in it.

    Args:
        pose: As `Pose` says; joints of a canvas that is named are scaled from there.
        size: Of the photo.
        person: Which of several people in a file or mapping, see `data.people`.
        on_warning: Told if most joints lie outside the photo.

    Raises:
        UserError: If a file cannot be read, JSON or an array is of another form, no joint is known, or none lies in
            the photo.
    """
    frame = frame_of(pose, size, person=person, on_warning=on_warning)
    joints = frame.scaled(size)
    require_inside(frame, joints, size, on_warning=on_warning)
    return joints


def frame_of(
    pose: Pose,
    size: tuple[int, int],
    *,
    person: str = "most-certain",
    found_in: FoundIn | None = None,
    on_warning: OnWarning | None = None,
) -> PoseFrame:
    """A pose as it was made.

    Args:
        pose: As `Pose` says.
        size: (height, width) of the picture that fractions are of.
        person: Which of several people in a file or mapping, see `data.people`.
        found_in: Says who is in a file that is a photo.
        on_warning: Told who of several people in a file is taken.

    Raises:
        UserError: If a file cannot be read or holds several poses, JSON or an array is of another form, or as
            `require_somebody`.
    """
    frame = _frame(pose, size, person, found_in, on_warning)
    require_somebody([frame.joints], where=_shown(pose))
    return frame


def require_somebody(poses: Sequence[Keypoints], *, where: str, what: str = "target pose") -> None:
    """Refuse poses, a sequence or a single one, in which nobody is, or whose joints all lie at one point.

    Args:
        poses: In pixels.
        where: What they were read from.
        what: What they are.

    Raises:
        UserError: As said.
    """
    if not any(present(joints).any() for joints in poses):
        cure = "Give a pose with some joints of confidence above 0."
        raise UserError(f"nobody is in the {what}: it has no joint.", where=where, cure=cure)
    several = [joints for joints in poses if present(joints).sum() > 1]
    if several and all(map(at_one_point, several)):
        message = f"all {present(several[0]).sum()} joints of the {what} lie at one point."
        cure = "Give joints in pixels of the picture they are of, or as fractions of it, and 0, 0, 0 for a missing one."
        raise UserError(message, where=where, cure=cure)


def _frame(
    pose: Pose, size: tuple[int, int], person: str, found_in: FoundIn | None, tell: OnWarning | None
) -> PoseFrame:
    if not isinstance(pose, str | Path | Mapping):
        return PoseFrame("pose", _keypoints(np.asarray(pose)))
    shown, several = _shown(pose), None if tell is None else partial(_tell_choice, tell)
    if isinstance(pose, Mapping):
        frames = poses_in(pose, name=shown, person=person, fractions_of=size, on_choice=several)
    else:
        frames = read_poses(pose, person=person, fractions_of=size, found_in=found_in, on_choice=several)
    if len(frames) > 1:
        cure = "Name one of them, of a table as file.csv:NAME; or draw them all: pgsynth sample RUN --pose FILE."
        raise UserError(f"there are {len(frames)} poses in it, and one is wanted.", where=shown, cure=cure)
    return replace(frames[0], name=shown)


def _tell_choice(tell: OnWarning, where: str, count: int, place: int) -> None:
    tell(said_choice(where, count, place))


def _shown(pose: Pose) -> str:
    return str(pose) if isinstance(pose, str | Path) else "pose"


def joints_of(
    pose: Pose, size: tuple[int, int], *, person: str = "most-certain", on_warning: OnWarning | None = None
) -> Keypoints:
    """The joints of the person in a photo of `size`, (height, width); all missing if it says that nobody is there.

    Arguments are those of `pose_of`.

    Raises:
        UserError: As `pose_of`, but for a pose without joints.
    """
    frame = _frame(pose, size, person, None, on_warning)
    joints = frame.scaled(size)
    if present(joints).any():
        require_somebody([joints], where=_shown(pose), what="photo's pose")
    require_inside(frame, joints, size, on_warning=on_warning)
    return joints


def require_inside(
    frame: PoseFrame, joints: Keypoints, size: tuple[int, int], *, on_warning: OnWarning | None, of: str = "photo"
) -> None:
    """Refuse a pose of which nothing lies in what is seen, and tell of one of which most does not; half is usual.

    Args:
        frame: As it was made.
        joints: Of it, in pixels of what is seen.
        size: (height, width) of that.
        on_warning: Told.
        of: What it is: a photo, or a window of one.

    Raises:
        UserError: As said.
    """
    known, (height, width) = joints[present(joints), :2], size
    inside = int(((known >= 0) & (known <= (width, height))).all(axis=1).sum())
    if not len(known) or 2 * inside >= len(known):
        return
    (left, top), (right, bottom) = known.min(axis=0), known.max(axis=0)
    message = (
        f"{len(known) - inside} of the {len(known)} known joints of the pose lie outside the {of}: they reach from "
        f"({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f}), x and y, and the {of} is {width} wide and "
        f"{height} high."
    )
    if frame.canvas:
        message += f" They are scaled from the canvas it names, {frame.canvas[1]} wide and {frame.canvas[0]} high."
        cure = "Name the canvas the pose was made on, or scale the joints to the photo."
    else:
        message += " It names no canvas to scale them from."
        cure = (
            'Add "canvas_width" and "canvas_height" to JSON, beside "people": the size in pixels of the picture the '
            f"pose was made on. Or scale the joints to the {of}, x from 0 to {width} and y from 0 to {height}."
        )
    if not inside:
        raise UserError(message, where=frame.name, cure=cure)
    if on_warning:
        on_warning(f"{frame.name}: {message} {cure}")


def _keypoints(array: np.ndarray) -> Keypoints:
    number = np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)
    if array.shape != (18, 3) or not number:
        cure = "The joints are OpenPose's 18; pgsynth_core.data.from_coco and from_openpose make them of others."
        if array.shape == (18, 2):
            cure = "Without confidences: np.column_stack([pose, np.ones(18)])."
        message = f"a pose is [18, 3], a joint a row: x, y in pixels, confidence from 0 to 1; given: {_form(array)}."
        raise UserError(message, where="pose", cure=cure)
    if not np.isfinite(array).all():
        cure = "Write 0, 0, 0 for a joint that is not known."
        raise UserError("the coordinates of a pose are finite numbers; some are not.", where="pose", cure=cure)
    return array.astype(np.float32)


def parsing_of(parsing: str | Path | None, size: tuple[int, int], verdict: Verdict) -> LabelMap | None:
    """The label map of a photo of `size`, (height, width), where the method reads one.

    Raises:
        UserError: If it is needed and not given, given and not read, or cannot be read.
    """
    if parsing is not None and not verdict.label_set:
        raise UserError("this method reads no label map.", where=f"parsing {parsing}", cure="Leave it out.")
    if parsing is not None:
        if (said := said_label_set(parsing)) and said != verdict.label_set:
            message = f"its labels are of {said}, and this method reads {verdict.label_set}."
            raise UserError(message, where=str(parsing), cure=_other_labels(verdict.label_set))
        try:
            return read_label_map(Path(parsing), label_set=verdict.label_set, size=size)
        except DataError as failure:
            raise DataError.of(failure.records, cure=_PARSING_CURE) from failure
    if needs_parsing(verdict):
        message = f"this method reads a label map of the photo, in {verdict.label_set}."
        raise UserError(message, where="parsing", cure="Give one: parsing=PATH.")
    return None


def _other_labels(wanted: str) -> str:
    return f"Give a label map in {wanted}: the same index means something else in each."


def needs_parsing(verdict: Verdict) -> bool:
    """Whether a method cannot do without a label map of the photo."""
    return "source_parsing" in verdict.data_ports


def label_map_of(
    parsing: str | Path | None, size: tuple[int, int], verdict: Verdict, *, label_set: str | None = None
) -> tuple[LabelMap | None, str]:
    """The label map of a photo of (height, width) `size` and its label set, whether or not the method reads one.

    Args:
        parsing: The label map.
        size: Of the photo.
        verdict: On the method, which may read label maps of one set.
        label_set: What its labels are of, where the file does not say it; empty where nobody says it, None where
            nobody can.

    Raises:
        UserError: If it is needed and not given, cannot be read, does not say its label set where the method has
            none either and nobody does, or is said to be of another than the file or the method says.
    """
    if parsing is None:
        return parsing_of(parsing, size, verdict), verdict.label_set
    said = said_label_set(parsing)
    known = verdict.label_set or said
    if label_set and known and known != label_set:
        message = f"{'this method reads' if verdict.label_set else 'it says that its labels are of'} {known}."
        cure = _other_labels(known) if verdict.label_set else "Leave the label set out."
        raise UserError(message, where=f"{parsing} as {label_set}", cure=cure)
    if verdict.label_set:
        return parsing_of(parsing, size, verdict), verdict.label_set
    said = next(iter(LABELS)) if said is None else said or label_set or ""  # reading says what is wrong with a file
    if said not in LABELS:
        otherwise = "" if label_set is None else "; or say it: --label-set lip20, in Python label_set="
        cure = (
            f"Write {' or '.join(LABELS)} into the PNG's text chunk label_set, as pgsynth_core.data.write_label_map "
            f"does{otherwise}."
        )
        raise UserError("this label map does not say what its labels mean.", where=str(parsing), cure=cure)
    return read_label_map(Path(parsing), label_set=said, size=size), said


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
