"""Which pictures come of a photo and poses: every pose in its place, or why it cannot be. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pgsynth_core.api.own import Framing, OwnPhoto, Placed, place
from pgsynth_core.api.own_reading import OwnPoses
from pgsynth_core.api.photos import OnWarning
from pgsynth_core.data.keypoints import present
from pgsynth_core.data.poses import PoseFrame
from pgsynth_core.errors import UserError
from pgsynth_core.spec import Spec

__all__ = ["Unseen", "placed_in"]


@dataclass(frozen=True, eq=False)
class Unseen:
    """A picture that is to be drawn.

    Attributes:
        placed: Whose photo, and how it is shown to the method.
        poses: The poses that this is one of.
        number: Which of `Placed.poses`.
        frame: The pose, as it was read.
    """

    placed: Placed
    poses: OwnPoses
    number: int
    frame: PoseFrame


def placed_in(  # noqa: PLR0913 - a photo, poses, and whom to tell
    photo: OwnPhoto,
    poses: Sequence[OwnPoses],
    spec: Spec,
    framing: Framing,
    *,
    on_warning: OnWarning | None = None,
    on_skip: OnWarning | None = None,
) -> Iterator[Unseen]:
    """What is to be drawn of a photo: each pose in its place; frames in which nobody is are left out and told.

    Raises:
        UserError: As `own.place`, without `on_skip`.
    """
    for group in poses:
        for frames in [group.frames] if group.moving else [(frame,) for frame in group.frames]:
            for nobody in (frame for frame in frames if not present(frame.joints).any()):
                if on_warning:
                    on_warning(f"{nobody.name}: nobody is in it, and it is left out.")
            if not any(present(frame.joints).any() for frame in frames):
                continue
            try:
                placed = place(photo, frames, size=spec.size, fit=spec.fit, framing=framing, on_warning=on_warning)
            except UserError as error:
                if on_skip is None:
                    raise
                on_skip(
                    f"{photo.file or photo.name} in {group.name} is left out: {replace(error.problems[0], where='')}"
                )
                continue
            for number, frame in enumerate(frames):
                if present(frame.joints).any():
                    yield Unseen(placed, group, number, frame)
