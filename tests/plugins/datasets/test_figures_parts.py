"""The painter's parts: arithmetic, draws, raster, surfaces, cloth, letters; and everything there is to wear is worn."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pgsynth_core.data import LABELS
from pgsynth_plugins.datasets.figures.body.bones import BONES, bone, pose_bones, rest_joints
from pgsynth_plugins.datasets.figures.body.build import draw_build
from pgsynth_plugins.datasets.figures.body.hair import STYLES
from pgsynth_plugins.datasets.figures.body.shapes import Torso, arm_of, around
from pgsynth_plugins.datasets.figures.body.tubes import assemble
from pgsynth_plugins.datasets.figures.body.wrap import Hang, Run, along_limb, on_torso
from pgsynth_plugins.datasets.figures.chance import Chance
from pgsynth_plugins.datasets.figures.clothes.cloth import Cloth
from pgsynth_plugins.datasets.figures.clothes.lettering import GLYPHS, WORDS, lettered, text_width
from pgsynth_plugins.datasets.figures.clothes.motifs import MOTIFS
from pgsynth_plugins.datasets.figures.clothes.patterns import PATTERNS
from pgsynth_plugins.datasets.figures.figure import Traits, draw_traits, make_figure
from pgsynth_plugins.datasets.figures.maths import cosine, matmul, noise, rotation, sine, sine_of, smooth, spline
from pgsynth_plugins.datasets.figures.painter import Shot, paint
from pgsynth_plugins.datasets.figures.poses import draw_pose, mirrored, turns_of
from pgsynth_plugins.datasets.figures.render.backdrop import Backdrop
from pgsynth_plugins.datasets.figures.render.raster import rasterise
from pgsynth_plugins.datasets.figures.stances import STANCES, Arm, Pose

PACKAGE = Path(__file__).resolve().parents[3] / "plugins/pgsynth_plugins/datasets/figures"


# ------------------------------------------------------------------ the same arithmetic everywhere
FORBIDDEN = {
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "hypot", "exp", "log", "power", "float_power"),
    *("pow", "cbrt", "dot", "vdot", "einsum", "tensordot", "linalg", "convolve", "interp", "random", "fft"),
    *("sum", "mean", "average", "prod", "cumsum", "std", "var", "nansum", "trapezoid", "fsum", "sumprod"),
}
"""Functions whose last bit depends on the processor, on the library, or on the order of additions."""


def offences(text: str) -> list[str]:
    """What of a module's text leaves exact arithmetic; whole numbers may be summed, and say so."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr in FORBIDDEN:
            found.append(f"{node.lineno}: .{node.attr}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN:
            found.append(f"{node.lineno}: {node.func.id}()")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult | ast.Pow):
            found.append(f"{node.lineno}: {type(node.op).__name__}")
        if isinstance(node, ast.ImportFrom) and node.module in ("math", "random"):
            found += [f"{node.lineno}: {name.name}" for name in node.names if name.name != "floor"]
    whole = {number for number, line in enumerate(text.splitlines(), 1) if line.endswith("# whole numbers")}
    return [one for one in found if int(one.split(":")[0]) not in whole]


def test_the_painter_uses_exact_arithmetic_only() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    found = {file.name: offences(file.read_text(encoding="utf-8")) for file in files}
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    "line", ["np.sin(x)", "a @ b", "x ** 2", "x.sum()", "sum(x)", "from math import sqrt", "np.linalg.norm(x)"]
)
def test_inexact_arithmetic_is_noticed(line: str) -> None:
    assert offences(line)


def test_sines_are_those_of_the_library_to_eleven_digits() -> None:
    turns = np.concatenate([np.linspace(-3.0, 3.0, 4001), [0.0, 0.25, 0.5, 0.75, -0.25]])
    assert np.abs(sine(turns) - np.sin(2.0 * np.pi * turns)).max() < 1e-11
    assert np.abs(cosine(turns) - np.cos(2.0 * np.pi * turns)).max() < 1e-11
    assert all(sine_of(float(turn)) == sine(np.array([turn]))[0] for turn in turns[::7])


def test_rotations_are_rotations() -> None:
    for axis in range(3):
        matrix = rotation(axis, 37.0)
        assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-10) and np.isclose(np.linalg.det(matrix), 1.0)
        assert np.allclose(matmul(matrix, rotation(axis, -37.0)), np.eye(3), atol=1e-10)
    assert np.allclose(rotation(1, 90.0) @ [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], atol=1e-10), "turning left faces +x"


