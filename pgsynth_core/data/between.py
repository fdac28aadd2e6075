"""Poses between two poses, limb by limb. No torch.

Joints that moved on straight lines would shorten an arm that swings. So every limb of an arm or a leg turns, by the
shorter way round, while its length changes evenly; it hangs on the joint before it, from the neck outwards. What makes
the trunk and the face, neck to shoulders, to hips and to the nose, moves on straight lines: when a body turns around,
its shoulders pass through each other in the picture, they do not turn over the head.

Reading: lengths and directions are those in the picture; nothing is known of depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from pgsynth_core.data.keypoints import JOINTS, LIMBS, OPENPOSE_18, present
from pgsynth_core.data.records import Keypoints

__all__ = ["pose_between"]

_ENDS: Final = ("elbow", "wrist", "knee", "ankle")
_TURNING: Final = frozenset(joint for name, joint in JOINTS.items() if name.endswith(_ENDS))
_ORDER: Final[Sequence[int]] = [JOINTS["neck"], *(child for _, child in LIMBS)]
_PARENTS: Final = {child: parent for parent, child in LIMBS}
"""Every joint but the neck hangs on one; `LIMBS` names a joint after what it hangs on."""

assert len(_ORDER) == len(OPENPOSE_18), "a tree"


def pose_between(first: Keypoints, second: Keypoints, share: float) -> Keypoints:
    """The pose between two, in the same pixels.

    A joint that only one of the two has is there while the share is nearer to that one, where that one has it beside
    the joint it hangs on.

    Args:
        first: Where share is 0.
        second: Where share is 1.
        share: From 0 to 1; at the ends the poses themselves.

    Raises:
        ValueError: If the share is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is from 0 to 1; given: {share}")
    if share in (0, 1):
        return (second if share else first).copy()
    here, there, nearer = present(first), present(second), second if share > 0.5 else first
    found = np.zeros((18, 3), np.float64)
    for joint in _ORDER:
        parent = _PARENTS.get(joint)
        if not present(nearer)[joint]:
            continue
        both = here[joint] and there[joint]
        found[joint] = _even(first[joint], second[joint], share) if both else nearer[joint]
        if parent is None or not found[parent, 2]:
            continue
        limbs = [pose[joint, :2].astype(float) - pose[parent, :2] for pose in (first, second)]
        whole = [bool(known[joint] and known[parent]) for known in (here, there)]
        found[joint, :2] = found[parent, :2] + _limb(limbs, whole, share, turning=joint in _TURNING)
    return found.astype(np.float32)


def _limb(limbs: Sequence[np.ndarray], whole: Sequence[bool], share: float, *, turning: bool) -> np.ndarray:
    """The vector from a joint to the next; of one pose alone where the other does not have both."""
    if not all(whole):
        return limbs[whole.index(True)]
    first, second = limbs
    if not turning:
        return np.asarray(_even(first, second, share))
    (before, after), (long, longer) = (np.arctan2(v[1], v[0]) for v in limbs), (np.hypot(*v) for v in limbs)
    turn = (after - before + np.pi) % (2 * np.pi) - np.pi
    angle = before + share * turn
    return np.asarray(_even(long, longer, share) * np.array([np.cos(angle), np.sin(angle)]))


def _even(first: ArrayLike, second: ArrayLike, share: float) -> np.ndarray:
    return np.asarray(np.asarray(first, float) * (1 - share) + np.asarray(second, float) * share)
