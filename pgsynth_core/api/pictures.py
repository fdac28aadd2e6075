"""Pictures of pairs: sampled in batches, each from its own seed, written with a sheet to look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pgsynth_core.api.assembly import Assembly
from pgsynth_core.api.datasets import dataset_of
from pgsynth_core.api.together import as_many_as_fit, at_rest
from pgsynth_core.data.records import BadRecord, DataError, Dataset, Split
from pgsynth_core.data.sheet import Sheet
from pgsynth_core.data.stamp import stamped
from pgsynth_core.data.tensors import Batch, Examples, TensorPlan, checked, to_pictures
from pgsynth_core.runs import refusing
from pgsynth_core.runs.durable import replace_file
from pgsynth_core.sampling.sampler import SamplePlan, sample_latents
from pgsynth_core.spec import SampleSettings
from pgsynth_core.training.draws import generator

HEADINGS = ("source", "pose", "target", "output")

OnSkip = Callable[[str, BadRecord], None]
"""Told what is left out, a pair by its name or a row of a table, and why."""


@dataclass(frozen=True)
class Sampled:
    """One pair and what was made of it; pictures are uint8 [H, W, 3] at the method's size."""

    name: str
    source: np.ndarray
    pose: np.ndarray
    target: np.ndarray
    output: np.ndarray

    @property
    def row(self) -> tuple[np.ndarray, ...]:
        """The tiles of a sheet, as `HEADINGS` names them."""
        return (self.source, self.pose, self.target, self.output)


def plan_of(settings: SampleSettings) -> SamplePlan:
    """The spec's section `sample` as a plan."""
    return SamplePlan(scheduler=settings.scheduler, steps=settings.steps, guidance=settings.guidance)


def usable(
    dataset: Dataset, plan: TensorPlan, indices: Iterable[int], on_skip: OnSkip | None = None
) -> Iterator[Batch]:
    """Pairs as batches of one, in order, those that cannot be used left out; no other takes their place.

    Raises:
        DataError: If a pair cannot be used and the dataset has bad=fail, or none of them can.
    """
    examples = Examples(dataset, plan)
    bad: list[BadRecord] = []
    any_usable = False
    for index in indices:
        found = checked(examples[index])
        if found.indices == (index,):
            any_usable = True
            yield found
            continue
        why = found.skipped[0]
        bad.append(why)
        if on_skip:
            on_skip(dataset.name(index), why)
    if bad and not any_usable:
        raise DataError.of(dict.fromkeys(bad), cure="Mend them; pgsynth data check shows all of the dataset.", shown=5)


def sampled(
    assembly: Assembly,
    examples: Iterable[Batch],
    *,
    plan: SamplePlan,
    seed: int,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Sampled]:
    """Sample pairs, batches of one each, `sample.batch_size` at a time; fewer where memory ends, which is told.

    A picture's noise depends on the seed and its pair's name: the same in any batch and any order.
    """

    def made(chunk: Sequence[Batch]) -> list[Sampled]:
        return sampled_batch(assembly, Batch.cat(chunk), plan=plan, seed=seed)

    return as_many_as_fit(examples, made, assembly.spec.sample.batch_size, tell=tell)


def sampled_batch(assembly: Assembly, batch: Batch, *, plan: SamplePlan, seed: int) -> list[Sampled]:
    """Sample one batch."""
    outputs = _outputs(assembly, batch, plan, [generator(seed, "sample", name) for name in batch.names])
    columns = (to_pictures(batch.source_image), _drawn(batch), to_pictures(batch.target_image), outputs)
    return [Sampled(name, *tiles) for name, *tiles in zip(batch.names, *columns, strict=True)]


def sampled_often(
    assembly: Assembly,
    batch: Batch,
    *,
    plan: SamplePlan,
    seeds: Iterable[int],
    tell: Callable[[str], None] | None = None,
) -> list[np.ndarray]:
    """Pictures of one pair, a batch of one, from several seeds: as `sampled_batch` draws them from each."""
    return list(drawn(assembly, ((batch, seed) for seed in seeds), plan=plan, tell=tell))


