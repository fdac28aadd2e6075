"""The photo, pose and label map that a person gives for one picture, read and checked. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pgsynth_core.contract import Verdict
from pgsynth_core.data import Keypoints, LabelMap, present, read_image, read_label_map, read_pose
from pgsynth_core.data.files import as_rgb
from pgsynth_core.errors import UserError

__all__ = ["Pose", "Source", "parsing_of", "photo_of", "pose_of"]

Source = str | Path | Image.Image | np.ndarray
"""A photo: a path, a Pillow image, or uint8 [H, W, 3] RGB."""

Pose = str | Path | np.ndarray
"""A target pose: the path of a JSON file, or keypoints [18, 3] in pixels of a picture of the source's size."""


def photo_of(source: Source) -> np.ndarray:
    """A photo as uint8 [H, W, 3].

    Raises:
        UserError: If a file cannot be read, or an array is of another form.
    """
    if isinstance(source, str | Path):
        return read_image(Path(source))
    if isinstance(source, Image.Image):
        try:
            return as_rgb(source)
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


def pose_of(pose: Pose, size: tuple[int, int]) -> Keypoints:
    """The joints of a target pose, in pixels of a photo of `size`, (height, width); one at least is known.

    Raises:
        UserError: If a file cannot be read, an array is of another form, or no joint is known.
    """
    if isinstance(pose, str | Path):
        keypoints = read_pose(Path(pose), size=size)
        where = str(pose)
    else:
        keypoints = _keypoints(np.asarray(pose))
        where = "pose"
    if not present(keypoints).any():
        cure = "Give a pose with some joints of confidence above 0."
        raise UserError("the target pose has no joint.", where=where, cure=cure)
    return keypoints


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
        return read_label_map(Path(parsing), label_set=verdict.label_set, size=size)
    if "source_parsing" in verdict.data_ports:
        cure = "Give one: parsing=PATH in Python, --parsing PATH on the command line."
        raise UserError("this method reads a label map of the photo.", cure=cure)
    return None


def _form(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
