"""Likeness of the face to the truth's, as MCLD (Liu et al., CVPR 2025) has it: ArcFace's embeddings, by insightface.

In each picture SCRFD (Guo et al. 2022) looks for faces, with scores of 0.5 and more. The largest box is the face; it is
turned and scaled by its five landmarks to 112x112 pixels, of which ArcFace (Deng et al. 2019) makes a vector e. The
value of a pair is

    cos = <e_prediction, e_truth> / (|e_prediction| |e_truth|)

A pair of which either picture shows no face has no value: how many have one stands with the mean, and a method that
loses faces has fewer. MCLD leaves such pairs out, too.

Reading: MCLD asks for the detection size (512, 352), height by width as it writes sizes elsewhere; insightface takes
it as width by height. So a picture of 256x176 is enlarged to 352x242 in the upper left of a black 512 wide and 352
high, and tables were made so. Kept to the letter.

The networks are those of insightface's package `buffalo_s`, which is for non-commercial research only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np
from jaxtyping import Float32

from pgsynth_core.metrics import FoundWeights, MetricContext, NotComputed, PairMetric, Picture, WeightFile
from pgsynth_plugins.metrics.face_similarity import Config

__all__ = ["DETECTOR", "RECOGNISER", "FaceSimilarity"]

_PACKAGE: Final = "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_s.zip"
_FOLDER: Final = ".insightface/models/buffalo_s"
_COMMAND: Final = "insightface-cli model.download buffalo_s (for non-commercial research only)"
DETECTOR: Final = WeightFile(
    name="det_500m.onnx", url=_PACKAGE, sha256="5e4447f5", megabytes=3, folder=_FOLDER, command=_COMMAND
)
RECOGNISER: Final = WeightFile(
    name="w600k_mbf.onnx", url=_PACKAGE, sha256="9cc6e4a7", megabytes=14, folder=_FOLDER, command=_COMMAND
)

_CANVAS: Final = (512, 352)
"""(width, height) at which faces are looked for."""
_THRESHOLD: Final = 0.5
_EMBEDDING: Final = 512


class FaceSimilarity(PairMetric):
    """Likeness of faces; -1 to 1.

    Args:
        config: No options.
        context: Where the networks are, and the device: a GPU is used if ONNX Runtime has been built for it.

    Raises:
        NotComputed: If insightface is not installed, or the networks are not there, or are no such networks.
    """

    def __init__(self, config: Config, context: MetricContext) -> None:
        super().__init__(config, context)
        try:
            import onnxruntime
            from insightface.app.common import Face
            from insightface.model_zoo import get_model
        except ImportError as error:
            cure = 'Install what it needs: pip install "pgsynth[face]".'
            raise NotComputed(f"it needs insightface, and that cannot be imported: {error}.", cure=cure) from error
        found = context.weights(DETECTOR), context.weights(RECOGNISER)
        self._weights = "".join(one.id for one in found)
        providers = _providers(context.device, onnxruntime.get_available_providers())
        self._face: Any = Face
        self._detector, self._recogniser = (_network(get_model, one, providers) for one in found)
        _refuse_others(self._detector, self._recogniser, found)
        self._detector.prepare(ctx_id=0, input_size=_CANVAS, det_thresh=_THRESHOLD)
        self._recogniser.prepare(ctx_id=0)
        self.libraries = ("insightface", "numpy", "scikit-image", *_installed(_RUNTIMES), *_installed(_OPENCVS))

    @property
    def id(self) -> str:
        """The definition as one word."""
        return f"face/cosine/insightface-buffalo_s/largest/score-0.5/canvas-512x352-wide{self._weights}"

    @property
    def definition(self) -> str:
        """The definition in a sentence or two."""
        return (
            "Cosine between the embeddings of the largest faces in prediction and truth, as MCLD has it: insightface's "
            "buffalo_s (SCRFD-500M, scores of 0.5 and more, on a canvas 512 wide and 352 high; MobileFaceNet by "
            "ArcFace), pictures at the size of the protocol. Pairs without a face on either side have no value."
        )

    def values(self, predicted: Sequence[Picture], truth: Sequence[Picture]) -> list[float | None]:
        """Likeness of the faces of each pair; None where one is missing."""
        return [self._of(one, other) for one, other in zip(predicted, truth, strict=True)]

    def _of(self, predicted: Picture, truth: Picture) -> float | None:
        one, other = self._embedding(predicted), self._embedding(truth)
        if one is None or other is None:
            return None
        return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))

    def _embedding(self, picture: Picture) -> Embedding | None:
        """Of the largest face; None if there is none."""
        bgr = np.ascontiguousarray(picture[..., ::-1])  # as OpenCV reads files, and insightface expects
        boxes, landmarks = self._detector.detect(bgr, max_num=0, metric="default")
        if not len(boxes):
            return None
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        largest = np.argsort(areas, kind="stable")[-1]
        face = self._face(bbox=boxes[largest, :4], kps=landmarks[largest], det_score=boxes[largest, 4])
        with warnings.catch_warnings():  # it asks scikit-image in words of old
            warnings.simplefilter("ignore", FutureWarning)
            found: Embedding = self._recogniser.get(bgr, face)
        return found


Embedding = Float32[np.ndarray, " 512"]
_RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")
_OPENCVS: Final = ("opencv-python", "opencv-python-headless")


def _installed(names: Sequence[str]) -> list[str]:
    """Of distributions that stand for one another, those that are here."""
    found = []
    for name in names:
        try:
            version(name)
        except PackageNotFoundError:
            continue
        found.append(name)
    return found


def _providers(device: str, available: Sequence[str]) -> list[Any]:
    kind, _, number = device.partition(":")
    if kind == "cuda" and "CUDAExecutionProvider" in available:
        return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def _network(get_model: Any, found: FoundWeights, providers: list[Any]) -> Any:
    """One of insightface's networks.

    Raises:
        NotComputed: If the file cannot be read as one.
    """
    try:
        return get_model(str(found.path), providers=providers)
    except Exception as error:  # ONNX, protobuf and the runtime have each their own
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotComputed(f"{found.path} cannot be read: {why}", cure=f"Fetch it anew: {_COMMAND}.") from error


def _refuse_others(detector: Any, recogniser: Any, found: tuple[FoundWeights, FoundWeights]) -> None:
    """See that the networks are what they are taken for.

    Raises:
        NotComputed: If one is not.
    """
    if getattr(detector, "taskname", "") != "detection" or not detector.use_kps:
        raise NotComputed(f"{found[0].path} finds no faces with landmarks.", cure=f"Fetch it anew: {_COMMAND}.")
    if getattr(recogniser, "taskname", "") != "recognition" or recogniser.output_shape[-1] != _EMBEDDING:
        raise NotComputed(f"{found[1].path} gives no embeddings of faces.", cure=f"Fetch it anew: {_COMMAND}.")
