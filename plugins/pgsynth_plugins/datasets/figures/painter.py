"""Paints one picture: a figure in a pose, with its joints and its parsing.

    traits --> figure (surfaces at rest) --> posed --> camera --> rasterised --> painted, lit --> averaged to pixels

Every step is arithmetic that is the same on every machine (`maths`), so a picture depends on its figure, its shot and
its size alone, and two sizes show the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from pgsynth_core.data import Image, Keypoints, LabelMap
from pgsynth_plugins.datasets.figures.body.bones import pose_bones
from pgsynth_plugins.datasets.figures.figure import Figure
from pgsynth_plugins.datasets.figures.joints import joint_points, seen_joints
from pgsynth_plugins.datasets.figures.maths import Array, Vector, normalised
from pgsynth_plugins.datasets.figures.poses import turns_of
from pgsynth_plugins.datasets.figures.render.backdrop import Backdrop, paint_backdrop
from pgsynth_plugins.datasets.figures.render.camera import Camera, frame_body
from pgsynth_plugins.datasets.figures.render.light import lit, nearby_shade
from pgsynth_plugins.datasets.figures.render.raster import Seen, rasterise
from pgsynth_plugins.datasets.figures.stances import Pose

__all__ = ["Picture", "Shot", "paint"]

_NOTHING = -9.0  # depth where nothing is


@dataclass(frozen=True, kw_only=True)
class Shot:
    """How a picture is taken.

    Attributes:
        pose: Of the body, and the direction it faces.
        backdrop: What is behind.
        cut: Share of the body, from below, that the picture leaves out.
        shift: Where in the free room the body stands, sideways and up, each -1 to 1.
    """

    pose: Pose
    backdrop: Backdrop
    cut: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and the truth about it.

    Attributes:
        image: RGB.
        keypoints: OpenPose-18, in pixels.
        parsing: ATR-18 label of what is seen at each pixel's centre.
        empty: The same picture without the person, but with its shadow on the floor.
    """

    image: Image
    keypoints: Keypoints
    parsing: LabelMap
    empty: Image


@dataclass(frozen=True)
class _Grid:
    """Samples of a picture: `side` to a side of each pixel, an odd number, so that one is its centre."""

    height: int
    width: int
    side: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of samples."""
        return self.height * self.side, self.width * self.side

    def pixel(self, sample: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
        """The pixel that a sample belongs to."""
        row, column = sample // self.shape[1], sample % self.shape[1]
        found: Int[np.ndarray, " N"] = row // self.side * self.width + column // self.side
        return found


def paint(figure: Figure, shot: Shot, height: int, width: int) -> Picture:
    """Paint a figure at a size in pixels."""
    frames = pose_bones(figure.rest, turns_of(shot.pose))
    posed = figure.mesh.posed(frames)
    rise = shot.pose.lift - float(posed.points[:, 1].min())
    frames, points = frames.raised(rise), posed.points + np.array([0.0, rise, 0.0])
    camera = frame_body(points, height, width, cut=shot.cut, shift=shot.shift)
    grid = _Grid(height, width, 5 if height < 96 else 3)
    on_grid = camera.pixels(points) * np.array([grid.side, grid.side, 1.0])
    seen = rasterise(on_grid, figure.mesh.triangles, *grid.shape)
    depth = np.full(grid.shape, _NOTHING)
    depth.ravel()[seen.sample] = seen.depth
    shade = nearby_shade(depth, seen.sample, camera.scale * grid.side)
    colour, label = _painted(figure, posed.normals, seen, shade)
    build = figure.traits.build
    feet = np.stack([frames.moved(f"{side}_foot", _sole(figure, side)) for side in ("left", "right")])
    empty = paint_backdrop(shot.backdrop, (height, width), camera, feet)
    joints = joint_points(build, figure.rest, frames)
    return Picture(
        image=_averaged(colour, seen.sample, empty, grid),
        keypoints=_keypoints(joints, seen_joints(frames, *_hidden(joints, camera, depth, grid), build.height), camera),
        parsing=_at_centres(label, seen.sample, grid),
        empty=_bytes(empty),
    )


def _sole(figure: Figure, side: str) -> Vector:
    """The middle of a foot's sole, at rest."""
    build, sign = figure.traits.build, 1.0 if side == "left" else -1.0
    return np.array([sign * build.hip, 0.0, 3.0 * build.unit])