def test_curves_go_through_their_points_and_noise_repeats() -> None:
    places, values = (0.0, 1.0, 2.5, 4.0), np.array([1.0, 3.0, 2.0, 2.5])
    assert np.allclose(spline(np.array(places), places, values), values)
    assert smooth(1.0, 2.0, np.array([0.0, 1.5, 3.0])).tolist() == [0.0, 0.5, 1.0]
    assert smooth(2.0, 1.0, np.array([0.0, 1.5, 3.0])).tolist() == [1.0, 0.5, 0.0]
    x, y = np.linspace(0.0, 5.0, 400, endpoint=False), np.linspace(0.0, 9.0, 400)
    assert np.allclose(noise(x, y, 1, wrap=5), noise(x + 5.0, y, 1, wrap=5))
    assert not np.array_equal(noise(x, y, 1), noise(x, y, 2))
    assert 0.0 <= noise(x, y, 1).min() < 0.2 and 0.8 < noise(x, y, 1).max() <= 1.0


def test_draws_depend_on_their_name_alone() -> None:
    one, two = Chance("a", 1), Chance("a", 1)
    two.unit("something else first")
    assert one.unit("x") == two.unit("x") and one.of("b").unit("x") == Chance("a", 1, "b").unit("x")
    assert one.unit("x") != one.unit("y") and one.unit("x") != Chance("a", 2).unit("x")
    many = np.array([Chance(number).unit("x") for number in range(4000)])
    assert many.min() >= 0.0 and many.max() < 1.0 and abs(many.mean() - 0.5) < 0.02
    picks = [Chance(number).weighted("x", {"a": 1, "b": 3, "c": 0}) for number in range(2000)]
    assert 0.70 < picks.count("b") / 2000 < 0.80 and "c" not in picks


# ------------------------------------------------------------------ raster
def reference(points: np.ndarray, triangles: np.ndarray, height: int, width: int) -> np.ndarray:
    """Number of the triangle at each sample, by asking every triangle about every sample."""
    shown, nearest = np.full((height, width), -1), np.full((height, width), -np.inf)
    for number, (a, b, c) in enumerate(points[triangles]):
        for y in range(height):
            for x in range(width):
                system = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1.0, 1.0, 1.0]])
                facing = (c[0] - a[0]) * (b[1] - a[1]) - (b[0] - a[0]) * (c[1] - a[1])
                if facing <= 1e-9:
                    continue
                weights = np.linalg.solve(system, np.array([x + 0.5, y + 0.5, 1.0]))
                if weights.min() >= 0.0 and (depth := float(weights @ [a[2], b[2], c[2]])) > nearest[y, x]:
                    shown[y, x], nearest[y, x] = number, depth
    return shown


