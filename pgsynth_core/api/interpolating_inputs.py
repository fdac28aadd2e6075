"""What pictures go between: one or two photos or poses, read, and brought to where a method sees them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pgsynth_core.api.own import Framing, OwnPhoto, Placed, place
from pgsynth_core.api.own_reading import Looking, own_photo
from pgsynth_core.api.photos import OnWarning, Pose, Source, frame_of
from pgsynth_core.contract import Verdict
from pgsynth_core.data import Keypoints
from pgsynth_core.data.poses import PoseFrame
from pgsynth_core.errors import UserError
from pgsynth_core.spec import Spec

__all__ = ["Between", "Ends", "check_ends", "read_ends"]

MOST_FRAMES: Final = 1000


@dataclass(frozen=True)
class Ends:
    """Where pictures begin and end.

    Attributes:
        placed: The photos as they are shown, each with the pose of its end.
        poses: Those, in pixels of the method's picture.
    """

    placed: tuple[Placed, Placed]
    poses: tuple[Keypoints, Keypoints]


@dataclass(frozen=True)
class Between:
    """What is to be drawn. Of photos and poses there are one or two each, and two of either at least.

    Attributes:
        sources: The photos.
        poses: The poses, each in pixels of the photo of its place where it names no canvas.
        parsings: Label maps of the photos, in their order; none, or None for one: what lies beside it or is found.
        source_poses: The same of the joints of the people in them.
        framing: How they are shown.
        person: Which of several people is meant, in a photo or a pose, see `data.people`.
        frames: How many pictures.
    """

    sources: Sequence[Source]
    poses: Sequence[Pose]
    parsings: Sequence[str | Path | None] = ()
    source_poses: Sequence[Pose | None] = ()
    framing: Framing = field(default_factory=Framing)
    person: str | int = "most-certain"
    frames: int = 9


def read_ends(
    wanted: Between, spec: Spec, verdict: Verdict, looking: Looking, *, on_warning: OnWarning | None = None
) -> Ends:
    """Read what is given, and put each pose into the photo of its end, as `own.place` does for a single picture.

    A photo that stands at both ends is shown alike at both: in one window, and its poses are fitted as one body's, if
    they are of pictures of one size.

    Args:
        wanted: What is asked for.
        spec: Of the method.
        verdict: On it.
        looking: Who looks at photos for what neither is given nor lies beside them.
        on_warning: Told what is odd.

    Raises:
        UserError: If numbers do not fit, see `check_ends`, something cannot be read, or as `own.place`.
    """
    check_ends(wanted)
    nothing = [None] * len(wanted.sources)
    given = zip(wanted.sources, wanted.source_poses or nothing, wanted.parsings or nothing, strict=True)
    photos = [
        own_photo(source, verdict, looking, framing=wanted.framing, joints=pose, parsing=parsing)
        for source, pose, parsing in given
    ]
    theirs = photos * len(wanted.poses) if len(photos) == 1 else photos[: len(wanted.poses)]
    frames = [
        frame_of(pose, photo.size, person=looking.person, found_in=looking.people, on_warning=on_warning)
        for pose, photo in zip(wanted.poses, theirs, strict=True)
    ]

    def placed(photo: OwnPhoto, these: Sequence[PoseFrame]) -> Placed:
        return place(
            photo,
            these,
            size=spec.size,
            fit=spec.fit,
            framing=wanted.framing,
            moving=False,
            on_warning=on_warning,
        )

    if len(photos) == 1:
        both = (placed(photos[0], frames),) * 2
        joints = [both[0].poses[0], both[0].poses[-1]]
    else:
        both = (placed(photos[0], frames[:1]), placed(photos[1], frames[-1:]))
        joints = [one.poses[0] for one in both]
    first, last = (one.shown(pose) for one, pose in zip(both, joints, strict=True))
    return Ends(both, (first, last))


def check_ends(wanted: Between) -> None:
    """Refuse numbers of things that cannot be.

    Raises:
        UserError: If there are others than one or two photos or poses, one of each, as many label maps or joints as
            photos, or frames are not from 2 to `MOST_FRAMES`.
    """
    if not 2 <= wanted.frames <= MOST_FRAMES:
        message = f"{wanted.frames} frames; from 2, the ends themselves, to {MOST_FRAMES} can be drawn."
        raise UserError(message, where="frames", cure="Write frames=9.")
    for name, count in (("source", len(wanted.sources)), ("pose", len(wanted.poses))):
        if count not in (1, 2):
            raise UserError(f"{count} are given; one or two are wanted.", where=name, cure="Give two, or one.")
    if len(wanted.sources) == len(wanted.poses) == 1:
        cure = "Give two of either; for one picture there is sample."
        raise UserError("there is nothing between one photo and one pose.", where="pose", cure=cure)
    for name, what, of_photos in (
        ("parsing", "label maps", wanted.parsings),
        ("source_poses", "poses of photos", wanted.source_poses),
    ):
        if len(of_photos) not in (0, len(wanted.sources)):
            message = f"{len(of_photos)} {what} for {len(wanted.sources)} photos."
            raise UserError(message, where=name, cure="Give as many as photos, in their order.")
