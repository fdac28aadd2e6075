"""Tubes: the one kind of surface there is. Limbs, torso, head, hair, garments, shoes and bags are all tubes.

A tube is a row of closed rings. Each ring, or each single point, hangs on up to three bones, and follows them: centres
are blended linearly, and the ring's own axes are made orthonormal again, so that an elbow bends round and keeps its
girth. Everything that depends on the person alone is made once; posing is a few operations on all points at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from pgsynth_plugins.datasets.figures.body.bones import Frames
from pgsynth_plugins.datasets.figures.maths import Array, cross, normalised

__all__ = ["Binding", "Mesh", "Posed", "Tube", "assemble"]


@dataclass(frozen=True)
class Binding:
    """What each of N rings or points hangs on: three bones and their weights, which sum to one."""

    bones: Int[np.ndarray, "N 3"]
    weights: Float[Array, "N 3"]

    @staticmethod
    def to(bones: Sequence[int], weights: Sequence[Float[Array, " N"]]) -> Binding:
        """Bind N rings to the bones with one array of weights each; the weights are made to sum to one."""
        columns = [np.asarray(column, dtype=np.float64) for column in weights]
        columns += [np.zeros_like(columns[0])] * (3 - len(columns))
        total = columns[0] + columns[1] + columns[2]
        numbers = [*bones, *[bones[0]] * (3 - len(bones))]
        return Binding(
            np.stack([np.full(len(columns[0]), number) for number in numbers], axis=1),
            np.stack([column / total for column in columns], axis=1),
        )


@dataclass(frozen=True, kw_only=True)
class Tube:
    """K closed rings of S points; the last column repeats the first, so that texture can run round to 1.

    Attributes:
        centres: Of the rings at rest, in metres.
        offsets: From the ring's centre to its points, in the ring's axes, which at rest are the world's.
        coordinates: What the material is painted by: for cloth and skin (turn around the limb from 0 to 1, metres
            along it, 0); a material may agree on others with its tube.
        binding: Of the K rings; or of the K * (S+1) points, then each follows its bones by itself.
        material: Number of the material.
        closed: False for an open coat or falling hair, whose first and last columns are edges.
        lined: Its inside can be seen: a skirt from below, hair beside the face.
    """

    centres: Float[Array, "K 3"]
    offsets: Float[Array, "K S1 3"]
    coordinates: Float[Array, "K S1 3"]
    binding: Binding
    material: int
    closed: bool = True
    lined: bool = False


@dataclass(frozen=True, kw_only=True)
class Posed:
    """Points and outward normals of a mesh in a pose."""

    points: Float[Array, "V 3"]
    normals: Float[Array, "V 3"]


@dataclass(frozen=True, kw_only=True)
class Mesh:
    """All tubes of a person, joined.

    Attributes:
        bones, weights, rest: A anchors: what they hang on, and where they are at rest.
        anchor, offset: The anchor of each point and the way from it.
        coordinates: For the materials.
        beside: Of each point: the next and the last point around, along and back; ordered so that the cross product
            of the two differences points outwards.
        triangles: Corners, anticlockwise seen from outside.
        material: Of each triangle.
    """

    bones: Int[np.ndarray, "A 3"]
    weights: Float[Array, "A 3"]
    rest: Float[Array, "A 3"]
    anchor: Int[np.ndarray, " V"]
    offset: Float[Array, "V 3"]
    coordinates: Float[Array, "V 3"]
    beside: Int[np.ndarray, "V 4"]
    triangles: Int[np.ndarray, "T 3"]
    material: Int[np.ndarray, " T"]

    @cached_property
    def _ringed(self) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"], Int[np.ndarray, " Q"]]:
        """Points with a way from their anchor; the place of their anchors among those; and those anchors."""
        points = np.flatnonzero(self.offset.any(axis=1))
        anchors, place = np.unique(self.anchor[points], return_inverse=True)
        return points, place, anchors

    def posed(self, frames: Frames) -> Posed:
        """The mesh in a pose."""
        moves = np.concatenate([frames.turn, frames.shift[:, :, None]], axis=2).reshape(-1, 12)
        w, b = self.weights, self.bones
        blended: Array = w[:, 0:1] * moves[b[:, 0]] + w[:, 1:2] * moves[b[:, 1]] + w[:, 2:3] * moves[b[:, 2]]
        matrix = blended.reshape(-1, 3, 4)
        r = self.rest[:, :, None]
        base = matrix[:, :, 0] * r[:, 0] + matrix[:, :, 1] * r[:, 1] + matrix[:, :, 2] * r[:, 2] + matrix[:, :, 3]
        points = base[self.anchor]
        ringed, place, anchors = self._ringed
        axes, o = _orthonormal(matrix[anchors])[:, place], self.offset[ringed]
        points[ringed] += axes[0] * o[:, 0:1] + axes[1] * o[:, 1:2] + axes[2] * o[:, 2:3]
        return Posed(points=points, normals=_normals(points, self.beside))


def _orthonormal(matrix: Float[Array, "A 3 4"]) -> Float[Array, "3 A 3"]:
    """The columns x, y, z, made orthonormal; y, which runs along the limb, keeps its direction."""
    along = normalised(matrix[:, :, 1])
    across = matrix[:, :, 0]
    overlap = across[:, 0] * along[:, 0] + across[:, 1] * along[:, 1] + across[:, 2] * along[:, 2]
    across = normalised(across - overlap[:, None] * along)
    return np.stack([across, along, cross(across, along)])


def _normals(points: Float[Array, "V 3"], beside: Int[np.ndarray, "V 4"]) -> Float[Array, "V 3"]:
    around = points[beside[:, 0]] - points[beside[:, 1]]
    along = points[beside[:, 2]] - points[beside[:, 3]]
    return normalised(cross(around, along))


def assemble(tubes: Sequence[Tube]) -> Mesh:
    """Join tubes into one mesh."""
    anchors, points = 0, 0
    parts: list[tuple[np.ndarray, ...]] = []
    for tube in tubes:
        rings, columns = tube.offsets.shape[:2]
        single = len(tube.binding.bones) != rings
        grid = np.arange(rings * columns).reshape(rings, columns)
        rest = (tube.centres[:, None] + tube.offsets).reshape(-1, 3) if single else tube.centres
        offset = np.zeros((rings * columns, 3)) if single else tube.offsets.reshape(-1, 3)
        anchor = grid.ravel() if single else np.repeat(np.arange(rings), columns)
        beside, triangles = _topology(grid, tube)
        parts.append(
            (
                tube.binding.bones,
                tube.binding.weights,
                rest,
                anchor + anchors,
                offset,
                tube.coordinates.reshape(-1, 3),
                beside + points,
                triangles + points,
                np.full(len(triangles), tube.material),
            )
        )
        anchors += len(rest)
        points += rings * columns
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    names = ("bones", "weights", "rest", "anchor", "offset", "coordinates", "beside", "triangles", "material")
    return Mesh(**dict(zip(names, joined, strict=True)))


def _topology(grid: Int[np.ndarray, "K S1"], tube: Tube) -> tuple[Int[np.ndarray, "V 4"], Int[np.ndarray, "T 3"]]:
    """Neighbours and triangles of a tube, turned so that outside is outside."""
    later, earlier = (
        np.concatenate([grid[:, 1:], grid[:, 1:2] if tube.closed else grid[:, -1:]], axis=1),
        np.concatenate([grid[:, -2:-1] if tube.closed else grid[:, :1], grid[:, :-1]], axis=1),
    )
    below, above = np.concatenate([grid[1:], grid[-1:]]), np.concatenate([grid[:1], grid[:-1]])
    a, b, c, d = grid[:-1, :-1].ravel(), grid[:-1, 1:].ravel(), grid[1:, :-1].ravel(), grid[1:, 1:].ravel()
    triangles = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    beside = np.stack([side.ravel() for side in (earlier, later, below, above)], axis=1)
    if _inside_out(tube):
        beside, triangles = beside[:, [1, 0, 2, 3]], triangles[:, [0, 2, 1]]
    if tube.lined:
        triangles = np.concatenate([triangles, triangles[:, [0, 2, 1]]])
    return beside, triangles


def _inside_out(tube: Tube) -> bool:
    """Whether the cross product of (earlier - later) and (below - above) points inwards at rest, at most points."""
    points = tube.centres[:, None] + tube.offsets
    around = points[1:-1, :-2] - points[1:-1, 2:]
    along = points[2:, 1:-1] - points[:-2, 1:-1]
    normal = cross(around, along)
    product = normal * tube.offsets[1:-1, 1:-1]
    outwards = product[..., 0] + product[..., 1] + product[..., 2]
    return bool(np.count_nonzero(outwards < 0.0) > np.count_nonzero(outwards > 0.0))
