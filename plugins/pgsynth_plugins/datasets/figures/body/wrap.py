"""Makes tubes that lie on the body: along a limb, round the trunk, bands along a path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pgsynth_plugins.datasets.figures.body.bones import bone
from pgsynth_plugins.datasets.figures.body.build import Build
from pgsynth_plugins.datasets.figures.body.shapes import Limb, Torso, around
from pgsynth_plugins.datasets.figures.body.tubes import Binding, Tube
from pgsynth_plugins.datasets.figures.maths import Array, cosine, cross, normalised, sine, smooth

__all__ = ["Band", "Hang", "Run", "along_limb", "limb_rings", "on_torso", "ribbon", "rigid", "spread", "torso_binding"]


def spread(*columns: Array) -> Array:
    """Columns that broadcast to one shape, stacked along a new last axis."""
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def rigid(name: str, count: int) -> Binding:
    """Everything hangs on one bone."""
    return Binding.to([bone(name)], [np.ones(count)])


# ------------------------------------------------------------------ along a limb
@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a tube runs along a limb.

    Attributes:
        distance: [K] of the rings from the upper joint, ascending, in metres.
        ease: [K] metres between skin and cloth.
        fold: Depth of the folds that cloth throws near the middle joint, in metres.
        segments: Points of a ring.
    """

    distance: Float[Array, " K"]
    ease: Float[Array, " K"]
    fold: float = 0.0
    segments: int = 16


def limb_rings(limb: Limb, start: float, stop: float, count: int) -> Float[Array, " K"]:
    """Distances of rings from start to stop, closer together around the middle joint."""
    even = start + (stop - start) * (np.arange(count) / (count - 1.0))
    if not start < limb.middle < stop:
        return even
    pull = smooth(0.30 * limb.length, 0.0, np.abs(even - limb.middle))
    return even + 0.30 * pull * (limb.middle - even)


def along_limb(limb: Limb, run: Run, material: int) -> Tube:
    """A tube along an arm or a leg; its coordinates are (turn, metres from the upper joint, metres sideways)."""
    place, s, c = around(run.segments)
    distance, form = run.distance, limb.at(run.distance)
    cap = limb.places[0] * 0.8
    ease = run.ease * (0.30 + 0.70 * smooth(cap, -2.2 * cap, distance))
    if run.fold:
        near = smooth(0.42, 0.0, np.abs(distance - limb.middle) * (1.0 / limb.middle))
        ease = ease + run.fold * near * np.where(np.arange(len(distance)) % 2 == 0, 1.0, -0.6)
    wide, deep = form[:, 0] + ease, form[:, 1] + ease
    offsets = spread(wide[:, None] * s, np.zeros(1), deep[:, None] * c - form[:, 2:3])
    x, y, z = limb.joint
    return Tube(
        centres=spread(x - limb.side * form[:, 3], y - distance, np.array(z)),
        offsets=offsets,
        coordinates=spread(place, distance[:, None], offsets[..., 0]),
        binding=_limb_binding(limb, distance),
        material=material,
    )


def _limb_binding(limb: Limb, distance: Float[Array, " K"]) -> Binding:
    soft = 0.16 * limb.middle
    upper = smooth(-soft, 0.4 * soft, distance)
    lower = smooth(limb.middle - soft, limb.middle + soft, distance)
    return Binding.to([bone(name) for name in limb.bones], [1.0 - upper, upper * (1.0 - lower), upper * lower])


# ------------------------------------------------------------------ round the trunk
@dataclass(frozen=True, kw_only=True)
class Hang:
    """How cloth hangs round the trunk.

    Attributes:
        height: [K] of the rings above the floor, descending.
        ease: [K] metres between skin and cloth.
        stride: How far what hangs below the hips follows the thighs, 0 to 1.
        open: [K] half of the opening in front, in turns; None for closed cloth.
        fits: Follows the body below the hips too (trousers), instead of hanging down from them.
        pleats: Number of folds around, and their depth at each ring, [K].
        lined: Its inside can be seen.
    """

    height: Float[Array, " K"]
    ease: Float[Array, " K"]
    stride: float = 0.0
    open: Float[Array, " K"] | None = None
    fits: bool = False
    pleats: tuple[int, Float[Array, " K"]] | None = None
    lined: bool = False


