"""What `pgsynth inspect` looks at: a pair of the data, or one photo in one pose, with all that is to be shown of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.datasets import index_of
from pgsynth_core.api.photos import OnWarning, Pose, Source, label_map_of, photo_of, pose_of
from pgsynth_core.api.pictures import plan_of, sampled_often
from pgsynth_core.data.draw import skeleton
from pgsynth_core.data.fit import fit_person
from pgsynth_core.data.keypoints import no_keypoints
from pgsynth_core.data.records import DataError, Dataset, Pair, Person
from pgsynth_core.data.taking import take
from pgsynth_core.data.tensors import Batch, TensorPlan, example, to_pictures

__all__ = ["Subject", "pair_subject", "photo_subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked at; pictures are uint8 [H, W, 3] at the method's size.

    Attributes:
        name: Of the pair, or of photo and pose.
        batch: As tensors, a batch of one.
        source: The photo.
        pose: The target pose, drawn.
        target: The target, or what was sampled in its place.
        target_is: Which of the two.
        parsing: Label map of the source, [H, W]; None if there is none.
        label_set: What its labels mean; empty without one.
    """

    name: str
    batch: Batch
    source: np.ndarray
    pose: np.ndarray
    target: np.ndarray
    target_is: Literal["target", "output"]
    parsing: np.ndarray | None
    label_set: str


def pair_subject(assembly: Assembly, dataset: Dataset, name: str | None = None) -> Subject:
    """A pair of a dataset.

    Args:
        assembly: The method that will look at it.
        dataset: Where from.
        name: Of the pair; None: the first that can be used.

    Raises:
        UserError: If there is none of that name.
        DataError: If it cannot be used, or none can.
    """
    plan = assembly.plan(source_pose=False)
    index = 0 if name is None else index_of(dataset, name)
    taken = take(dataset, index, needs=plan.needs)
    if name is not None and taken.index != index:  # the dataset would take the next one
        raise DataError.of(taken.skipped, cure="Mend it, or choose another pair.")
    pair = taken.pair
    has_labels = pair.source.parsing is not None and dataset.label_set
    plan = with_label_map(plan, dataset.label_set) if has_labels else plan
    return _subject(pair, example(pair, plan), plan)


def photo_subject(
    assembly: Assembly,
    source: Source,
    pose: Pose,
    *,
    parsing: str | Path | None = None,
    on_warning: OnWarning | None = None,
) -> Subject:
    """One photo in one pose; a picture is sampled to stand for the target.

    Args:
        assembly: The method that will look at it, and draws the picture.
        source: The photo.
        pose: The target pose, as for `Model.sample`.
        parsing: Label map of the photo.
        on_warning: Told if most joints lie outside the photo.

    Raises:
        UserError: As `Model.sample`, or if a label map does not say its label set and the method reads none.
    """
    image = photo_of(source)
    size = image.shape[0], image.shape[1]
    labels, label_set = label_map_of(parsing, size, assembly.verdict)
    person = Person("source", image, no_keypoints(), labels)
    target = replace(person, name="pose", keypoints=pose_of(pose, size, on_warning=on_warning))
    stems = [Path(given).stem if isinstance(given, str | Path) else "given" for given in (source, pose)]
    pair, plan, settings = Pair("-".join(stems), person, target), assembly.plan(source_pose=False), assembly.spec.sample
    plan = plan if labels is None else with_label_map(plan, label_set)
    batch = example(pair, plan)
    sample = replace(batch, names=("sample",))  # the name that Model.sample draws by: the same picture
    (output,) = sampled_often(assembly, sample, plan=plan_of(settings), seeds=[settings.seed])
    made = torch.from_numpy(np.ascontiguousarray(output.transpose(2, 0, 1)))[None].float() / 127.5 - 1
    subject = _subject(pair, replace(batch, target_image=made), plan)
    return replace(subject, target_is="output")


def with_label_map(plan: TensorPlan, label_set: str) -> TensorPlan:
    """The plan that makes the source's label map too, whoever reads it."""
    return replace(plan, ports=plan.ports | {"source_parsing"}, label_set=label_set)


def _subject(pair: Pair, batch: Batch, plan: TensorPlan) -> Subject:
    target, labels = fit_person(pair.target, plan.image_size, plan.fit), batch.source_parsing
    return Subject(
        name=pair.name,
        batch=batch,
        source=to_pictures(batch.source_image)[0],
        pose=skeleton(target.keypoints, target.size),
        target=to_pictures(batch.target_image)[0],
        target_is="target",
        parsing=None if labels is None else labels[0].numpy().astype(np.uint8),
        label_set=plan.label_set if labels is not None else "",
    )