def drawn(  # noqa: PLR0913 - what, how, and how many at once
    assembly: Assembly,
    wanted: Iterable[tuple[Batch, int]],
    *,
    plan: SamplePlan,
    size: int | None = None,
    most: int = 0,
    tell: Callable[[str], None] | None = None,
) -> Iterator[np.ndarray]:
    """Pictures, each uint8 [H, W, 3], of pairs that are batches of one, each from its seed.

    As many as fit are drawn together, which changes no picture; where memory ends, half as many from then on. A pair
    that follows itself is encoded once.

    Args:
        assembly: The method.
        wanted: Pairs with their seeds.
        plan: Sampler, steps, guidance.
        size: How many are drawn together; None: the spec's.
        most: As of `together.as_many_as_fit`.
        tell: Told when memory ended, and how many are drawn together from then on.

    Raises:
        UserError: If there is not the memory for a single one.
    """
    made = partial(_together, assembly, plan)
    return as_many_as_fit(wanted, made, size or assembly.spec.sample.batch_size, most=most, tell=tell)


def _together(assembly: Assembly, plan: SamplePlan, chunk: Sequence[tuple[Batch, int]]) -> list[np.ndarray]:
    """One batch of pictures."""
    generators = [generator(seed, "sample", batch.names[0]) for batch, seed in chunk]
    first = chunk[0][0]
    if all(batch is first for batch, _ in chunk):
        return _outputs(assembly, first, replace(plan, copies=len(chunk)), generators)
    return _outputs(assembly, Batch.cat([batch for batch, _ in chunk]), plan, generators)


def _outputs(
    assembly: Assembly, batch: Batch, plan: SamplePlan, generators: Sequence[torch.Generator]
) -> list[np.ndarray]:
    method = assembly.method
    with at_rest(method) as device:
        here = batch.to(device)
        latents = sample_latents(method, here.source_inputs(), here.conditioning(), plan, generators)
        return to_pictures(method.base.codec.decode(latents))


def _drawn(batch: Batch) -> list[np.ndarray]:
    """The target pose as it was drawn; black where the method reads none."""
    skeleton = batch.target_pose.skeleton
    return to_pictures(torch.full_like(batch.target_image, -1.0) if skeleton is None else skeleton * 2 - 1)


@dataclass(frozen=True)
class Saved:
    """Pictures on disk: `paths` in the order of the pairs, and a `sheet` of them; `seconds` if a run drew them."""

    paths: tuple[Path, ...]
    sheet: Path
    seconds: float = 0.0


def save_pictures(folder: Path, found: Sequence[Sampled]) -> Saved:
    """Write each output as its number, and all of them as a sheet."""
    sheet = folder / "sheet.png"
    paths = tuple(folder / f"{index:04}.png" for index in range(len(found)))
    with refusing("pictures cannot be written", folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, one in zip(paths, found, strict=True):
            write_picture(Image.fromarray(one.output), path)
        write_picture(Sheet(HEADINGS, [one.row for one in found]).picture(), sheet)
    return Saved(paths, sheet)


def write_picture(picture: Image.Image, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a PNG whole or not at all; one that is there is replaced by it.

    Args:
        picture: As it is.
        path: Where.
        about: How it was made, which becomes its stamp, see `data.stamp`; None for no stamp.

    Raises:
        OSError: If the system refuses; nothing is left behind.
    """
    replace_file(path, _png(picture) if about is None else stamped(picture, about), flush=False)


def _png(picture: Image.Image) -> bytes:
    held = BytesIO()
    picture.save(held, format="PNG")
    return held.getvalue()


def sampled_sheet(assembly: Assembly, folder: Path, *, split: Split, pairs: int) -> Saved:
    """The first pairs of a split that can be used, sampled and shown."""
    began = time.monotonic()
    dataset, settings = dataset_of(assembly.spec, assembly.registry, split), assembly.spec.sample
    examples = usable(dataset, assembly.plan(source_pose=False), range(len(dataset)))
    saved = save_pictures(
        folder, list(sampled(assembly, islice(examples, pairs), plan=plan_of(settings), seed=settings.seed))
    )
    return replace(saved, seconds=round(time.monotonic() - began, 3))
