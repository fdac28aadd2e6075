"""People's own photos drawn in poses of their own: every photo in every pose, from every seed, in as few batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.own import Framing, OwnPhoto
from pgsynth_core.api.own_placing import Unseen, placed_in
from pgsynth_core.api.own_reading import OwnPoses
from pgsynth_core.api.photos import OnWarning
from pgsynth_core.api.pictures import drawn, plan_of
from pgsynth_core.data.tensors import Batch, example

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["Drawn", "draw_own"]


@dataclass(frozen=True, eq=False)
class Drawn(Unseen):
    """One picture.

    Attributes:
        seed: Its seed.
        picture: What the method drew, uint8 [H, W, 3] at its size.
    """

    seed: int
    picture: np.ndarray

    @property
    def image(self) -> Image.Image:
        """The picture as Pillow's."""
        return Image.fromarray(self.picture)

    def back(self) -> Image.Image:
        """It in the photo's own frame and size, see `own.Placed.back`."""
        return Image.fromarray(self.placed.back(self.picture))

    @property
    def tiles(self) -> tuple[np.ndarray, ...]:
        """What was seen of the photo, the pose as it was given, the pose that was drawn, the picture."""
        return *self.placed.tiles(self.number), self.picture


_MOST: Final = 64
"""Pictures at once: beyond, a GPU is full, and the first would be long in coming."""


def _gains(method: torch.nn.Module) -> bool:
    """Whether more pictures at once are quicker."""
    return next(method.parameters()).device.type != "cpu" and method._compiled_call_impl is None


def draw_own(  # noqa: PLR0913 - what of whom, and how
    model: Model,
    photos: Iterable[OwnPhoto],
    poses: Sequence[OwnPoses],
    *,
    n: int = 1,
    framing: Framing | None = None,
    batch: int | None = None,
    on_warning: OnWarning | None = None,
    on_skip: OnWarning | None = None,
) -> Iterator[Drawn]:
    """Draw every photo in every pose; a picture is the same alone and among others, in any batch.

    Args:
        model: Its settings of sampling count: the first seed, steps, guidance.
        photos: Read as they are needed.
        poses: Of each photo all of them, in order; the frames of one that moves are one body's.
        n: Pictures of each pose, from the spec's seed on.
        framing: How a person is shown.
        batch: Pictures at once; fewer where memory ends. None: the spec's ``sample.batch_size``, and on a GPU more as
            long as they fit, but for a compiled model, which another number would compile anew.
        on_warning: Told what is odd.
        on_skip: Told of each pose that cannot be put into a photo, and why, and the others are drawn; None: it ends
            all of it.

    Raises:
        UserError: As `own.place` and `pictures.drawn`.
    """
    assembly, settings, framing = model.assembly, model.assembly.spec.sample, framing or Framing()
    plan = assembly.plan(source_pose=False)
    waiting: deque[tuple[Unseen, int]] = deque()

    def wanted() -> Iterator[tuple[Batch, int]]:
        for photo in photos:
            for one in placed_in(photo, poses, assembly.spec, framing, on_warning=on_warning, on_skip=on_skip):
                made = example(one.placed.pair(one.number), plan)
                for seed in range(settings.seed, settings.seed + n):
                    waiting.append((one, seed))
                    yield made, seed

    most = _MOST if batch is None and _gains(assembly.method) else 0
    for picture in drawn(assembly, wanted(), plan=plan_of(settings), size=batch, most=most, tell=on_warning):
        one, seed = waiting.popleft()
        yield Drawn(one.placed, one.poses, one.number, one.frame, seed, picture)
