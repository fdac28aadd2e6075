"""Retargeting: a pose of one body becomes the pose of another, in the other's picture.

A photo shows how long a limb is only where it lies across the view; a limb that points at the viewer looks short. So a
body is measured over several pictures where there are some, each limb at its largest, left and right alike; from
single pictures only the torso and the head are measured, which are foreshortened least. The ratios of the two bodies'
sizes multiply the limbs of the target as they are projected, joint by joint from the neck outwards: every limb keeps
its direction and its foreshortening. A missing joint stays missing; one whose parent is missing hangs on the next
joint inwards.

Over a sequence the camera must not zoom, for a limb's largest length is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Float

from pgsynth_core.data.keypoints import JOINTS, LIMBS, MIRRORED_JOINTS, present
from pgsynth_core.data.poses.frames import PoseFrame
from pgsynth_core.data.records import Keypoints
from pgsynth_core.errors import UserError, suggestion

__all__ = ["Body", "Ratios", "Root", "body_of", "ratios_of", "retarget", "retarget_frames"]

Root = Literal["source", "target"]
"""Where the person stands: where the source does, or where the target does on its own canvas."""

Places = Float[np.ndarray, "18 2"]

LEAST_FRAMES: Final = 3
"""So many pictures of a limb, in both bodies, and its own largest length counts; see the test on `figures`."""

_FURTHEST: Final = 2.0
"""A limb's ratio is at most so many times the torso's, or one by that: beyond, it was seen foreshortened throughout."""

PARENT: Final[Mapping[int, int]] = {end: start for start, end in LIMBS}
"""Joint -> the next one inwards; the neck has none."""

_OUTWARDS: Final = tuple(
    end for _, end in sorted(LIMBS, key=lambda limb: (limb[0] != JOINTS["neck"], LIMBS.index(limb)))
)
_NECK, _NOSE = JOINTS["neck"], JOINTS["nose"]
_SHOULDERS = (JOINTS["right-shoulder"], JOINTS["left-shoulder"])
_HIPS = (JOINTS["right-hip"], JOINTS["left-hip"])
_ANKLES = (JOINTS["right-ankle"], JOINTS["left-ankle"])
_TORSO = (_NECK, *_SHOULDERS, *_HIPS)
_HEAD: Final = tuple(JOINTS[name] for name in ("nose", "right-eye", "left-eye", "right-ear", "left-ear"))


@dataclass(frozen=True)
class Body:
    """Lengths in pixels that were seen of a body, one per picture in which they could be.

    Attributes:
        torso: Neck to the middle of the hips.
        shoulders: From one to the other.
        head: Neck to nose.
        limbs: Of each limb, by its outer joint; both sides together.
    """

    torso: tuple[float, ...]
    shoulders: tuple[float, ...]
    head: tuple[float, ...]
    limbs: Mapping[int, tuple[float, ...]]


@dataclass(frozen=True)
class Ratios:
    """How many times a body is as large as another.

    Attributes:
        whole: Of the torso, or what stands for it: scales where the body is.
        limbs: Of each limb, by its outer joint.
        measured: What `whole` was measured on: ``torso``, ``shoulders`` or ``head``.
        own: Outer joints of the limbs that were measured by themselves; the others have the torso's or the head's.
    """

    whole: float
    limbs: Mapping[int, float]
    measured: str
    own: frozenset[int]


# ------------------------------------------------------------------------------------------- measuring
def body_of(poses: Sequence[Keypoints]) -> Body:
    """Measure a body in its poses, all in pixels of one camera that does not zoom."""
    torso, shoulders, head = list[float](), list[float](), list[float]()
    limbs: dict[int, tuple[float, ...]] = {joint: () for joint in PARENT}
    for keypoints in poses:
        there, places = present(keypoints), keypoints[:, :2].astype(np.float64)
        neck = _middle(places, there, (_NECK,))
        neck = neck if neck is not None or not there[list(_SHOULDERS)].all() else places[list(_SHOULDERS)].mean(axis=0)
        hips = _middle(places, there, _HIPS)
        if neck is not None and hips is not None:
            torso.append(_long(hips - neck))
        if neck is not None and there[_NOSE]:
            head.append(_long(places[_NOSE] - neck))
        if there[list(_SHOULDERS)].all():
            shoulders.append(_long(places[_SHOULDERS[0]] - places[_SHOULDERS[1]]))
        lengths = {
            joint: _long(places[joint] - places[parent])
            for joint, parent in PARENT.items()
            if there[joint] and there[parent]
        }
        for joint in PARENT:  # the longer of the two sides, once a picture
            seen = [lengths[side] for side in {joint, MIRRORED_JOINTS[joint]} if side in lengths]
            limbs[joint] += (max(seen),) if seen else ()
    return Body(_known(torso), _known(shoulders), _known(head), {joint: _known(seen) for joint, seen in limbs.items()})


def _middle(places: Places, there: np.ndarray, joints: tuple[int, ...]) -> np.ndarray | None:
    known = [joint for joint in joints if there[joint]]
    return places[known].mean(axis=0) if known else None


def _long(vector: np.ndarray) -> float:
    return float(np.hypot(vector[0], vector[1]))


def _known(lengths: Sequence[float]) -> tuple[float, ...]:
    return tuple(length for length in lengths if length > 0)


def ratios_of(source: Body, target: Body) -> Ratios:
    """How many times the source's body is as large as the target's.

    Raises:
        UserError: If there is nothing that was seen of both: neither torso, shoulders nor head.
    """
    measures = {name: (getattr(source, name), getattr(target, name)) for name in ("torso", "shoulders", "head")}
    measured = next((name for name, (ours, theirs) in measures.items() if ours and theirs), "")
    if not measured:
        cure = (
            "Give poses in which neck and hips, both shoulders, or neck and nose are known; or leave retargeting out."
        )
        raise UserError(
            "there is no part of the body that both poses show, to measure them by.", where="retarget", cure=cure
        )
    whole = _ratio(*measures[measured])
    head = _bounded(_ratio(*measures["head"]), whole) if all(measures["head"]) else whole
    limbs, own = dict[int, float](), set[int]()
    for joint in PARENT:
        ours, theirs = source.limbs[joint], target.limbs[joint]
        limbs[joint] = head if joint in _HEAD else whole
        if min(len(ours), len(theirs)) >= LEAST_FRAMES:
            limbs[joint] = _bounded(max(ours) / max(theirs), whole)
            own.add(joint)
    return Ratios(whole, limbs, measured, frozenset(own))


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Largest to largest; but a single picture's length is like the usual one of a sequence, not like its largest."""
    if min(len(ours), len(theirs)) >= LEAST_FRAMES:
        return max(ours) / max(theirs)
    return float(np.median(ours) / np.median(theirs))


