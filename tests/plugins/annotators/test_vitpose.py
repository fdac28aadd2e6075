"""vitpose: on small checkpoints of the true architectures; and where joints land, by networks that read dots."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pgsynth_core.annotators import AnnotatorContext, poses_of
from pgsynth_core.data import JOINTS, from_coco
from pgsynth_core.errors import PartError
from pgsynth_plugins.annotators.vitpose import Config
from pgsynth_plugins.annotators.vitpose.annotator import ViTPose

from ...fixtures.networks import context_of, write_detector, write_detr, write_estimator

ALL = {"least_person": 0.0, "least_joint": 0.0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("networks")
    return {
        "detector": str(write_detector(root / "detector")),
        "estimator": str(write_estimator(root / "estimator")),
        "detr": str(write_detr(root / "detr")),
        "plus": str(write_estimator(root / "plus", experts=6)),
    }


def made(folders: dict[str, str], **options: Any) -> ViTPose:
    given = {"detector": folders["detector"], "estimator": folders["estimator"], **ALL, **options}
    return ViTPose(Config(**given), context_of("vitpose"))


def photos(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


# ------------------------------------------------------------------------------------------- checkpoints
@pytest.mark.parametrize("options", [{}, {"detector": "detr"}, {"estimator": "plus"}], ids=["rt-detr", "detr", "plus"])
def test_checkpoints_of_the_true_architectures_are_read(folders: dict[str, str], options: dict[str, str]) -> None:
    annotator = made(folders, **{name: folders[value] for name, value in options.items()})
    several = photos((80, 60), (61, 97), (80, 60))
    found = poses_of(annotator, several)
    for people, one in zip(found, several, strict=True):
        (alone,) = poses_of(annotator, [one])
        assert len(people) == len(alone)
        assert all(np.allclose(person, other, atol=1e-3) for person, other in zip(people, alone, strict=True))
    assert any(people for people in found) and any(person.any() for people in found for person in people)
    for person in (person for people in found for person in people):
        known = person[:, 2] > 0
        assert (person[known, 2] <= 1).all() and not person[~known].any()


def test_thresholds_and_crowds_are_options(folders: dict[str, str]) -> None:
    (photo,) = photos((80, 60))
    (everybody,) = poses_of(made(folders), [photo])
    (few,) = poses_of(made(folders, most_people=2), [photo])
    assert len(everybody) > 2 and all(map(np.array_equal, few, everybody[:2]))
    assert poses_of(made(folders, least_person=1.0), [photo]) == [()]
    (bare,) = poses_of(made(folders, least_joint=1.0), [photo])
    assert len(bare) == len(everybody) and not any(person.any() for person in bare)


def test_the_id_says_what_may_change_what_is_found(folders: dict[str, str], tmp_path: Path) -> None:
    other = str(write_detector(tmp_path / "other", {0: "cat", 1: "person"}))
    said = {
        made(folders, **options).id
        for options in ({}, {"detector": other}, {"least_person": 0.5}, {"least_joint": 0.25}, {"most_people": 3})
    }
    assert len(said) == 5 and made(folders).id in said and all(len(one.split()) == 1 for one in said)


@pytest.mark.parametrize(
    ("labels", "joints", "said"),
    [
        ({0: "cat", 1: "dog"}, 17, ["finds no people", "cat, dog", "COCO"]),
        ({0: "person"}, 133, ["finds 133 joints; COCO has 17"]),
    ],
)
def test_networks_of_something_else_are_refused(
    labels: dict[int, str], joints: int, said: list[str], tmp_path: Path
) -> None:
    detector, estimator = write_detector(tmp_path / "d", labels), write_estimator(tmp_path / "e", joints=joints)
    with pytest.raises(PartError) as refused:
        ViTPose(Config(detector=str(detector), estimator=str(estimator)), context_of())
    assert all(word in str(refused.value) for word in said), refused.value


def test_a_folder_that_is_no_checkpoint_is_refused(folders: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PartError, match="cannot be read"):
        made(folders, detector=str(tmp_path))
    with pytest.raises(PartError, match="holds a 'rt_detr', and a 'vitpose' is wanted"):
        made(folders, estimator=folders["detector"])
    part = write_estimator(tmp_path / "part") / "model.safetensors"
    weights = load_file(part)
    del weights["head.conv.weight"]
    save_file(weights, part, metadata={"format": "pt"})
    with pytest.raises(PartError, match=r"lacks 1 weights of the model, e.g. head.conv.weight"):
        made(folders, estimator=str(part.parent))


def test_pickles_are_never_read(folders: dict[str, str], tmp_path: Path) -> None:
    folder = write_detector(tmp_path / "pickled")
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(PartError, match="safetensors"):
        made(folders, detector=str(folder))


# ------------------------------------------------------------------------------------------- where joints land
COLOURS = [(np.array([n % 3, n // 3 % 3, n // 9]) * 100 + 55).astype(np.uint8) for n in range(17)]
"""Of COCO's joints; the photo around them is black."""


class Boxes(nn.Module):
    """A detector that knows where people are, with some that are no people."""

    config = SimpleNamespace(id2label={0: "cat", 1: "person"})

    def __init__(self, people: list[list[tuple[float, tuple[float, ...]]]]) -> None:
        super().__init__()
        self.people = people

    def forward(self, **inputs: Tensor) -> Any:
        raise AssertionError("nobody asks the network itself")


