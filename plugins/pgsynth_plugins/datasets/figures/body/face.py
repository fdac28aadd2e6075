"""What is painted on the head: skin, eyes, brows, mouth, cheeks, beard; and the look that decides about it.

Painted in the head's own coordinates (in heads; see `head.py`) from the front, so a turned head shows a turned face,
and from behind there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pgsynth_plugins.datasets.figures.body.head import EYE, NOSE_TIP
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.labels import FACE
from pgsynth_plugins.datasets.figures.material import Material, Painted
from pgsynth_plugins.datasets.figures.maths import Array, noise, smooth
from pgsynth_plugins.datasets.figures.palette import SKINS, Rgb, Skin, blend, darker, mixed, rgb

__all__ = ["Look", "draw_look", "face_material"]

_IRISES: Final = tuple(rgb(code) for code in ("2e1e18", "3f2a1c", "5a3c22", "44603f", "3c5a72", "2a2320"))
_WHITE: Final = rgb("f7f3ef")
_DARK: Final = rgb("191214")


@dataclass(frozen=True, kw_only=True)
class Look:
    """A face.

    Attributes:
        skin: Complexion.
        iris: Colour of the eyes.
        brow: Colour of the brows and of a beard.
        feminine: 0 to 1: fuller lips and longer lashes.
        mouth: Half its width, in heads.
        smile: How far its corners are lifted, in heads.
        lips: Colour of the lips.
        beard: None, a shadow, or a full one.
        freckles: Whether there are any.
    """

    skin: Skin
    iris: Rgb
    brow: Rgb
    feminine: float
    mouth: float
    smile: float
    lips: Rgb
    beard: Literal["none", "stubble", "full"]
    freckles: bool


def draw_look(chance: Chance, feminine: float, hair: Rgb) -> Look:
    """Somebody's face, whose brows go with the hair."""
    skin = chance.pick("skin", SKINS)
    painted = feminine > 0.5 and chance.happens("lipstick", 0.4)
    beard: Literal["none", "stubble", "full"] = "none"
    if feminine < 0.4:
        beard = chance.weighted("beard", {"none": 5, "stubble": 2, "full": 2})
    return Look(
        skin=skin,
        iris=chance.pick("iris", _IRISES),
        brow=darker(mixed(hair, rgb("2a1d18"), 0.45), 0.1),
        feminine=feminine,
        mouth=chance.between("mouth", 0.072, 0.092),
        smile=chance.between("smile", 0.010, 0.036),
        lips=mixed(skin.lips, rgb("b3122e"), 0.65) if painted else skin.lips,
        beard=beard,
        freckles=chance.happens("freckles", 0.12),
    )


def face_material(look: Look) -> Material:
    """The head's paint; its coordinates are those of the head."""

    def paint(at: Array) -> Painted:
        colour = np.empty((len(at), 3))
        colour[:] = look.skin.base
        front = np.flatnonzero((at[:, 2] > 0.05) & (at[:, 1] < 0.64))
        if len(front):
            colour[front] = _features(look, colour[front], at[front, 0], at[front, 1])
        return Painted(colour, FACE)

    return Material(paint, shine=0.10)


def _oval(x: Array, y: Array, wide: float, high: float) -> Array:
    """Below 1 inside."""
    u, v = x * (1.0 / wide), y * (1.0 / high)
    return u * u + v * v


def _features(look: Look, colour: Array, x: Array, y: Array) -> Array:
    left = np.abs(x)
    blush = smooth(1.0, 0.0, _oval(left - 0.185, y - 0.335, 0.105, 0.075))
    colour = blend(colour, look.skin.blush, 0.42 * blush)
    if look.freckles:
        spots = (noise(x * 46.0, y * 46.0, 3) > 0.80) & (np.abs(y - 0.36) < 0.07) & (left < 0.24)
        colour = blend(colour, darker(look.skin.blush, 0.25), 0.45 * spots)
    if look.beard != "none":
        colour = blend(colour, look.brow, _beard(look, x, y))
    nostril = smooth(1.0, 0.2, _oval(left - 0.034, y - NOSE_TIP[1] + 0.030, 0.028, 0.016))
    colour = blend(colour, darker(look.skin.blush, 0.18), 0.55 * nostril)
    colour = _mouth(look, colour, left, y)
    return _brows(look, _eyes(look, colour, x, y), left, y)