def on_torso(torso: Torso, hang: Hang, material: int, segments: int = 36) -> Tube:
    """A tube round the trunk; its coordinates are (turn, metres above the floor, metres from the middle)."""
    height = hang.height
    t = np.arange(segments + 1) / segments
    if hang.open is None:
        turn = np.tile(t, (len(height), 1))
    else:
        turn = 0.5 + hang.open[:, None] + (1.0 - 2.0 * hang.open[:, None]) * t
    s, c = sine(turn - 0.5), cosine(turn - 0.5)
    grid = height[:, None] * np.ones_like(s)
    x, z = (torso.skin if hang.fits else torso.drape)(grid, s, c)
    ease = hang.ease[:, None]
    if hang.pleats is not None:
        count, depth = hang.pleats
        ease = ease + depth[:, None] * cosine(turn * count)
    offsets = spread(x + ease * s, np.zeros(1), z + ease * c)
    centres = spread(np.zeros(1), height, np.zeros(1))
    return Tube(
        centres=centres,
        offsets=offsets,
        coordinates=spread(turn, grid, x),
        binding=torso_binding(torso.build, (centres[:, None] + offsets).reshape(-1, 3), hang.stride),
        material=material,
        closed=hang.open is None,
        lined=hang.lined,
    )


def torso_binding(build: Build, points: Float[Array, "N 3"], stride: float = 0.0) -> Binding:
    """Bind points of the trunk to pelvis, chest and collar bones; what hangs below the hips also to the thighs.

    Args:
        build: Whose.
        points: At rest.
        stride: How far cloth that hangs follows the thighs: 0 hangs on the pelvis alone, 1 follows fully.
    """
    x, y = points[:, 0], points[:, 1]
    waist = build.waistline - 0.035 * build.height
    chest = smooth(waist, build.waistline + 0.06 * build.height, y)
    out = smooth(0.35, 1.0, np.abs(x) / build.shoulder)
    collar = 0.85 * out * smooth(0.745 * build.height, build.shoulder_joint, y)
    high = Binding.to(
        [bone("pelvis"), bone("chest"), bone("left_collar")], [1.0 - chest, chest * (1.0 - collar), chest * collar]
    )
    high.bones[:, 2] = np.where(x > 0.0, bone("left_collar"), bone("right_collar"))
    thigh = stride * smooth(build.hip_joint + 0.03 * build.height, build.hip_joint - 0.11 * build.height, y)
    left = smooth(-0.9, 0.9, x / build.hips)
    low = Binding.to(
        [bone("pelvis"), bone("left_thigh"), bone("right_thigh")], [1.0 - thigh, thigh * left, thigh * (1.0 - left)]
    )
    lower = (y < waist)[:, None]
    return Binding(np.where(lower, low.bones, high.bones), np.where(lower, low.weights, high.weights))


# ------------------------------------------------------------------ along a path
@dataclass(frozen=True, kw_only=True)
class Band:
    """A flat band: straps, collars, scarves.

    Attributes:
        path: In metres of the resting body; a loop ends where it begins.
        outwards: The side that is seen.
        half: [K] half of its width.
        thick: Half of its thickness.
        bone: What it hangs on; the trunk without one.
    """

    path: Float[Array, "K 3"]
    outwards: Float[Array, "K 3"]
    half: Float[Array, " K"]
    thick: float
    bone: str = ""


def ribbon(build: Build, band: Band, material: int) -> Tube:
    """A band along a path; its coordinates are (turn around the band, metres along it, metres across it)."""
    path = band.path
    ahead = np.concatenate([path[1:], path[-1:]]) - np.concatenate([path[:1], path[:-1]])
    if float(np.abs(path[0] - path[-1]).max()) < 1e-9:
        ahead[0] = ahead[-1] = path[1] - path[-2]
    across = normalised(cross(normalised(ahead), band.outwards))
    face = normalised(cross(across, ahead))
    place, s, c = around(8)
    wide = band.half[:, None] * s
    offsets = wide[..., None] * across[:, None] + (band.thick * c)[None, :, None] * face[:, None]
    step = path[1:] - path[:-1]
    length = np.sqrt(step[:, 0] * step[:, 0] + step[:, 1] * step[:, 1] + step[:, 2] * step[:, 2])
    along = np.zeros(len(path))
    for k in range(1, len(path)):  # summed one by one, in order
        along[k] = along[k - 1] + length[k - 1]
    return Tube(
        centres=path,
        offsets=offsets,
        coordinates=spread(place, along[:, None], wide),
        binding=rigid(band.bone, len(path)) if band.bone else torso_binding(build, path),
        material=material,
    )