class Dots(nn.Module):
    """An estimator whose heat map of a joint is how alike each place of the crop is to the joint's colour."""

    config = SimpleNamespace(num_labels=17, backbone_config=SimpleNamespace(num_experts=1, image_size=[256, 192]))

    def forward(self, crops: Tensor) -> Any:
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        pixels = (crops * std[:, None, None] + mean[:, None, None]) * 255
        maps = [
            (-((pixels - torch.tensor(colour.astype(np.float32))[:, None, None]) ** 2).sum(1) / 600).exp()
            for colour in COLOURS
        ]
        fine = nn.functional.avg_pool2d(torch.stack(maps, dim=1), 7, stride=1, padding=3)  # edges are of any colour
        # The corners of crop and maps are the same places: unbiased data processing.
        return SimpleNamespace(
            heatmaps=nn.functional.interpolate(fine, size=(64, 48), mode="bilinear", align_corners=True)
        )


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The annotator with both networks replaced, and the library's own processors at their usual size."""
    transformers = pytest.importorskip("transformers")

    def make(people: list[list[tuple[float, int, tuple[float, ...]]]], **options: Any) -> ViTPose:
        annotator = ViTPose(Config(**options), AnnotatorContext(label="x", weights=lambda name, files=(), /: None))
        annotator._estimator, annotator._crops = Dots(), transformers.VitPoseImageProcessor()
        annotator._person = 1
        given = iter(people)

        def detected(outputs: Any, threshold: float, target_sizes: Tensor) -> list[dict[str, Tensor]]:
            found = []
            for some in (next(given) for _ in target_sizes):
                kept = [one for one in some if one[0] > threshold]
                found.append(
                    {
                        "scores": torch.tensor([one[0] for one in kept]),
                        "labels": torch.tensor([one[1] for one in kept], dtype=torch.long),
                        "boxes": torch.tensor([one[2] for one in kept]).reshape(-1, 4),
                    }
                )
            return found

        monkeypatch.setattr(annotator._sees, "post_process_object_detection", detected)
        return annotator

    return make


def standing(left: float, top: float, width: float, height: float) -> np.ndarray:
    """COCO's joints [17, 2] in a box: x and y as files count them, from the first pixel's centre."""
    across = [0.5, 0.65, 0.35, 0.8, 0.2, 0.7, 0.3, 0.8, 0.2, 0.85, 0.1, 0.6, 0.4, 0.65, 0.35, 0.7, 0.25]
    down = [0.1, 0.03, 0.04, 0.1, 0.11, 0.2, 0.21, 0.34, 0.35, 0.47, 0.48, 0.52, 0.53, 0.72, 0.74, 0.93, 0.95]
    return np.stack([left + np.array(across) * width, top + np.array(down) * height], axis=1)


def draw(photo: np.ndarray, joints: np.ndarray, radius: float) -> None:
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    for (x, y), colour in zip(joints, COLOURS, strict=True):
        photo[np.hypot(columns - x, rows - y) <= radius] = colour


@pytest.mark.parametrize(("size", "other"), [((300, 520), (390.0, 120.0)), ((560, 181), (60.0, 380.0))])
def test_joints_land_where_they_are_and_people_in_the_order_of_certainty(
    size: tuple[int, int], other: tuple[float, float], reading: Any
) -> None:
    """Two people off the middle of a photo and a cat: to a fortieth of the person's height, each joint by its name."""
    boxes = [(10.0, 12.0, 80.0, 170.0), (*other, 70.0, 150.0)]
    photo = np.zeros((*size, 3), np.uint8)
    for box in boxes:
        draw(photo, standing(*box), 4)
    corners = [(left, top, left + wide, top + high) for left, top, wide, high in boxes]
    found = [(0.7, 1, corners[0]), (0.99, 0, (0.0, 0.0, 50.0, 50.0)), (0.9, 1, corners[1]), (0.2, 1, corners[0])]
    (people,) = poses_of(reading([found]), [photo])
    assert len(people) == 2, "neither the cat nor who is too uncertain"
    for person, box in zip(people, (boxes[1], boxes[0]), strict=True):
        truth = from_coco(np.column_stack([standing(*box), np.full(17, 2)]))
        apart = np.linalg.norm(person[:, :2] - truth[:, :2], axis=1)
        assert (person[:, 2] > 0.5).all() and apart.max() < box[3] / 40, apart
        shift = (person - truth)[:, :2].mean(axis=0)
        assert np.abs(shift).max() < 0.25, "no shift of the whole, as of half a pixel that was forgotten"
    left, right = people[0][JOINTS["left-wrist"], 0], people[0][JOINTS["right-wrist"], 0]
    assert left > right, "the person's own left is at the right of who faces us"


def test_what_is_not_seen_is_missing(reading: Any) -> None:
    box = (10.0, 12.0, 80.0, 170.0)
    joints = standing(*box)
    photo = np.zeros((300, 200, 3), np.uint8)
    draw(photo, joints, 4)
    photo[: int(joints[5:7, 1].min()) - 8] = 0  # the head
    photo[int(joints[15:, 1].min()) - 8 :] = 0  # the feet
    corners = (10.0, 12.0, 90.0, 182.0)
    ((person,),) = poses_of(reading([[(0.9, 1, corners)]]), [photo])
    gone = [JOINTS[name] for name in ("nose", "left-eye", "right-ear", "left-ankle", "right-ankle")]
    assert not person[gone].any() and person[[JOINTS["neck"], JOINTS["left-hip"]], 2].all()


def test_boxes_are_kept_in_the_photo_and_specks_left_out(reading: Any) -> None:
    photo = np.zeros((300, 200, 3), np.uint8)
    draw(photo, standing(10.0, 12.0, 80.0, 170.0), 4)
    beyond = [
        (0.9, 1, (-40.0, -40.0, 240.0, 340.0)),
        (0.8, 1, (5.0, 5.0, 6.0, 6.0)),
        (0.7, 1, (300.0, 0.0, 400.0, 9.0)),
    ]
    (people,) = poses_of(reading([beyond]), [photo])
    assert len(people) == 1 and people[0][:, 2].any()
