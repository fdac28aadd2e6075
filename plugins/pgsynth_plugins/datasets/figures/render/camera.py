"""Where the figure stands in the picture: orthographic, at eye level, the whole body inside the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.maths import Array

__all__ = ["Camera", "frame_body"]

_REFERENCE: Final = 1.78  # metres; somebody of this height takes up _FILL of the picture's height
_FILL: Final = 0.88
_MARGIN: Final = 0.035


@dataclass(frozen=True)
class Camera:
    """Pixels from metres: x = across + scale * X, y = down - scale * Y."""

    scale: float
    across: float
    down: float

    def pixels(self, points: Float[Array, "N 3"]) -> Float[Array, "N 3"]:
        """x to the right and y down in pixels; z stays in metres."""
        return np.stack(
            [self.across + self.scale * points[:, 0], self.down - self.scale * points[:, 1], points[:, 2]], axis=1
        )


def frame_body(
    points: Float[Array, "N 3"], height: int, width: int, *, cut: float, shift: tuple[float, float]
) -> Camera:
    """A camera that has the body in the picture.

    Args:
        points: Of the posed body, the floor being y = 0.
        height: Of the picture in pixels.
        width: Of the picture in pixels.
        cut: Share of the body, from below, that is left out; 0 shows all of it.
        shift: How far the body stands from the middle, in shares of the room that is left, each -1 to 1.
    """
    top = float(points[:, 1].max())
    low = cut * top
    shown = points[points[:, 1] >= low]
    left, right = float(shown[:, 0].min()), float(shown[:, 0].max())
    room = 1.0 - 2.0 * _MARGIN
    tall = (1.0 - _MARGIN if cut else room) * height
    scale = min(_FILL * height / (_REFERENCE * (1.0 - cut)), room * width / (right - left), tall / (top - low))
    free_x = room * width - scale * (right - left)
    across = _MARGIN * width + free_x * 0.5 * (1.0 + shift[0]) - scale * left
    free_y = tall - scale * (top - low)
    if cut:
        return Camera(scale, across, height + scale * low)
    return Camera(scale, across, (1.0 - _MARGIN) * height - free_y * (0.36 + 0.30 * shift[1]))