def _bounded(ratio: float, whole: float) -> float:
    return min(max(ratio, whole / _FURTHEST), whole * _FURTHEST)


# ------------------------------------------------------------------------------------------- moving
def retarget(
    targets: Sequence[Keypoints],
    source: Sequence[Keypoints],
    *,
    root: Root | str = "source",
    scale: tuple[float, float] = (1.0, 1.0),
) -> list[Keypoints]:
    """The target's poses as the source's body takes them.

    Where the person stands is fitted once for all poses, so that a jump stays a jump: across by the middle of the
    torso, down by the lower ankle where every pose of both shows one, else by the torso. In the middle of the
    sequence (the median) it is where `root` says; steps from there are as many times as long as the torso is.

    Args:
        targets: Poses of one body, a sequence or one.
        source: Poses of the other, best in several pictures, in the pixels that the result is wanted in.
        root: Where the person stands.
        scale: (y, x) from the target's canvas to the source's, for ``root="target"``.

    Returns:
        As many poses as `targets`; confidences, and which joints are missing, as there.

    Raises:
        UserError: If there is no pose, no part of the body that both show, or no such root.
    """
    if root not in (roots := get_args(Root)):
        raise UserError(
            f"there is no root {root!r}.", where="retarget", cure=suggestion(str(root), roots, what="roots")
        )
    if not targets or not source:
        raise UserError("there is no pose to retarget.", where="retarget", cure="Give a pose, and one of the source.")
    ratios = ratios_of(body_of(source), body_of(targets))
    seen, shown = ([keypoints for keypoints in poses if present(keypoints).any()] for poses in (targets, source))
    standing = all(present(keypoints)[list(_ANKLES)].any() for keypoints in (*seen, *shown))
    anchors = np.array([_anchor(keypoints[:, :2], present(keypoints), standing) for keypoints in seen])
    middle = np.median(anchors, axis=0)
    if root == "source":
        place = np.median([_anchor(one[:, :2], present(one), standing) for one in shown], axis=0)
    else:
        place = middle * (scale[1], scale[0])
    shift = place - ratios.whole * middle
    return [_moved(keypoints, ratios, shift, standing) for keypoints in targets]


