"""Likeness of faces against MCLD's arithmetic by insightface, on small networks of the true layout made here."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgsynth_core.evaluation import bind, protocol_of, weights_in
from pgsynth_core.metrics import FoundWeights, MetricContext, NotComputed, WeightFile
from pgsynth_core.registry import discover
from pgsynth_plugins.metrics.face_similarity import Config
from pgsynth_plugins.metrics.face_similarity.metric import DETECTOR, RECOGNISER, FaceSimilarity

from ...fixtures.scored import picture


def absent() -> str:
    """Why the networks cannot be asked here; empty if they can."""
    try:
        for name in ("insightface", "onnx", "onnxruntime"):
            importlib.import_module(name)
    except ImportError as error:
        return f"the extra `face` is not installed: {error}"
    return ""


ABSENT = absent()
needs_face = pytest.mark.skipif(bool(ABSENT), reason=ABSENT or "never")
SIZE = (256, 176)


def detector(path: Path) -> None:
    """SCRFD's nine outputs (scores, boxes, landmarks at strides 8, 16, 32; two anchors a cell), by one filter each.

    A cell that is red is a face, of a box three cells wide and with five landmarks in it.
    """
    from onnx import TensorProto, helper, numpy_helper, save

    nodes, constants, names = [], [], {1: [], 4: [], 10: []}
    spread = np.random.default_rng(0).uniform(-0.8, 0.8, 20).astype(np.float32)
    for stride in (8, 16, 32):
        kernel = np.full((1, 3, stride, stride), 1 / stride**2, np.float32)
        reds = kernel * np.array([1, -1, -1], np.float32)[:, None, None]  # of RGB in [-1, 1]: 3 where it is pure red
        ways = {
            1: (np.repeat(reds * 4, 2, axis=0), np.array([-8.0, -9.0], np.float32)),
            4: (np.zeros((8, 3, stride, stride), np.float32), np.full(8, 1.5, np.float32)),
            10: (np.zeros((20, 3, stride, stride), np.float32), spread),
        }
        for width, (weight, bias) in ways.items():
            name = f"{width}_{stride}"
            constants += [numpy_helper.from_array(weight, f"w{name}"), numpy_helper.from_array(bias, f"b{name}")]
            constants.append(numpy_helper.from_array(np.array([-1, width]), f"s{name}"))
            nodes += [
                helper.make_node(
                    "Conv",
                    ["input", f"w{name}", f"b{name}"],
                    [f"c{name}"],
                    strides=[stride] * 2,
                    kernel_shape=[stride] * 2,
                ),
                helper.make_node("Transpose", [f"c{name}"], [f"t{name}"], perm=[2, 3, 0, 1]),
                helper.make_node("Reshape", [f"t{name}", f"s{name}"], [f"r{name}" if width == 1 else f"o{name}"]),
            ]
            if width == 1:
                nodes.append(helper.make_node("Sigmoid", [f"r{name}"], [f"o{name}"]))
            names[width].append(helper.make_tensor_value_info(f"o{name}", TensorProto.FLOAT, ["n", width]))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    graph = helper.make_graph(nodes, "scrfd", [given], [*names[1], *names[4], *names[10]], constants)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def recogniser(path: Path) -> None:
    """112x112 pixels to a vector of 512, as ArcFace's, by random weights."""
    from onnx import TensorProto, helper, numpy_helper, save

    weight = np.random.default_rng(1).standard_normal((147, 512)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["small"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["output"]),
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 112, 112])
    gives = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 512])
    graph = helper.make_graph(nodes, "arcface", [given], [gives], [numpy_helper.from_array(weight, "weight")])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as insightface keeps its package."""
    folder = tmp_path_factory.mktemp("buffalo_s")
    detector(folder / DETECTOR.name)
    recogniser(folder / RECOGNISER.name)
    return folder


def context(*places: Path) -> MetricContext:
    return MetricContext(label="face_similarity", weights=weights_in(places))


def shown(seed: int, *faces: tuple[int, int, int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """A bluish picture with red squares in it: row, column, side."""
    made = picture(seed, *size) // 4 + np.array([0, 60, 120], np.uint8)
    for row, column, side in faces:
        noise = np.random.default_rng(seed).integers(0, 12, (side, side, 3))
        made[row : row + side, column : column + side] = np.array([240, 2, 2]) + noise
    return made.astype(np.uint8)


def transcribed(folder: Path, predicted: np.ndarray, truth: np.ndarray) -> float | None:
    """MCLD's evaluate.py in a few lines, from the pictures as OpenCV would have read them."""
    from insightface.app import FaceAnalysis

    app = FaceAnalysis(name=str(folder), providers=["CPUExecutionProvider"])
    app.prepare(ctx_id=0, det_size=(512, 352))
    found = []
    for image in (truth, predicted):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            faces = app.get(np.ascontiguousarray(image[:, :, ::-1]))
        if not faces:
            return None
        faces = sorted(faces, key=lambda x: (x["bbox"][2] - x["bbox"][0]) * (x["bbox"][3] - x["bbox"][1]))
        found.append(faces[-1]["embedding"])
    a, b = found
    return float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


