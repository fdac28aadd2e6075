"""ViTPose (Xu et al., NeurIPS 2022) by transformers: people are detected, and in each one's box joints are found.

A photo goes through a detector of objects, RT-DETR (Zhao et al., CVPR 2024) by default; boxes labelled person are kept.
Each box is widened to the estimator's aspect and by a quarter, and cut out; of the 17 heat maps that it gives, the
highest place is refined (DARK, by unbiased data processing) and is the joint, its height the confidence. Both steps
are the library's own processors. COCO's 17 joints become OpenPose's 18; the neck is the middle of the shoulders.

People come in the order of the detector's certainty. Photos are prepared one by one, and only equal sizes share a
batch: nothing is padded, so what else is looked at changes nothing.

Differs: a refinement that throws a joint out of the widened box, as where a heat map is flat, makes it a missing one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pgsynth_core.annotators import AnnotatorContext, Joints, Photo, PoseAnnotator, digest_of, pretrained
from pgsynth_core.data import from_coco
from pgsynth_core.errors import PartError
from pgsynth_plugins.annotators.vitpose import Config

__all__ = ["ViTPose"]

_FILES: Final = ("config.json", "preprocessor_config.json", "model*.safetensors", "model.safetensors.index.json")
_PERSON: Final = "person"
_JOINTS: Final = 17
_WIDENED: Final = 1.25
"""What the library's processor widens a box by."""
_AT_ONCE: Final = 32
"""People who are cut out, and whose joints are looked for, at once."""
_SMALLEST: Final = 2.0
"""Pixels a side: a smaller box shows nobody."""

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels of the photo, as COCO has it."""


class ViTPose(PoseAnnotator):
    """People and their joints.

    Args:
        config: Which networks, and how sure they must be.
        context: Finds their weights; without any, small untrained ones of the same architectures stand in.

    Raises:
        PartError: If transformers is not installed, or weights are not to be had, not readable, or of networks that
            find no people or other joints.
    """

    libraries = ("numpy", "scipy", "torch", "torchvision", "transformers")

    def __init__(self, config: Config, context: AnnotatorContext) -> None:
        super().__init__(config, context)
        self._config, self._device = config, torch.device(context.device)
        places = [context.weights(name, _FILES) for name in (config.detector, config.estimator)]
        try:
            read = [_untrained()[at] if place is None else _loaded(at, place) for at, place in enumerate(places)]
        except ImportError as error:
            text = f"{context.label} needs transformers, and that cannot be imported: {error}"
            raise PartError(text, cure='pip install "pgsynth[annotators]"') from error
        (detector, self._sees), (estimator, self._crops) = read
        self._detector, self._estimator = detector.to(self._device), estimator.to(self._device)
        self._person = _label_of_people(detector.config, config.detector)
        _require_coco(estimator.config, config.estimator)
        self._weights = "+".join("untrained" if place is None else digest_of(place) for place in places)

    @property
    def id(self) -> str:
        """Weights and thresholds as one word."""
        config = self._config
        return f"vitpose/{self._weights}/{config.least_person:g}-{config.least_joint:g}-{config.most_people}"

    @torch.inference_mode()
    def poses(self, photos: Sequence[Photo]) -> list[list[Joints]]:
        """Of each photo its people, those first that the detector is surest of."""
        boxes = self._people(photos)
        people = [(photo, box) for photo, its in zip(photos, boxes, strict=True) for box in its]
        if not people:
            return [[] for _ in photos]
        some = (people[start : start + _AT_ONCE] for start in range(0, len(people), _AT_ONCE))
        heatmaps = torch.cat([self._heatmaps(torch.cat([self._crop(*one) for one in several])) for several in some])
        found = self._crops.post_process_pose_estimation(SimpleNamespace(heatmaps=heatmaps), boxes=boxes)
        return [
            [self._joints(person, box) for person, box in zip(of_one, its, strict=True)]
            for of_one, its in zip(found, boxes, strict=True)
        ]

    def _crop(self, photo: Photo, box: Box) -> Float[Tensor, "1 3 H W"]:
        cut: Tensor = self._crops(photo, boxes=[[box]], input_data_format="channels_last", return_tensors="pt")[
            "pixel_values"
        ]
        return cut

    def _people(self, photos: Sequence[Photo]) -> list[list[Box]]:
        """Of each photo the boxes of people, the surest first."""
        inputs = [self._sees(photo, input_data_format="channels_last", return_tensors="pt") for photo in photos]
        boxes: dict[int, list[Box]] = {}
        for places in _of_one_size(inputs):
            batch = {key: torch.cat([inputs[place][key] for place in places]) for key in inputs[places[0]]}
            outputs = self._detector(**{key: value.to(self._device) for key, value in batch.items()})
            sizes = torch.tensor([photos[place].shape[:2] for place in places], device=self._device)
            found = self._sees.post_process_object_detection(
                outputs, threshold=self._config.least_person, target_sizes=sizes
            )
            boxes |= {place: self._of_people(one, photos[place]) for place, one in zip(places, found, strict=True)}
        return [boxes[place] for place in range(len(photos))]

    def _of_people(self, found: Mapping[str, Tensor], photo: Photo) -> list[Box]:
        height, width = photo.shape[:2]
        people = found["labels"] == self._person
        order = found["scores"][people].argsort(descending=True, stable=True)
        corners = found["boxes"][people][order].cpu().double()
        limits = torch.tensor([width, height], dtype=torch.float64)
        left_top, right_bottom = corners[:, :2].clamp(min=0), torch.minimum(corners[:, 2:], limits)
        sides = right_bottom - left_top
        large = (sides >= _SMALLEST).all(dim=1)
        listed = torch.cat([left_top, sides], dim=1)[large][: self._config.most_people].tolist()
        return [(left, top, wide, high) for left, top, wide, high in listed]

    def _heatmaps(self, crops: Float[Tensor, "people 3 H W"]) -> Float[Tensor, "people 17 h w"]:
        experts = self._estimator.config.backbone_config.num_experts > 1  # ViTPose+ asks which data set: 0 is COCO
        index = {"dataset_index": torch.zeros(len(crops), dtype=torch.long, device=self._device)} if experts else {}
        heatmaps: Tensor = self._estimator(crops.to(self._device), **index).heatmaps
        return heatmaps.cpu()

    def _joints(self, person: Mapping[str, Tensor], box: Box) -> Joints:
        places, scores = person["keypoints"].double().numpy(), person["scores"].double().numpy()
        left, top, wide, high = box
        aspect = self._crops.size["width"] / self._crops.size["height"]
        reach = _WIDENED * np.array([max(wide, high * aspect), max(high, wide / aspect)]) / 2
        inside = (np.abs(places - (left + wide / 2, top + high / 2)) <= reach).all(axis=1)  # false of what is no number
        sure = (scores >= self._config.least_joint) & (scores > 0) & inside
        points = np.zeros((_JOINTS, 3))
        points[sure] = np.column_stack([places, scores])[sure]
        return from_coco(points, third="confidence")


def _of_one_size(inputs: Sequence[Any]) -> list[list[int]]:
    """Places of the inputs, those together that go into one batch."""
    together: dict[tuple[int, ...], list[int]] = {}
    for place, one in enumerate(inputs):
        together.setdefault(tuple(one["pixel_values"].shape), []).append(place)
    return list(together.values())


# ------------------------------------------------------------------------------------------- the networks
_SMALL_DETECTOR: Final[dict[str, Any]] = {
    "backbone_config": {
        "model_type": "rt_detr_resnet",
        "hidden_sizes": [8, 16, 24, 32],
        "depths": [1, 1, 1, 1],
        "embedding_size": 8,
        "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "encoder_in_channels": [16, 24, 32],
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "num_queries": 8,
    "decoder_in_channels": [16, 16, 16],
    "decoder_ffn_dim": 16,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
    "id2label": {0: _PERSON},
}
_SMALL_ESTIMATOR: Final[dict[str, Any]] = {
    "backbone_config": {
        "model_type": "vitpose_backbone",
        "image_size": [64, 48],
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "out_indices": [1],
    },
    "num_labels": _JOINTS,
}


def _loaded(at: int, folder: str) -> tuple[Any, Any]:
    """The detector (0) or the estimator (1), with its processor."""
    from transformers import AutoImageProcessor, AutoModelForObjectDetection, VitPoseForPoseEstimation

    return pretrained((AutoModelForObjectDetection, VitPoseForPoseEstimation)[at], AutoImageProcessor, folder)


def _untrained() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Both networks, small, with random weights that are always the same."""
    from transformers import (
        RTDetrConfig,
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
        VitPoseConfig,
        VitPoseForPoseEstimation,
        VitPoseImageProcessor,
    )

    small = {"height": 64, "width": 48}
    seen = RTDetrConfig.from_dict(_SMALL_DETECTOR)
    joints = VitPoseConfig.from_dict(_SMALL_ESTIMATOR)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector, estimator = RTDetrForObjectDetection(seen).eval(), VitPoseForPoseEstimation(joints).eval()
    return (detector, RTDetrImageProcessor(size={"height": 64, "width": 64})), (
        estimator,
        VitPoseImageProcessor(size=small),
    )


def _label_of_people(config: Any, name: str) -> int:
    """The detector's label for a person.

    Raises:
        PartError: If it has none.
    """
    labels = {str(word).lower(): int(label) for label, word in config.id2label.items()}
    if _PERSON not in labels:
        some = ", ".join(list(labels)[:5])
        text = f"detector {name!r} finds no people: of its {len(labels)} labels, {some} and others, none is person."
        raise PartError(text, cure="Take one that was trained on COCO or Objects365.")
    return labels[_PERSON]


def _require_coco(config: Any, name: str) -> None:
    """Refuse an estimator of other joints.

    Raises:
        PartError: If it does not find COCO's 17.
    """
    if config.num_labels != _JOINTS:
        text = f"estimator {name!r} finds {config.num_labels} joints; COCO has {_JOINTS}."
        raise PartError(text, cure="Take a ViTPose that was trained on COCO, e.g. usyd-community/vitpose-base-simple.")