def retarget_frames(
    targets: Sequence[PoseFrame], source: Sequence[PoseFrame], *, root: Root | str = "source"
) -> list[PoseFrame]:
    """As `retarget`, of frames as they were read; what is made is in the source's canvas.

    Raises:
        UserError: As `retarget`; or if the canvases of a sequence differ, so that its lengths cannot be compared.
    """
    ours, theirs = _canvas(source, "source"), _canvas(targets, "target")
    scale = (ours[0] / theirs[0], ours[1] / theirs[1]) if ours and theirs else (1.0, 1.0)
    poses = retarget([one.joints for one in targets], [one.joints for one in source], root=root, scale=scale)
    return [PoseFrame(one.name, joints, ours) for one, joints in zip(targets, poses, strict=True)]


def _canvas(frames: Sequence[PoseFrame], whose: str) -> tuple[int, int] | None:
    found = list(dict.fromkeys(frame.canvas for frame in frames))
    if len(found) > 1:
        sizes = ", ".join("unknown" if size is None else f"{size[0]}x{size[1]}" for size in found[:4])
        cure = "Retarget poses of pictures of one size at a time, or crop and resize the pictures alike first."
        raise UserError(f"the {whose}'s poses are in pictures of several sizes: {sizes}.", where="retarget", cure=cure)
    return found[0] if found else None


def _anchor(places: Places, there: np.ndarray, standing: bool) -> np.ndarray:
    """The point of a pose that is put in its place."""
    torso = [joint for joint in _TORSO if there[joint]] or np.flatnonzero(there).tolist()
    x, y = places[torso].astype(np.float64).mean(axis=0)
    return np.array([x, max(float(places[joint, 1]) for joint in _ANKLES if there[joint]) if standing else y])


def _moved(keypoints: Keypoints, ratios: Ratios, shift: np.ndarray, standing: bool) -> Keypoints:
    there = present(keypoints)
    if not there.any():
        return keypoints.copy()
    places = scaled_limbs(keypoints, ratios)
    wanted = ratios.whole * _anchor(keypoints[:, :2], there, standing) + shift
    moved = keypoints.copy()
    moved[there, :2] = (places + (wanted - _anchor(places, there, standing)))[there]
    return moved


def scaled_limbs(keypoints: Keypoints, ratios: Ratios) -> Places:
    """The joints with every limb multiplied by its ratio; rows of missing joints mean nothing.

    A joint with none further inwards, such as the neck, is multiplied by the ratio of the whole body.
    """
    there, places = present(keypoints), keypoints[:, :2].astype(np.float64)
    moved = ratios.whole * places
    for joint in _OUTWARDS:
        inner, factors = PARENT.get(joint), [ratios.limbs[joint]]
        while inner is not None and not there[inner]:
            factors += [ratios.limbs[inner]] if inner in ratios.limbs else []
            inner = PARENT.get(inner)
        if there[joint] and inner is not None:
            moved[joint] = moved[inner] + np.mean(factors) * (places[joint] - places[inner])
    return moved