def _painted(
    figure: Figure, normals: Float[Array, "V 3"], seen: Seen, shade: Float[Array, " N"]
) -> tuple[Float[Array, "N 3"], UInt8[np.ndarray, " N"]]:
    """Colour and label of every sample that shows the person."""
    corner = figure.mesh.triangles[seen.triangle]
    normal = normalised(_across(normals, corner, seen.corners))
    at = _across(figure.mesh.coordinates, corner, seen.corners)
    number = figure.mesh.material[seen.triangle]
    colour, label = np.empty((len(number), 3)), np.empty(len(number), dtype=np.uint8)
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(figure.materials) + 1))
    for index, material in enumerate(figure.materials):
        own = order[bounds[index] : bounds[index + 1]]
        if len(own):
            painted = material.paint(at[own])
            colour[own], label[own] = painted.colour, painted.label
    shine = np.array([material.shine for material in figure.materials])[number]
    return lit(colour, normal, shine, shade), label


def _across(
    values: Float[Array, "V C"], corner: Int[np.ndarray, "N 3"], weight: Float[Array, "N 3"]
) -> Float[Array, "N C"]:
    """Values of the corners, blended."""
    first, second, third = (values[corner[:, k]] * weight[:, k : k + 1] for k in range(3))
    blended: Array = first + second + third
    return blended


def _averaged(
    colour: Float[Array, "N 3"], sample: Int[np.ndarray, " N"], empty: Float[Array, "H W 3"], grid: _Grid
) -> Image:
    """Mean of the samples of each pixel, the backdrop where there is nothing."""
    pixel, count = grid.pixel(sample), grid.height * grid.width
    left = float(grid.side * grid.side) - np.bincount(pixel, minlength=count)
    total = np.stack([np.bincount(pixel, weights=colour[:, k], minlength=count) for k in range(3)], axis=1)
    mean: Array = (total + left[:, None] * empty.reshape(-1, 3)) / float(grid.side * grid.side)
    return _bytes(mean.reshape(empty.shape))


def _bytes(picture: Float[Array, "H W 3"]) -> Image:
    return np.floor(np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _at_centres(label: UInt8[np.ndarray, " N"], sample: Int[np.ndarray, " N"], grid: _Grid) -> LabelMap:
    everywhere = np.zeros(grid.shape, dtype=np.uint8)
    everywhere.ravel()[sample] = label
    return everywhere[grid.side // 2 :: grid.side, grid.side // 2 :: grid.side].copy()


def _hidden(
    joints: Float[Array, "18 3"], camera: Camera, depth: Float[Array, "R C"], grid: _Grid
) -> tuple[Float[Array, " 18"], np.ndarray]:
    """How far the surface seen at each joint lies in front of it, in metres, and whether it is in the picture."""
    x, y, z = camera.pixels(joints).T
    inside = (x >= 0.0) & (x < grid.width) & (y >= 0.0) & (y < grid.height)
    row = np.clip(np.floor(y * grid.side), 0, depth.shape[0] - 1).astype(np.int64)
    column = np.clip(np.floor(x * grid.side), 0, depth.shape[1] - 1).astype(np.int64)
    return depth[row, column] - z, inside


def _keypoints(joints: Float[Array, "18 3"], confidence: Float[Array, " 18"], camera: Camera) -> Keypoints:
    pixels = camera.pixels(joints)
    rows = np.stack([pixels[:, 0], pixels[:, 1], confidence], axis=1)
    return np.where(confidence[:, None] > 0.0, rows, 0.0).astype(np.float32)
