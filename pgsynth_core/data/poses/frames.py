"""What is read of a pose: a frame, the people in it before one is chosen, and joint lists of each length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pgsynth_core.data.formats import PIXEL_CENTRE, from_coco, from_openpose
from pgsynth_core.data.keypoints import no_keypoints, present
from pgsynth_core.data.people import chosen_person, other_people, require_person_rule
from pgsynth_core.data.records import Keypoints

__all__ = ["LEAST_SCORE", "NoCanvas", "NoPerson", "PoseFrame", "Scene", "followed", "joints_of", "matrix", "meant"]

_COCO, _WHOLE_BODY = 17, 133

LEAST_SCORE: Final = 0.3
"""A joint of COCO's of which a detector is less sure is missing: detectors give a place to every joint, hidden or not.
ViTPose's and DWPose's own."""


class NoPerson(ValueError):
    """There is no such person among those in a frame.

    Attributes:
        cure: Who there is.
    """

    def __init__(self, person: str, count: int) -> None:
        super().__init__(f"there is no person {person}; {count} {'is' if count == 1 else 'are'} in it")
        self.cure = other_people(count)


class NoCanvas(ValueError):
    """Joints are fractions of a picture whose size nothing says."""


@dataclass(frozen=True, eq=False)
class PoseFrame:
    """A pose that was read.

    Attributes:
        name: Of its file or its row, without endings; a file of several frames numbers them.
        joints: OpenPose-18, in pixels of `canvas`; all missing if nobody was in it.
        canvas: (height, width) in pixels of the picture that the joints are in; None if nothing says it.
    """

    name: str
    joints: Keypoints
    canvas: tuple[int, int] | None = None

    def scaled(self, size: tuple[int, int]) -> Keypoints:
        """The joints in pixels of a picture of (height, width) `size`; without a canvas they are that already."""
        if self.canvas is None or self.canvas == size:
            return self.joints
        moved = self.joints.copy()
        moved[present(moved), :2] *= np.array([size[1] / self.canvas[1], size[0] / self.canvas[0]], np.float32)
        return moved


@dataclass(frozen=True, eq=False)
class Scene:
    """A frame with everybody in it, as a format gave it; joints may still be fractions of the canvas.

    Attributes:
        name: As of `PoseFrame`.
        people: In the order given.
        canvas: (height, width) in pixels, where the file says it.
        beside: The size of the picture that stands beside the file; it counts where nobody says another.
    """

    name: str
    people: Sequence[Keypoints]
    canvas: tuple[float, float] | None = None
    beside: tuple[int, int] | None = None

    def frame(
        self, person: str, canvas: tuple[int, int] | None, fractions_of: tuple[int, int] | None = None
    ) -> PoseFrame:
        """The frame of one of the people: all joints missing if there is nobody.

        Args:
            person: Who is meant, as `people.chosen_person` says. The most certain has the largest sum of confidences;
                numbers count people with joints, in the order given. Nobody chooses of one alone but by a number.
            canvas: For a file that does not name its own.
            fractions_of: The same, where joints are fractions.

        Raises:
            NoPerson: If there is no such person.
            NoCanvas: If joints are fractions of a canvas that nobody names.
        """
        people = self.shown()
        place = meant(people, person)
        return self.of(no_keypoints() if place is None else people[place], canvas, fractions_of)

    def shown(self) -> list[Keypoints]:
        """The people of whom there are joints, in the order given."""
        return [joints for joints in self.people if present(joints).any()]

    def of(
        self, joints: Keypoints, canvas: tuple[int, int] | None, fractions_of: tuple[int, int] | None = None
    ) -> PoseFrame:
        """The frame of these joints, which are of one of its people; as `frame`.

        Raises:
            NoCanvas: As there.
        """
        size = self.canvas or canvas or self.beside
        known = present(joints)
        bare = joints[known, :2] - PIXEL_CENTRE
        if known.any() and (np.abs(bare) <= 1).all():  # no person is two pixels high
            size = size or fractions_of
            if size is None:
                message = "its joints are fractions from 0 to 1, and it does not say of a picture of what size"
                raise NoCanvas(message)
            joints = joints.copy()
            joints[known, :2] = bare * np.array([size[1], size[0]], np.float32)
        whole = None if size is None else (max(1, round(size[0])), max(1, round(size[1])))
        return PoseFrame(self.name, joints, whole)


def meant(people: Sequence[Keypoints], person: str) -> int | None:
    """The place of the one of several that is meant; None if there is nobody.

    Args:
        people: In the order given; each has a joint at least.
        person: As `Scene.frame` says.

    Raises:
        NoPerson: If there is no such number.
        UserError: If there is no such rule.
    """
    require_person_rule(person, where="person")
    order = list(range(len(people)))
    if not person.isdigit():
        order.sort(key=lambda place: -float(people[place][:, 2].sum()))
    if not people:
        return None
    place = chosen_person([people[place] for place in order], person)
    if place is None:
        raise NoPerson(person, len(people))
    return order[place]


def followed(people: Sequence[Keypoints], before: Keypoints) -> int:
    """The place of the one who is nearest to where somebody was a frame before.

    Args:
        people: One at least, each with a joint at least.
        before: Of one of them, by the same measure of place.
    """

    def away(joints: Keypoints) -> float:
        both = present(joints) & present(before)
        if both.any():
            return float(np.hypot(*(joints - before)[both, :2].T).mean())
        middles = (one[present(one), :2].mean(axis=0) for one in (joints, before))
        return float(np.hypot(*np.subtract(*middles)))

    return min(range(len(people)), key=lambda place: away(people[place]))


def joints_of(points: np.ndarray, *, annotated: bool = False, least: float = LEAST_SCORE) -> Keypoints:
    """A list of joints, told apart by its length: 17 are COCO's, 133 COCO's whole body, 18 and 25 OpenPose's.

    Args:
        points: x, y, in pixels counted from the centre of the first, or fractions; and a third number, as
            `from_coco` and `from_openpose` read it. Without it a joint is missing where both are 0, one is -1 or
            either is not a number. Of 17 joints it is COCO's visibility where a 2 occurs, else a confidence.
        annotated: The third number of 17 joints is COCO's visibility, whatever occurs.
        least: Of 17 or 133 joints one with less confidence is missing, wherever it is said to be.

    Raises:
        ValueError: If there are other than so many joints, or a number is no place.
    """
    if points.ndim != 2 or points.shape[1] < 2:
        raise ValueError(f"a joint is x, y, confidence; given: an array of {' x '.join(map(str, points.shape))}")
    if points.shape[1] == 2:
        known = np.isfinite(points).all(axis=1) & (points != -1).all(axis=1) & (points != 0).any(axis=1)
        points = np.where(known[:, None], np.column_stack([points, np.ones(len(points))]), 0.0)
    if len(points) in (_COCO, _WHOLE_BODY):
        body = points[:_COCO, :3]
        visibility = annotated or bool((body[:, 2] > 1).any()) and set(body[:, 2].tolist()) <= {0.0, 1.0, 2.0}
        if visibility:
            return from_coco(body)
        return from_coco(np.where((body[:, 2:] <= 0) | (body[:, 2:] < least), 0.0, body), third="confidence")
    if len(points) not in (18, 25):
        raise ValueError(f"a pose has 17 joints (COCO), 18 or 25 (OpenPose); given: {len(points)}")
    return from_openpose(points)


_FLAT: Final = {3 * joints: 3 for joints in (17, 18, 25, 133)} | {2 * joints: 2 for joints in (17, 18, 25)}
"""Numbers in one flat list -> how many make a joint; 36, 34 and 50 are pairs, for no pose has 12 joints."""


def matrix(value: Any) -> np.ndarray:
    """A joint list as an array of rows: nested lists, or one flat list of x, y, confidence, ...

    Raises:
        ValueError: If it is no such list.
    """
    if not isinstance(value, list) or not value:
        raise ValueError(f"keypoints are a list; given: {value!r:.60}")
    rows = value if all(isinstance(row, list) for row in value) else _in_rows(value)
    if len({len(row) for row in rows}) != 1:
        raise ValueError(f"every joint has as many numbers; given: {[len(row) for row in rows]!r:.60}")
    plain = (isinstance(number, int | float) and not isinstance(number, bool) for row in rows for number in row)
    if not all(plain):
        raise ValueError(f"keypoints are numbers; given: {rows!r:.60}")
    try:
        return np.array(rows, np.float64)
    except OverflowError as failure:
        raise ValueError(f"a number is too large for any place: {failure}") from failure


def _in_rows(flat: list[Any]) -> list[list[Any]]:
    if len(flat) not in _FLAT:
        raise ValueError(
            f"a flat list has 51 numbers (17 joints of COCO), 54 or 75 (18 or 25 of OpenPose); given: {len(flat)}"
        )
    step = _FLAT[len(flat)]
    return [flat[start : start + step] for start in range(0, len(flat), step)]