# ------------------------------------------------------------------------------------------- the arithmetic
@needs_face
def test_it_is_mclds_value_on_the_same_networks(networks: Path) -> None:
    predicted = [shown(0, (40, 60, 48)), shown(1, (30, 20, 24), (120, 90, 64)), shown(2, (8, 8, 40))]
    truth = [shown(3, (44, 70, 48)), shown(4, (30, 20, 64)), shown(5, (100, 60, 64), (20, 20, 24))]
    found = FaceSimilarity(Config(), context(networks)).values(predicted, truth)
    wanted = [transcribed(networks, one, other) for one, other in zip(predicted, truth, strict=True)]
    assert found == pytest.approx(wanted, rel=1e-6) and None not in found
    assert len({round(value, 6) for value in found if value is not None}) == 3


@needs_face
def test_without_a_face_on_either_side_there_is_no_value(networks: Path) -> None:
    of, face, none = FaceSimilarity(Config(), context(networks)), shown(0, (40, 60, 48)), shown(1)
    assert of.values([face, none, face, none], [face, face, none, none]) == [
        pytest.approx(1, rel=1e-6),
        None,
        None,
        None,
    ]
    assert transcribed(networks, none, face) is transcribed(networks, face, none) is None
    swapped = np.ascontiguousarray(face[..., ::-1])
    assert of.values([swapped], [face]) == [None], "red is red: channels go in as OpenCV has them"


@needs_face
def test_size_and_batch_change_no_value_and_pictures_stay(networks: Path) -> None:
    of = FaceSimilarity(Config(), context(networks))
    one = [shown(0, (40, 60, 48)), shown(1, (90, 60, 64), size=(352, 512)), shown(2, (8, 8, 24), size=(96, 72))]
    two = [shown(3, (30, 60, 48)), shown(4, (80, 60, 64), size=(352, 512)), shown(5, (8, 8, 24), size=(96, 72))]
    before = [image.copy() for image in one]
    together = of.values(one, two)
    assert together == [of.values([a], [b])[0] for a, b in zip(one, two, strict=True)] and None not in together
    assert all(map(np.array_equal, one, before))


# ------------------------------------------------------------------------------------------- what it needs
@needs_face
def test_networks_that_are_not_the_published_ones_are_told_by_the_id(networks: Path) -> None:
    metric = FaceSimilarity(Config(), context(networks))
    assert metric.id.count("/weights-") == 2
    assert {"insightface", "onnxruntime", "numpy"} <= set(metric.libraries)

    def official(wanted: WeightFile) -> FoundWeights:
        return FoundWeights(networks / wanted.name, wanted.sha256.ljust(64, "0"), official=True)

    same = FaceSimilarity(Config(), MetricContext(label="face", weights=official))
    assert same.id == "face/cosine/insightface-buffalo_s/largest/score-0.5/canvas-512x352-wide"


@needs_face
def test_files_that_are_no_such_networks_are_not_computed(networks: Path, tmp_path: Path) -> None:
    for name, said in ((DETECTOR.name, "finds no faces"), (RECOGNISER.name, "gives no embeddings")):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        for file in (DETECTOR.name, RECOGNISER.name):
            other = file if file != name else (DETECTOR.name if name == RECOGNISER.name else RECOGNISER.name)
            (folder / file).write_bytes((networks / other).read_bytes())
        with pytest.raises(NotComputed, match=said):
            FaceSimilarity(Config(), context(folder))
    (tmp_path / DETECTOR.name).write_bytes(b"no network at all")
    with pytest.raises(NotComputed, match="cannot be read"):
        FaceSimilarity(Config(), context(tmp_path, networks))


@needs_face
def test_without_networks_it_says_how_to_get_them_and_looks_where_insightface_does(
    networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NotComputed) as caught:
        FaceSimilarity(Config(), context())
    (problem,) = caught.value.problems
    assert DETECTOR.name in problem.message and "insightface-cli model.download buffalo_s" in problem.cure
    assert "non-commercial" in problem.cure and "--weights PATH" in problem.cure
    kept = tmp_path / ".insightface" / "models" / "buffalo_s"
    kept.parent.mkdir(parents=True)
    kept.symlink_to(networks)
    assert FaceSimilarity(Config(), context()).id == FaceSimilarity(Config(), context(networks)).id


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules
    monkeypatch.setitem(modules, "insightface", None)
    monkeypatch.setitem(modules, "insightface.app.common", None)
    chosen = protocol_of(discover(), metrics=["l1"], also=["face_similarity"])
    bound, missing = bind(chosen.metrics, lambda label: MetricContext(label=label))
    assert [one.label for one in bound] == ["l1"] and list(missing) == ["face_similarity"]
    assert (
        "needs insightface" in missing["face_similarity"].message and "pgsynth[face]" in missing["face_similarity"].cure
    )
