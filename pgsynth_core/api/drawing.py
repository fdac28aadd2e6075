"""People's own photos drawn in poses of their own: every photo in every pose, from every seed, in as few batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgsynth_core.api.model import Model
from pgsynth_core.api.own import Framing, OwnPhoto, Placed, place
from pgsynth_core.api.own_reading import OwnPoses
from pgsynth_core.api.photos import OnWarning
from pgsynth_core.api.pictures import drawn, plan_of
from pgsynth_core.data.keypoints import present
from pgsynth_core.data.poses import PoseFrame
from pgsynth_core.data.tensors import Batch, example

__all__ = ["Drawn", "draw_own"]


@dataclass(frozen=True, eq=False)
class Drawn:
    """One picture.

    Attributes:
        placed: Whose photo, and how it was shown to the method.
        poses: The poses that this is one of.
        number: Which of `Placed.poses`.
        frame: The pose, as it was read.
        seed: Its seed.
        picture: What the method drew, uint8 [H, W, 3] at its size.
    """

    placed: Placed
    poses: OwnPoses
    number: int
    frame: PoseFrame
    seed: int
    picture: np.ndarray

    @property
    def tiles(self) -> tuple[np.ndarray, ...]:
        """What was seen of the photo, the pose as it was given, the pose that was drawn, the picture."""
        size = self.picture.shape[0], self.picture.shape[1]
        return *self.placed.tiles(self.number, size), self.picture


def draw_own(  # noqa: PLR0913 - what of whom, and how
    model: Model,
    photos: Iterable[OwnPhoto],
    poses: Sequence[OwnPoses],
    *,
    n: int = 1,
    framing: Framing | None = None,
    batch: int | None = None,
    on_warning: OnWarning | None = None,
) -> Iterator[Drawn]:
    """Draw every photo in every pose; a picture is the same alone and among others, in any batch.

    Args:
        model: Its settings of sampling count: the first seed, steps, guidance.
        photos: Read as they are needed.
        poses: Of each photo all of them, in order; the frames of one that moves are one body's.
        n: Pictures of each pose, from the spec's seed on.
        framing: How a person is shown.
        batch: Pictures at once; None: the spec's ``sample.batch_size``. Fewer where memory ends.
        on_warning: Told what is odd.

    Raises:
        UserError: As `own.place` and `pictures.drawn`.
    """
    assembly, settings = model.assembly, model.assembly.spec.sample
    waiting: deque[Drawn] = deque()

    def wanted() -> Iterator[tuple[Batch, int]]:
        for photo in photos:
            for one in _unseen(model, photo, poses, framing or Framing(), on_warning):
                plan = replace(assembly.plan(source_pose=False), fit=one.placed.fit)
                made = example(one.placed.pair(one.number), plan)
                for seed in range(settings.seed, settings.seed + n):
                    waiting.append(replace(one, seed=seed))
                    yield made, seed

    for picture in drawn(assembly, wanted(), plan=plan_of(settings), size=batch, tell=on_warning):
        yield replace(waiting.popleft(), picture=picture)


def _unseen(
    model: Model, photo: OwnPhoto, poses: Sequence[OwnPoses], framing: Framing, on_warning: OnWarning | None
) -> Iterator[Drawn]:
    """What is to be drawn of a photo, without the pictures."""
    spec, nothing = model.assembly.spec, np.zeros((0, 0, 3), np.uint8)
    for group in poses:
        for frames in [group.frames] if group.moving else [(frame,) for frame in group.frames]:
            if not any(present(frame.joints).any() for frame in frames):
                _tell_nobody(frames[0], on_warning)
                continue
            placed = place(photo, frames, size=spec.size, fit=spec.fit, framing=framing, on_warning=on_warning)
            for number, frame in enumerate(frames):
                if present(frame.joints).any():
                    yield Drawn(placed, group, number, frame, 0, nothing)
                else:
                    _tell_nobody(frame, on_warning)


def _tell_nobody(frame: PoseFrame, on_warning: OnWarning | None) -> None:
    if on_warning:
        on_warning(f"{frame.name}: nobody is in it, and it is left out.")
