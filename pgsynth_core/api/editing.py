"""Edits of a photo: what a mask covers is drawn after references, the rest stays. See `sampling.blending`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from pgsynth_core.annotators import poses_of
from pgsynth_core.api.adjust import Guidance, adjusted_spec
from pgsynth_core.api.annotating import pose_annotators
from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.edit_inputs import Edit, EditInputs, Reference, read_edit
from pgsynth_core.api.photos import OnWarning, Source
from pgsynth_core.api.pictures import plan_of
from pgsynth_core.data import POSE_SUFFIX, Keypoints, Pair, Person
from pgsynth_core.data.areas import cell_shares, cell_weights
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.tensors import Batch, example, to_pictures
from pgsynth_core.errors import UserError
from pgsynth_core.metrics import NotComputed
from pgsynth_core.registry import Registry
from pgsynth_core.sampling.blending import Blend
from pgsynth_core.sampling.sampler import sample_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["Edited", "edited", "references_of"]

_ANNOTATE = f"Give the pose of the person in the photo, or put it beside the photo as NAME{POSE_SUFFIX}."


@dataclass(frozen=True)
class Edited:
    """An edit and the pictures that came of it, uint8 [H, W, 3] each."""

    inputs: EditInputs
    pictures: tuple[np.ndarray, ...]

    def images(self) -> list[Image.Image]:
        """The pictures as Pillow's."""
        return [Image.fromarray(one) for one in self.pictures]

    def sheet(self, *, rows: int | None = None) -> Image.Image:
        """To compare: each picture in a row of the source, what changes in red, the references, and the picture."""
        source, area = self.inputs.source.image, self.inputs.area[..., None]
        shown = np.round(source * (1 - 0.6 * area) + 0.6 * area * np.array([230, 30, 30])).astype(np.uint8)
        references = [one.image for one in self.inputs.references]
        heading = ["reference"] if len(references) == 1 else [f"reference {n + 1}" for n in range(len(references))]
        tiles = [_as_high(one, source.shape[0]) for one in (shown, *references)]
        table = [(source, *tiles, _as_high(one, source.shape[0])) for one in self.pictures[:rows]]
        return Sheet(("source", "changes", *heading, "output"), table).picture()


def _as_high(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture at a height in pixels, its proportions kept."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def references_of(given: Source | Reference | Sequence[Source | Reference]) -> tuple[Reference, ...]:
    """One photo, or several, as references; photos alone have the same weight each, everywhere."""
    single = isinstance(given, str | Path | Image.Image | np.ndarray | Reference)
    several: Sequence[Source | Reference] = [given] if single else list(given)  # type: ignore[list-item, arg-type]
    return tuple(one if isinstance(one, Reference) else Reference(one) for one in several)


def edited(  # noqa: PLR0913 - an edit, and one argument a setting
    model: Model,
    wanted: Edit,
    *,
    seed: int | None = None,
    steps: int | None = None,
    guidance: Guidance | None = None,
    n: int = 1,
    on_warning: OnWarning | None = None,
) -> Edited:
    """Edit a photo; arguments and errors are those of `Model.edit`."""
    if n < 1:
        raise UserError(f"n is {n}; it is the number of pictures, at least 1.", where="n", cure="Write n=1.")
    assembly = model.assembly
    spec, verdict = adjusted_spec(
        assembly.spec, assembly.registry, guidance=guidance, on_warning=on_warning, seed=seed, steps=steps
    )

    def find_pose(image: np.ndarray) -> Keypoints:
        return found_pose(image, assembly.registry, str(next(assembly.method.parameters()).device))

    inputs = read_edit(wanted, spec, verdict, find_pose=find_pose, on_warning=on_warning)
    return Edited(inputs, tuple(_drawn(assembly, inputs, spec.sample, n)))


def found_pose(image: np.ndarray, registry: Registry, device: str) -> Keypoints:
    """The joints of the one person in a photo, by the annotator that is installed.

    Raises:
        UserError: If there is no annotator, or it sees nobody or several people.
    """
    try:
        (people,) = poses_of(pose_annotators(registry, device)(""), [image])
    except NotComputed as error:
        message = "this method reads the pose of the source; none is given, and no annotator can find it."
        raise UserError(message, where="pose", cure=_ANNOTATE) from error
    if len(people) != 1:
        seen = f"{len(people)} people are seen" if people else "nobody is seen"
        raise UserError(f"{seen} in the photo, where one is edited.", where="pose", cure=_ANNOTATE)
    return people[0]


# ------------------------------------------------------------------------------------------- drawing
def _drawn(assembly: Assembly, inputs: EditInputs, settings: SampleSettings, n: int) -> list[np.ndarray]:
    method, tensors = assembly.method, assembly.plan(source_pose=False)
    weights = _weights(inputs, tensors.stride)
    people = [*inputs.references, *([_as_reference(inputs.source)] if len(weights) > len(inputs.references) else [])]
    joined = Batch.cat([example(Pair("sample", one, inputs.source), tensors) for one in people])
    device = next(method.parameters()).device
    batch, training = joined.to(device), method.training
    method.eval()
    latent = method.latents(batch.target_image[:1])
    mask = torch.from_numpy(cell_weights(inputs.area, inputs.fit, stride=tensors.stride)).to(device)
    blend = Blend(source=latent, mask=mask[None, None], weights=torch.from_numpy(weights)[:, None].to(device))
    made: list[np.ndarray] = []
    seeds, at_once = range(settings.seed, settings.seed + n), max(1, settings.batch_size // len(people))
    for first in range(0, n, at_once):
        chances = [generator(seed, "sample", "sample") for seed in seeds[first : first + at_once]]
        plan = replace(plan_of(settings), copies=len(chances))
        latents = sample_latents(method, batch.source_inputs(), batch.conditioning(), plan, chances, blend=blend)
        made += _decoded(assembly, latents)
    (kept,) = _decoded(assembly, latent)
    method.train(training)
    return [_put_back(inputs, one, kept) for one in made]


def _weights(inputs: EditInputs, stride: int) -> np.ndarray:
    """Of each reference in each cell [R, h, w], and of the source where they leave it a part of what changes."""
    fit = inputs.fit
    parsing = None if inputs.source.parsing is None else fit.labels(inputs.source.parsing)
    reach = inputs.soft * max(fit.scale) + 2 * stride  # as far as cells reach
    shares = cell_shares(parsing, inputs.weights, size=fit.size, reach=reach, stride=stride)
    rest = 1 - shares.sum(0, keepdims=True)
    changes = cell_weights(inputs.area, fit, stride=stride) > 0
    if (rest[:, changes] > 1e-6).any():
        return np.concatenate([shares, rest])
    shares[0] += rest[0]  # where nothing changes, it does not matter whose
    return shares


def _as_reference(source: Person) -> Person:
    return replace(source, name="reference")


@torch.no_grad()
def _decoded(assembly: Assembly, latents: torch.Tensor) -> list[np.ndarray]:
    return to_pictures(assembly.method.base.codec.decode(latents))


def _put_back(inputs: EditInputs, picture: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The picture where the source changes; elsewhere what is to stand there, to the bit."""
    area, fit = inputs.area, inputs.fit
    if inputs.keep == "photo":
        picture, kept = fit.image_back(picture), inputs.source.image
    else:
        area = fit.labels(np.round(area * 255).astype(np.uint8)) / np.float32(255)
    share = area[..., None]
    return np.where(
        share == 1, picture, np.where(share == 0, kept, np.round(picture * share + kept * (1 - share)))
    ).astype(np.uint8)