def test_raster_shows_what_asking_every_triangle_shows() -> None:
    random = np.random.default_rng(3)
    points = random.uniform(-4.0, 20.0, (60, 3)) * [1.0, 0.8, 0.05]
    triangles = random.integers(0, 60, (50, 3))
    seen = rasterise(points, triangles, 13, 17)
    found = np.full(13 * 17, -1)
    found[seen.sample] = seen.triangle
    assert (seen.triangle >= 0).sum() > 60
    assert np.array_equal(found.reshape(13, 17), reference(points, triangles, 13, 17))
    corners = points[triangles[seen.triangle]]
    where = (corners * seen.corners[:, :, None]).sum(axis=1)
    assert np.allclose(where[:, 0], seen.sample % 17 + 0.5) and np.allclose(where[:, 1], seen.sample // 17 + 0.5)
    assert np.allclose(where[:, 2], seen.depth)


def test_a_closed_surface_has_no_holes() -> None:
    """Seams between triangles belong to both: a ball's disc is full, at any size."""
    _, s, c = around(24)
    t = np.linspace(0.0, 0.5, 13)[:, None]
    for radius in (7.3, 20.0, 41.7):
        ball = np.stack([np.sin(2 * np.pi * t) * s, np.cos(2 * np.pi * t) + 0 * s, np.sin(2 * np.pi * t) * c], axis=2)
        grid = np.arange(13 * 25).reshape(13, 25)
        a, b, low, right = grid[:-1, :-1].ravel(), grid[:-1, 1:].ravel(), grid[1:, :-1].ravel(), grid[1:, 1:].ravel()
        triangles = np.concatenate([np.stack([a, low, b], 1), np.stack([b, low, right], 1)])
        points = ball.reshape(-1, 3) * [radius, -radius, 1.0] + [50.0, 50.0, 0.0]
        seen = rasterise(points, triangles, 100, 100)
        shown = np.zeros(10000, bool)
        shown[seen.sample] = True
        y, x = np.mgrid[:100, :100] + 0.5
        inner = (x - 50) ** 2 + (y - 50) ** 2 < (0.97 * radius) ** 2
        assert shown.reshape(100, 100)[inner].all()


# ------------------------------------------------------------------ surfaces
def test_everybodys_surfaces_are_whole_and_point_outwards() -> None:
    for number in range(8):
        figure = make_figure(draw_traits(Chance("surfaces", number)))
        mesh = figure.mesh
        assert np.allclose(mesh.weights.sum(axis=1), 1.0) and (mesh.weights >= 0.0).all()
        assert mesh.triangles.max() < len(mesh.anchor) and mesh.material.max() < len(figure.materials)
        posed = mesh.posed(pose_bones(figure.rest, turns_of(Pose())))
        assert np.isfinite(posed.points).all()
        lengths = np.linalg.norm(posed.normals, axis=1)
        assert (np.isclose(lengths, 1.0) | (lengths == 0.0)).all() and (lengths > 0.5).mean() > 0.97


def test_a_bent_elbow_keeps_its_girth() -> None:
    build = draw_build(Chance("build"))
    limb = arm_of(build, 1)
    distance = np.linspace(0.2 * limb.middle, limb.length, 25)
    mesh = assemble([along_limb(limb, Run(distance=distance, ease=np.zeros(25)), 0)])
    rest = rest_joints(build)

    def girths(bend: float) -> np.ndarray:
        pose = Pose(left_arm=Arm(bend=bend))
        points = mesh.posed(pose_bones(rest, turns_of(pose))).points.reshape(25, -1, 3)
        return np.linalg.norm(np.diff(points, axis=1), axis=2).sum(axis=1)

    assert np.allclose(girths(0.0), girths(120.0), rtol=1e-6)


def test_bones_keep_their_lengths_in_every_stance() -> None:
    build = draw_build(Chance("build", 2))
    rest = rest_joints(build)
    for stance in STANCES.values():
        frames = pose_bones(rest, turns_of(stance))
        for side in ("left", "right"):
            elbow, wrist = (
                frames.moved(f"{side}_{name}", rest[bone(f"{side}_{name}")]) for name in ("forearm", "hand")
            )
            assert np.isclose(np.linalg.norm(elbow - wrist), build.forearm)
        assert np.allclose([np.linalg.det(turn) for turn in frames.turn], 1.0, atol=1e-9) and len(frames.turn) == len(
            BONES
        )


def test_mirroring_twice_is_nothing_and_drawn_poses_bend_no_joint_backwards() -> None:
    for number in range(200):
        pose = draw_pose(Chance(number), {"front": 1, "back": 1})
        assert mirrored(mirrored(pose)) == pose
        assert (
            min(pose.left_arm.bend, pose.right_arm.bend) >= 3.0 and min(pose.left_leg.bend, pose.right_leg.bend) >= 0.0
        )


def test_cloth_lies_on_the_skin() -> None:
    torso = Torso(draw_build(Chance("build", 5)))
    height = np.linspace(0.80, 0.55, 20) * torso.build.height
    skin, cloth = (on_torso(torso, Hang(height=height, ease=np.full(20, ease)), 0) for ease in (0.0, 0.02))
    apart = np.linalg.norm(cloth.offsets - skin.offsets, axis=2)
    assert np.allclose(apart, 0.02)


# ------------------------------------------------------------------ cloth and prints
@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_repeats_without_a_seam_and_covers_a_part(name: str) -> None:
    random = np.random.default_rng(1)
    p, q = random.uniform(0.0, 1.0, 4000), random.uniform(0.0, 4.0, 4000)
    first, second = PATTERNS[name](p * 6.0, q)
    around_once = PATTERNS[name](p * 6.0 + 6.0, q)
    assert np.allclose(first, around_once[0], atol=1e-6) and np.allclose(second, around_once[1], atol=1e-6)
    assert first.min() >= 0.0 and (first + second).max() <= 1.0
    assert (0.02 < (first + second).mean() < 0.98) == (name != "plain")


@pytest.mark.parametrize("name", MOTIFS)
def test_a_motif_fills_its_square_and_stays_in_it(name: str) -> None:
    y, x = (np.mgrid[:101, :101] / 50.0 - 1.0) * 1.6
    ink = MOTIFS[name](x.ravel(), y.ravel()).reshape(101, 101)
    assert set(np.unique(ink)) <= {0, 1, 2} and 0.06 < (ink > 0).mean() < 0.5
    outside = (np.abs(x) > 1.2) | (np.abs(y) > 1.2)
    assert not ink[outside].any()


def test_letters_are_different_and_words_are_spelled_in_them() -> None:
    y, x = np.mgrid[:70, :50] / 10.0 - np.array([3.5, 2.5])[:, None, None]
    shapes = {}
    for letter in GLYPHS:
        inked = lettered(letter, x.ravel(), y.ravel(), 6.0, 0.5)
        assert 0.10 < inked.mean() < 0.65, letter
        shapes[letter] = inked.tobytes()
    assert len(set(shapes.values())) >= len(GLYPHS) - 1, "only O and 0 may look alike"
    assert set("".join(WORDS)) <= set(GLYPHS)
    assert math.isclose(text_width("II", 6.0), 4.0 + 5.6)


def test_stripes_follow_the_limb() -> None:
    """The same place of a sleeve has the same colour in every pose: the pattern knows the limb and nothing else."""
    cloth = Cloth(ground=(1.0, 1.0, 1.0), figures=((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)), pattern="stripes", period=0.1)
    along = np.linspace(0.0, 0.5, 11)
    dark = cloth.colour(np.full(11, 0.3), along, 0.3)[:, 0] < 0.5
    assert dark.tolist() == [True, False] * 5 + [True]


# ------------------------------------------------------------------ everything is reachable
def test_everything_there_is_to_wear_is_worn_by_somebody() -> None:
    people = [draw_traits(Chance("everybody", number)) for number in range(1500)]

    def seen(what: Callable[[Traits], object]) -> set[object]:
        return {what(traits) for traits in people}

    assert seen(lambda t: t.hair.style) == set(STYLES)
    cloths = [cloth for t in people for cloth in (t.outfit.top.cloth, t.outfit.bottom.cloth)]
    assert {cloth.pattern for cloth in cloths} == set(PATTERNS)
    assert {cloth.grain for cloth in cloths} == {"smooth", "knit", "denim"}
    assert seen(lambda t: t.outfit.top.print.what if t.outfit.top.print.kind == "motif" else "") >= set(MOTIFS)
    assert seen(lambda t: t.outfit.top.print.what if t.outfit.top.print.kind == "word" else "") >= set(WORDS)
    assert seen(lambda t: t.outfit.top.neckline) == {"round", "v", "boat", "collar", "high", "scoop", "tank", "straps"}
    assert seen(lambda t: t.outfit.top.sleeve) == {"none", "cap", "short", "elbow", "long"}
    assert seen(lambda t: t.outfit.bottom.kind) == {"trousers", "shorts", "skirt", "dress"}
    jackets = {"blazer", "cardigan", "bomber", "coat", "denim", ""}
    assert seen(lambda t: t.outfit.outer.kind if t.outfit.outer else "") == jackets
    assert seen(lambda t: t.outfit.shoes.kind) == {"sneaker", "boot", "loafer", "flat", "heel"}
    assert seen(lambda t: t.outfit.hat) == {"", "cap", "beanie", "brim", "beret"}
    assert seen(lambda t: t.outfit.bag) == {"", "cross", "shoulder", "backpack"}
    assert seen(lambda t: t.outfit.glasses) == {"", "round", "wide"}
    assert seen(lambda t: t.look.beard) == {"none", "stubble", "full"}
    for worn in ("scarf", "outer"):
        assert {getattr(t.outfit, worn) is None for t in people} == {True, False}
    assert (
        {t.outfit.bottom.belt is None for t in people} == {t.outfit.shoes.sock is None for t in people} == {True, False}
    )


def test_every_label_of_atr_is_painted() -> None:
    found: set[int] = set()
    wall = Backdrop("plain", (0.9, 0.9, 0.9))
    for number in range(60):
        figure = make_figure(draw_traits(Chance("labels", number)))
        found |= set(np.unique(paint(figure, Shot(pose=Pose(), backdrop=wall), 96, 66).parsing).tolist())
    assert found == set(range(len(LABELS["atr18"])))