def _beard(look: Look, x: Array, y: Array) -> Array:
    """Jaw, chin and upper lip, but not the lips."""
    left = np.abs(x)
    cheek = 0.215 + 0.55 * np.maximum(left - 0.10, 0.0) + 3.2 * np.maximum(left - 0.235, 0.0)
    jaw = smooth(cheek + 0.012, cheek - 0.012, y)
    moustache = smooth(0.026, 0.016, np.abs(y - 0.250 + 1.9 * left * left)) * smooth(0.125, 0.105, left)
    lips = _oval(x, y - 0.196, 0.092, 0.030) < 1.0
    strength = 0.86 if look.beard == "full" else 0.22
    return np.where(lips, 0.0, strength * np.maximum(jaw, moustache))


def _mouth(look: Look, colour: Array, left: Array, y: Array) -> Array:
    full = 0.7 + 0.5 * look.feminine
    t = left * (1.0 / look.mouth)
    line = 0.196 + look.smile * t * t
    bow = 0.026 * full * (1.0 - t * t) * (1.0 - 0.35 * smooth(0.30, 0.0, t))
    upper, lower = (y >= line) & (y < line + bow), (y < line) & (y > line - 0.034 * full * (1.0 - t * t))
    colour = blend(colour, darker(look.lips, 0.10), 0.9 * (upper & (t < 1.0)))
    colour = blend(colour, look.lips, 0.9 * (lower & (t < 1.0)))
    return blend(colour, darker(look.lips, 0.55), 0.85 * ((np.abs(y - line) < 0.0055) & (t < 1.06)))


def _eyes(look: Look, colour: Array, x: Array, y: Array) -> Array:
    left = np.abs(x)
    along = (left - EYE[0]) * (1.0 / 0.070)
    up = y - EYE[1] - 0.004 * along  # the outer corners are a little higher
    arch = np.maximum(1.0 - along * along, 0.0)
    upper, lower = 0.040 * arch, -0.026 * arch
    inside = (up < upper) & (up > lower)
    lid = smooth(1.0, 0.3, _oval(left - EYE[0], y - EYE[1] - 0.02, 0.10, 0.062))
    colour = blend(colour, darker(look.skin.blush, 0.30), 0.22 * lid)
    colour = blend(colour, mixed(_WHITE, look.skin.base, 0.14), inside)
    away = _oval(left - EYE[0] + 0.002, up - 0.004, 0.032, 0.034)
    colour = blend(colour, look.iris, inside & (away < 1.0))
    colour = blend(colour, _DARK, inside & (away < 0.26))
    gleam = _oval(x - np.where(x > 0, EYE[0], -EYE[0]) + 0.010, up - 0.014, 0.0085, 0.0085)
    colour = blend(colour, (1.0, 1.0, 1.0), inside & (gleam < 1.0))
    thick = 0.010 + 0.006 * look.feminine * np.maximum(along, 0.0)
    lash = (up >= upper - 0.003) & (up < upper + thick) & (along > -1.05) & (along < 1.05 + 0.22 * look.feminine)
    colour = blend(colour, _DARK, 0.95 * (lash & ((np.abs(along) < 1.0) | (np.abs(up - 0.006) < 0.010))))
    under = (up <= lower) & (up > lower - 0.006) & (np.abs(along) < 0.95)
    return blend(colour, darker(look.skin.blush, 0.5), 0.5 * under)


def _brows(look: Look, colour: Array, left: Array, y: Array) -> Array:
    t = (left - 0.070) * (1.0 / 0.165)
    line = 0.541 + 0.052 * t - 0.047 * t * t + 0.006 * look.feminine
    thick = (0.019 - 0.006 * look.feminine) * (1.0 - 0.55 * np.clip(t, 0.0, 1.0))
    return blend(colour, look.brow, 0.88 * ((np.abs(y - line) < thick) & (t > 0.0) & (t < 1.0)))
