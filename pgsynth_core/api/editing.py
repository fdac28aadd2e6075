"""Edits of a photo: what a mask covers is drawn after references, the rest stays. See `sampling.blending`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.adjust import Guidance, adjusted_spec
from pgsynth_core.api.edit_inputs import Edit, EditInputs, Reference, read_edit
from pgsynth_core.api.photos import OnWarning, Source
from pgsynth_core.api.pictures import plan_of
from pgsynth_core.api.together import as_many_as_fit, at_rest
from pgsynth_core.data import Pair, fit_person
from pgsynth_core.data.areas import cell_shares, cell_weights
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.tensors import Batch, example, to_pictures
from pgsynth_core.errors import UserError
from pgsynth_core.sampling.blending import Blend
from pgsynth_core.sampling.sampler import sample_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

if TYPE_CHECKING:
    from pgsynth_core.api.model import Model

__all__ = ["Edited", "drawn_edit", "edited", "references_of"]


@dataclass(frozen=True)
class Edited:
    """An edit and the pictures that came of it, uint8 [H, W, 3] each."""

    inputs: EditInputs
    pictures: tuple[np.ndarray, ...]

    def images(self) -> list[Image.Image]:
        """The pictures as Pillow's."""
        return [Image.fromarray(one) for one in self.pictures]

    def sheet(self, *, rows: int | None = None) -> Image.Image:
        """To compare: each picture in a row of the source, what changes in red, the references, and the picture.

        Of a photo that the method sees a window of, that.
        """
        inputs, window = self.inputs, self.inputs.window
        source, area = inputs.source.image, inputs.seen_area[..., None]
        shown = np.round(source * (1 - 0.6 * area) + 0.6 * area * np.array([230, 30, 30])).astype(np.uint8)
        references = [one.image for one in inputs.references]
        pictures = self.pictures[:rows]
        if window and inputs.keep == "photo":
            pictures = tuple(window.image(one) for one in pictures)
        heading = ["reference"] if len(references) == 1 else [f"reference {n + 1}" for n in range(len(references))]
        tiles = [_as_high(one, source.shape[0]) for one in (shown, *references)]
        table = [(source, *tiles, _as_high(one, source.shape[0])) for one in pictures]
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
    inputs = read_edit(wanted, spec, verdict, model.looking(on_warning, person=wanted.person), on_warning=on_warning)
    return drawn_edit(model, inputs, spec.sample, n=n, on_warning=on_warning)


# ------------------------------------------------------------------------------------------- drawing
def drawn_edit(
    model: Model, inputs: EditInputs, settings: SampleSettings, *, n: int = 1, on_warning: OnWarning | None = None
) -> Edited:
    """Draw an edit that is read; `n` pictures, from the settings' seed on, each the same alone and among others.

    Raises:
        UserError: If there is not the memory for one picture.
    """
    assembly = model.assembly
    method, tensors = assembly.method, assembly.plan(source_pose=False)
    shares = _weights(inputs, tensors.stride)
    target = fit_person(inputs.source, inputs.fit.size, inputs.fit.mode)
    people = [
        *inputs.references,
        *([replace(target, name="reference")] if len(shares) > len(inputs.references) else []),
    ]
    joined = Batch.cat([example(Pair("sample", one, target), tensors) for one in people])
    mask = torch.from_numpy(cell_weights(inputs.seen_area, inputs.fit, stride=tensors.stride))
    weights = torch.from_numpy(shares)

    with at_rest(method) as device:
        batch = joined.to(device)
        latent = method.latents(batch.target_image[:1])
        blend = Blend(source=latent, mask=mask[None, None].to(device), weights=weights[:, None].to(device))

        def made(seeds: Sequence[int]) -> list[np.ndarray]:
            chances = [generator(seed, "sample", "sample") for seed in seeds]
            plan = replace(plan_of(settings), copies=len(seeds))
            latents = sample_latents(method, batch.source_inputs(), batch.conditioning(), plan, chances, blend=blend)
            return to_pictures(method.base.codec.decode(latents))

        (kept,) = to_pictures(method.base.codec.decode(latent))
        at_once, seeds = max(1, settings.batch_size // len(people)), range(settings.seed, settings.seed + n)
        pictures = list(as_many_as_fit(seeds, made, at_once, tell=on_warning))
    return Edited(inputs, tuple(_put_back(inputs, one, kept) for one in pictures))


def _weights(inputs: EditInputs, stride: int) -> np.ndarray:
    """Of each reference in each cell [R, h, w], and of the source where they leave it a part of what changes."""
    fit = inputs.fit
    parsing = None if inputs.source.parsing is None else fit.labels(inputs.source.parsing)
    reach = inputs.soft * max(fit.scale) + 2 * stride  # as far as cells reach
    shares = cell_shares(parsing, inputs.weights, size=fit.size, reach=reach, stride=stride)
    rest = 1 - shares.sum(0, keepdims=True)
    changes = cell_weights(inputs.seen_area, fit, stride=stride) > 0
    if (rest[:, changes] > 1e-6).any():
        return np.concatenate([shares, rest])
    shares[0] += rest[0]  # where nothing changes, it does not matter whose
    return shares


def _put_back(inputs: EditInputs, picture: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The picture where the source changes; elsewhere what is to stand there, to the bit."""
    if inputs.keep == "photo":
        area, kept, window = inputs.area, inputs.photo, inputs.window
        picture = window.back(picture, kept) if window else inputs.fit.image_back(picture)
    else:
        area = inputs.fit.labels(np.round(inputs.seen_area * 255).astype(np.uint8)) / np.float32(255)
    share = area[..., None]
    return np.where(
        share == 1, picture, np.where(share == 0, kept, np.round(picture * share + kept * (1 - share)))
    ).astype(np.uint8)
