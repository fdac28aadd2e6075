"""What a person gives for pictures between two photos or two poses, read and checked. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgsynth_core.api.photos import OnWarning, Pose, Source, parsing_of, photo_of, pose_of
from pgsynth_core.contract import Verdict
from pgsynth_core.data import Fit, Keypoints, Person, no_keypoints
from pgsynth_core.errors import UserError
from pgsynth_core.spec import Spec

__all__ = ["Ends", "check_frames", "read_ends"]

MOST_FRAMES: Final = 1000


@dataclass(frozen=True)
class Ends:
    """Where pictures begin and end: photos as stored, and poses in pixels of the method's picture."""

    sources: tuple[Person, Person]
    poses: tuple[Keypoints, Keypoints]


def read_ends(  # noqa: PLR0913 - what is given, and of which method
    sources: Sequence[Source],
    poses: Sequence[Pose],
    spec: Spec,
    verdict: Verdict,
    *,
    parsings: Sequence[str | Path | None] = (),
    on_warning: OnWarning | None = None,
) -> Ends:
    """Read and check what is given: one or two photos, one or two poses; a pose is in pixels of its photo.

    Raises:
        UserError: If there are others than one or two of each, or one of each, or one cannot be read.
    """
    for name, given in (("source", sources), ("pose", poses)):
        if len(given) not in (1, 2):
            raise UserError(f"{len(given)} are given; one or two are wanted.", where=name, cure="Give two, or one.")
    if len(sources) == len(poses) == 1:
        cure = "Give two of either; for one picture there is sample."
        raise UserError("there is nothing between one photo and one pose.", where="pose", cure=cure)
    if len(parsings) not in (0, len(sources)):
        cure = "Give as many as photos, in their order."
        raise UserError(f"{len(parsings)} label maps for {len(sources)} photos.", where="parsing", cure=cure)
    people = []
    for source, parsing in zip(sources, parsings or [None] * len(sources), strict=True):
        image = photo_of(source)
        people.append(
            Person("source", image, no_keypoints(), parsing_of(parsing, (image.shape[0], image.shape[1]), verdict))
        )
    first, second = people[0], people[-1]
    joints = []
    for pose, person in zip((poses[0], poses[-1]), (first, second), strict=True):
        own = first if len(poses) == 1 else person  # one pose is of the first photo
        keypoints = pose_of(pose, own.size, on_warning=on_warning)
        joints.append(Fit(own.size, spec.size, spec.fit).keypoints(keypoints))
    return Ends((first, second), (joints[0], joints[1]))


def check_frames(frames: int) -> None:
    """Refuse a number of frames that cannot be.

    Raises:
        UserError: If it is not from 2 to `MOST_FRAMES`.
    """
    if not 2 <= frames <= MOST_FRAMES:
        message = f"{frames} frames; from 2, the ends themselves, to {MOST_FRAMES} can be drawn."
        raise UserError(message, where="frames", cure="Write frames=9.")
